"""Each check passes on what the graph made, and fails on one wrong value, which it names."""

from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from support.fake_instruments import EMBEDDER, fake_registry, fake_spec
from support.made_datasets import LEDGER_ASSETS, Graph, alter_source

from atlas_assets.graph.checks.ledgers import build_ledger_checks
from atlas_assets.graph.checks.library import build_library_checks
from atlas_resources.files.stated_digests import state_digest
from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.parquet import ledger_path, read_ledger
from atlas_resources.resources import DatasetResource
from atlas_resources.tables.ledgers import HISTOGRAMS, LEDGERS, MODELS, RUNS
from atlas_resources.tables.results import INSTRUMENT_TABLES
from atlas_resources.tables.table import Table

EMBEDDINGS, SEGMENTS, TEXTS = (INSTRUMENT_TABLES[role] for role in ("embedding", "segmentation", "text"))


def all_checks(registry: Registry) -> list[Any]:
    return [*build_ledger_checks(registry), *build_library_checks(registry)]


def result_of(graph, name: str) -> dg.AssetCheckResult:
    """The check's result on the current ledgers."""
    table, _, check_name = name.partition(":")
    key = dg.AssetCheckKey(dg.AssetKey(["ledger", table]), check_name)
    (check,) = [check for check in all_checks(graph.registry) if key in check.check_keys]
    result = check(dataset=DatasetResource(root=str(graph.dataset.root)))
    if isinstance(result, dg.AssetCheckResult):
        return result
    return next(one for one in result if one.check_name == check_name)


def change(graph, table: Table, **columns: pl.Expr) -> None:
    """Overwrites values in a ledger's first row. The file still states what its rows were made from."""
    path = ledger_path(graph.dataset, table)
    stated = {name: text for name, text in pl.read_parquet_metadata(path).items() if name.startswith("atlas.")}
    rows = read_ledger(graph.dataset, table).with_row_index("row")
    first = pl.col("row") == 0
    changed = rows.with_columns(
        pl.when(first).then(value).otherwise(pl.col(name)).alias(name) for name, value in columns.items()
    )
    changed.drop("row").cast(table.schema).write_parquet(path, metadata=stated)


CHECKS = (
    "runs:sealed_files_are_whole",
    *(f"{table.name}:sealed_files_are_whole" for table in INSTRUMENT_TABLES.values()),
    "embeddings:equals_sealed_files",
    "segments:equals_sealed_files",
    "probes:equals_sealed_files",
    "detections:equals_sealed_files",
    "texts:equals_sealed_files",
    "kept_segments:equals_sealed_files",
    "region_colours:equals_sealed_files",
    "region_outlines:equals_sealed_files",
    "kept_segments:masks_are_of_the_raw_set",
    "embeddings:vectors_are_sound",
    "segments:masks_are_sound",
    "probes:scores_sum_to_one",
    "detections:boxes_are_sound",
    "texts:texts_are_sound",
    "histograms:counts_sum_to_pixels",
    "models:specs_are_readable",
    "models:licences_are_known",
    "runs:weights_are_the_pinned_ones",
    "plates:sources_are_unchanged",
    "embeddings:two_embedding_families",
    "refused_scans:no_scan_is_refused",
    "reproductions:reproductions_agree",
    "texts:answers_are_usable",
)
ALONE = "embeddings:two_embedding_families"  # which the one embedding of these tests fails


def test_the_ledgers_have_these_checks(made):
    names = {f"{key.asset_key.path[-1]}:{key.name}" for check in all_checks(made.registry) for key in check.check_keys}
    assert names == set(CHECKS)


def test_every_check_passes_on_what_the_graph_made(made):
    assert {name: result_of(made, name).passed for name in CHECKS} == {name: name != ALONE for name in CHECKS}


@pytest.mark.parametrize(
    ("name", "table", "columns", "message"),
    [
        ("embeddings:equals_sealed_files", EMBEDDINGS, {"scope": pl.lit("tile")}, "or other values"),
        ("embeddings:vectors_are_sound", EMBEDDINGS, {"l2_norm": pl.lit(0.5)}, "l2_norm 0.5"),
        (
            "embeddings:vectors_are_sound",
            EMBEDDINGS,
            {"vector": pl.col("vector").list.concat(pl.lit([float("nan")], dtype=pl.List(pl.Float32)))},
            "values, declared",
        ),
        ("segments:masks_are_sound", SEGMENTS, {"area_px": pl.lit(3)}, "recorded 3"),
        ("segments:masks_are_sound", SEGMENTS, {"mask_sha256": pl.lit("0" * 64)}, "mask-0001"),
        ("histograms:counts_sum_to_pixels", HISTOGRAMS, {"pixel_count": pl.lit(7)}, "red does not sum to 7"),
        ("runs:weights_are_the_pinned_ones", RUNS, {"weights_sha256": pl.lit("f" * 64)}, f"weights {'f' * 64}"),
        ("models:specs_are_readable", MODELS, {"status": pl.lit("broken"), "missing": pl.lit(["gone"])}, "gone"),
    ],
)  # fmt: skip
def test_a_check_fails_and_names_what_is_wrong(made, name, table, columns, message):
    change(made, table, **columns)
    result = result_of(made, name)
    assert not result.passed
    assert message in str(result.metadata["first"].value)


def test_a_changed_source_is_named_and_the_catalogue_is_still_built(made):
    """The measurements of the registered source remain valid."""
    alter_source(made.dataset, "plate-003")
    result = result_of(made, "plates:sources_are_unchanged")
    assert not result.passed
    assert result.severity == dg.AssetCheckSeverity.WARN
    assert "plate-003" in str(result.metadata["first"].value)
    assert made.materialize(*LEDGER_ASSETS).success


def test_an_instrument_of_which_many_answers_cannot_be_used_is_named(made):
    """Ten questions: one has a second, usable answer, and two have none."""
    row = {"instrument": "describer", "prompt_set": "asked", "prompt_id": "first", "is_current": True, "raw_text": "x"}
    rows = [
        {**row, "plate_id": f"plate-{number:03d}", "text_id": "answer-0001", "attempt": 1, "status": status}
        for number, status in enumerate(["cut_off", "invalid", "invalid", *["done"] * 7], start=1)
    ]
    again = {**rows[2], "text_id": "answer-0001-attempt-2", "attempt": 2, "status": "done"}
    TEXTS.conform(TEXTS.frame([*rows, again])).write_parquet(ledger_path(made.dataset, TEXTS))
    result = result_of(made, "texts:answers_are_usable")
    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.WARN)
    told = str(result.metadata["first"].value)
    assert (
        "describer: 2 of 10 questions have no usable answer: 1 cut_off, 1 invalid. The first: plate-001 answer" in told
    )
    TEXTS.conform(TEXTS.frame([*rows[1:], again])[1:]).write_parquet(ledger_path(made.dataset, TEXTS))
    assert result_of(made, "texts:answers_are_usable").passed


class TestFamilies:
    """Embeddings trained for one objective have similar errors. The check only warns."""

    def verdict(self, made, *objectives: str | None):
        """The check's result for embeddings of the same vectors that declare these objectives."""
        specs = [
            fake_spec(key).model_copy(update={"objective": objective})
            for key, objective in zip((EMBEDDER, "second_fake_embedder"), objectives, strict=False)
        ]
        graph = Graph(made.dataset, fake_registry(*specs), made.instance)
        graph.materialize(*(f"embeddings/{spec.key}" for spec in specs))
        graph.materialize("ledger/runs", "ledger/embeddings")
        return result_of(graph, "embeddings:two_embedding_families")

    def test_two_objectives_are_enough(self, made):
        assert self.verdict(made, "self_supervised", "contrastive_image_text").passed

    @pytest.mark.parametrize(
        ("objectives", "message"),
        [
            (("self_supervised",), "found 1: fake_embedder (self_supervised)"),
            (("self_supervised", "self_supervised"), "found 1: fake_embedder (self_supervised), second_fake_embedder"),
            ((None, "self_supervised"), "fake_embedder (objective not declared)"),
        ],
    )
    def test_one_objective_is_not_enough(self, made, objectives, message):
        result = self.verdict(made, *objectives)
        assert not result.passed
        assert result.severity == dg.AssetCheckSeverity.WARN
        assert message in str(result.metadata["first"].value)
        assert "model_specs/roster.yaml" in str(result.metadata["first"].value)


def altered_vectors(graph, plate_id: str) -> Path:
    """Changes the vector in a plate's sealed file, which stays a valid file. Returns its path."""
    (path,) = graph.dataset.plate(plate_id).runs_folder.glob("*/embeddings.parquet")
    rows = pl.read_parquet(path)
    rows.with_columns(vector=pl.col("vector").list.eval(pl.element() * 2)).cast(rows.schema).write_parquet(path)
    return path


def test_a_file_altered_after_its_rows_were_taken_is_named_and_the_sealed_rows_stay(made):
    """The ledger has the rows that were sealed, so the catalogue is built."""
    before = read_ledger(made.dataset, EMBEDDINGS)
    path = altered_vectors(made, "plate-002")
    assert made.materialize(*LEDGER_ASSETS).success
    assert read_ledger(made.dataset, EMBEDDINGS).equals(before)
    result = result_of(made, "embeddings:sealed_files_are_whole")
    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert f"plate-002: {path}: changed since it was sealed: expected sha256 " in str(result.metadata["first"].value)
    assert result_of(made, "embeddings:equals_sealed_files").passed


def test_an_altered_ledger_is_built_again_from_the_sealed_files(made):
    before = read_ledger(made.dataset, EMBEDDINGS)
    change(made, EMBEDDINGS, l2_norm=pl.lit(0.5))
    assert made.materialize(*LEDGER_ASSETS).success
    assert read_ledger(made.dataset, EMBEDDINGS).equals(before)


def test_a_row_altered_together_with_the_ledgers_digest_prevents_a_rebuild_of_the_catalogue(made):
    """Rows that a ledger holds are not read again; the check compares them with the sealed files."""
    change(made, EMBEDDINGS, l2_norm=pl.lit(0.5))
    state_digest(ledger_path(made.dataset, EMBEDDINGS))
    before = made.dataset.catalogue_path.read_bytes()
    assert not made.materialize(*LEDGER_ASSETS).success
    assert made.dataset.catalogue_path.read_bytes() == before


def test_a_rebuild_from_nothing_names_an_altered_file_and_builds_the_rest(made):
    path = altered_vectors(made, "plate-002")
    for table in LEDGERS.values():
        ledger_path(made.dataset, table).unlink()
    made.dataset.catalogue_path.unlink()
    assert made.materialize(*LEDGER_ASSETS).success
    assert read_ledger(made.dataset, EMBEDDINGS)["plate_id"].to_list() == [
        "plate-001", "plate-003", "plate-004", "plate-005",
    ]  # fmt: skip
    result = result_of(made, "runs:sealed_files_are_whole")
    assert not result.passed
    assert str(path) in str(result.metadata["first"].value)
    (_, shown) = made.events("ledger/runs")[-1]
    assert shown.metadata["left_out_count"].value == 1
    assert str(path) in shown.metadata["left_out"].value
