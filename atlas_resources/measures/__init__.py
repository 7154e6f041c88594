"""Pure functions on arrays: what is measured of pixels and masks on the CPU.

Nothing here reads files or datasets, or imports Dagster or torch.
"""
