"""Named states of the library: one digest over everything that was registered and sealed, and which runs were current.

Nothing is copied. Whether the files still have these digests is found out in `verification`.
"""
