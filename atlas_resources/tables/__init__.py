"""Every column of every table, what it means, and what makes a row sound.

No file is read or written here.
"""
