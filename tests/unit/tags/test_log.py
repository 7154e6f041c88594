"""The log of tags: whole entries, one writer at a time, and the newest word of each person stands."""

import signal
import subprocess
import sys

import pytest
from support.made_tags import judged, tagged

from atlas_resources.files.project import PROJECT_ROOT
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import DatasetBroken
from atlas_resources.tags.log import LOG, TagRefused, named, standing

WRITER = """
import sys
from pathlib import Path
from atlas_resources.chains.person import Person
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.records.tag import Judgement
from atlas_resources.tags.log import enter

NONE = dict.fromkeys(("run_id", "row_id", "space", "cluster", "inputs_sha256", "corrected", "note"))
for tag in sys.argv[2].split(","):
    both = [Judgement(plate_id=f"plate-00{n}", table="plates", judgement="tag", tag=tag, **NONE) for n in (1, 2)]
    enter(Dataset(Path(sys.argv[1])), both, Person("A. Person", "option"))
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


def writer(dataset: Dataset, tags: str, before: str = "") -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", before + WRITER, str(dataset.root), tags], cwd=PROJECT_ROOT)


def words(dataset: Dataset, person: str = "A. Person") -> list[tuple[str, str | None]]:
    return [(one.plate_id, one.tag) for one in standing(LOG.read(dataset.root), person).values()]


def test_tags_of_one_plate_stand_beside_each_other_and_those_of_others_too(dataset):
    tagged(dataset, "plate-001", "torn")
    tagged(dataset, "plate-001", "hand-coloured")
    tagged(dataset, "plate-001", "torn", by="B. Person")
    assert words(dataset) == [("plate-001", "torn"), ("plate-001", "hand-coloured")]
    assert words(dataset, "B. Person") == [("plate-001", "torn")]


def test_a_retraction_ends_the_persons_own_word_and_both_stay_in_the_log(dataset):
    tagged(dataset, "plate-001", "torn")
    tagged(dataset, "plate-001", "torn", by="B. Person")
    judged(dataset, {"plate_id": "plate-001", "tag": "torn", "judgement": "retracted"})
    assert (words(dataset), words(dataset, "B. Person")) == ([], [("plate-001", "torn")])
    assert [entry.content.judgements[0].judgement for entry in LOG.read(dataset.root)] == ["tag", "tag", "retracted"]


def test_what_nobody_said_is_not_taken_back(dataset):
    with pytest.raises(TagRefused, match=r"plate-001: A\. Person says nothing of it"):
        judged(dataset, {"plate_id": "plate-001", "tag": "torn", "judgement": "retracted"})
    assert LOG.read(dataset.root) == ()


def test_what_stands_already_is_not_entered_again(dataset):
    tagged(dataset, "plate-001", "torn")
    with pytest.raises(TagRefused, match=r"nothing new: plate-001 is judged so by A\. Person already"):
        tagged(dataset, "plate-001", "torn")
    entry = judged(dataset, *({"plate_id": f"plate-00{number}", "tag": "torn"} for number in (1, 2)))
    assert [named(one) for one in entry.content.judgements] == ["plate-002"]


def test_a_changed_entry_breaks_the_log(dataset):
    path = tagged(dataset, "plate-001", "torn").path
    path.write_text(path.read_text().replace('"torn"', '"worn"'))
    with pytest.raises(DatasetBroken, match=r"changed since it was written.*"):
        LOG.read(dataset.root)
    with pytest.raises(DatasetBroken):
        tagged(dataset, "plate-002", "torn")


def test_a_writer_killed_at_the_rename_leaves_no_judgement_and_the_next_has_its_number(dataset):
    tagged(dataset, "plate-001", "torn")
    assert writer(dataset, "worn", KILLED_AT_RENAME).wait(120) == -signal.SIGKILL
    assert len(LOG.read(dataset.root)) == 1
    assert tagged(dataset, "plate-002", "torn").content.number == 2


def test_a_writer_killed_after_its_entry_leaves_every_judgement_of_it(dataset):
    tagged(dataset, "plate-001", "torn")
    assert writer(dataset, "worn", KILLED_AFTER_ENTRY).wait(120) == -signal.SIGKILL
    entries = LOG.read(dataset.root)
    assert [one.plate_id for one in entries[-1].content.judgements] == ["plate-001", "plate-002"]
    assert not LOG.is_last_recorded(dataset.root, entries)
    assert tagged(dataset, "plate-003", "torn").content.number == 3


def test_two_writers_take_turns(dataset):
    writers = [writer(dataset, ",".join(f"{name}{number}" for number in range(8))) for name in ("a", "b")]
    assert [one.wait(120) for one in writers] == [0, 0]
    entries = LOG.read(dataset.root)
    assert [entry.content.number for entry in entries] == list(range(1, 17))
    assert {entry.content.judgements[0].tag for entry in entries} == {f"{name}{n}" for name in "ab" for n in range(8)}
