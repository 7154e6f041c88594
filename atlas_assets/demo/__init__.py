"""The demonstration plates: drawn, so that what is on them is known. No Dagster, no dataset, no measuring."""
