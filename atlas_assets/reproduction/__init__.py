"""Runs a sealed run again from its own manifest, beside it, and compares the results.

No Dagster, and nothing is written into a plate's folder: what was found is a file in `reproductions/`.
"""
