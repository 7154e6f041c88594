"""The subjects of the demonstration plates: birds, butterflies, fish, flowers and shells; `kinds.py` lists them all.

Subjects are lists of parts in their own units. Colours, paper and the page belong in `drawing`.
"""
