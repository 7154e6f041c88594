"""Ledgers that grow by the plates whose files changed: what each plate's rows were made from is kept with the rows.

Which files those are, and how rows are made of them, is decided by each ledger.
"""
