"""`atlas.duckdb` and all SQL: views, macros, comments, and questions asked of them.

Rows are made in `ledgers`; a number that needs more than SQL belongs there or in `measures`.
"""
