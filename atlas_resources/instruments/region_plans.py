"""What is derived from a segmenter's masks, as `model_specs/regions/<segmenter>.yaml` declares it, made into specs.

A derived instrument is an instrument like any other: it has a fingerprint, sealed runs and an asset. It differs in that
it has no file: its pins are those of its method, or of the embedder that sees the segments.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import Field, TypeAdapter

from atlas_resources.files.contract import Contract
from atlas_resources.files.yaml_files import FileProblem, read_folder, read_yaml
from atlas_resources.instruments.spec.input import Crop
from atlas_resources.instruments.spec.numeric import Numeric
from atlas_resources.instruments.spec.output import RegionsOutput
from atlas_resources.instruments.spec.spec import FailureMode, Licence, PromptPin, Region, Role, Spec
from atlas_resources.instruments.spec.variant import asked_otherwise
from atlas_resources.instruments.spec.weights import Algorithm
from atlas_resources.measures.masks.pruning import PruningRules

REGIONS_FOLDER = "regions"
METHODS_NAME = "methods.yaml"


class PaletteParameters(Contract):
    """How the colours of a segment are described."""

    most_colours: int = Field(gt=0, le=32)


class OutlineParameters(Contract):
    """How masks become polygons. Ratios are of the plate, so that a scan of any resolution is treated alike."""

    tolerance_ratio: float = Field(ge=0, le=0.1, description="Tolerance of the simplification over the longer side.")
    min_ring_area_ratio: float = Field(
        ge=0, le=0.1, description="Rings with a smaller share of the plate's area are left out."
    )
    min_reprojected_iou: float = Field(
        ge=0, le=1, description="Tolerance and ring area are halved until polygons and mask agree as well as this."
    )


class RegionEmbedding(Contract):
    """An embedder that is shown each kept segment; `name` tells two crops for one embedder apart."""

    embedder: str
    crop: Crop
    name: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9_]{0,30}$")

    @property
    def part(self) -> str:
        """Its part of the asset key."""
        return self.name or self.embedder


class RegionAnnotation(Contract):
    """A model that writes about each kept segment; `name` tells two crops or questions to one model apart."""

    describer: str
    crop: Crop
    prompts: list[PromptPin] | None = None
    name: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9_]{0,30}$")

    @property
    def part(self) -> str:
        """Its part of the asset key."""
        return self.name or self.describer


class RegionPlan(Contract):
    """`regions/<segmenter>.yaml`."""

    kept: PruningRules
    palette: PaletteParameters | None = None
    polygons: OutlineParameters | None = None
    embeddings: list[RegionEmbedding] = Field(default_factory=list)
    annotations: list[RegionAnnotation] = Field(default_factory=list)


class Method(Contract):
    """What is true of a derivation whatever segmenter it follows."""

    title: str
    description: str
    model_id: str
    weights: Algorithm
    licence: Licence
    failure_modes: list[FailureMode]
    sources: list[str]


class Methods(Contract):
    """`regions/methods.yaml`. Of what is shown crops, only the failure modes are taken; the rest is the model's own."""

    kept: Method
    palette: Method
    polygons: Method
    embedding_failure_modes: list[FailureMode]


@dataclass(frozen=True)
class ReadPlans:
    """The specs that could be made, by key, each one's file, and what is wrong with the others."""

    specs: dict[str, Spec] = field(default_factory=dict)
    problems: tuple[FileProblem, ...] = ()


ROLE_OF_PART: dict[str, tuple[Role, Literal["verdicts", "colours", "outlines"]]] = {
    "kept": ("pruning", "verdicts"),
    "palette": ("palette", "colours"),
    "polygons": ("outline", "outlines"),
}


def region_file(segmenter: str) -> str:
    """The file that declares what is derived from a segmenter, within the folder of specs."""
    return f"{REGIONS_FOLDER}/{segmenter}.yaml"


def _derived(segmenter: Spec, part: str, method: Method, parameters: Contract | PruningRules) -> Spec:
    role, kind = ROLE_OF_PART[part]
    return Spec(
        key=f"{segmenter.key}_{part}",
        role=role,
        title=f"{method.title}: {segmenter.title}",
        description=method.description,
        model_id=method.model_id,
        loader=role,
        upstream=segmenter.key if part == "kept" else f"{segmenter.key}_kept",
        region=Region(segmenter=segmenter.key, part=part),
        weights=method.weights,
        licence=method.licence,
        output=RegionsOutput(kind=kind),
        parameters=TypeAdapter(type(parameters)).dump_python(parameters, exclude_none=True),
        numeric=Numeric(dtype="float32", device="cpu"),
        failure_modes=method.failure_modes,
        sources=method.sources,
    )


def _shown(
    segmenter: Spec, embedder: Spec, shown: RegionEmbedding | RegionAnnotation, failure_modes: list[FailureMode]
) -> Spec:
    """The embedder or describer as it is, reading what is kept of the segmenter's masks, one crop at a time."""
    asked = asked_otherwise(embedder, None, None, shown.prompts) if isinstance(shown, RegionAnnotation) else {}
    changed = {
        **asked,
        "key": f"{segmenter.key}_{shown.part}",
        "title": f"{embedder.title} of segments: {segmenter.title}",
        "description": f"{embedder.description.strip()} Computed for each kept segment of {segmenter.key}, cut out as "
        f"{shown.crop.tag}.",
        "upstream": f"{segmenter.key}_kept",
        "region": Region(segmenter=segmenter.key, part=shown.part, crop=shown.crop, embedder=embedder.key),
        "variant_of": None,
        "tiles": None,
        "failure_modes": [*embedder.failure_modes, *failure_modes],
    }
    return embedder.model_copy(update=changed)


def derive(plan: RegionPlan, segmenter: Spec, methods: Methods, specs: Mapping[str, Spec]) -> Iterator[Spec]:
    """The instruments that a plan makes of a segmenter, the one that prunes first.

    Args:
        plan: what is derived, and how.
        segmenter: whose masks.
        methods: what is true of each derivation.
        specs: the embedders and describers that the plan names, by key.
    """
    yield _derived(segmenter, "kept", methods.kept, plan.kept)
    if plan.palette:
        yield _derived(segmenter, "palette", methods.palette, plan.palette)
    if plan.polygons:
        yield _derived(segmenter, "polygons", methods.polygons, plan.polygons)
    for shown in plan.embeddings:
        yield _shown(segmenter, specs[shown.embedder], shown, methods.embedding_failure_modes)
    for shown in plan.annotations:
        yield _shown(segmenter, specs[shown.describer], shown, methods.embedding_failure_modes)


def _without(plan: RegionPlan, unreadable: set[str]) -> RegionPlan:
    """The plan without the models whose specs cannot be read: their own files report the problem."""
    embeddings = [shown for shown in plan.embeddings if shown.embedder not in unreadable]
    annotations = [shown for shown in plan.annotations if shown.describer not in unreadable]
    return plan.model_copy(update={"embeddings": embeddings, "annotations": annotations})


def _wrong_names(file: str, stem: str, plan: RegionPlan, specs: dict[str, Spec]) -> list[FileProblem]:
    """Instruments that a plan names and that are not there, or are of another role."""
    meant = [("(file)", stem, "segmentation")]
    meant += [
        (f"embeddings.{index}.embedder", shown.embedder, "embedding") for index, shown in enumerate(plan.embeddings)
    ]
    meant += [
        (f"annotations.{index}.describer", shown.describer, "text") for index, shown in enumerate(plan.annotations)
    ]
    return [
        FileProblem(file, where, repr(key), f"an instrument of role {role!r}")
        for where, key, role in meant
        if key not in specs or specs[key].role != role
    ]


def methods_file(*folders: Path) -> Path:
    """The methods that count: of the last folder that has them."""
    paths = [folder / REGIONS_FOLDER / METHODS_NAME for folder in folders]
    return next((path for path in reversed(paths) if path.is_file()), paths[0])


def read_region_plans(folder: Path, methods_path: Path, specs: dict[str, Spec], unreadable: set[str]) -> ReadPlans:
    """Reads every plan of a folder of specs. A broken one becomes problems, never an exception.

    Args:
        folder: the folder of specs; its plans are in `regions/`. Without that folder nothing is derived.
        methods_path: what is true of each derivation.
        specs: the instruments that are written out, by key.
        unreadable: keys of those that could not be read: a plan that names one of them is not at fault.
    """
    plans, broken = read_folder(folder / REGIONS_FOLDER, RegionPlan, skip=(METHODS_NAME,))
    if not plans and not broken:
        return ReadPlans()
    methods = read_yaml(methods_path, Methods)
    if not isinstance(methods, Methods):
        return ReadPlans(problems=tuple(_in_folder(methods)))
    made: dict[str, Spec] = {}
    problems = {stem: _in_folder(wrong) for stem, wrong in broken.items() if stem not in unreadable}
    for stem, plan in plans.items():
        if stem in unreadable:
            continue
        readable = _without(plan, unreadable)
        wrong = _wrong_names(region_file(stem), stem, readable, specs)
        for spec in [] if wrong else derive(readable, specs[stem], methods, specs):
            if spec.key in specs or spec.key in made:
                expected = "a key that no other instrument has"
                wrong.append(FileProblem(region_file(stem), "(file)", repr(spec.key), expected))
            made.setdefault(spec.key, spec)
        problems[stem] = wrong
    found = [problem for _, wrong in sorted(problems.items()) for problem in wrong]
    return ReadPlans({key: spec for key, spec in made.items() if key not in specs}, tuple(found))


def _in_folder(problems: list[FileProblem]) -> list[FileProblem]:
    return [
        FileProblem(f"{REGIONS_FOLDER}/{problem.file}", problem.field, problem.found, problem.expected)
        for problem in problems
    ]
