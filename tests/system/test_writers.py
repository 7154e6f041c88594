"""Four processes write to one dataset at once: they register, measure, withdraw, build ledgers and take snapshots."""

from collections import Counter

import pytest
from support.fake_instruments import EMBEDDER, SEGMENTER
from support.forked import Forked, begin
from support.made_datasets import draw_scans
from support.made_results import build_ledgers
from support.writer import registry, write

from atlas_resources.catalogue.build import build_catalogue
from atlas_resources.ledgers.parquet import read_ledger, sealed_runs
from atlas_resources.plates.dataset import Dataset
from atlas_resources.runs.sealed import read_manifest
from atlas_resources.snapshots.files import read_snapshots
from atlas_resources.tables.records.withdrawals import WITHDRAWALS
from atlas_resources.verification.library import verify
from atlas_resources.withdrawals.entering import read_entries

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

WRITERS = 4
PLATES = ["red", "green", "blue", "ochre", "teal", "brown"]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, list[str]]:
    """The dataset that four writers wrote, and what each printed."""
    folder = tmp_path_factory.mktemp("writers")
    draw_scans(folder / "scans", *PLATES)
    dataset = Dataset(folder / "atlas")
    dataset.ensure()
    processes = [Forked(write, dataset, number) for number in range(1, WRITERS + 1)]
    begin(*processes)
    printed = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0] * WRITERS, "\n".join(printed)
    return dataset, printed


def test_every_file_is_whole_once_the_ledgers_are_built_again(written, fakes):
    dataset, _ = written
    assert verify(dataset, registry()).faults == []
    build_ledgers(dataset, registry())
    build_catalogue(dataset, registry())
    assert verify(dataset, registry(), "deep").findings == ()


def test_each_scan_is_registered_once_and_each_plate_is_measured_once(written):
    dataset, _ = written
    assert dataset.plate_ids() == [f"plate-00{number}" for number in range(1, len(PLATES) + 1)]
    assert len({plate.source_sha256() for plate in dataset.plates()}) == len(PLATES)
    runs = [read_manifest(dataset.plate(plate_id), run_id) for run_id, plate_id in sealed_runs(dataset)]
    measured = Counter(run.instrument.key for run in runs)
    assert measured == {EMBEDDER: len(PLATES), SEGMENTER: len(PLATES)}


def test_each_writer_was_told_that_what_another_measured_is_done(written):
    _, printed = written
    told = Counter(word for output in printed for word in output.split())
    assert told["complete"] == 2 * len(PLATES)
    assert told.total() == 2 * len(PLATES) * WRITERS


def test_no_withdrawal_and_no_snapshot_is_lost_and_both_chains_are_whole(written, fakes):
    dataset, _ = written
    assert [entry.content.number for entry in read_entries(dataset)] == list(range(1, WRITERS + 1))
    snapshots = read_snapshots(dataset)
    assert {snapshot.name for snapshot in snapshots} == {f"writer-{number}" for number in range(1, WRITERS + 1)}
    assert [snapshot.previous and snapshot.previous.name for snapshot in snapshots] == [
        None,
        *(snapshot.name for snapshot in snapshots[:-1]),
    ]
    build_ledgers(dataset, registry())
    assert read_ledger(dataset, WITHDRAWALS).height == WRITERS
