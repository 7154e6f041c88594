"""Measuring many plates with one instrument and sealing each result.

No role and no Dagster: what is measured is a `Work` that the caller supplies.
"""
