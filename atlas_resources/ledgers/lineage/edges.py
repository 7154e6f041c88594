"""Edges of provenance between files and runs, as frames with the columns of `lineage`. Nothing is read here.

A sealed file is a node by its path, not by its digest: results without rows are the same bytes on every plate.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Literal

import polars as pl

Relation = Literal["used", "wasGeneratedBy", "wasDerivedFrom", "wasAssociatedWith", "hadMember"]

GROUNDWORK = "groundwork"
"""What takes the place of an instrument's key where the groundwork measured."""
ENVIRONMENT = ("device", "packages", "accelerator", "driver", "cuda", "cudnn", "modes")
"""Columns of `runs` that make an environment. Its digest is the sha256 of their values as JSON, with sorted keys."""
NONE = pl.lit(None, pl.String)


@dataclass(frozen=True)
class _Node:
    """One end of an edge, as expressions on the rows that the edges are made of."""

    kind: str
    name: pl.Expr
    sha256: pl.Expr = NONE
    shown: pl.Expr = NONE


def _file(path: str, sha256: str) -> _Node:
    return _Node("file", pl.concat_str(pl.col("plate_id"), pl.lit("/"), pl.col(path)), pl.col(sha256))


def _source(sha256: str, path: pl.Expr = NONE) -> _Node:
    return _Node("source", pl.col(sha256), pl.col(sha256), path)


RUN = _Node("run", pl.concat_str(pl.col("plate_id"), pl.lit("/runs/"), pl.col("run_id")))
GROUNDWORK_RUN = _Node("run", pl.concat_str(pl.col("plate_id"), pl.lit(f"/{GROUNDWORK}")))
OUTPUT = _file("output_path", "output_sha256")


def edges_of_sources(plates: pl.DataFrame) -> pl.DataFrame:
    """Each source was derived from the address it was fetched from, or its index states, and by which index."""
    plates = plates.with_columns(origin=pl.coalesce("origin_url", "download_url"))
    digest, source = pl.col("origin_index_sha256"), _source("source_sha256")
    index = _Node("index", digest, digest, pl.col("origin_index"))
    return pl.concat(
        [
            _edges(plates.drop_nulls("origin"), source, "wasDerivedFrom", _Node("origin", pl.col("origin"))),
            _edges(plates.drop_nulls("origin_index_sha256"), source, "wasDerivedFrom", index),
        ]
    )


def edges_of_groundwork(plates: pl.DataFrame, histograms: pl.DataFrame) -> pl.DataFrame:
    """The groundwork's files, by the source, version and code that the files themselves state."""
    facts = plates.drop_nulls("measure_version").with_columns(source_sha256="measured_source_sha256")
    counts = histograms.join(plates.select("plate_id", "source_image"), on="plate_id", how="left")
    files = [
        facts.with_columns(output_path=pl.lit("derived/input_image.json"), output_sha256="input_image_sha256"),
        facts.with_columns(output_path=pl.lit("derived/groundwork.json"), output_sha256="groundwork_sha256"),
        counts.with_columns(output_path=pl.lit("derived/input_color_histograms.json"), output_sha256="file_sha256"),
    ]
    columns = ("plate_id", "source_sha256", "source_image", "measure_version", "output_path", "output_sha256")
    made = pl.concat([file.select(columns) for file in files]).drop_nulls("output_sha256")
    made = made.with_columns(instrument=pl.lit(GROUNDWORK))
    source = _source("source_sha256", pl.concat_str(pl.lit("source/"), pl.col("source_image")))
    version = _Node("instrument", pl.col("measure_version"), shown=pl.lit(GROUNDWORK))
    by = facts.drop_nulls("groundwork_code_git_sha").with_columns(instrument=pl.lit(GROUNDWORK))
    return pl.concat(
        [
            _edges(made, OUTPUT, "wasGeneratedBy", GROUNDWORK_RUN),
            _edges(made, OUTPUT, "wasDerivedFrom", source),
            _edges(made, GROUNDWORK_RUN, "used", source),
            _edges(made, GROUNDWORK_RUN, "used", version),
            _edges(by, GROUNDWORK_RUN, "wasAssociatedWith", _Node("code", pl.col("groundwork_code_git_sha"))),
        ]
    )


def edges_of_runs(runs: pl.DataFrame) -> pl.DataFrame:
    """What each run on a plate used, which files it generated, and what these were derived from."""
    runs = _with_environments(runs)
    read, sealed = _exploded(runs, "inputs", "input"), _exploded(runs, "outputs", "output")
    pairs = _exploded(sealed, "inputs", "input")
    instrument = _Node("instrument", pl.col("fingerprint"), pl.col("fingerprint"), pl.col("instrument"))
    digest = pl.col("environment_sha256")
    environment = _Node("environment", digest, digest, pl.coalesce("accelerator", "device"))
    by, served = runs.drop_nulls("code_git_sha"), _with_server_names(runs)
    server = _Node("server", pl.col("server_sha256"), pl.col("server_sha256"), pl.col("server_name"))
    return pl.concat(
        [
            *(_edges(rows, RUN, "used", node) for rows, node in _inputs(read)),
            *(_edges(rows, OUTPUT, "wasDerivedFrom", node) for rows, node in _inputs(pairs)),
            _edges(sealed, OUTPUT, "wasGeneratedBy", RUN),
            _edges(runs, RUN, "used", instrument),
            _edges(runs, RUN, "used", _Node("preprocessing", pl.col("preprocess_tag"))),
            _edges(runs, RUN, "used", environment),
            _edges(served, RUN, "used", server),
            _edges(by, RUN, "wasAssociatedWith", _Node("code", pl.col("code_git_sha"))),
        ]
    )


def _with_environments(runs: pl.DataFrame) -> pl.DataFrame:
    """The runs with the digest of their environment."""
    known = runs.select(ENVIRONMENT).unique()
    values = [json.dumps(row, sort_keys=True) for row in known.iter_rows(named=True)]
    digests = [hashlib.sha256(value.encode()).hexdigest() for value in values]
    known = known.with_columns(pl.Series("environment_sha256", digests, pl.String))
    return runs.join(known, on=ENVIRONMENT, how="left", nulls_equal=True)


def _with_server_names(runs: pl.DataFrame) -> pl.DataFrame:
    """The runs for which a server answered, with its program, version and address."""
    facts = [pl.col("server").str.json_path_match(f"$.{name}") for name in ("program", "version", "endpoint")]
    return runs.drop_nulls("server_sha256").with_columns(server_name=pl.concat_str(facts, separator=" "))


def _exploded(rows: pl.DataFrame, column: str, side: str) -> pl.DataFrame:
    """A row for each file in a column of lists, with the file's path and digest as columns."""
    files = rows.explode(column).drop_nulls(column)
    return files.with_columns(pl.col(column).struct.rename_fields([f"{side}_path", f"{side}_sha256"])).unnest(column)


def _inputs(rows: pl.DataFrame) -> list[tuple[pl.DataFrame, _Node]]:
    """The rows whose input is a source, and those whose input is a sealed file, each with that node."""
    is_source = pl.col("input_path").str.starts_with("source/")
    return [
        (rows.filter(is_source), _source("input_sha256", pl.col("input_path"))),
        (rows.filter(~is_source), _file("input_path", "input_sha256")),
    ]


def _edges(rows: pl.DataFrame, subject: _Node, relation: Relation, target: _Node) -> pl.DataFrame:
    """An edge for each row, with the columns of `lineage`."""
    return rows.select(
        relation=pl.lit(relation),
        subject_kind=pl.lit(subject.kind),
        subject=subject.name,
        subject_sha256=subject.sha256,
        object_kind=pl.lit(target.kind),
        object=target.name,
        object_sha256=target.sha256,
        object_name=target.shown,
        plate_id="plate_id",
        run_id=pl.col("run_id") if "run_id" in rows.columns else NONE,
        instrument=pl.col("instrument") if "instrument" in rows.columns else NONE,
    )
