"""Reading YAML files, one or a folder of them, as frozen contracts. Problems are reported by file and field."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import ValidationError

from atlas_resources.files.contract import Contract

Model = TypeVar("Model", bound=Contract)

# A text with more of these characters than this could be nested so deeply that libyaml exhausts the stack, which kills
# the process.
NESTING_MARKS = "[{-?"
MAX_QUICK_MARKS = 2000

UNKNOWN_FIELD = ("extra_forbidden", "unexpected_keyword_argument")  # pydantic's error types, of a model and a dataclass


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
    """A mixin for PyYAML's loaders, which without it let a repeated key overwrite the one before."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]  # type: ignore[attr-defined] # the loader's
        repeated = [key for number, key in enumerate(keys) if key in keys[:number]]
        if repeated:
            raise yaml.constructor.ConstructorError(None, None, f"repeated key {repeated[0]!r}", node.start_mark)
        return super().construct_mapping(node, deep=deep)  # type: ignore[misc] # the loader's


class _QuickLoader(_UniqueKeys, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc] # by PyYAML's build
    """Parses with libyaml, which is ten times as fast, where PyYAML was built with it."""


class _CarefulLoader(_UniqueKeys, yaml.SafeLoader):
    """Parses in Python, which stops at the recursion limit."""


def _loader_for(text: str) -> type:
    return _CarefulLoader if sum(map(text.count, NESTING_MARKS)) > MAX_QUICK_MARKS else _QuickLoader


def _lower_first(text: str) -> str:
    return text[0].lower() + text[1:]


def problems_of(file: str, error: ValidationError, prefix: str = "") -> list[FileProblem]:
    """pydantic's errors, each as the problem of one field.

    Args:
        file: name of the file.
        error: raised by the validation of its content.
        prefix: put before the name of each field.
    """
    return [
        FileProblem(
            file=file,
            field=prefix + (".".join(str(part) for part in item["loc"]) or "(file)"),
            found="nothing" if item["type"] == "missing" else repr(item["input"])[:80],
            expected="no field of this name" if item["type"] in UNKNOWN_FIELD else _lower_first(item["msg"]),
        )
        for item in error.errors()
    ]


def read_yaml(path: Path, model: type[Model]) -> Model | list[FileProblem]:
    """The file's content as a contract, or everything that is wrong with it. No content of a file raises an error."""
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


def read_folder(
    folder: Path, model: type[Model], skip: Collection[str] = ()
) -> tuple[dict[str, Model], dict[str, list[FileProblem]]]:
    """Reads every `*.yaml` file of a folder, but not those of folders in it. One wrong file does not stop the others.

    Args:
        folder: with the files. A folder that does not exist has none.
        model: the contract of each file.
        skip: names of files that are not read, with `.yaml`.

    Returns:
        The files that could be read, and the problems of each of the others. Both are keyed by the file's stem (its
        name without `.yaml`), in alphabetical order, and have no key in common.
    """
    records: dict[str, Model] = {}
    problems: dict[str, list[FileProblem]] = {}
    for path in sorted(path for path in folder.glob("*.yaml") if path.name not in skip):
        read = read_yaml(path, model)
        if isinstance(read, list):
            problems[path.stem] = read
        else:
            records[path.stem] = read
    return records, problems
