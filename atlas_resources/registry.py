"""Which instruments and loaders there are: reads `model_specs/`, keeps broken specs apart by name.

Imports no loader until one is asked for.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, model_validator

from atlas_resources.admission import Status, is_admitted, status_of
from atlas_resources.contracts import Contract, InstrumentIdentity
from atlas_resources.fingerprints import identity
from atlas_resources.names import ALIASES_NAME, Names, Resolution, read_names, resolve
from atlas_resources.prompts import PROMPTS_DIR, PromptSets, PromptsMismatch, read_prompts
from atlas_resources.roster import ROSTER_NAME, Roster, read_roster
from atlas_resources.specs import Role, Spec
from atlas_resources.yaml_files import FileProblem, problems_of, read_yaml

SPECS_DIR = Path(__file__).resolve().parents[1] / "model_specs"
NOT_SPECS = (ROSTER_NAME, ALIASES_NAME)


class NoParameters(Contract):
    """A loader without parameters."""


class OtsuParameters(Contract):
    """Parameters of `otsu_luma`. Ratios are of the working raster's area."""

    min_area_ratio: float = Field(gt=0, lt=1)
    max_regions: int = Field(gt=0)


class SamParameters(Contract):
    """Parameters of automatic mask generation, by the names and with the defaults of segment-anything 1.0."""

    points_per_side: int = Field(gt=0)
    points_per_batch: int = Field(gt=0)
    pred_iou_thresh: float = Field(ge=0, le=1)
    stability_score_thresh: float = Field(ge=0, le=1)
    stability_score_offset: float = Field(default=1.0, gt=0, description="Of the logits' threshold, up and down.")
    box_nms_thresh: float = Field(ge=0, le=1)
    crop_n_layers: int = Field(default=0, ge=0, le=4)
    crop_overlap_ratio: float = Field(default=512 / 1500, gt=0, lt=1)
    crop_n_points_downscale_factor: int = Field(default=1, gt=0)
    crop_nms_thresh: float = Field(default=0.7, ge=0, le=1)
    crop_nms_order: Literal["smaller_crops_first", "predicted_iou"] = Field(
        default="smaller_crops_first", description="Which of two alike is kept; transformers' pipeline has the latter."
    )
    min_mask_region_area: int = Field(default=0, ge=0, description="Pixels of the working raster.")

    @model_validator(mode="after")
    def _every_layer_has_points(self) -> "SamParameters":
        factor = self.crop_n_points_downscale_factor**self.crop_n_layers
        if self.points_per_side < factor:
            raise ValueError(
                f"points_per_side is at least {factor}, found {self.points_per_side}: no point would be left"
            )
        return self


@dataclass(frozen=True)
class LoaderEntry:
    """A family's loader: its module, the version of its code (part of the fingerprint), what it serves and takes.

    Attributes:
        reads: role of the upstream instrument whose sealed results it takes; None if it takes pixels.
        has_attention: whether a declared attention kernel reaches its network (see `snapshots.load_whole`).
    """

    module: str
    version: int
    roles: frozenset[Role]
    parameters: type[Contract]
    reads: Role | None = None
    has_attention: bool = False


LOADERS: dict[str, LoaderEntry] = {
    "efficientnet_lite0": LoaderEntry(
        "atlas_resources.loaders.efficientnet_lite0", 1, frozenset({"embedding", "probe"}), NoParameters
    ),
    "clip": LoaderEntry("atlas_resources.loaders.clip", 1, frozenset({"embedding"}), NoParameters, has_attention=True),
    "dinov2": LoaderEntry(
        "atlas_resources.loaders.dinov2", 1, frozenset({"embedding"}), NoParameters, has_attention=True
    ),
    "segment_anything": LoaderEntry(
        "atlas_resources.loaders.segment_anything", 1, frozenset({"segmentation"}), SamParameters
    ),
    "sam": LoaderEntry("atlas_resources.loaders.sam", 1, frozenset({"segmentation"}), SamParameters),
    "sam_hq": LoaderEntry("atlas_resources.loaders.sam", 1, frozenset({"segmentation"}), SamParameters),
    "otsu_luma": LoaderEntry("atlas_resources.loaders.otsu_luma", 1, frozenset({"segmentation"}), OtsuParameters),
}


@dataclass(frozen=True)
class Registry:
    """Every instrument that could be read, by key, the active ones, and the problems of what could not be read."""

    folder: Path
    specs: dict[str, Spec]
    active: frozenset[str]
    problems: tuple[FileProblem, ...]
    roster: Roster = field(default_factory=Roster)
    names: Names = field(default_factory=Names)
    prompts: PromptSets = field(default_factory=PromptSets)

    @cached_property
    def admitted(self) -> list[Spec]:
        """The instruments that may run, by key."""
        return [spec for _, spec in sorted(self.specs.items()) if is_admitted(spec, self.specs)]

    @cached_property
    def identities(self) -> dict[str, InstrumentIdentity]:
        """Identity of each admitted instrument, by key; an instrument stands after the one it reads."""
        found: dict[str, InstrumentIdentity] = {}
        for spec in sorted(self.admitted, key=lambda spec: self.depth(spec.key)):
            found[spec.key] = identity(spec, loader_version(spec), found.get(spec.upstream or ""))
        return found

    def depth(self, key: str) -> int:
        """Instruments between an admitted instrument and the pixels."""
        upstream = self.specs[key].upstream
        return 0 if upstream is None else 1 + self.depth(upstream)

    def status(self, key: str) -> Status:
        """Whether an instrument is admitted, an idea or refused, and why. Raises KeyError for one that is not there."""
        return status_of(self.specs[key], self.specs)

    def resolve(self, name: str) -> Resolution:
        """What a key, a model id or an alias means, with a notice where that is not plain.

        Raises KeyError, saying what to use instead, for a ghost, an excluded kind and an unknown name.
        """
        return resolve(name, self.specs, self.names, self.folder)

    def require(self, name: str) -> Spec:
        """The spec of an instrument by key, model id or alias. Raises KeyError as `resolve` does."""
        return self.resolve(name).spec

    def named_set(self, name: str) -> list[Spec]:
        """The instruments of one of the roster's sets, by key. Raises KeyError, naming the sets, for another name."""
        if name not in self.roster.sets:
            raise KeyError(f"no set {name!r} in {self.folder / ROSTER_NAME}; it names {', '.join(self.roster.sets)}.")
        keys = self.roster.sets[name].keys(self.specs)
        return [self.specs[key] for key in sorted(keys) if key in self.specs]


def loader_version(spec: Spec) -> int:
    """Version of the code that loads an instrument; part of its fingerprint. Raises KeyError without a loader."""
    return LOADERS[spec.loader or "(none)"].version


def _check_against_loader(file: str, spec: Spec) -> list[FileProblem]:
    if spec.loader is None:
        return []
    entry = LOADERS.get(spec.loader)
    if entry is None:
        return [FileProblem(file, "loader", repr(spec.loader), f"one of {', '.join(sorted(LOADERS))}")]
    if spec.role not in entry.roles:
        return [FileProblem(file, "role", repr(spec.role), f"{' or '.join(sorted(entry.roles))} for {spec.loader}")]
    if (entry.reads is None) != (spec.upstream is None):
        expected = f"an instrument of role {entry.reads!r}" if entry.reads else "null: its loader takes pixels"
        return [FileProblem(file, "upstream", repr(spec.upstream), expected)]
    return _check_mode(file, spec, entry) or _check_parameters(file, spec, entry)


def _check_mode(file: str, spec: Spec, entry: LoaderEntry) -> list[FileProblem]:
    attention = spec.numeric and spec.numeric.attention
    if attention is None or entry.has_attention:
        return []
    return [FileProblem(file, "numeric.attention", repr(attention), f"null: {spec.loader} has no choice of it")]


def _check_parameters(file: str, spec: Spec, entry: LoaderEntry) -> list[FileProblem]:
    try:
        entry.parameters.model_validate(spec.parameters, strict=True)  # the loader takes them as they stand
    except ValidationError as error:
        return problems_of(file, error, "parameters.")
    return []


def read_spec(path: Path) -> Spec | list[FileProblem]:
    """The spec in a YAML file, or everything that is wrong with it."""
    spec = read_yaml(path, Spec)
    if not isinstance(spec, Spec):
        return spec
    if spec.key != path.stem:
        return [FileProblem(path.name, "key", repr(spec.key), f"the file's stem, {path.stem!r}")]
    return _check_against_loader(path.name, spec) or spec


def _check_upstreams(specs: dict[str, Spec]) -> list[FileProblem]:
    """Specs that read an instrument of another role than their loader takes. One that is not there is no fault here."""
    problems = []
    for spec in specs.values():
        entry, upstream = LOADERS.get(spec.loader or ""), specs.get(spec.upstream or "")
        if entry and upstream and upstream.role != entry.reads:
            expected = f"an instrument of role {entry.reads!r}"
            problems.append(FileProblem(f"{spec.key}.yaml", "upstream", f"{upstream.key!r}, {upstream.role}", expected))
    return problems


def _check_prompts(file: str, spec: Spec, prompts: PromptSets) -> list[FileProblem]:
    """What is wrong with a spec's pins of prompts: a set that cannot be read, or is another than the pinned one."""
    try:
        prompts.require(spec.prompts or [])
    except PromptsMismatch as error:
        pins = ", ".join(f"{pin.set} version {pin.version} {pin.sha256}" for pin in spec.prompts or [])
        return [FileProblem(file, "prompts", pins, str(error))]
    return []


def read_registry(folder: Path = SPECS_DIR) -> Registry:
    """Reads every spec of a folder. A broken one becomes problems, never an exception: the others still load."""
    specs: dict[str, Spec] = {}
    prompts = read_prompts(folder / PROMPTS_DIR.name)
    problems: list[FileProblem] = [
        replace(problem, file=f"{PROMPTS_DIR.name}/{problem.file}") for problem in prompts.problems
    ]
    for path in sorted(folder.glob("*.yaml")):
        if path.name in NOT_SPECS:
            continue
        read = read_spec(path)
        wrong = _check_prompts(path.name, read, prompts) if isinstance(read, Spec) else read
        problems += wrong
        if isinstance(read, Spec) and not wrong:
            specs[read.key] = read
    problems += _check_upstreams(specs)

    unreadable = {problem.file.removesuffix(".yaml") for problem in problems}
    roster, active, wrong_in_roster = read_roster(folder, specs, unreadable)
    names, wrong_in_names = read_names(folder, specs, unreadable)
    all_problems = (*problems, *wrong_in_roster, *wrong_in_names)
    return Registry(folder, specs, active, all_problems, roster, names, prompts)


def loader_of(spec: Spec) -> Callable:
    """The `load(spec, weights, device)` function of the spec's family. Importing it may import torch.

    Raises ValueError for an instrument that is not admitted.
    """
    if spec.loader is None:
        raise ValueError(f"{spec.key}: {status_of(spec).reason}")
    return importlib.import_module(LOADERS[spec.loader].module).load
