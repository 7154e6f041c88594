"""The log of withdrawals: whole entries in a chain, one writer at a time, and every change of an entry is found."""

import json
import os
import signal
import subprocess
import sys
from itertools import pairwise

import pytest
from support.made_withdrawals import restored, withdrawn
from support.rewritten import rewrite_json

from atlas_resources.chains.chain import Chain
from atlas_resources.files.project import PROJECT_ROOT
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import DatasetBroken
from atlas_resources.withdrawals import log
from atlas_resources.withdrawals.in_force import in_force, read_withdrawn
from atlas_resources.withdrawals.log import LOG, read_log

WRITER = """
import sys
from pathlib import Path
from atlas_resources.plates.dataset import Dataset
from atlas_resources.chains.person import Person
from atlas_resources.withdrawals.entering import Target, withdraw

for name in sys.argv[2].split(","):
    withdraw(Dataset(Path(sys.argv[1])), Target("plate", name), "error", "a test", Person("A. Person", "option"))
"""
KILLED_AT_RENAME = """
import os, signal
os.replace = lambda *paths: os.kill(os.getpid(), signal.SIGKILL)
"""
KILLED_AFTER_ENTRY = """
import os, signal
from atlas_resources.chains import chain
chain.write_json_atomically = lambda *args: os.kill(os.getpid(), signal.SIGKILL)
"""


def writer(dataset: Dataset, names: str, before: str = "") -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", before + WRITER, str(dataset.root), names], cwd=PROJECT_ROOT)


@pytest.fixture
def three(dataset) -> Dataset:
    """Three plates withdrawn, one after another."""
    for name in ("plate-001", "plate-002", "plate-003"):
        withdrawn(dataset, "plate", name)
    return dataset


def test_entries_are_numbered_and_each_states_the_digest_of_the_one_before(three):
    entries = read_log(three.root)
    assert [entry.content.number for entry in entries] == [1, 2, 3]
    assert entries[0].content.previous_sha256 is None
    assert [two.content.previous_sha256 for _, two in pairwise(entries)] == [one.sha256 for one, _ in pairwise(entries)]
    assert LOG.is_last_recorded(three.root, entries)


def test_a_restoration_ends_its_withdrawal_and_both_stay_in_the_log(three):
    restored(three, 2)
    assert [entry.content.kind for entry in read_log(three.root)] == ["withdraw", "withdraw", "withdraw", "restore"]
    assert [one.target for one in read_withdrawn(three.root).entries] == ["plate-001", "plate-003"]
    withdrawn(three, "plate", "plate-002")
    assert [one.number for one in in_force(read_log(three.root)).entries] == [1, 3, 5]


def test_a_process_that_reads_again_sees_a_new_entry(three):
    assert len(read_withdrawn(three.root).entries) == 3
    withdrawn(three, "plate", "plate-004")
    assert len(read_withdrawn(three.root).entries) == 4


def test_an_edited_entry_is_found(three):
    path = LOG.paths(three.root)[1]
    path.write_text(path.read_text().replace("taken down", "taken up  "))
    with pytest.raises(DatasetBroken, match=r"000002-.*changed since it was written"):
        read_log(three.root)


def test_an_edited_entry_with_a_right_digest_of_itself_breaks_the_chain(three):
    rewrite_json(LOG.paths(three.root)[1], reason="another")
    with pytest.raises(DatasetBroken, match=r"000003-.*previous_sha256: expected [0-9a-f]{64}, found [0-9a-f]{64}"):
        read_log(three.root)


def test_an_edited_last_entry_with_a_right_digest_of_itself_is_found(three):
    rewrite_json(LOG.paths(three.root)[2], reason="another")
    with pytest.raises(DatasetBroken, match=r"last\.json: expected the record of entry 3"):
        read_log(three.root)


@pytest.mark.parametrize(("index", "named"), [(0, "000002-"), (1, "000003-"), (2, "000003-")])
def test_a_deleted_entry_is_found(three, index, named):
    LOG.paths(three.root)[index].unlink()
    with pytest.raises(DatasetBroken, match=named) as caught:
        read_log(three.root)
    assert caught.value.kind == "missing"


def test_a_deleted_record_of_the_last_entry_is_found(three):
    (three.root / "withdrawals" / "last.json").unlink()
    with pytest.raises(DatasetBroken, match=r"last\.json: expected the record of entry 3, found none"):
        read_log(three.root)


def test_a_broken_log_takes_no_entry(three):
    LOG.paths(three.root)[0].unlink()
    before = sorted(path.name for path in (three.root / "withdrawals").iterdir())
    with pytest.raises(DatasetBroken):
        withdrawn(three, "plate", "plate-005")
    assert sorted(path.name for path in (three.root / "withdrawals").iterdir()) == before


def test_a_writer_killed_at_the_rename_leaves_no_entry_and_the_next_has_its_number(three):
    assert writer(three, "plate-004", KILLED_AT_RENAME).wait(120) == -signal.SIGKILL
    assert len(read_log(three.root)) == 3
    assert withdrawn(three, "plate", "plate-005").content.number == 4


def test_a_writer_killed_after_its_entry_leaves_a_whole_entry(three):
    assert writer(three, "plate-004", KILLED_AFTER_ENTRY).wait(120) == -signal.SIGKILL
    entries = read_log(three.root)
    assert [entry.content.target for entry in entries][3:] == ["plate-004"]
    assert not LOG.is_last_recorded(three.root, entries)
    assert withdrawn(three, "plate", "plate-005").content.number == 5
    assert LOG.is_last_recorded(three.root, read_log(three.root))


def test_two_writers_take_turns(dataset):
    writers = [writer(dataset, ",".join(f"{name}-{number}" for number in range(10))) for name in ("a", "b")]
    assert [one.wait(120) for one in writers] == [0, 0]
    entries = read_log(dataset.root)
    assert [entry.content.number for entry in entries] == list(range(1, 21))
    assert {entry.content.target for entry in entries} == {f"{name}-{n}" for name in "ab" for n in range(10)}


@pytest.mark.parametrize(
    ("listed", "read"),
    [(slice(0, 3), [1, 2, 3]), (slice(0, 5, 2), [1, 2, 3, 4, 5])],
    ids=["none of the new entries", "the second one alone"],
)
def test_a_reader_that_does_not_wait_for_a_writer_reads_a_whole_log(three, monkeypatch, listed, read):
    """Two entries are appended while it lists the folder."""
    paths, listings = Chain.paths, []

    def paths_while_a_writer_writes(chain, root):
        listings.append(root)
        if len(listings) > 1:
            return paths(chain, root)
        for name in ("plate-004", "plate-005"):
            withdrawn(three, "plate", name)
        return paths(chain, root)[listed]

    monkeypatch.setattr(Chain, "paths", paths_while_a_writer_writes)
    assert [entry.content.number for entry in read_log(three.root)] == read


def test_a_restoration_of_nothing_is_not_a_log(three):
    path = LOG.paths(three.root)[2]
    changed = json.loads(path.read_text()) | {"kind": "restore", "restores": 7}
    rewrite_json(path, **{name: changed[name] for name in ("kind", "restores")})
    with pytest.raises(DatasetBroken, match="restores: expected the number of a withdrawal in force, found 7"):
        read_log(three.root)


def test_the_lock_is_the_kernels(three):
    """A killed writer holds no lock: the file stays, and the next writer takes it."""
    assert (three.locks_dir / log.FOLDER).is_file()
    assert os.path.getsize(three.locks_dir / log.FOLDER) == 0
