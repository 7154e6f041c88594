"""Bytes by key, in a bucket or a folder: reading, writing once, replacing what nobody changed, listing, and leases.

Knows nothing of plates. Which keys a dataset has, and in which order they are written, belongs in `sharing`.
"""
