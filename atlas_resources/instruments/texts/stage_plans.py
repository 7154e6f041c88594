"""Stages of describing a plate, as `model_specs/stages/NAME.yaml` declares them, made into specs.

A stage is the instrument that serves it, or one made of it, `NAME_<form>`: with the stage's own prompts and parameters,
reading the sealed result of the stage before. A ranking reads the keywords and the plate's image vector. To serve a
stage by another model, change one line.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from atlas_resources.files.contract import Contract
from atlas_resources.files.yaml_files import FileProblem, read_folder
from atlas_resources.instruments.region_plans import ReadPlans
from atlas_resources.instruments.spec.output import TextOutput
from atlas_resources.instruments.spec.ranking import RankingSettings
from atlas_resources.instruments.spec.spec import PromptPin, Spec
from atlas_resources.instruments.spec.variant import asked_otherwise
from atlas_resources.instruments.texts.rankings import can_rank, ranking_fields

STAGES_FOLDER = "stages"


class Stage(Contract):
    """One stage: what it gives, and which instrument serves it. What it leaves out is as in that instrument."""

    form: Literal["transcription", "caption", "keywords", "ranking", "description", "answer"]
    instrument: str = Field(
        description="What serves it; for a ranking, a probe whose text tower compares the keywords."
    )
    prompts: list[PromptPin] | None = None
    parameters: dict[str, int | float | str | bool] | None = None
    ranking: RankingSettings | None = Field(default=None, description="Only for a ranking: how stable ranks are.")


class StagePlan(Contract):
    """`stages/NAME.yaml`. The stages are in order: each reads the one before."""

    title: str
    stages: list[Stage] = Field(min_length=1)

    @model_validator(mode="after")
    def _each_once(self) -> "StagePlan":
        forms = [stage.form for stage in self.stages]
        if len(set(forms)) != len(forms):
            raise ValueError("each form must be given once")
        for number, form in enumerate(forms):
            if form == "ranking" and "keywords" not in forms[:number]:
                raise ValueError("a ranking must come after the keywords")
        if any(stage.ranking and stage.form != "ranking" for stage in self.stages):
            raise ValueError("only a stage of the form ranking has `ranking`")
        return self


def stage_spec(plan: str, title: str, stage: Stage, served_by: Spec, upstream: str | None) -> Spec:
    """The instrument of a stage: the one that serves it as it is, if the stage reads nothing and asks nothing else.

    Args:
        plan: the file's stem.
        title: of the plan.
        stage: the stage.
        served_by: the instrument that it names.
        upstream: key of the stage before; None for the first.
    """
    if stage.form == "ranking":
        asked = ranking_fields(served_by, stage.ranking, stage.prompts)
    else:
        asked = asked_otherwise(served_by, stage.parameters, TextOutput(kind="text", form=stage.form), stage.prompts)
    if not asked and upstream is None:
        return served_by
    reads = f", reading {upstream}" if upstream else ""
    changed = {
        "key": f"{plan}_{stage.form}",
        "title": f"{title}: {stage.form}",
        "description": f"{served_by.description.strip()} Asked for the stage {stage.form} of {plan}{reads}.",
        "variant_of": served_by.variant_of or served_by.key,
        "upstream": upstream or served_by.upstream,
        **asked,
    }
    return served_by.model_copy(update=changed)


def derive_stages(name: str, plan: StagePlan, specs: Mapping[str, Spec]) -> Sequence[Spec]:
    """The instruments of a plan's stages, in order. A ranking reads the keywords, and no stage reads a ranking."""
    made: dict[str, Spec] = {}
    before = None
    for stage in plan.stages:
        reads = made["keywords"].key if stage.form == "ranking" else before
        made[stage.form] = stage_spec(name, plan.title, stage, specs[stage.instrument], reads)
        before = before if stage.form == "ranking" else made[stage.form].key
    return list(made.values())


def read_stage_plans(folder: Path, specs: Mapping[str, Spec], unreadable: set[str]) -> ReadPlans:
    """Reads every plan of a folder of specs. A broken one becomes problems, never an exception.

    Args:
        folder: the folder of specs; its plans are in `stages/`. Without that folder there are no stages.
        specs: the instruments that a plan may name, by key.
        unreadable: keys of those that could not be read: a plan that names one of them is left out and not at fault.
    """
    plans, broken = read_folder(folder / STAGES_FOLDER, StagePlan)
    made: dict[str, Spec] = {}
    problems = [
        FileProblem(f"{STAGES_FOLDER}/{problem.file}", problem.field, problem.found, problem.expected)
        for _, wrong in sorted(broken.items())
        for problem in wrong
    ]
    for name, plan in plans.items():
        if unreadable.intersection(stage.instrument for stage in plan.stages):
            continue
        wrong = _wrong_names(f"{STAGES_FOLDER}/{name}.yaml", plan, specs)
        for spec in [] if wrong else derive_stages(name, plan, specs):
            if spec is specs.get(spec.key):
                continue  # an instrument that serves as it is
            if spec.key in specs or spec.key in made:
                expected = "a key that no other instrument has"
                wrong.append(FileProblem(f"{STAGES_FOLDER}/{name}.yaml", "(file)", repr(spec.key), expected))
            made.setdefault(spec.key, spec)
        problems += wrong
    return ReadPlans({key: spec for key, spec in made.items() if key not in specs}, tuple(problems))


def _wrong_names(file: str, plan: StagePlan, specs: Mapping[str, Spec]) -> list[FileProblem]:
    """Stages whose instrument is not there, or does not write, or for a ranking compares no texts with vectors."""
    problems = []
    for index, stage in enumerate(plan.stages):
        served_by, expected = specs.get(stage.instrument), "an instrument of role 'text'"
        is_served = served_by is not None and served_by.role == "text"
        if stage.form == "ranking":
            expected = "a probe that compares prompts with the vectors of an embedding"
            is_served = can_rank(served_by)
        if not is_served:
            problems.append(FileProblem(file, f"stages.{index}.instrument", repr(stage.instrument), expected))
    return problems
