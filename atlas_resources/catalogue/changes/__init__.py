"""What the catalogue was built from, and bringing a copy of it up to date with the ledgers that changed since.

Its tables, views and macros are defined elsewhere.
"""
