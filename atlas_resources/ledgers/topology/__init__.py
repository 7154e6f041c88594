"""The ledgers of topology: what the current vectors of the active instruments say about plates and about each other.

SciPy and scikit-learn are imported here: `builders` imports these modules when a ledger is built.
"""
