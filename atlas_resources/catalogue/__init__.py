"""`atlas.duckdb` and all SQL: documented tables, views and macros, and search by words.

A number that needs more than SQL belongs in `ledgers` or `measures`.
"""
