"""What each role does with plates: prepare one, measure a batch, hold the result against the spec.

No Dagster, no runs.
"""
