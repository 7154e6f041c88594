"""Pure functions on arrays: what the CPU measures of pixels and masks.

No files, no Dagster, no torch, no dataset.
"""
