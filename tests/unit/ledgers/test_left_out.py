"""A run that is not as it was sealed costs its plate's result: it is left out, named with a fix, and stops nothing."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from support.fake_instruments import EMBEDDER, SEGMENTER, fake_registry, fake_spec
from support.made_results import TWO_SEGMENTS, GivenVectors, build_ledgers, measure, measure_groundwork, reseal
from support.rewritten import rewrite_json

from atlas_resources.catalogue.build import build_catalogue
from atlas_resources.ledgers.freshness import why_behind
from atlas_resources.ledgers.left_out import find_left_out
from atlas_resources.ledgers.parquet import ledger_path
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.ledgers import LEDGERS

PLATE = "plate-003"


@pytest.fixture
def registry(fakes):
    return fake_registry(fake_spec(EMBEDDER), fake_spec(SEGMENTER))


@pytest.fixture
def measured(dataset, registry):
    """Two instruments on five plates; no ledger yet."""
    measure_groundwork(dataset)
    vectors = {plate_id: (number, 1.0, 0.0) for number, plate_id in enumerate(dataset.plate_ids())}
    measure(dataset, registry, EMBEDDER, GivenVectors(vectors))
    measure(dataset, registry, SEGMENTER, TWO_SEGMENTS)
    return dataset


def build_all(dataset: Dataset, registry) -> dict[str, pl.DataFrame]:
    ledgers = build_ledgers(dataset, registry)
    build_catalogue(dataset, registry)
    return ledgers


def embedding_run(dataset: Dataset, plate_id: str = PLATE) -> Path:
    """The run folder of the plate's vector."""
    (file,) = dataset.plate(plate_id).runs_folder.glob("*/embeddings.parquet")
    return file.parent


def change_json(path: Path, change: Callable[[dict], None]) -> None:
    content = json.loads(path.read_bytes())
    change(content)
    rewrite_json(path, **content)


def alter_vector(dataset: Dataset) -> Path:
    """Another valid file: vector and norm agree."""
    path = embedding_run(dataset) / "embeddings.parquet"
    rows = pl.read_parquet(path)
    doubled = rows.with_columns(vector=pl.col("vector").list.eval(pl.element() * 2), l2_norm=pl.col("l2_norm") * 2)
    doubled.cast(rows.schema).write_parquet(path)
    return path


def remove_rows(dataset: Dataset) -> Path:
    path = embedding_run(dataset) / "embeddings.parquet"
    path.unlink()
    return path


def alter_metrics(dataset: Dataset) -> Path:
    path = embedding_run(dataset) / "metrics.json"
    change_json(path, lambda metrics: metrics["values"].update(l2_norm=0.5))
    return path


def flip_a_key(dataset: Dataset) -> Path:
    path = embedding_run(dataset) / "run.manifest.json"
    path.write_bytes(path.read_bytes().replace(b'"plate_id"', b'"plate_iD"'))
    return path


def truncate_manifest(dataset: Dataset) -> Path:
    path = embedding_run(dataset) / "run.manifest.json"
    path.write_bytes(path.read_bytes()[:100])
    return path


def name_another_plate(dataset: Dataset) -> Path:
    path = embedding_run(dataset) / "run.manifest.json"
    change_json(path, lambda manifest: manifest.update(plate_id="plate-001"))
    return path


def alter_fingerprint(dataset: Dataset) -> Path:
    path = embedding_run(dataset) / "run.manifest.json"
    change_json(path, lambda manifest: manifest["instrument"].update(fingerprint="0" * 64))
    return path


def drop_output(dataset: Dataset) -> Path:
    path = embedding_run(dataset) / "run.manifest.json"
    change_json(path, lambda manifest: manifest.update(outputs=[]))
    return path


def empty_run_folder(dataset: Dataset) -> Path:
    folder = embedding_run(dataset)
    shutil.rmtree(folder)
    folder.mkdir()
    return folder / "run.manifest.json"


def other_columns(dataset: Dataset) -> Path:
    """Consistent with its manifest, but not a file of vectors."""
    path = embedding_run(dataset) / "embeddings.parquet"
    pl.DataFrame({"something": [1]}).write_parquet(path)
    reseal(path)
    return path


ALTERED = [
    alter_vector,
    remove_rows,
    alter_metrics,
    flip_a_key,
    truncate_manifest,
    name_another_plate,
    alter_fingerprint,
    drop_output,
    empty_run_folder,
]


@pytest.mark.parametrize("alter", ALTERED, ids=lambda alter: alter.__name__)
def test_an_altered_run_is_left_out_and_named_and_all_else_is_built(measured, registry, alter):
    path = alter(measured)
    ledgers = build_all(measured, registry)
    left = {"plate-001", "plate-002", "plate-004", "plate-005"}
    assert set(ledgers["embeddings"]["plate_id"]) == left
    assert set(ledgers["runs"].filter(instrument=EMBEDDER)["plate_id"]) == left
    of_plates = ledgers["lineage"].filter(instrument=EMBEDDER).drop_nulls("plate_id")  # the others are the instrument's
    assert set(of_plates["plate_id"]) == left
    assert set(ledgers["segments"]["plate_id"]) == left | {PLATE}, "the plate's other results stay"
    (fault,) = find_left_out(measured)
    assert (fault.plate_id, fault.path) == (PLATE, path)
    assert f"delete {path.parent} and measure again: atlas run" in fault.fix
    assert fault.fix.endswith(f"--plates {PLATE}")
    assert why_behind(measured, registry) == "", "a rebuild would not change the ledgers"


def test_the_digests_and_the_command_are_named(measured, registry):
    path = alter_vector(measured)
    sealed = json.loads((path.parent / "run.manifest.json").read_bytes())["outputs"][0]["sha256"]
    (fault,) = find_left_out(measured)
    assert fault.problem.startswith(f"changed since it was sealed: expected sha256 {sealed}, found ")
    assert fault.fix == (
        f"restore the file from a copy; or delete {path.parent} and measure again: "
        f'atlas run \'tag:"atlas/instrument"="{EMBEDDER}"\' --plates {PLATE}'
    )


@pytest.mark.parametrize("alter", [alter_vector, flip_a_key], ids=lambda alter: alter.__name__)
def test_a_restored_file_is_taken_up_again(measured, registry, alter):
    right = build_all(measured, registry)["embeddings"]
    for table in LEDGERS.values():
        ledger_path(measured, table).unlink()
    copies = {path: path.read_bytes() for path in embedding_run(measured).iterdir()}
    alter(measured)
    build_all(measured, registry)
    for path, content in copies.items():
        path.write_bytes(content)
    assert "1 sealed runs were added or removed" in why_behind(measured, registry)
    assert_frame_equal(build_all(measured, registry)["embeddings"], right)
    assert find_left_out(measured) == []


def test_an_older_whole_result_is_current_instead_of_a_newer_altered_one(measured, registry):
    vectors = {plate_id: (9.0, 9.0, 9.0) for plate_id in measured.plate_ids()}
    measure(measured, registry, EMBEDDER, GivenVectors(vectors), [PLATE], is_forced=True)
    old, new = sorted(path.parent for path in measured.plate(PLATE).runs_folder.glob("*/embeddings.parquet"))
    (new / "embeddings.parquet").write_bytes(b"")
    rows = build_all(measured, registry)["embeddings"].filter(plate_id=PLATE)
    assert rows.select("run_id", "is_current").rows() == [(old.name, True)]


def file(path: Path) -> str:
    path.write_bytes(b"x")
    return "found a file"


def folder(path: Path) -> str:
    path.mkdir()
    return "found a folder of another name"


def link(path: Path) -> str:
    path.symlink_to(path.parent)
    return "found a symbolic link"


def broken_link(path: Path) -> str:
    path.symlink_to("nowhere")
    return "found a symbolic link"


@pytest.mark.parametrize("name", ["run-x", "run-20261121-104739Z-81baa378"])
@pytest.mark.parametrize("make", [file, folder, link, broken_link], ids=lambda make: make.__name__)
def test_a_stray_entry_is_named_and_every_run_is_in_the_ledgers(measured, registry, make, name):
    path = measured.plate(PLATE).runs_folder / name
    problem = make(path)
    ledgers = build_all(measured, registry)
    assert ledgers["runs"].height == 10
    (fault,) = find_left_out(measured)
    assert fault.plate_id == PLATE
    if make is folder and name != "run-x":
        assert fault.path == path / "run.manifest.json", "an empty folder with a run's name"
        assert "cannot be read: No such file" in fault.problem
    else:
        assert (fault.path, fault.fix) == (path, f"move {path} out of the dataset")
        assert problem in fault.problem
    assert why_behind(measured, registry) == ""


def test_hidden_and_other_names_in_the_folder_of_runs_are_ignored(measured, registry):
    for name in (".run-20261121-104739Z-81baa378.partial", ".DS_Store", "notes.txt"):
        (measured.plate(PLATE).runs_folder / name).write_bytes(b"x")
    assert build_all(measured, registry)["runs"].height == 10
    assert find_left_out(measured) == []


def test_a_folder_of_runs_that_cannot_be_read_is_named(measured, registry):
    """As a person without permission sees it; here it is no folder at all, since root may read everything."""
    runs = measured.plate(PLATE).runs_folder
    shutil.rmtree(runs)
    runs.write_bytes(b"")
    assert build_all(measured, registry)["runs"].height == 8
    (fault,) = find_left_out(measured)
    assert (fault.plate_id, fault.path) == (PLATE, runs)
    assert "cannot be read: Not a directory" in fault.problem
    assert why_behind(measured, registry) == ""


def test_a_result_of_other_columns_is_named_although_its_digest_is_right(measured, registry):
    path = other_columns(measured)
    assert set(build_all(measured, registry)["embeddings"]["plate_id"]) == {
        "plate-001", "plate-002", "plate-004", "plate-005",
    }  # fmt: skip
    (fault,) = find_left_out(measured)
    assert (fault.plate_id, fault.path) == (PLATE, path)
    assert "has other columns than its table" in fault.problem


@pytest.mark.parametrize(
    ("name", "change", "problem"),
    [
        ("source.sha256", (b"source/", b"elsewhere/"), "expected one line"),
        ("manifest.json", (b'"plate_id"', b'"plate_iD"'), "is not a valid PlateManifest"),
    ],
)
def test_a_plate_whose_identity_is_broken_is_named_and_the_others_are_built(measured, registry, name, change, problem):
    path = measured.plate(PLATE).folder / name
    path.write_bytes(path.read_bytes().replace(*change))
    ledgers = build_all(measured, registry)
    left = ["plate-001", "plate-002", "plate-004", "plate-005"]
    assert ledgers["plates"]["plate_id"].to_list() == left
    assert ledgers["histograms"]["plate_id"].to_list() == left
    assert sorted(set(ledgers["runs"].filter("is_current")["plate_id"])) == left
    (fault,) = find_left_out(measured)
    assert (fault.plate_id, fault.path) == (PLATE, path)
    assert problem in fault.problem
    assert why_behind(measured, registry) == ""
