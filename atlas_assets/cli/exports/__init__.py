"""`atlas export` and its relatives."""
