"""Which instruments there are: reads folders of specs, and keeps broken specs apart by name. Imports no loader."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from atlas_resources.files.project import spec_folders
from atlas_resources.files.yaml_files import FileProblem, read_folder, read_yaml
from atlas_resources.instruments.admission import Status, is_admitted, status_of
from atlas_resources.instruments.aliases import ALIASES_NAME, Names, Resolution, read_names, resolve
from atlas_resources.instruments.instrument import Instrument, identity
from atlas_resources.instruments.loader_table import LOADERS, problems_with_loader
from atlas_resources.instruments.prompts import PROMPTS_FOLDER, PromptSets, PromptsMismatch, read_prompts
from atlas_resources.instruments.region_plans import methods_file, read_region_plans
from atlas_resources.instruments.roster import ROSTER_NAME, Roster, is_encoder, read_roster, roster_file
from atlas_resources.instruments.spec.output import TextOutput
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.instruments.spec.variant import Variant, resolve_variants, schema_of
from atlas_resources.instruments.texts.rankings import problems_with_ranking
from atlas_resources.instruments.texts.stage_plans import read_stage_plans

NOT_SPECS = (ROSTER_NAME, ALIASES_NAME)

Found = tuple[dict[str, Spec], list[FileProblem]]


@dataclass(frozen=True)
class Registry:
    """Every instrument that could be read, by key, the active ones, and the problems of what could not be read.

    `folder` is the last of `folders`: new specs are written there.
    """

    folder: Path
    specs: dict[str, Spec]
    active: frozenset[str]
    problems: tuple[FileProblem, ...]
    roster: Roster = field(default_factory=Roster)
    names: Names = field(default_factory=Names)
    prompts: PromptSets = field(default_factory=PromptSets)
    folders: tuple[Path, ...] = ()

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

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Keys of the pairs of encoders that the roster compares, without those that cannot be compared."""
        named = [(pair[0], pair[1]) for pair in self.roster.compare if len(set(pair)) == len(pair) == 2]
        return [pair for pair in dict.fromkeys(named) if all(is_encoder(key, self.specs) for key in pair)]

    def _make(self, spec: Spec, made: dict[str, Instrument]) -> Instrument:
        """The instrument of an admitted spec, and before it those that it reads."""
        if spec.key not in made:
            upstream = self._make(self.specs[spec.upstream], made) if spec.upstream else None
            vectors = self._make(self.specs[spec.ranking.vectors], made) if spec.ranking else None
            read = (one and one.identity for one in (upstream, vectors))
            known = identity(spec, loader_version(spec), *read)
            asked = tuple(self.prompts.asked(spec.prompts or []))
            made[spec.key] = Instrument(spec, known, upstream, asked, vectors)
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

    def path_of(self, key: str) -> Path:
        """The file of a spec that is written out. Raises KeyError for one that is not."""
        for folder in self.folders or (self.folder,):
            if (path := folder / f"{key}.yaml").is_file():
                return path
        raise KeyError(f"no file {key}.yaml in {self.folder}")

    def variants_of(self, key: str) -> list[Spec]:
        """The variants of an instrument, by key."""
        return [self.specs[name] for name in sorted(self.specs) if self.specs[name].variant_of == key]

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
    """The spec in a YAML file that is no variant, or everything that is wrong with it."""
    spec = read_yaml(path, Spec)
    if isinstance(spec, list):
        return spec
    return _wrong_key(path.stem, spec, {}) or problems_with_loader(path.name, spec) or spec


def _wrong_key(stem: str, file: Spec | Variant, others: Mapping[str, Spec]) -> list[FileProblem]:
    if file.key != stem:
        return [FileProblem(f"{stem}.yaml", "key", repr(file.key), f"the file's stem, {stem!r}")]
    if stem in others:
        return [FileProblem(f"{stem}.yaml", "key", repr(stem), "a key that no packaged instrument has")]
    return []


def _check_spec(spec: Spec, prompts: PromptSets) -> list[FileProblem]:
    return problems_with_loader(f"{spec.key}.yaml", spec) or _check_prompts(spec, prompts)


def _check_prompts(spec: Spec, prompts: PromptSets) -> list[FileProblem]:
    """What is wrong with a spec's pins of prompts: a set that cannot be read, or is not the pinned one."""
    try:
        sets = prompts.require(spec.prompts or [])
    except PromptsMismatch as error:
        pins = ", ".join(f"{pin.set} version {pin.version} {pin.sha256}" for pin in spec.prompts or [])
        return [FileProblem(f"{spec.key}.yaml", "prompts", pins, str(error))]
    kinds = ("questions",) if spec.role == "text" else ("alternatives", "objects")
    kinds = ("templates",) if spec.ranking else kinds
    wrong = ", ".join(f"{one.name}, {one.kind}" for one in sets if one.kind not in kinds)
    return [FileProblem(f"{spec.key}.yaml", "prompts", wrong, f"sets of {' or '.join(kinds)}")] if wrong else []


def _check_upstreams(specs: dict[str, Spec]) -> list[FileProblem]:
    """Specs that read an instrument of another role than their loader takes. A missing upstream is not their fault."""
    problems = []
    for spec in specs.values():
        entry, upstream = LOADERS.get(spec.loader or ""), specs.get(spec.upstream or "")
        reads = "pruning" if spec.region and spec.region.crop else entry and (entry.reads or entry.may_read)
        reads = "text" if spec.ranking else reads
        if entry and upstream and upstream.role != reads:
            expected = f"an instrument of role {reads!r}"
            problems.append(FileProblem(f"{spec.key}.yaml", "upstream", f"{upstream.key!r}, {upstream.role}", expected))
        problems += problems_with_ranking(spec, specs)
    return problems


def _check_questions(specs: dict[str, Spec], prompts: PromptSets) -> list[FileProblem]:
    """Specs whose questions take in what the instrument that they read does not give."""
    problems = []
    for spec in specs.values():
        upstream = specs.get(spec.upstream or "")
        given = {upstream.output.form} if upstream and isinstance(upstream.output, TextOutput) else set()
        sets = prompts.require(spec.prompts or []) if spec.role == "text" else []
        asked = {name for one in sets for prompt in one.prompts for name in prompt.placeholders}
        if missing := sorted(asked - given):
            expected = f"an instrument that gives {' and '.join(missing)}, which its questions take in"
            found = f"{spec.upstream!r}, which gives {' and '.join(given) or 'no text'}"
            problems.append(FileProblem(f"{spec.key}.yaml", "upstream", found, expected))
    return problems


def _read_specs(folder: Path, methods_path: Path, prompts: PromptSets, others: Mapping[str, Spec]) -> Found:
    """The instruments of a folder, by key, and the problems of those that are broken.

    Specs first, then their variants, the stages that they serve, what is derived from segmenters, and variants of that.
    """
    files, broken = read_folder(folder, schema_of, skip=NOT_SPECS)
    specs: dict[str, Spec] = {}
    variants: dict[str, Variant] = {}
    for key, file in files.items():
        if wrong := _wrong_key(key, file, others) or (isinstance(file, Spec) and _check_spec(file, prompts)):
            broken[key] = wrong
        elif isinstance(file, Spec):
            specs[key] = file
        else:
            variants[key] = file
    early = {key: one for key, one in variants.items() if one.variant_of in others or one.variant_of in specs}
    _add_variants(specs, broken, early, others, prompts)
    _add_stages(folder, specs, broken, others, prompts)
    plans = read_region_plans(folder, methods_path, {**others, **specs}, set(broken))
    specs |= plans.specs
    _add_variants(specs, broken, {key: one for key, one in variants.items() if key not in early}, others, prompts)
    found = [problem for _, problems in sorted(broken.items()) for problem in problems]
    return specs, [*found, *plans.problems]


def _add_stages(
    folder: Path,
    specs: dict[str, Spec],
    broken: dict[str, list[FileProblem]],
    others: Mapping[str, Spec],
    prompts: PromptSets,
) -> None:
    """Adds the instruments of stages to the specs of their folder, and what is wrong with them to the broken files."""
    plans = read_stage_plans(folder, {**others, **specs}, set(broken))
    for problem in plans.problems:
        broken.setdefault(problem.file, []).append(problem)
    for key, spec in plans.specs.items():
        if wrong := _check_spec(spec, prompts):
            broken[key] = wrong
        else:
            specs[key] = spec


def _add_variants(
    specs: dict[str, Spec],
    broken: dict[str, list[FileProblem]],
    variants: Mapping[str, Variant],
    others: Mapping[str, Spec],
    prompts: PromptSets,
) -> None:
    """Adds variants to the specs of their folder, and what is wrong with one to the broken files."""
    made, wrong = resolve_variants(variants, {**others, **specs}, set(broken))
    for key, spec in made.items():
        if key in specs:
            wrong[key] = [FileProblem(f"{key}.yaml", "key", repr(key), "a key that no other instrument has")]
        elif spec.region is None and (found := _check_spec(spec, prompts)):
            wrong[key] = found
        else:
            specs[key] = spec
    broken |= wrong


def read_registry(*folders: Path) -> Registry:
    """Reads every spec of some folders. A broken one becomes problems, never an exception: the others still load.

    Args:
        folders: each with specs, prompt sets and region plans; a later one may name instruments of an earlier one. By
            default the packaged folder, then the project's own. The last roster and the last region methods count.
    """
    folders = folders or spec_folders()
    specs: dict[str, Spec] = {}
    problems: list[FileProblem] = []
    prompts, names = PromptSets(folders[0] / PROMPTS_FOLDER.name), Names()
    for folder in folders:
        found = read_prompts(folder / PROMPTS_FOLDER.name)
        prompts = prompts.with_sets(found)
        wrong = [replace(problem, file=f"{PROMPTS_FOLDER.name}/{problem.file}") for problem in found.problems]
        more, broken = _read_specs(folder, methods_file(*folders), prompts, specs)
        specs |= more
        problems += _named_in(folder, folders, [*wrong, *broken])
    problems += [*_check_upstreams(specs), *_check_questions(specs, prompts)]
    unreadable = {problem.file.removesuffix(".yaml") for problem in problems}
    roster, active, wrong_in_roster = read_roster(roster_file(*folders), specs, unreadable)
    for folder in folders:
        named, wrong = read_names(folder, specs, unreadable)
        names = names.joined_by(named)
        wrong_in_roster += _named_in(folder, folders, wrong)
    return Registry(folders[-1], specs, active, (*problems, *wrong_in_roster), roster, names, prompts, folders)


def _named_in(folder: Path, folders: tuple[Path, ...], problems: list[FileProblem]) -> list[FileProblem]:
    """Problems as they are reported: those of a project's own folder name it."""
    if folder == folders[0]:
        return problems
    return [replace(problem, file=f"{folder}/{problem.file}") for problem in problems]
