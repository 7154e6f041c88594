"""Reading and writing files: atomic writes, digests, YAML, and the project's own folders.

Knows nothing of plates, models or Dagster.
"""
