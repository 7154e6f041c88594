"""Every column of every table, its meaning, and what makes a row sound.

How rows are made belongs in `runs`, `ledgers` and the roles.
"""
