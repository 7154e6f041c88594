"""What was read of the plates' own files, by `stat`, so that a library of many plates is not read again each time.

The files are the truth. What is remembered can be deleted at any time and is then read again.
"""
