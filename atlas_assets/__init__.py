"""The Dagster project: assets, checks, automation, the `atlas` command, the demo.

Imports `atlas_resources` and is never imported by it. Rooms, highest first: cli, demo, in_process, definitions,
automation, graph, roles, ui. `docs/architecture.md` draws them.
"""

import warnings

# The batched assets stand on `backfill_policy=`; Dagster 1.13 calls it beta at every use.
warnings.filterwarnings("ignore", message=r"Parameter `backfill_policy`")
