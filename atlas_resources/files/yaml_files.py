"""Reading YAML files, one or a folder of them, as frozen contracts. Problems are reported by file and field."""

from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import ValidationError

from atlas_resources.files.contract import Contract
from atlas_resources.files.regular import UnfitFile, read_regular

Model = TypeVar("Model", bound=Contract)

# Limits of one file. The largest file of the project has 4 KB, 168 nodes and 4 levels.
MAX_BYTES = 256 << 10
MAX_NODES = 10_000
MAX_DEPTH = 32
MAX_NUMBER_LENGTH = 64  # characters; the time to read a number grows with the square of its length

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


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc] # by PyYAML's build
    """Parses with libyaml, which is ten times as fast, where PyYAML was built with it. Refuses what others accept.

    PyYAML lets a repeated key overwrite the one before, and reads numbers of any length.
    """

    def construct_mapping(self, node, deep=False):
        seen = set()
        for name, _ in node.value:
            key = self.construct_object(name, deep=True)
            if not isinstance(key, Hashable):
                raise yaml.constructor.ConstructorError(None, None, "a key that is a list or mapping", name.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"repeated key {key!r}", node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)

    def construct_number(self, node):
        if len(node.value) > MAX_NUMBER_LENGTH:
            found = f"a number of {len(node.value):,} characters; the limit is {MAX_NUMBER_LENGTH}"
            raise yaml.constructor.ConstructorError(None, None, found, node.start_mark)
        is_whole = node.tag == INTEGER_TAG
        return self.construct_yaml_int(node) if is_whole else self.construct_yaml_float(node)


INTEGER_TAG, FLOAT_TAG = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"
_Loader.add_constructor(INTEGER_TAG, _Loader.construct_number)
_Loader.add_constructor(FLOAT_TAG, _Loader.construct_number)


class _BeyondLimit(ValueError):
    """YAML that is too large or too deep to be read, or has an alias. Attributes: found, expected."""

    def __init__(self, line: int, found: str, expected: str):
        super().__init__(found, expected)
        self.found = f"{found} at line {line}"
        self.expected = expected


def _require_bounded(text: str) -> None:
    """Raises _BeyondLimit, before a value is built, for YAML with an alias or beyond MAX_NODES or MAX_DEPTH.

    Aliases can make a text of some lines stand for billions of values. Raises yaml.YAMLError for what is no YAML.
    """
    nodes = depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            raise _BeyondLimit(line, f"the alias *{event.anchor}", "no alias: write the value out again")
        nodes += isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if nodes > MAX_NODES:
            raise _BeyondLimit(line, f"more than {MAX_NODES:,} keys and values", f"at most {MAX_NODES:,}")
        if depth > MAX_DEPTH:
            raise _BeyondLimit(line, f"more than {MAX_DEPTH} levels of nesting", f"at most {MAX_DEPTH}")


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


def read_yaml(path: Path, model: type[Model] | Callable[[object], type[Model]]) -> Model | list[FileProblem]:
    """The file's content as a contract, or everything that is wrong with it. No content of a file raises an error.

    A file beyond MAX_BYTES, MAX_NODES or MAX_DEPTH is a problem, and so is one that is no regular file.

    Args:
        path: the file.
        model: the contract, or a function that chooses it by the content.
    """
    try:
        text = read_regular(path, MAX_BYTES).decode("utf-8")
        _require_bounded(text)
        content = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except (UnfitFile, _BeyondLimit) as error:
        return [FileProblem(path.name, "(file)", error.found, error.expected)]
    except OSError as error:
        return [FileProblem(path.name, "(file)", error.strerror or type(error).__name__, "a file that can be read")]
    except (yaml.YAMLError, ValueError, ArithmeticError) as error:  # PyYAML passes on errors of int, float and date
        return [FileProblem(path.name, "(file)", " ".join(str(error).split()), "YAML with each key once")]
    contract = model if isinstance(model, type) else model(content)
    try:
        return contract.model_validate(content)
    except ValidationError as error:
        return problems_of(path.name, error)


def require_yaml(path: Path, model: type[Model]) -> Model:
    """The file's content as a contract. Raises ValueError, which names file, field, expected and found."""
    found = read_yaml(path, model)
    if isinstance(found, list):
        raise ValueError(f"{path.parent}: {'; '.join(map(str, found))}. Fix: correct the file")
    return found


def read_folder(
    folder: Path, model: type[Model] | Callable[[object], type[Model]], skip: Collection[str] = ()
) -> tuple[dict[str, Model], dict[str, list[FileProblem]]]:
    """Reads every `*.yaml` file of a folder, but not those of folders in it. One wrong file does not stop the others.

    Args:
        folder: with the files. A folder that does not exist has none.
        model: the contract of each file, or a function that chooses it by the file's content.
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
