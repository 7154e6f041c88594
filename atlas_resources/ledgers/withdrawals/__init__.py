"""The ledger of withdrawals, which rows of other ledgers they withdraw, and what an entry would touch.

The log itself is in `atlas_resources.withdrawals`.
"""
