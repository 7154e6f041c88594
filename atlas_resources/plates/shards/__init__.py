"""Which shard each plate is in, where a partition of the Dagster UI is a shard of many plates.

What a shard is to Dagster is decided in `graph.partitions`. Nothing that is measured depends on a plate's shard.
"""
