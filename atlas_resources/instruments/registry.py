"""Which instruments and loaders there are: reads `model_specs/`, keeps broken specs apart by name.

Imports no loader until one is asked for.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from atlas_resources.files.project import SPECS_FOLDER
from atlas_resources.files.yaml_files import FileProblem, read_yaml
from atlas_resources.instruments.admission import Status, is_admitted, status_of
from atlas_resources.instruments.aliases import ALIASES_NAME, Names, Resolution, read_names, resolve
from atlas_resources.instruments.instrument import Instrument, identity
from atlas_resources.instruments.loader_table import LOADERS, problems_with_loader
from atlas_resources.instruments.prompts import PROMPTS_FOLDER, PromptSets, PromptsMismatch, read_prompts
from atlas_resources.instruments.region_plans import read_region_plans
from atlas_resources.instruments.roster import ROSTER_NAME, Roster, read_roster
from atlas_resources.instruments.spec.spec import Spec

NOT_SPECS = (ROSTER_NAME, ALIASES_NAME)


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
    def instruments(self) -> dict[str, Instrument]:
        """The admitted instruments, which may run, by key in alphabetical order."""
        made: dict[str, Instrument] = {}
        for spec in sorted(self.specs.values(), key=lambda spec: spec.key):
            if is_admitted(spec, self.specs):
                self._make(spec, made)
        return dict(sorted(made.items()))

    @property
    def active_instruments(self) -> list[Instrument]:
        """The instruments that automation acts on, by key."""
        return [instrument for key, instrument in self.instruments.items() if key in self.active]

    def _make(self, spec: Spec, made: dict[str, Instrument]) -> Instrument:
        """The instrument of an admitted spec, and before it the one that it reads."""
        if spec.key not in made:
            upstream = self._make(self.specs[spec.upstream], made) if spec.upstream else None
            known = identity(spec, loader_version(spec), upstream and upstream.identity)
            made[spec.key] = Instrument(spec, known, upstream, tuple(self.prompts.asked(spec.prompts or [])))
        return made[spec.key]

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


def read_spec(path: Path) -> Spec | list[FileProblem]:
    """The spec in a YAML file, or everything that is wrong with it."""
    spec = read_yaml(path, Spec)
    if not isinstance(spec, Spec):
        return spec
    if spec.key != path.stem:
        return [FileProblem(path.name, "key", repr(spec.key), f"the file's stem, {path.stem!r}")]
    return problems_with_loader(path.name, spec) or spec


def _check_upstreams(specs: dict[str, Spec]) -> list[FileProblem]:
    """Specs that read an instrument of another role than their loader takes. One that is not there is no fault here."""
    problems = []
    for spec in specs.values():
        entry, upstream = LOADERS.get(spec.loader or ""), specs.get(spec.upstream or "")
        reads = "pruning" if spec.region and spec.region.crop else entry and entry.reads
        if entry and upstream and upstream.role != reads:
            expected = f"an instrument of role {reads!r}"
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


def read_registry(folder: Path = SPECS_FOLDER) -> Registry:
    """Reads every spec of a folder. A broken one becomes problems, never an exception: the others still load."""
    specs: dict[str, Spec] = {}
    prompts = read_prompts(folder / PROMPTS_FOLDER.name)
    problems: list[FileProblem] = [
        replace(problem, file=f"{PROMPTS_FOLDER.name}/{problem.file}") for problem in prompts.problems
    ]
    for path in sorted(folder.glob("*.yaml")):
        if path.name in NOT_SPECS:
            continue
        read = read_spec(path)
        wrong = _check_prompts(path.name, read, prompts) if isinstance(read, Spec) else read
        problems += wrong
        if isinstance(read, Spec) and not wrong:
            specs[read.key] = read
    unreadable = {problem.file.removesuffix(".yaml") for problem in problems}
    plans = read_region_plans(folder, specs, unreadable)
    problems += plans.problems
    specs |= plans.specs
    problems += _check_upstreams(specs)

    unreadable = {problem.file.removesuffix(".yaml") for problem in problems}
    roster, active, wrong_in_roster = read_roster(folder, specs, unreadable)
    names, wrong_in_names = read_names(folder, specs, unreadable)
    all_problems = (*problems, *wrong_in_roster, *wrong_in_names)
    return Registry(folder, specs, active, all_problems, roster, names, prompts)
