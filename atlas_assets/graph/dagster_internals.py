"""The names of Dagster that are not public, and its tags, in one place: read here again when its version changes.

Each is used because Dagster has no public way; the comments say for what.
"""

import warnings

from dagster._core.definitions.asset_selection import DagsterInvalidAssetSelectionError
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetGraph
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,
    DATA_VERSION_TAG,
    INPUT_DATA_VERSION_TAG_PREFIX,
    INPUT_EVENT_POINTER_TAG_PREFIX,
)
from dagster._core.definitions.source_asset import SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION
from dagster._core.event_api import PartitionKeyFilter
from dagster._core.events import AssetMaterializationPlannedData, DagsterEvent
from dagster._core.execution.plan.objects import StepFailureData
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecord,
    AssetCheckExecutionRecordStatus,
)

READ_IN_VERSION = "1.13.27"

# Dagster calls these beta and preview at every use, and every plate asset has them.
warnings.filterwarnings("ignore", message=r"Parameter `backfill_policy`")
warnings.filterwarnings("ignore", message=r"Specifying a partitions_def on an AssetCheckSpec")
# Stages differ in policy on purpose, so every job over several of them would warn when the code location loads.
warnings.filterwarnings("ignore", message=r"Asset job .* materializes assets with varying BackfillPolicies")

__all__ = [
    "CODE_VERSION_TAG",  # these four: staleness of each plate of an asset whose step yields its own events
    "DATA_VERSION_TAG",
    "INPUT_DATA_VERSION_TAG_PREFIX",
    "INPUT_EVENT_POINTER_TAG_PREFIX",
    "SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION",  # an output without an event of its own
    "AssetCheckExecutionRecord",  # this, the next and PartitionKeyFilter: the latest verdict of a check on a plate
    "AssetCheckExecutionRecordStatus",
    "AssetMaterializationPlannedData",  # these two: a plate of a work list is shown as being made, and as failed
    "BaseAssetGraph",  # these three: selections, assets and failures of a run in the terminal's process
    "DagsterEvent",
    "DagsterInvalidAssetSelectionError",
    "DefaultRunLauncher",  # whether runs execute on this machine
    "PartitionKeyFilter",
    "StepFailureData",
]

RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"
PARTITION_TAG = "dagster/partition"
MAX_RETRIES_TAG = "dagster/max_retries"
RETRY_ON_FAILURE_TAG = "dagster/retry_on_asset_or_op_failure"  # "true" on a run overrides dagster.yaml
WILL_RETRY_TAG = "dagster/will_retry"  # "true" on a run that was killed and that the daemon starts again
RETRY_RUN_TAG = "dagster/auto_retry_run_id"  # on the killed run, once the next one exists


def range_tags(first: str, last: str) -> dict[str, str]:
    """The tags of a run over a range of partitions."""
    return {RANGE_START_TAG: first, RANGE_END_TAG: last}
