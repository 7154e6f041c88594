"""A snapshot is created once, whole or not at all; its listing is what `sha256sum --check` reads."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from support.fake_instruments import EMBEDDER, SEGMENTER, fake_registry, fake_spec
from support.made_results import GivenVectors, measure
from support.verified import VECTORS, findings_in, make_verified

from atlas_resources.files.digests import sha256_of
from atlas_resources.snapshots.creating import SnapshotExists, create_snapshot
from atlas_resources.snapshots.files import (
    SnapshotNameRefused,
    SnapshotUnknown,
    read_snapshot,
    read_snapshot_tree,
    read_snapshots,
    snapshot_path,
)
from atlas_resources.snapshots.tree import read_tree

CREATE = """
import sys
from pathlib import Path
from support.fake_instruments import fake_registry
from atlas_resources.plates.dataset import Dataset
from atlas_resources.snapshots import creating

write = creating.write_bytes_atomically
def slow(path, data):
    write(path, data)
    print(path.name, flush=True)
    sys.stdin.readline()
creating.write_bytes_atomically = slow
creating.create_snapshot(Dataset(Path(sys.argv[1])), fake_registry(), "second")
"""


@pytest.fixture
def verified(tmp_path, fakes):
    return make_verified(tmp_path)


def sha256sum(folder: Path, listing: Path) -> subprocess.CompletedProcess[str]:
    command = ["sha256sum", "--check", "--quiet", listing]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_it_has_the_root_the_plates_and_the_current_runs(verified):
    dataset, registry = verified
    snapshot = read_snapshot(dataset, "first")
    assert snapshot.root_sha256 == read_tree(dataset).root_sha256
    one, other = snapshot.plates
    assert (one.plate_id, one.manifest_version, sorted(one.runs)) == ("plate-001", 2, [EMBEDDER, SEGMENTER])
    assert (other.plate_id, other.manifest_version, sorted(other.runs)) == ("plate-002", 1, [SEGMENTER])
    assert one.source_sha256 == sha256_of(dataset.plate("plate-001").source_path())
    assert one.node_sha256 == read_tree(dataset).nodes["plates_structured/plate-001"]
    assert [one.identity for one in snapshot.instruments] == [one.identity for one in registry.instruments.values()]


def test_sha256sum_checks_the_listing_in_the_dataset_s_root(verified):
    dataset, _ = verified
    listing = snapshot_path(dataset, "first", ".sha256")
    assert sha256sum(dataset.root, listing).returncode == 0
    dataset.plate("plate-002").manifest_path.write_text("{}")
    found = sha256sum(dataset.root, listing)
    assert found.returncode == 1
    assert found.stdout == "plates_structured/plate-002/manifest.json: FAILED\n"


def test_a_listing_with_names_that_sha256sum_escapes_is_read_back(verified):
    dataset, registry = verified
    derived = dataset.plate("plate-001").folder / "derived"
    for name in ("back\\slash.json", "line\nbreak.json", "carriage\rreturn.json", "plate №1.json", " spaces "):
        (derived / name).write_text(name)
    snapshot = create_snapshot(dataset, registry, "second")
    assert sha256sum(dataset.root, snapshot_path(dataset, "second", ".sha256")).stderr == ""
    assert read_snapshot_tree(dataset, snapshot).leaves == read_tree(dataset).leaves


def test_a_snapshot_does_not_change_the_state_of_the_library_and_names_the_one_before(verified):
    dataset, registry = verified
    second = create_snapshot(dataset, registry, "second", "a note")
    assert second.root_sha256 == read_snapshot(dataset, "first").root_sha256
    assert second.previous is not None
    assert (second.previous.name, second.previous.sha256) == ("first", sha256_of(snapshot_path(dataset, "first")))
    assert [one.name for one in read_snapshots(dataset)] == ["first", "second"]


def test_a_snapshot_is_never_overwritten(verified):
    dataset, registry = verified
    before = snapshot_path(dataset, "first").read_bytes()
    with pytest.raises(SnapshotExists, match="never overwritten"):
        create_snapshot(dataset, registry, "first", "other")
    assert snapshot_path(dataset, "first").read_bytes() == before


@pytest.mark.parametrize("name", ["", "Upper", "../up", "a/b", ".hidden", "now", "x" * 65, "name\n"])
def test_a_name_that_is_no_slug_is_refused(verified, name):
    dataset, registry = verified
    with pytest.raises(SnapshotNameRefused):
        create_snapshot(dataset, registry, name)


def test_an_unknown_name_is_refused_with_the_near_ones(verified):
    dataset, _ = verified
    with pytest.raises(SnapshotUnknown, match=r"no snapshot 'frist'\. Did you mean first\? 1 snapshots exist"):
        read_snapshot(dataset, "frist")


def test_of_an_instrument_that_changed_only_new_runs_are_current(verified):
    dataset, _ = verified
    changed = fake_registry(fake_spec(EMBEDDER, gain=2.0), fake_spec(SEGMENTER))
    assert create_snapshot(dataset, changed, "changed").run_count == 2  # masks alone
    measure(dataset, changed, EMBEDDER, GivenVectors(VECTORS))
    assert create_snapshot(dataset, changed, "measured").run_count == 3
    assert read_snapshot(dataset, "first").run_count == 3


def killed_while_creating(dataset, written: int) -> None:
    """Kills a process with SIGKILL after it has written so many files."""
    process = subprocess.Popen(
        [sys.executable, "-c", CREATE, dataset.root],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    for number in range(written):
        assert process.stdout.readline().startswith("second.")
        if number + 1 < written:
            process.stdin.write("\n")
            process.stdin.flush()
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.stdin.close()
    process.stdout.close()


def test_a_process_killed_before_the_snapshot_is_whole_leaves_none_and_the_name_is_free(verified):
    dataset, registry = verified
    killed_while_creating(dataset, written=1)
    assert [one.name for one in read_snapshots(dataset)] == ["first"]
    (finding,) = findings_in(dataset, registry)
    assert (finding.kind, finding.path) == ("unfinished", "snapshots/second.sha256")
    create_snapshot(dataset, registry, "second")
    assert [one.name for one in read_snapshots(dataset)] == ["first", "second"]


def test_a_process_killed_after_the_json_file_leaves_a_whole_snapshot(verified):
    dataset, _ = verified
    killed_while_creating(dataset, written=2)
    snapshot = read_snapshot(dataset, "second")
    assert read_snapshot_tree(dataset, snapshot).root_sha256 == snapshot.root_sha256
    assert [one.name for one in read_snapshots(dataset)] == ["first", "second"]


def test_of_two_that_create_one_name_at_once_one_is_refused(verified):
    dataset, registry = verified

    def create(note: str) -> str:
        try:
            return create_snapshot(dataset, registry, "second", note).note
        except SnapshotExists:
            return "refused"

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(create, ["one", "other"]))
    assert sorted(found)[-1] == "refused"
    assert read_snapshot(dataset, "second").note in found


def test_two_that_create_at_once_are_a_chain(verified):
    dataset, registry = verified
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: create_snapshot(dataset, registry, f"n{number}"), range(6)))
    chain = read_snapshots(dataset)
    assert [one.previous and one.previous.name for one in chain[1:]] == [one.name for one in chain[:-1]]


def test_a_killed_process_s_signature_does_not_stay_with_an_unsigned_snapshot(verified):
    dataset, registry = verified
    snapshot_path(dataset, "second", ".sig").write_bytes(Ed25519PrivateKey.generate().sign(b"other"))
    create_snapshot(dataset, registry, "second")
    assert not snapshot_path(dataset, "second", ".sig").exists()


def test_a_snapshot_waits_for_no_running_measurement(verified):
    """Runs that are sealed while the tree is read belong to the next snapshot, whole."""
    dataset, registry = verified
    started = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(
            measure, dataset, registry, EMBEDDER, GivenVectors({**VECTORS, "plate-002": (1.0, 0.0, 0.0)})
        )
        snapshots = [create_snapshot(dataset, registry, f"n{number}") for number in range(5)]
        running.result()
    assert time.monotonic() - started < 60
    for snapshot in snapshots:
        leaves = read_snapshot_tree(dataset, snapshot).leaves
        for plate in snapshot.plates:
            for run_id in plate.runs.values():
                assert f"plates_structured/{plate.plate_id}/runs/{run_id}/run.manifest.json" in leaves
