"""A plate on disk: its folder, its JSON files, its registration, the decoding of its source.

Nothing is measured here, and no sealed result is read or written.
"""
