"""YAML files of the project as frozen contracts, or everything that is wrong with them, by file and field."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import ValidationError

from atlas_resources.files.contract import Contract

Model = TypeVar("Model", bound=Contract)

NESTING_MARKS = "[{-?"
MAX_QUICK_MARKS = 2000


@dataclass(frozen=True)
class FileProblem:
    """One thing wrong in one file."""

    file: str
    field: str
    found: str
    expected: str

    def __str__(self) -> str:
        """One line for a person."""
        return f"{self.file}: {self.field}: found {self.found}, expected {self.expected}"


class _UniqueKeys:
    """YAML without its silent overwriting of repeated keys. Stands before a loader, whose methods it calls."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]  # type: ignore[attr-defined] # likewise
        repeated = [key for number, key in enumerate(keys) if key in keys[:number]]
        if repeated:
            raise yaml.constructor.ConstructorError(None, None, f"repeated key {repeated[0]!r}", node.start_mark)
        return super().construct_mapping(node, deep=deep)  # type: ignore[misc] # likewise


class _QuickLoader(_UniqueKeys, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc] # by PyYAML's build
    """By libyaml where it is there: ten times as fast."""


class _CarefulLoader(_UniqueKeys, yaml.SafeLoader):
    """By Python, which stops at its recursion limit where libyaml would exhaust the stack and kill the process."""


def _loader_for(text: str) -> type:
    return _CarefulLoader if sum(map(text.count, NESTING_MARKS)) > MAX_QUICK_MARKS else _QuickLoader


def problems_of(file: str, error: ValidationError, prefix: str = "") -> list[FileProblem]:
    """Each of pydantic's errors as a line that names file, field, what was found and what is expected."""
    return [
        FileProblem(
            file=file,
            field=prefix + (".".join(str(part) for part in item["loc"]) or "(file)"),
            found="nothing" if item["type"] == "missing" else repr(item["input"])[:80],
            expected=item["msg"][0].lower() + item["msg"][1:],
        )
        for item in error.errors()
    ]


def read_yaml(path: Path, model: type[Model]) -> Model | list[FileProblem]:
    """The file's content by its contract, or everything that is wrong with it. Raises nothing for what a file holds."""
    try:
        text = path.read_text(encoding="utf-8")
        content = yaml.load(text, Loader=_loader_for(text))  # noqa: S506 - a SafeLoader either way
    except OSError as error:
        return [FileProblem(path.name, "(file)", error.strerror or type(error).__name__, "a file that can be read")]
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # PyYAML passes on int's and date's own ValueError
        return [FileProblem(path.name, "(file)", " ".join(str(error).split()), "YAML with each key once")]
    try:
        return model.model_validate(content)
    except ValidationError as error:
        return problems_of(path.name, error)
