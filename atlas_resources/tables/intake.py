"""What registration knows of plates and scans: columns of an index, versions of a manifest, refused scans."""

import polars as pl

from atlas_resources.tables.table import Column, Table

MANIFEST_COLUMNS = (
    Column(
        "extra",
        pl.String,
        "Further columns of the plate's index, as a JSON object: extra->>'artist'. plate_index has a column for each.",
    ),
    Column("rights_uri", pl.String, "URI of the licence or rights statement, if the index has one or a name of one."),
    Column("attribution", pl.String, "Who has to be named, by a column such as attribution or credit line."),
    Column(
        "commercial_use",
        pl.String,
        "yes, no or unknown: whether the licence of the scan allows commercial use. Unknown where none is stated.",
    ),
    Column(
        "no_ai", pl.String, "What reserves the plate from machine learning or data mining, as column: value; else null."
    ),
    Column("source_page", pl.Int32, "Page of the source, counted from 1; null for its first or only page."),
    Column("manifest_version", pl.Int32, "1 as registered; each correction of the index data has the next number."),
    Column("manifest_updated_at", pl.Datetime("us", "UTC"), "Time of the last correction, or of registration, UTC."),
    Column("registered_from", pl.String, "The scan's path in the folder that it was added from, or its file name."),
    Column("origin_url", pl.String, "Address that atlas plates pull fetched the scan from; null for other scans."),
    Column("origin_retrieved_at", pl.Datetime("us", "UTC"), "Time at which the last byte of the scan arrived, UTC."),
    Column("origin_etag", pl.String, "ETag that the server sent with the scan."),
    Column("origin_last_modified", pl.String, "Last-Modified that the server sent with the scan."),
    Column("origin_expected_sha256", pl.String, "sha256 that the index states for the scan, which the scan has."),
    Column("origin_index", pl.String, "Name of the index file, or address of the IIIF manifest, with the address."),
    Column("origin_index_sha256", pl.String, "sha256 of that file as it was read."),
)
"""Columns of `plates` that follow those of its identity."""
REFUSED_SCANS = Table(
    "refused_scans",
    "One row per scan, or index of scans, that is refused at present. A row goes when the scan is registered or gone.",
    (
        Column("path", pl.String, "File, relative to the dataset's root if it is staged, else absolute."),
        Column("reason", pl.String, "Why it is refused."),
        Column("fix", pl.String, "What to do about it; null where the reason says it."),
        Column("first_refused_at", pl.Datetime("us", "UTC"), "First refusal, UTC."),
        Column("last_refused_at", pl.Datetime("us", "UTC"), "Last refusal, UTC."),
    ),
    ("path",),
)
