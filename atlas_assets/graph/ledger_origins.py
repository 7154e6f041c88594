"""What each ledger's asset reads, and what its columns are made of. The assets themselves are built in `ledgers`."""

from dataclasses import dataclass

import dagster as dg

from atlas_assets.graph._metadata import Origin
from atlas_assets.graph.groundwork import HISTOGRAMS_KEY, INPUT_IMAGE_KEY
from atlas_assets.graph.instruments import asset_key
from atlas_assets.graph.plate_step.weights import why_not_started
from atlas_assets.graph.plates import MANIFEST_KEY
from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.lineage.columns import LINEAGE_MADE_OF, LINEAGE_READS
from atlas_resources.tables.completeness import COMPLETENESS
from atlas_resources.tables.groundwork import FACTS
from atlas_resources.tables.intake import REFUSED_SCANS
from atlas_resources.tables.ledgers import (
    GROUNDWORK_FAILURES,
    HISTOGRAMS,
    LINEAGE,
    MODELS,
    PLATES,
    RUNS,
    SEGMENT_SETS,
    TOPOLOGY,
)
from atlas_resources.tables.records.benchmarks import BENCHMARKS
from atlas_resources.tables.records.reproductions import REPRODUCTIONS
from atlas_resources.tables.records.snapshots import SNAPSHOT_RUNS, SNAPSHOTS
from atlas_resources.tables.records.tags import TAGS
from atlas_resources.tables.records.withdrawals import WITHDRAWALS
from atlas_resources.tables.results import INSTRUMENT_TABLES
from atlas_resources.tables.table import IS_CURRENT, Table
from atlas_resources.tables.topology.agreement import ADDITIONS, AGREEMENT, NEAR_DUPLICATES, PLATE_AGREEMENT
from atlas_resources.tables.topology.coordinates import COORDINATES
from atlas_resources.tables.topology.spaces import NEIGHBOURS, PLATE_SPACES, SPACES

OF_PLATES, OF_RESULTS, OF_RUNS, OF_TOPOLOGY = "ledger_plates", "ledger_results", "ledger_runs", "topology"
"""Groups in the UI."""

SEGMENT_SETS_MADE_OF = {
    "segment_count": ("segment_id",),
    "largest_area_ratio": ("area_ratio",),
    "median_area_ratio": ("area_ratio",),
    "covered_ratio": ("mask_rle",),
    "foreground_instrument": ("instrument", "class_name"),
    "foreground_run_id": ("run_id", "class_name"),
    "foreground_ratio": ("mask_rle", "class_name"),
    "foreground_segment_count": ("mask_rle", "class_name", "area_px"),
    "foreground_covered_ratio": ("mask_rle", "class_name"),
    "largest_foreground_share": ("mask_rle", "class_name"),
}
"""Columns of `segments` that those of `segment_sets` are made of."""


def ledger_key(table: Table) -> dg.AssetKey:
    """`ledger/<table>`, or `topology/<table>`."""
    return dg.AssetKey(["topology" if table in TOPOLOGY else "ledger", table.name])


@dataclass(frozen=True)
class Ledger:
    """What a ledger is made from. `BUILDERS` has the function that builds it."""

    table: Table
    group: str
    origin: Origin


def _ledgers_of_plates() -> list[Ledger]:
    """What registration and the groundwork leave; `plates` has a row for a plate without groundwork too."""
    facts = {column.name for column in FACTS}
    of_plates = {MANIFEST_KEY: PLATES.schema.keys() - facts, INPUT_IMAGE_KEY: facts}
    failed = {"plate_id", "source_sha256"}
    return [
        Ledger(PLATES, OF_PLATES, Origin(of_plates)),
        Ledger(HISTOGRAMS, OF_PLATES, Origin({HISTOGRAMS_KEY: HISTOGRAMS.schema.names()})),
        Ledger(REFUSED_SCANS, OF_PLATES, Origin({}, otherwise="`refused_scans.json`")),
        Ledger(
            GROUNDWORK_FAILURES,
            OF_PLATES,
            Origin({INPUT_IMAGE_KEY: failed, HISTOGRAMS_KEY: failed}, otherwise="each plate's `derived/`"),
        ),
    ]


def _ledgers_of_results(registry: Registry) -> list[Ledger]:
    """The results of each role, by the instruments of the role that have their weights, and what follows from masks."""
    measuring = [instrument for instrument in registry.instruments.values() if not why_not_started(instrument)]
    ledgers = []
    for role, table in INSTRUMENT_TABLES.items():
        keys = [asset_key(instrument) for instrument in measuring if instrument.spec.role == role]
        origin = Origin(
            dict.fromkeys(keys, table.sealed_schema.names()),
            {IS_CURRENT.name: ("run_id", "fingerprint", "source_sha256")},
        )
        ledgers.append(Ledger(table, OF_RESULTS, origin))
    segments = INSTRUMENT_TABLES["segmentation"]
    sets = Origin({ledger_key(segments): segments.schema.names()}, SEGMENT_SETS_MADE_OF)
    return [*ledgers, Ledger(SEGMENT_SETS, OF_RESULTS, sets)]


def _ledgers_of_runs() -> list[Ledger]:
    """What ran, from what, and which instruments there are."""
    results = {ledger_key(table): table.schema.names() for table in INSTRUMENT_TABLES.values()}
    read = {ledger_key(table): columns for table, columns in LINEAGE_READS}
    return [
        Ledger(RUNS, OF_RUNS, Origin(results, otherwise="manifests of sealed runs, gathered with the results")),
        Ledger(LINEAGE, OF_RUNS, Origin(read, LINEAGE_MADE_OF, "the kind of the edge")),
        Ledger(MODELS, OF_RUNS, Origin({}, otherwise="`model_specs/`")),
        Ledger(SNAPSHOTS, OF_RUNS, Origin({}, otherwise="`snapshots/`")),
        Ledger(SNAPSHOT_RUNS, OF_RUNS, Origin({}, otherwise="`snapshots/`")),
        Ledger(REPRODUCTIONS, OF_RUNS, Origin({}, otherwise="`reproductions/`")),
        Ledger(BENCHMARKS, OF_RUNS, Origin({}, otherwise="`benchmarks/`")),
    ]


def _completeness() -> Ledger:
    """It follows the ledgers that are built from the same files, so that one refresh shows one state of the library."""
    origin = Origin(
        {ledger_key(table): table.schema.names() for table in (RUNS, PLATES, GROUNDWORK_FAILURES, MODELS)},
        {
            "plate_id": ("plate_id",),
            "instrument": ("instrument",),
            "state": ("status", "fingerprint", "source_sha256", "measure_version"),
            "reason": ("error_message", "message"),
            "attempts": ("attempt", "attempts"),
            "since": ("sealed_at", "groundwork_measured_at", "failed_at"),
            "what_changed": ("fingerprint", "source_sha256", "measure_version"),
        },
        otherwise="`model_specs/`",
    )
    return Ledger(COMPLETENESS, OF_RUNS, origin)


def _ledgers_of_topology() -> list[Ledger]:
    """What the vectors say. Every ledger but that of copies is made of vectors or of the neighbours found by them."""
    vectors = {ledger_key(INSTRUMENT_TABLES["embedding"]): ("vector", "run_id"), ledger_key(HISTOGRAMS): ("lab",)}
    near = {ledger_key(NEIGHBOURS): NEIGHBOURS.schema.names()}
    found: dict[Table, Origin] = {
        NEIGHBOURS: Origin(vectors, {"cosine": ("vector", "lab"), "neighbour_id": ("vector", "lab")}),
        PLATE_SPACES: Origin(
            {**vectors, **near},
            {"cluster": ("vector", "lab"), "outlier_factor": ("cosine",), "nearest_cosine": ("cosine",)},
        ),
        SPACES: Origin(
            {**vectors, **near, ledger_key(PLATE_SPACES): ("plate_id", "cluster", "is_outlier", "mean_cosine")},
            {"cluster_count": ("cluster",), "cluster_stability": ("vector", "lab", "cluster"),
             "intrinsic_dimension": ("cosine",), "outlier_count": ("is_outlier",), "plate_count": ("plate_id",)},
        ),
        COORDINATES: Origin({**vectors, **near}, {"x": ("vector", "lab", "cosine"), "y": ("vector", "lab", "cosine")}),
        AGREEMENT: Origin({**vectors, **near}, {"value": ("vector", "lab", "neighbour_id")}),
        PLATE_AGREEMENT: Origin(
            {**near, ledger_key(PLATE_SPACES): ("is_outlier", "uniqueness")},
            {"shared_neighbours": ("neighbour_id",), "outlier_spaces": ("is_outlier",)},
        ),
        NEAR_DUPLICATES: Origin(
            {ledger_key(PLATES): ("source_sha256", "phash", "dhash", "ahash"), **near},
            {"phash_distance": ("phash",), "dhash_distance": ("dhash",), "ahash_distance": ("ahash",),
             "is_same_file": ("source_sha256",), "cosines": ("cosine", "rank")},
        ),
        ADDITIONS: Origin(
            {**near, ledger_key(RUNS): ("compute_seconds", "sealed_at")},
            {"changed_ratio": ("neighbour_id",), "seconds_per_plate": ("compute_seconds",), "position": ("sealed_at",)},
        ),
    }  # fmt: skip
    return [Ledger(table, OF_TOPOLOGY, origin) for table, origin in found.items()]


def _tags() -> Ledger:
    """What people say; whether it is current follows from the plates, runs and clusters that there are."""
    reads = {
        ledger_key(PLATES): ("plate_id", "withdrawn_by"),
        ledger_key(RUNS): ("plate_id", "run_id", "is_current"),
        ledger_key(PLATE_SPACES): ("space", "cluster", "inputs_sha256"),
    }
    made_of = {"is_current": ("plate_id", "withdrawn_by", "run_id", "is_current", "cluster", "inputs_sha256")}
    return Ledger(TAGS, OF_RUNS, Origin(reads, made_of, otherwise="`tags/`"))


def ledgers_of(registry: Registry) -> list[Ledger]:
    """Every ledger, with what it is made of.

    Instruments without their weights have no edge: nothing comes from them here. Results that they sealed elsewhere are
    in the ledgers all the same.
    """
    return [
        *_ledgers_of_plates(),
        *_ledgers_of_results(registry),
        *_ledgers_of_runs(),
        _completeness(),
        Ledger(WITHDRAWALS, OF_RUNS, Origin({}, otherwise="`withdrawals/`")),
        *_ledgers_of_topology(),
        _tags(),
    ]
