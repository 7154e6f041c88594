"""Which instruments and loaders there are: reads `model_specs/`, keeps broken specs apart by name.

Imports no loader until one is asked for.
"""

import difflib
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import Field, ValidationError

from atlas_resources.contracts import Contract, InstrumentIdentity
from atlas_resources.specs import Role, Spec, identity, is_admitted

SPECS_DIR = Path(__file__).resolve().parents[1] / "model_specs"
ROSTER_NAME = "roster.yaml"

Model = TypeVar("Model", bound=Contract)


class Roster(Contract):
    """`roster.yaml`: the instruments that automation acts on."""

    active: list[str]


class NoParameters(Contract):
    """A loader without parameters."""


class OtsuParameters(Contract):
    """Parameters of `otsu_luma`. Ratios are of the working raster's area."""

    min_area_ratio: float = Field(gt=0, lt=1)
    max_regions: int = Field(gt=0)


class SamParameters(Contract):
    """Parameters of segment-anything's automatic mask generator, by its own names."""

    points_per_side: int = Field(gt=0)
    points_per_batch: int = Field(gt=0)
    pred_iou_thresh: float = Field(ge=0, le=1)
    stability_score_thresh: float = Field(ge=0, le=1)
    box_nms_thresh: float = Field(ge=0, le=1)


@dataclass(frozen=True)
class LoaderEntry:
    """A family's loader: its module, the version of its code (part of the fingerprint), what it serves and takes."""

    module: str
    version: int
    roles: frozenset[Role]
    parameters: type[Contract]


LOADERS: dict[str, LoaderEntry] = {
    "efficientnet_lite0": LoaderEntry(
        "atlas_resources.loaders.efficientnet_lite0", 1, frozenset({"embedding", "probe"}), NoParameters
    ),
    "clip": LoaderEntry("atlas_resources.loaders.clip", 1, frozenset({"embedding"}), NoParameters),
    "dinov2": LoaderEntry("atlas_resources.loaders.dinov2", 1, frozenset({"embedding"}), NoParameters),
    "segment_anything": LoaderEntry(
        "atlas_resources.loaders.segment_anything", 1, frozenset({"segmentation"}), SamParameters
    ),
    "otsu_luma": LoaderEntry("atlas_resources.loaders.otsu_luma", 1, frozenset({"segmentation"}), OtsuParameters),
}


@dataclass(frozen=True)
class SpecProblem:
    """One thing wrong in one spec file."""

    file: str
    field: str
    found: str
    expected: str

    def __str__(self) -> str:
        """One line for a person."""
        return f"{self.file}: {self.field}: found {self.found}, expected {self.expected}"


@dataclass(frozen=True)
class Registry:
    """Every instrument that could be read, by key, the active ones, and the problems of what could not be read."""

    folder: Path
    specs: dict[str, Spec]
    active: frozenset[str]
    problems: tuple[SpecProblem, ...]

    @property
    def admitted(self) -> list[Spec]:
        """The instruments that may run, by key."""
        return [spec for _, spec in sorted(self.specs.items()) if is_admitted(spec)]

    @property
    def identities(self) -> dict[str, InstrumentIdentity]:
        """Identity of each admitted instrument, by key."""
        return {spec.key: identity(spec, LOADERS[spec.loader].version) for spec in self.admitted}

    def require(self, key: str) -> Spec:
        """The spec of an instrument. Raises KeyError with the nearest names for one that is not there."""
        if key not in self.specs:
            near = difflib.get_close_matches(key, self.specs, n=3)
            hint = f"Did you mean {' or '.join(near)}?" if near else "`atlas models list` shows them all."
            raise KeyError(f"no instrument {key!r} in {self.folder}. {hint}")
        return self.specs[key]


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML without its silent overwriting of repeated keys."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        repeated = [key for number, key in enumerate(keys) if key in keys[:number]]
        if repeated:
            raise yaml.constructor.ConstructorError(None, None, f"repeated key {repeated[0]!r}", node.start_mark)
        return super().construct_mapping(node, deep=deep)


def _problems_of(file: str, error: ValidationError, prefix: str = "") -> list[SpecProblem]:
    return [
        SpecProblem(
            file=file,
            field=prefix + (".".join(str(part) for part in item["loc"]) or "(file)"),
            found="nothing" if item["type"] == "missing" else repr(item["input"])[:80],
            expected=item["msg"][0].lower() + item["msg"][1:],
        )
        for item in error.errors()
    ]


def _check_against_loader(file: str, spec: Spec) -> list[SpecProblem]:
    entry = LOADERS.get(spec.loader)
    if entry is None:
        return [SpecProblem(file, "loader", repr(spec.loader), f"one of {', '.join(sorted(LOADERS))}")]
    if spec.role not in entry.roles:
        return [SpecProblem(file, "role", repr(spec.role), f"{' or '.join(sorted(entry.roles))} for {spec.loader}")]
    try:
        entry.parameters.model_validate(spec.parameters, strict=True)  # the loader takes them as they stand
    except ValidationError as error:
        return _problems_of(file, error, "parameters.")
    return []


def _read_yaml(path: Path, model: type[Model]) -> Model | list[SpecProblem]:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        return [SpecProblem(path.name, "(file)", error.strerror or type(error).__name__, "a file that can be read")]
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # PyYAML passes on int's and date's own ValueError
        return [SpecProblem(path.name, "(file)", " ".join(str(error).split()), "YAML with each key once")]
    try:
        return model.model_validate(content)
    except ValidationError as error:
        return _problems_of(path.name, error)


def read_spec(path: Path) -> Spec | list[SpecProblem]:
    """The spec in a YAML file, or everything that is wrong with it."""
    spec = _read_yaml(path, Spec)
    if not isinstance(spec, Spec):
        return spec
    if spec.key != path.stem:
        return [SpecProblem(path.name, "key", repr(spec.key), f"the file's stem, {path.stem!r}")]
    return _check_against_loader(path.name, spec) or spec


def _read_active(folder: Path, specs: dict[str, Spec]) -> frozenset[str] | list[SpecProblem]:
    """The roster's active instruments; every admitted one where there is no roster."""
    path = folder / ROSTER_NAME
    if not path.is_file():
        return frozenset(key for key, spec in specs.items() if is_admitted(spec))
    roster = _read_yaml(path, Roster)
    if not isinstance(roster, Roster):
        return roster
    return [
        SpecProblem(ROSTER_NAME, "active", repr(key), "an admitted instrument")
        for key in roster.active
        if key not in specs or not is_admitted(specs[key])
    ] or frozenset(roster.active)


def read_registry(folder: Path = SPECS_DIR) -> Registry:
    """Reads every spec of a folder. A broken one becomes problems, never an exception: the others still load."""
    specs: dict[str, Spec] = {}
    problems: list[SpecProblem] = []
    for path in sorted(folder.glob("*.yaml")):
        if path.name == ROSTER_NAME:
            continue
        read = read_spec(path)
        if isinstance(read, Spec):
            specs[read.key] = read
        else:
            problems += read
    active = _read_active(folder, specs)
    if not isinstance(active, frozenset):
        problems += active
        active = frozenset()
    return Registry(folder, specs, active, tuple(problems))


def loader_of(spec: Spec) -> Callable:
    """The `load(spec, weights, device)` function of the spec's family. Importing it may import torch."""
    return importlib.import_module(LOADERS[spec.loader].module).load
