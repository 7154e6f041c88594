"""A tiny seeded model describes plates in three stages through the real assets, is killed in each, and goes on."""

import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from support.made_datasets import Graph, make_dataset, source_digests
from support.made_results import build_ledgers
from support.made_stages import QUESTIONS, STAGES, stage_registry
from support.sealed_stages import require_whole_texts, sealed

from atlas_resources.plates.dataset import Dataset

pytestmark = pytest.mark.system

PROGRAM = Path(__file__).with_name("described.py")
PLATES = ["red", "green", "blue", "ochre", "teal"]


def kill_after(count: int, dataset: Dataset, hub: Path) -> None:
    """Starts the program and kills it when so many results are sealed."""
    process = subprocess.Popen(
        [sys.executable, PROGRAM, dataset.root, hub], stdout=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    deadline = time.monotonic() + 120
    while len(sealed(dataset)) < count:
        assert process.poll() is None, "ended before it was killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=10)
    process.stdout.close()


def test_stages_that_are_killed_go_on_where_they_were(tmp_path: Path, monkeypatch, instance):
    dataset, hub = make_dataset(tmp_path, *PLATES), tmp_path / "hub"
    sources = source_digests(dataset)
    before = sealed(dataset)
    for count in (2, 7, 12):  # in the middle of captions, keywords and descriptions
        kill_after(count, dataset, hub)
        found = sealed(dataset)
        assert found.items() >= before.items(), "a sealed result changed"
        assert count <= len(found) < 5 * len(STAGES)
        before = found
    registry = stage_registry(hub, monkeypatch)
    graph = Graph(dataset, registry, instance)
    for asset in STAGES.values():
        assert graph.materialize(asset).success
    found = sealed(dataset)
    assert found.items() >= before.items()
    assert {len(manifests) for manifests in found.values()} == {1}, "a done plate was described again"
    assert Counter(key for _, key in found) == dict.fromkeys(registry.specs, 5)
    require_whole_texts(build_ledgers(dataset, registry)["texts"], found)
    assert source_digests(dataset) == sources


def test_a_changed_caption_makes_the_later_stages_stale_and_nothing_else(tmp_path: Path, monkeypatch, instance):
    dataset, hub = make_dataset(tmp_path, "red"), tmp_path / "hub"
    for asset in STAGES.values():
        assert Graph(dataset, stage_registry(hub, monkeypatch), instance).materialize(asset).success
    changed = stage_registry(hub, monkeypatch, repetition_penalty=1.5)
    current = build_ledgers(dataset, changed)["texts"].filter("is_current")
    assert current.height == 0  # all three read the caption, or are it
    for asset in STAGES.values():
        assert Graph(dataset, changed, instance).materialize(asset).success
    texts = build_ledgers(dataset, changed)["texts"]
    assert texts.height == 6
    assert sorted(texts.filter("is_current")["form"]) == sorted(QUESTIONS)
