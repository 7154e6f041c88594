"""Builds the ledgers, Parquet tables, from the plates' own files, and finds out whether they are up to date.

A deleted ledger is rebuilt with the same rows. Columns are declared in `tables`; SQL belongs in `catalogue`.
"""
