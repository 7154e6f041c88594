"""What is materialised, and when. `definitions.py` assembles; nothing here holds state."""

import warnings

# The batched assets stand on `backfill_policy=`; Dagster 1.13 calls it beta at every use.
warnings.filterwarnings("ignore", message=r"Parameter `backfill_policy`")
