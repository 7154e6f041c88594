"""Progress without a terminal: a line for each finished bar, and one every few seconds."""

import io
import time

import pytest
from rich.console import Console

from atlas_assets.in_process import progress as progress_module
from atlas_assets.in_process.progress import TerminalProgress


def piped() -> Console:
    return Console(file=io.StringIO(), width=80)


def lines_of(console: Console) -> list[str]:
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue().splitlines()


def test_a_finished_bar_is_one_plain_line():
    console = piped()
    with TerminalProgress(console) as progress:
        bar = progress.add_task("embeddings/[made]", total=3)
        for _ in range(3):
            progress.advance(bar)
    assert lines_of(console) == ["embeddings/[made]: 3 of 3"]


def test_slow_work_prints_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch):
    """The thread looks once a second; nothing is advanced meanwhile."""
    monkeypatch.setattr(progress_module, "LINE_SECONDS", 0.5)
    console = piped()
    with TerminalProgress(console) as progress:
        progress.advance(progress.add_task("drawing", total=24))
        until = time.monotonic() + 20
        while len(lines_of(console)) < 2 and time.monotonic() < until:
            time.sleep(0.05)
    assert set(lines_of(console)) == {"drawing: 1 of 24"}


def test_work_before_the_first_bar_prints_a_line_too(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(progress_module, "LINE_SECONDS", 0.5)
    console = piped()
    with TerminalProgress(console):
        until = time.monotonic() + 20
        while not lines_of(console) and time.monotonic() < until:
            time.sleep(0.05)
    assert lines_of(console)[0] == "at work"


def test_what_a_step_tells_is_a_line_as_it_is():
    console = piped()
    with TerminalProgress(console) as progress:
        progress.tell(20, "one: finding clusters among [3000] plates")
    assert lines_of(console) == ["one: finding clusters among [3000] plates"]


def test_a_terminal_has_bars():
    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    with TerminalProgress(console) as progress:
        progress.advance(progress.add_task("drawing", total=1))
    assert "━" in "".join(lines_of(console))
