"""The demonstration plates: drawn, not scanned, so that what is on them is known. No Dagster, no dataset, no measuring."""
