"""The Parquet tables, rebuilt from the plates' own files, and whether they are behind these.

Which columns they have is in `tables`. Anything here can be deleted and comes back the same.
"""
