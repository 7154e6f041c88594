"""`atlas status` and `atlas repair-events`: what is done of a library, and Dagster's events made to agree with it."""
