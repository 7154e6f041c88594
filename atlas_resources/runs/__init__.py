"""Measures many plates with one instrument, seals each result, and reads sealed results.

No role and no Dagster: the caller supplies a `Work`, which measures.
"""
