"""Files that several machines write: what this machine remembers of them may be old.

Knows nothing of plates. Excluding others belongs in `files/locking.py`.
"""
