"""Prompt sets of `model_specs/prompts/`: versioned texts whose digests are recorded.

A version never changes once it is recorded. An instrument's spec pins the sets it uses.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from atlas_resources.files.contract import Contract, Sha256, is_null
from atlas_resources.files.durable import write_bytes_atomically
from atlas_resources.files.project import SPECS_FOLDER
from atlas_resources.files.yaml_files import FileProblem, problems_of, read_folder
from atlas_resources.instruments.spec.spec import PromptPin
from atlas_resources.instruments.texts.json_schemas import SchemaMismatch, SchemaPin, read_schema

PROMPTS_FOLDER = SPECS_FOLDER / "prompts"
RECORD_NAME = "recorded.json"
RECORD_COMMAND = "`atlas models prompts record`"

PromptName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
LONGEST_LABEL = 200  # characters of a prompt that is no question
KEYWORD = "{}"
"""Where a template takes a keyword."""
PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


class PromptsMismatch(ValueError):
    """A prompt set on disk is not the pinned one."""


class Prompt(Contract):
    """One text, with an id that is unique within its set."""

    id: PromptName
    text: str = Field(min_length=1, max_length=4000, pattern=r"^\S(.*\S)?$")

    @property
    def sha256(self) -> str:
        """Digest of the text, UTF-8."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def placeholders(self) -> set[str]:
        """Names in braces: the earlier stages whose answers the question takes in."""
        return set(PLACEHOLDER.findall(self.text))


class PromptSet(Contract):
    """`<set>_v<version>.yaml`: one version of one set.

    `alternatives` compete: a score says which of them a picture is nearer to. `objects` are searched for one by one.
    `questions` are put to a model that writes, one by one; `{caption}` in one stands for what that stage answered.
    `templates` each stand around a keyword, whose place is `{}`.
    """

    set: PromptName
    version: int = Field(ge=1)
    kind: Literal["alternatives", "objects", "questions", "templates"]
    description: str
    prompts: list[Prompt] = Field(min_length=1)
    json_schema: SchemaPin | None = Field(
        default=None, exclude_if=is_null, description="What an answer to each of the questions must follow."
    )

    @model_validator(mode="after")
    def _each_once(self) -> "PromptSet":
        for name in ("id", "text"):
            values = [getattr(prompt, name) for prompt in self.prompts]
            if len(set(values)) != len(values):
                raise ValueError(f"each {name} must be unique in a set")
        if self.kind in ("alternatives", "templates") and len(self.prompts) < 2:
            raise ValueError(f"{self.kind} must be at least two")
        if self.kind == "templates" and any(one.text.count(KEYWORD) != 1 for one in self.prompts):
            raise ValueError(f"each of the templates must have {KEYWORD} once")
        return self

    @model_validator(mode="after")
    def _labels_are_no_questions(self) -> "PromptSet":
        if self.kind != "questions" and (self.json_schema or any(one.placeholders for one in self.prompts)):
            raise ValueError("only questions have a json_schema or names in braces")
        if self.kind != "questions" and max(len(one.text) for one in self.prompts) > LONGEST_LABEL:
            raise ValueError(f"texts other than questions have at most {LONGEST_LABEL} characters")
        return self

    @property
    def name(self) -> str:
        """The file's stem."""
        return f"{self.set}_v{self.version}"

    @property
    def sha256(self) -> str:
        """Digest over all that can change a result: all but the description. The order of the prompts counts."""
        content = self.model_dump(exclude={"description"})
        return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class RecordedPrompts(Contract):
    """`recorded.json`: the digest of each version, by its file's stem."""

    sha256: dict[str, Sha256] = Field(default_factory=dict)


@dataclass(frozen=True)
class AskedPrompt:
    """One prompt of an instrument, with its set and version, and the JSON Schema of its answer as canonical JSON."""

    set: str
    version: int
    id: str
    text: str
    sha256: str
    json_schema: str | None = None


@dataclass(frozen=True)
class PromptSets:
    """Every version of every set that could be read and equals its record, by its file's stem."""

    folder: Path = PROMPTS_FOLDER
    sets: dict[str, PromptSet] = field(default_factory=dict)
    problems: tuple[FileProblem, ...] = ()
    schemas: dict[str, str] = field(default_factory=dict)
    """JSON Schemas of the sets' answers, by digest, as canonical JSON."""

    def with_sets(self, other: "PromptSets") -> "PromptSets":
        """The sets of both; of a version that is in both, the one here."""
        sets, schemas = {**other.sets, **self.sets}, {**other.schemas, **self.schemas}
        return PromptSets(other.folder, sets, (*self.problems, *other.problems), schemas)

    def require(self, pins: Iterable[PromptPin]) -> list[PromptSet]:
        """The pinned sets, in their order. Raises PromptsMismatch if one is missing or is not the pinned one."""
        return [self._pinned(pin) for pin in pins]

    def asked(self, pins: Iterable[PromptPin]) -> list[AskedPrompt]:
        """The prompts of the pinned sets, in order. Raises PromptsMismatch as `require` does."""
        return [
            AskedPrompt(one.set, one.version, prompt.id, prompt.text, prompt.sha256, self._schema(one))
            for one in self.require(pins)
            for prompt in one.prompts
        ]

    def _schema(self, one: PromptSet) -> str | None:
        return self.schemas[one.json_schema.sha256] if one.json_schema else None

    def _pinned(self, pin: PromptPin) -> PromptSet:
        name = f"{pin.set}_v{pin.version}"
        found = self.sets.get(name)
        if found is None:
            wrong = [str(problem) for problem in self.problems if problem.file in {f"{name}.yaml", RECORD_NAME}]
            there = "; ".join(wrong) or f"there are {', '.join(self.sets) or 'none'}"
            raise PromptsMismatch(f"{self.folder / name}.yaml: expected a prompt set; {there}")
        if found.sha256 != pin.sha256:
            raise PromptsMismatch(
                f"{self.folder / name}.yaml: expected the set of sha256 {pin.sha256}, found {found.sha256}. "
                f"Write the digest of the set you mean into the spec; `atlas models prompts list` shows them."
            )
        return found


def _read_record(folder: Path) -> RecordedPrompts | list[FileProblem]:
    path = folder / RECORD_NAME
    if not path.is_file():
        return RecordedPrompts()
    try:
        return RecordedPrompts.model_validate_json(path.read_bytes())
    except ValidationError as error:
        return problems_of(RECORD_NAME, error)


def _check_record(one: PromptSet, recorded: str | None) -> list[FileProblem]:
    if recorded is None:
        expected = f"a recorded version: {RECORD_COMMAND} records it"
        return [FileProblem(f"{one.name}.yaml", "version", f"{one.version}, not recorded", expected)]
    if recorded != one.sha256:
        expected = (
            f"{recorded}, as recorded: restore it, and write the new texts as {one.set}_v{one.version + 1}.yaml "
            f"with version {one.version + 1}; then {RECORD_COMMAND}"
        )
        return [FileProblem(f"{one.name}.yaml", "prompts", f"sha256 {one.sha256}", expected)]
    return []


def _read_files(folder: Path) -> tuple[dict[str, PromptSet], list[FileProblem]]:
    sets, broken = read_folder(folder, PromptSet)
    for stem, one in list(sets.items()):
        if one.name != stem:
            broken[stem] = [FileProblem(f"{stem}.yaml", "set, version", repr(one.name), f"the file's stem, {stem!r}")]
            del sets[stem]
    return sets, [problem for _, problems in sorted(broken.items()) for problem in problems]


def read_prompts(folder: Path = PROMPTS_FOLDER) -> PromptSets:
    """Reads every set of a folder. A set that is broken, not recorded or changed is left out and becomes a problem."""
    sets, problems = _read_files(folder)
    record = _read_record(folder)
    if not isinstance(record, RecordedPrompts):
        return PromptSets(folder, {}, (*problems, *record))
    schemas, broken = _read_schemas(folder, sets)
    wrong = {name: _check_record(one, record.sha256.get(name)) + broken.get(name, []) for name, one in sets.items()}
    problems += [problem for found in wrong.values() for problem in found]
    gone = sorted(set(record.sha256) - {path.stem for path in folder.glob("*.yaml")})
    problems += [
        FileProblem(RECORD_NAME, name, "no such file", f"{name}.yaml: old versions must stay readable; restore it")
        for name in gone
    ]
    sound = {name: one for name, one in sets.items() if not wrong[name]}
    return PromptSets(folder, sound, tuple(problems), schemas)


def _read_schemas(folder: Path, sets: dict[str, PromptSet]) -> tuple[dict[str, str], dict[str, list[FileProblem]]]:
    """The JSON Schemas of the sets, by digest, and the problems of the sets whose schema is not the pinned one."""
    schemas: dict[str, str] = {}
    broken: dict[str, list[FileProblem]] = {}
    for name, one in sets.items():
        if pin := one.json_schema:
            try:
                schemas[pin.sha256] = read_schema(folder, pin)
            except SchemaMismatch as error:
                broken[name] = [FileProblem(f"{name}.yaml", "json_schema", f"{pin.name} {pin.sha256}", str(error))]
    return schemas, broken


def prompt_columns(prompt: AskedPrompt | None) -> dict[str, str | int | None]:
    """The prompt's columns of a row, null without a prompt."""
    return {
        "prompt_set": prompt and prompt.set,
        "prompt_version": prompt and prompt.version,
        "prompt_id": prompt and prompt.id,
        "prompt_sha256": prompt and prompt.sha256,
    }


def record_prompts(folder: Path = PROMPTS_FOLDER) -> list[str]:
    """Records the digest of every version that has none yet; returns their names. A recorded one is never changed.

    Raises:
        ValueError: the record or a set cannot be read, or a set differs from its record: nothing is written.
    """
    sets, problems = _read_files(folder)
    record = _read_record(folder)
    if isinstance(record, RecordedPrompts):
        for name, one in sets.items():
            problems += _check_record(one, record.sha256[name]) if name in record.sha256 else []
    else:
        problems += record
    if problems or not isinstance(record, RecordedPrompts):
        raise ValueError("\n".join(map(str, problems)))
    new = sorted(set(sets) - set(record.sha256))
    if new:
        digests = record.sha256 | {name: sets[name].sha256 for name in new}
        written = RecordedPrompts(sha256=dict(sorted(digests.items())))
        write_bytes_atomically(folder / RECORD_NAME, written.model_dump_json(indent=1).encode() + b"\n")
    return new
