"""Declares every column of every table, with its meaning, and checks whether rows are sound.

`result_columns.py` has the columns that instruments measure, as they are sealed for each plate; `results.py` adds the
columns of identity, which makes the ledger of a role; `ledgers.py` has the other ledgers. In rows that were sealed
before a column was added, it is null. No file is read or written here.
"""
