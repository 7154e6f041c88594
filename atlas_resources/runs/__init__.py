"""Measures many plates with one instrument or several, seals each result, and reads sealed results.

No role and no Dagster: the caller supplies a `Work`, which measures.
"""
