"""Ledgers: Parquet tables built from the plates' own files, and whether they are behind them.

A deleted ledger is rebuilt with the same rows. No SQL.
"""
