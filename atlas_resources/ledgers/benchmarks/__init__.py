"""The ledger of benchmarks: what `benchmarks/` says of each instrument."""
