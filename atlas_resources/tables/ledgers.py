"""Every ledger table: plates, runs, models, lineage and segment sets, and those of the groundwork and of results."""

import polars as pl

from atlas_resources.tables.completeness import COMPLETENESS
from atlas_resources.tables.groundwork import FACTS, GROUNDWORK_FAILURES, HISTOGRAMS
from atlas_resources.tables.intake import MANIFEST_COLUMNS, REFUSED_SCANS
from atlas_resources.tables.records.benchmarks import BENCHMARKS
from atlas_resources.tables.records.reproductions import REPRODUCTIONS
from atlas_resources.tables.records.snapshots import SNAPSHOT_RUNS, SNAPSHOTS
from atlas_resources.tables.records.tags import TAGS
from atlas_resources.tables.records.withdrawals import WITHDRAWALS, WITHDRAWN_BY
from atlas_resources.tables.results import INSTRUMENT_TABLES
from atlas_resources.tables.table import (
    CODE_GIT_SHA,
    DAGSTER_RUN_ID,
    FILES,
    IDENTITY,
    INSTRUMENT,
    IS_CURRENT,
    MODEL_ID,
    MODEL_SHA,
    PLATE_ID,
    PREPROCESS_TAG,
    Column,
    Table,
)
from atlas_resources.tables.topology.agreement import ADDITIONS, AGREEMENT, NEAR_DUPLICATES, PLATE_AGREEMENT
from atlas_resources.tables.topology.coordinates import COORDINATES
from atlas_resources.tables.topology.spaces import NEIGHBOURS, PLATE_SPACES, SPACES

COST_NULL = "Null: the plate failed, or was sealed before this was kept."
ACCELERATOR_NULL = "Null: computed on the CPU, or sealed before this was kept."
SERVER_NULL = "Null: the model was loaded in the run's own process."
NODE_KINDS = (
    "source, origin, index, file, run (of an instrument on a plate, or the plate's groundwork), instrument, model, "
    "weights, weights_set, configuration, preprocessing, prompt_set, prompt, environment, server or code."
)
NODES = (
    "A file or run by its path from plates_structured/, or <plate>/groundwork; an instrument by its fingerprint; the "
    "groundwork's version, a model, a preprocessing, an origin or a commit by itself; everything else by its sha256."
)

PLATES = Table(
    "plates",
    "One row per registered plate: its identity, and scalar facts of its source, null without groundwork. "
    "is_current says whether they are of the present source and version.",
    (
        Column("plate_id", pl.String, "The plate's id; it never changes."),
        Column("plate_number", pl.Int64, "Number in the series."),
        Column("title", pl.String, "Title."),
        Column("slug", pl.String, "Title as a slug."),
        Column("source_image", pl.String, "Name of the source image."),
        Column("source_sha256", pl.String, "sha256 of the source image as it is registered now."),
        Column("download_url", pl.String, "Address that the scan came from, if its index gives one."),
        Column("licence", pl.String, "Licence of the scan as its index states it."),
        Column("created_at", pl.Datetime("us", "UTC"), "Time of registration, UTC."),
        *MANIFEST_COLUMNS,
        *FACTS,
        WITHDRAWN_BY,
    ),
    ("plate_id",),
)
RUNS = Table(
    "runs",
    "One row per plate and sealed run: an instrument's attempt at the plate, complete or failed.",
    (
        *IDENTITY,
        Column("role", pl.String, "Role of the instrument."),
        Column("status", pl.String, "complete or failed."),
        Column("error_type", pl.String, "Type of the error of a failed plate."),
        Column("error_message", pl.String, "Message of the error of a failed plate."),
        Column("error_stage", pl.String, "Stage that failed: decode, compute or seal."),
        Column("attempt", pl.Int32, "1 for the plate's first sealed run with this fingerprint and source, then 2, ..."),
        Column(
            "started_at",
            pl.Datetime("us", "UTC"),
            "When the run over all its plates started, UTC. Until sealed_at, other plates were measured too.",
        ),
        Column("sealed_at", pl.Datetime("us", "UTC"), "When the plate was sealed, UTC."),
        Column(
            "decode_seconds",
            pl.Float64,
            "Its share of reading and decoding the plate, or reading another result. " + COST_NULL,
        ),
        Column("preprocess_seconds", pl.Float64, "Making the model's input. " + COST_NULL),
        Column("compute_seconds", pl.Float64, "The plate's equal share of its batch in the model. " + COST_NULL),
        Column("seal_seconds", pl.Float64, "Encoding and writing the plate's files. " + COST_NULL),
        Column(
            "peak_memory_bytes", pl.Int64, "Most memory the process had used when the plate was sealed. " + COST_NULL
        ),
        Column(
            "peak_device_memory_bytes",
            pl.Int64,
            "Most memory torch had allocated on the CUDA device since the model was loaded. Null: as the accelerator.",
        ),
        Column("device", pl.String, "Class of the device of the computation, cpu or cuda."),
        Column("dtype", pl.String, "Numeric type of the computation."),
        Column("packages", pl.String, "Versions of the libraries that can change the numbers, JSON."),
        Column("accelerator", pl.String, "Name of the CUDA device. " + ACCELERATOR_NULL),
        Column("accelerator_index", pl.Int32, "Its index among the devices of the process. " + ACCELERATOR_NULL),
        Column("driver", pl.String, "Version of NVIDIA's driver; null also where the machine does not state it."),
        Column("cuda", pl.String, "Version of CUDA that torch is built for. " + ACCELERATOR_NULL),
        Column("cudnn", pl.Int64, "Version of cuDNN as one number, 92400 for 9.24.0. " + ACCELERATOR_NULL),
        Column("modes", pl.String, "Switches of torch and cuBLAS that were pinned, JSON. " + ACCELERATOR_NULL),
        Column("server_sha256", pl.String, "Digest of the record of the server that answered; null in process."),
        Column("server", pl.String, "That record, JSON: see the view servers. " + SERVER_NULL),
        CODE_GIT_SHA,
        Column("code_is_dirty", pl.Boolean, "Whether the code differed from that commit."),
        DAGSTER_RUN_ID,
        Column("inputs", FILES, "Files that it read, with their sha256. Paths are relative to the plate's folder."),
        Column("outputs", FILES, "Files that it sealed, likewise. Empty: the plate failed."),
        WITHDRAWN_BY,
        IS_CURRENT,
    ),
    ("instrument", "plate_id", "run_id"),
)
MODELS = Table(
    "models",
    "One row per instrument of model_specs/, admitted, idea or refused, and per spec that could not be read.",
    (
        INSTRUMENT,
        Column("role", pl.String, "embedding, segmentation, detection, probe, text or generative."),
        Column("status", pl.String, "admitted, idea, refused or broken."),
        Column("missing", pl.List(pl.String), "Why it does not run, or what is wrong in its file."),
        Column("title", pl.String, "Title."),
        MODEL_ID,
        MODEL_SHA,
        Column(
            "weights_sha256",
            pl.String,
            "sha256 of the weights; null for an algorithm without weights, or if not pinned.",
        ),
        Column("licence", pl.String, "SPDX id, or unknown; includes the licence of the instrument it reads."),
        Column(
            "commercial_use",
            pl.String,
            "yes, no or unknown: the stricter of its own terms and those of the instrument it reads.",
        ),
        Column("output_kind", pl.String, "vector, scores, masks, boxes, text or image."),
        Column("vector_dim", pl.Int32, "Length of the vector of an embedding."),
        PREPROCESS_TAG,
        Column("preprocessing", pl.String, "The declared preprocessing, JSON."),
        Column("parameters", pl.String, "The declared parameters, JSON."),
        Column("device", pl.String, "Declared device."),
        Column("dtype", pl.String, "Declared numeric type."),
        Column("loader", pl.String, "Loader family and version."),
        Column("upstream", pl.String, "Instrument whose sealed results it reads; null if it reads pixels."),
        Column(
            "vectors_of",
            pl.String,
            "Embedding whose sealed vectors it reads besides; null unless it ranks keywords.",
        ),
        Column("fingerprint", pl.String, "Present fingerprint; null unless admitted."),
        Column("failure_modes", pl.List(pl.String), "Known failure modes."),
        Column("sources", pl.List(pl.String), "Sources of what its spec states."),
        WITHDRAWN_BY,
    ),
    ("instrument",),
)
LINEAGE = Table(
    "lineage",
    "One row per edge of provenance, in the words of W3C PROV: the subject depends on the object. Follow objects to "
    "the rows in which they are subjects to come to the scan; the other way round, to all that depends on something.",
    (
        Column(
            "relation",
            pl.String,
            "used, wasGeneratedBy, wasDerivedFrom, wasAssociatedWith or hadMember, as in PROV-DM.",
        ),
        Column("subject_kind", pl.String, "Kind of the node that depends on the other. " + NODE_KINDS),
        Column("subject", pl.String, "Node that depends on the other. " + NODES),
        Column(
            "subject_sha256", pl.String, "sha256 of the subject, as recorded when it was made; null if it has none."
        ),
        Column("object_kind", pl.String, "Kind of the node that the subject depends on; as subject_kind."),
        Column("object", pl.String, "Node that the subject depends on; named as subject."),
        Column("object_sha256", pl.String, "sha256 of the object, as recorded when it was used; null if it has none."),
        Column(
            "object_name",
            pl.String,
            "What people call the object: key of the instrument, path of a weights file, set and version of prompts, "
            "id of a prompt or model, device of an environment. Null if it has no other name, or none was recorded.",
        ),
        Column("plate_id", pl.String, "Plate that the edge is of; null of what plates share, such as weights."),
        Column("run_id", pl.String, "Sealed run that the edge is of; null of the groundwork, and of what runs share."),
        Column("instrument", pl.String, "Key of the instrument that the edge is of, or groundwork."),
    ),
    ("subject", "relation", "object", "object_name", "plate_id", "run_id", "instrument"),
)
SEGMENT_SETS = Table(
    "segment_sets",
    "One row per current segment set and foreground of its plate; one row without a foreground where there is none.",
    (
        PLATE_ID,
        Column("instrument", pl.String, "Key of the segmenter."),
        Column("run_id", pl.String, "Sealed run of the set."),
        Column("segment_count", pl.Int64, "Segments in the set."),
        Column("largest_area_ratio", pl.Float64, "Share of the plate that the largest segment covers; 0 of none."),
        Column("median_area_ratio", pl.Float64, "Median share of the plate that a segment covers; 0 of none."),
        Column("covered_ratio", pl.Float64, "Share of the plate that any segment covers, 0..1."),
        Column("foreground_instrument", pl.String, "Instrument whose classes printed or salient are the foreground."),
        Column("foreground_run_id", pl.String, "Its sealed run."),
        Column("foreground_ratio", pl.Float64, "Share of the plate that is foreground, 0..1."),
        Column("foreground_segment_count", pl.Int64, "Segments with at least half of their pixels on the foreground."),
        Column("foreground_covered_ratio", pl.Float64, "Share of the foreground that these cover, 0..1."),
        Column("largest_foreground_share", pl.Float64, "Share of the foreground that the largest of them covers."),
    ),
    ("instrument", "plate_id", "foreground_instrument"),
)
TOPOLOGY = (NEIGHBOURS, PLATE_SPACES, SPACES, COORDINATES, AGREEMENT, PLATE_AGREEMENT, NEAR_DUPLICATES, ADDITIONS)
"""Derived from the current vectors, whole, whenever these change."""
LEDGERS: dict[str, Table] = {
    table.name: table
    for table in (
        PLATES,
        HISTOGRAMS,
        GROUNDWORK_FAILURES,
        REFUSED_SCANS,
        RUNS,
        *INSTRUMENT_TABLES.values(),
        SEGMENT_SETS,
        MODELS,
        LINEAGE,
        COMPLETENESS,
        SNAPSHOTS,
        SNAPSHOT_RUNS,
        REPRODUCTIONS,
        BENCHMARKS,
        WITHDRAWALS,
        *TOPOLOGY,
        TAGS,
    )
}
