"""Two processes never take the same card by accident, however they end."""

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from atlas_resources.models.cards import leases
from atlas_resources.models.cards.leases import give_back, held, take_all, take_card

SPAWN = multiprocessing.get_context("spawn")
CARDS = ("uuid-a", "uuid-b", "uuid-c")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(leases, "FOLDERS", (tmp_path,))
    monkeypatch.setattr(leases, "POLL_SECONDS", 0.05)
    yield tmp_path
    give_back()


def _take(folder: Path, cards: tuple[str, ...], pipe: Connection, at: float) -> None:
    """Another process: takes a card at a time of the clock, says which, and keeps it until it is killed."""
    leases.FOLDERS = (folder,)
    leases.POLL_SECONDS = 0.05
    time.sleep(max(0.0, at - time.time()))
    pipe.send(take_card(cards, range(len(cards))))
    time.sleep(600)


class Other:
    """A process that takes a card."""

    def __init__(self, folder: Path, cards: tuple[str, ...] = CARDS, at: float = 0.0):
        self.pipe, theirs = SPAWN.Pipe()
        self.process = SPAWN.Process(target=_take, args=(folder, cards, theirs, at), daemon=True)
        self.process.start()

    def took(self) -> int:
        assert self.pipe.poll(60)
        return self.pipe.recv()

    def kill(self) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.join(60)


def test_processes_that_start_at_once_take_cards_of_their_own(folder: Path):
    at = time.time() + 3
    others = [Other(folder, at=at) for _ in CARDS]
    assert sorted(other.took() for other in others) == [0, 1, 2]
    for other in others:
        other.kill()


def test_a_killed_process_gives_its_card_back_to_one_that_waits(folder: Path, caplog):
    other = Other(folder, CARDS[:1])
    assert other.took() == 0
    threading.Timer(0.5, other.kill).start()
    started = time.monotonic()
    with caplog.at_level(logging.WARNING):
        assert take_card(CARDS[:1], [0]) == 0
    assert time.monotonic() - started > 0.3
    assert "every CUDA device is in use by another process of Atlas" in caplog.text
    assert "ATLAS_CUDA_DEVICE=<index>" in caplog.text


def test_a_process_takes_its_own_card_again(folder: Path):
    assert [take_card(CARDS, range(3)) for _ in range(3)] == [0, 0, 0]
    assert take_card(CARDS, [2]) == 2
    assert held() == ["uuid-a", "uuid-c"]


def test_a_card_is_known_by_its_uuid_whatever_its_index(folder: Path):
    """As with CUDA_VISIBLE_DEVICES=1, which makes the second card the first that a process sees."""
    other = Other(folder, CARDS[1:2])
    assert other.took() == 0
    assert take_card(CARDS[:2], [1], may_share=True) == 1
    assert held() == []
    give_back()
    assert take_card((CARDS[1], CARDS[0]), range(2)) == 1
    other.kill()


def test_a_card_may_be_shared_on_purpose(folder: Path):
    other = Other(folder)
    assert other.took() == 0
    assert take_card(CARDS, [0], may_share=True) == 0
    other.kill()


def test_several_cards_are_taken_together(folder: Path):
    take_all(CARDS, [2, 0])
    assert held() == ["uuid-a", "uuid-c"]


def test_a_link_in_place_of_a_lock_is_not_followed(folder: Path, caplog):
    (folder / "target").write_text("untouched")
    (folder / "atlas-cuda-uuid-a.lock").symlink_to(folder / "target")
    with caplog.at_level(logging.WARNING):
        assert take_card(CARDS, [0]) == 0
    assert "its lock cannot be made" in caplog.text
    assert (folder / "target").read_text() == "untouched"


def test_a_forked_child_holds_nothing_and_the_parent_keeps_its_card(folder: Path):
    assert take_card(CARDS, [0]) == 0
    child = os.fork()
    if not child:
        os._exit(len(held()))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    other = Other(folder, CARDS[:2])
    assert other.took() == 1
    other.kill()
