"""`atlas status`, `atlas repair-events`, `atlas change-partitions`: what is done, and Dagster made to agree with it."""
