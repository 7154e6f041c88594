"""Measuring many plates with one instrument and sealing each result.

No role and no Dagster: the caller supplies a `Work`, which measures.
"""
