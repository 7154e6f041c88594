"""`atlas.duckdb` and all SQL: every view is in the module of its subject, every macro in `macros.py`.

`build.py` builds the file from the ledgers. A number that needs more than SQL belongs in `ledgers` or `measures`.
"""
