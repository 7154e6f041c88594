"""`roster.yaml`: which instruments automation acts on, and named sets of instruments."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import Field

from atlas_resources.files.contract import Contract
from atlas_resources.files.yaml_files import FileProblem, read_yaml
from atlas_resources.instruments.admission import is_admitted
from atlas_resources.instruments.spec.spec import Spec

ROSTER_NAME = "roster.yaml"


class NamedSet(Contract):
    """Instruments that are chosen together. A set may contain ideas; only its admitted instruments can be used."""

    description: str
    instruments: list[str] | Literal["all"]
    min_embedding_objectives: int = Field(
        default=0,
        ge=0,
        description="At least so many training objectives among its embeddings, so that they can disagree.",
    )

    def keys(self, specs: Iterable[str]) -> list[str]:
        """The set's keys; `all` is every spec there is."""
        return list(specs) if self.instruments == "all" else self.instruments


class Roster(Contract):
    """The file: the active instruments, all of them admitted, pairs of encoders to compare, and the named sets."""

    active: list[str] = Field(default_factory=list)
    compare: list[list[str]] = Field(
        default_factory=list,
        description="Pairs of encoders, the present one and the one that may take its place: each has an asset.",
    )
    sets: dict[str, NamedSet] = Field(default_factory=dict)


def is_roster_wrong(problems: Iterable[FileProblem]) -> bool:
    """Whether one of the problems is the roster's: no instrument is active then."""
    return any(Path(problem.file).name == ROSTER_NAME for problem in problems)


def _check_set(name: str, one: NamedSet, specs: dict[str, Spec], unreadable: set[str]) -> list[FileProblem]:
    keys = one.keys(specs)
    unknown = [key for key in keys if key not in specs and key not in unreadable]
    if unknown:
        where = f"sets.{name}.instruments"
        return [FileProblem(ROSTER_NAME, where, repr(key), "an instrument of this folder") for key in unknown]
    objectives = {specs[key].objective for key in keys if key in specs and specs[key].role == "embedding"} - {None}
    if len(objectives) < one.min_embedding_objectives and not unreadable.intersection(keys):
        found = ", ".join(sorted(str(objective) for objective in objectives)) or "none"
        expected = f"embeddings of {one.min_embedding_objectives} different objectives"
        return [FileProblem(ROSTER_NAME, f"sets.{name}.instruments", found, expected)]
    return []


def is_encoder(key: str, specs: dict[str, Spec]) -> bool:
    """Whether a key is of an admitted instrument that embeds whole plates."""
    spec = specs.get(key)
    return spec is not None and spec.role == "embedding" and spec.region is None and is_admitted(spec, specs)


def _check_pairs(pairs: list[list[str]], specs: dict[str, Spec], unreadable: set[str]) -> list[FileProblem]:
    """What is wrong with the pairs to compare: not two, one twice, or no encoders."""
    problems = []
    for number, pair in enumerate(pairs):
        where = f"compare.{number}"
        if len(pair) != 2 or pair[0] == pair[1] or pair in pairs[:number]:
            problems.append(FileProblem(ROSTER_NAME, where, repr(pair), "two different encoders, each pair once"))
            continue
        problems += [
            FileProblem(ROSTER_NAME, where, repr(key), "the key of an admitted instrument that embeds whole plates")
            for key in pair
            if not is_encoder(key, specs) and key not in unreadable
        ]
    return problems


def roster_file(*folders: Path) -> Path:
    """The roster that counts: of the last folder that has one."""
    paths = [folder / ROSTER_NAME for folder in folders]
    return next((path for path in reversed(paths) if path.is_file()), paths[0])


def read_roster(
    path: Path, specs: dict[str, Spec], unreadable: set[str]
) -> tuple[Roster, frozenset[str], list[FileProblem]]:
    """The roster, its active instruments, and what is wrong with it.

    Every admitted instrument is active if there is no roster; none if the roster is wrong.

    Args:
        path: the roster's file.
        specs: the specs that could be read, by key.
        unreadable: keys of specs that could not be read: a set that names one of them is not at fault.
    """
    if not path.is_file():
        return Roster(), frozenset(key for key, spec in specs.items() if is_admitted(spec, specs)), []
    roster = read_yaml(path, Roster)
    if not isinstance(roster, Roster):
        return Roster(), frozenset(), roster
    problems = [
        FileProblem(ROSTER_NAME, "active", repr(key), "an admitted instrument")
        for key in roster.active
        if key not in specs or not is_admitted(specs[key], specs)
    ]
    problems += [
        FileProblem(
            ROSTER_NAME,
            "active",
            f"{key!r} without {read!r}",
            "the instrument it reads to be active too",
        )
        for key in roster.active
        for read in (specs[key].reads if key in specs else ())
        if read not in roster.active
    ]
    active = frozenset() if problems else frozenset(roster.active)
    problems += _check_pairs(roster.compare, specs, unreadable)
    for name, one in roster.sets.items():
        problems += _check_set(name, one, specs, unreadable)
    return roster, active, problems
