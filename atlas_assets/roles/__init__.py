"""What each role does with plates: prepare one, measure a batch, compare the result with the spec.

No Dagster. No model is loaded and no result is sealed here.
"""
