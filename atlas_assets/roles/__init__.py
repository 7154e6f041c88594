"""What each role does with plates: prepare one, measure a batch, compare the result with the spec.

No Dagster. Loading a model belongs in `atlas_resources.models`, sealing a result in `atlas_resources.runs`.
"""
