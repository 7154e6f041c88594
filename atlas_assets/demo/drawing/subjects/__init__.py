"""What the demonstration plates show: a module for each kind of subject or two, and `kinds.py`, which names them all.

Subjects are lists of parts in their own units. Colours, paper and the page belong in `drawing`.
"""
