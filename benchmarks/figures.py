"""A measured figure beside its floor or a peer, and the table of many. What is measured is in the other modules."""

import gc
import json
import os
import platform
import statistics
import time
import timeit
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Literal

ROUNDS = 5
PACKAGES = ("atlas-plates", "dagster", "duckdb", "polars", "numpy", "torch", "torchvision", "transformers", "pillow")


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Attributes:
        subject: the part of the table, such as "Groundwork".
        name: what was measured.
        measured: its value in each round, in `unit`; empty if it was not measured, which `why` explains.
        unit: of `measured` and `floor`.
        beside: the floor or the peer, measured in the same rounds; empty if the goal is one of `measured` itself.
        floor: its values.
        sense: on which side of the goal the ratio, or the value, should be.
        goal: None without one.
        why: what the value comes from, such as what keeps it from the goal.
    """

    subject: str
    name: str
    measured: tuple[float, ...]
    unit: str = "s"
    beside: str = ""
    floor: tuple[float, ...] = ()
    sense: Literal["at most", "at least"] = "at most"
    goal: float | None = None
    why: str = ""

    def __post_init__(self) -> None:
        """Raises ValueError unless each round of the floor belongs to one of what was measured."""
        if self.floor and len(self.floor) != len(self.measured):
            raise ValueError(f"{self.name}: {len(self.measured)} rounds beside {len(self.floor)} of {self.beside}")

    @property
    def compared(self) -> tuple[float, ...]:
        """What is compared with the goal, of each round: the ratio to the floor, or the value."""
        if not self.floor:
            return self.measured
        return tuple(one / floor for one, floor in zip(self.measured, self.floor, strict=True))

    @property
    def is_met(self) -> bool | None:
        """Whether the median meets the goal; None without a goal or a value."""
        if self.goal is None or not self.measured:
            return None
        median = statistics.median(self.compared)
        return median <= self.goal if self.sense == "at most" else median >= self.goal


def in_turn(ways: Mapping[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, tuple[float, ...]]:
    """Wall seconds of each way in each round. A first round is not counted.

    The ways run in turn, so that other work on the machine slows all of them.

    Args:
        ways: what is measured, by name.
        rounds: how often.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            gc.collect()
            started = time.perf_counter()
            way()
            if number:
                seconds[name].append(time.perf_counter() - started)
    return {name: tuple(values) for name, values in seconds.items()}


@dataclass(frozen=True)
class Machine:
    """Where figures were measured."""

    processor: str
    cores: int
    memory_gib: int
    system: str
    python: str
    packages: dict[str, str]

    @classmethod
    def present(cls) -> "Machine":
        """This machine, now."""
        return cls(
            processor=_processor(),
            cores=len(os.sched_getaffinity(0)),
            memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
            system=platform.platform(terse=True),
            python=platform.python_version(),
            packages={name: version(name) for name in PACKAGES},
        )


@dataclass(frozen=True)
class Part:
    """When a part of the table was measured.

    Attributes:
        measured_at: the end of it, ISO 8601.
        minutes: how long it took.
        loop_ms: milliseconds of the processor for the sum of a million squares in Python, before and after: the slower
            of both. It tells a busy or slow machine from a quiet one, on which seconds are fewer and ratios much the
            same. None for what earlier releases measured.
        system: the operating system then, where parts were measured under different ones.
    """

    measured_at: str
    minutes: float | None = None
    loop_ms: float | None = None
    system: str = ""

    def __str__(self) -> str:
        """One line for a person."""
        took = f" in {self.minutes:.1f} minutes" if self.minutes is not None else ""
        pace = f", when a sum of a million squares in Python took {self.loop_ms:.0f} ms" if self.loop_ms else ""
        where = f" on {self.system}" if self.system else ""
        return f"Measured {self.measured_at}{where}{took}{pace}."


@contextmanager
def timed() -> Iterator[Callable[[], Part]]:
    """Within the block a part of the table is measured. What is yielded says when that was, after the block."""
    before, started = loop_ms(), time.monotonic()
    parts: list[Part] = []
    yield lambda: parts[0]
    minutes = (time.monotonic() - started) / 60
    now = datetime.now(UTC).isoformat(timespec="seconds")
    pace = round(max(before, loop_ms()), 1)
    parts.append(Part(now, round(minutes, 2), pace, platform.platform(terse=True)))


def loop_ms() -> float:
    """Milliseconds of the processor for the sum of a million squares in Python, the least of five."""
    loop = "sum(number * number for number in range(1_000_000))"
    return 1000 * min(timeit.repeat(loop, number=1, repeat=5, timer=time.process_time))


@dataclass(frozen=True)
class Results:
    """The figures of one release on one machine.

    Attributes:
        machine: the machine.
        figures: the figures.
        parts: when each part was measured, by its subject.
    """

    machine: Machine
    figures: tuple[Figure, ...] = field(default=())
    parts: Mapping[str, Part] = field(default_factory=dict)

    def is_of(self, machine: Machine) -> bool:
        """Whether a machine is like the one of these figures, with the same packages: a part of it may join them."""
        return replace(machine, system=self.machine.system) == self.machine

    def with_part(self, subject: str, figures: Sequence[Figure], part: Part) -> "Results":
        """The same with the figures of one subject in the place of those that it has, or at the end."""
        subjects = dict.fromkeys([*(one.subject for one in self.figures), subject])
        kept = {name: [one for one in self.figures if one.subject == name] for name in subjects} | {subject: figures}
        ordered = tuple(one for name in subjects for one in kept[name])
        return Results(self.machine, ordered, {**self.parts, subject: part})

    def in_order(self, subjects: Iterable[str]) -> "Results":
        """The same with its subjects in this order; one that is not named is left out."""
        named = list(subjects)
        figures = tuple(one for name in named for one in self.figures if one.subject == name)
        return Results(self.machine, figures, {name: self.parts[name] for name in named if name in self.parts})

    def json(self) -> str:
        """Everything, with the ratios and verdicts."""
        figures = [{**asdict(one), "compared": one.compared, "is_met": one.is_met} for one in self.figures]
        parts = {name: asdict(part) for name, part in self.parts.items()}
        return json.dumps({"machine": asdict(self.machine), "parts": parts, "figures": figures}, indent=1) + "\n"

    @classmethod
    def read(cls, text: str) -> "Results":
        """Results as `json` writes them."""
        stored: dict[str, Any] = json.loads(text)
        names = Figure.__dataclass_fields__
        figures = [{name: one[name] for name in names} for one in stored["figures"]]
        return cls(
            Machine(**stored["machine"]),
            tuple(
                Figure(**{**one, "measured": tuple(one["measured"]), "floor": tuple(one["floor"])}) for one in figures
            ),
            {name: Part(**part) for name, part in stored["parts"].items()},
        )

    def markdown(self) -> str:
        """A table for each subject, below a line about the machine."""
        machine = self.machine
        versions = ", ".join(f"{name} {number}" for name, number in machine.packages.items())
        met = [one.is_met for one in self.figures]
        lines = [
            f"{machine.processor}, {machine.cores} cores, {machine.memory_gib} GiB, {machine.system}, "
            f"Python {machine.python}. {versions}.",
            "",
            f"{met.count(True)} goals met, {met.count(False)} missed, "
            f"{sum(not one.measured for one in self.figures)} figures not measured. A ratio is that of each round: "
            "minimum / median / maximum.",
        ]
        for subject in dict.fromkeys(one.subject for one in self.figures):
            lines += ["", f"## {subject}", "", *([str(self.parts[subject]), ""] if subject in self.parts else [])]
            lines += table(one for one in self.figures if one.subject == subject)
        return "\n".join(lines) + "\n"


def table(figures: Iterable[Figure]) -> list[str]:
    """Lines of a Markdown table."""
    rows = [(one.name, *_cells(one), _verdict(one)) for one in figures]
    return [
        "| figure | median | beside | its median | compared | goal | |",
        "|---|---|---|---|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def _cells(figure: Figure) -> tuple[str, str, str, str, str]:
    if not figure.measured:
        return ("not measured", figure.beside, "", "", _goal(figure))
    floor = f"{_rounded(statistics.median(figure.floor))} {figure.unit}" if figure.floor else ""
    sign = "x" if figure.floor else figure.unit
    return (
        f"{_rounded(statistics.median(figure.measured))} {figure.unit}",
        figure.beside,
        floor,
        f"{_spread(figure.compared)} {sign}",
        _goal(figure),
    )


def _goal(figure: Figure) -> str:
    if figure.goal is None:
        return ""
    return f"{figure.sense} {figure.goal:g} {'x' if figure.beside else figure.unit}"


def _verdict(figure: Figure) -> str:
    word = {True: "met", False: "**missed**", None: ""}[figure.is_met]
    return f"{word}{': ' if word and figure.why else ''}{figure.why}"


def _spread(values: Sequence[float]) -> str:
    return " / ".join(_rounded(value) for value in (min(values), statistics.median(values), max(values)))


def _rounded(value: float) -> str:
    """Three digits that count."""
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def _processor() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
