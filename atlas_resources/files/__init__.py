"""Bytes and YAML on disk, whole or not at all, and their digests.

Knows nothing of plates, models or Dagster.
"""
