"""Which plates are done for which assets, and why the others are not: read from the plates' own files.

The one source of `atlas status`, the sensors, the checks and `ledger/completeness`. No Dagster.
"""
