"""Pure functions on arrays: no Dagster, no files, no torch."""
