"""The catalogue's macros, a module for each subject; `refusals.py` makes them refuse arguments that they do not know.

The SQL is in the dialect of the oldest DuckDB that opens the file (`STORAGE_VERSION` in `catalogue/build.py`). A macro
that calls another is created after it.
"""
