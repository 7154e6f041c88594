"""Spec files made from the project's own: copied, with one change."""

import copy
import shutil
from pathlib import Path
from typing import Any

import yaml

from atlas_resources.files.project import SPECS_FOLDER
from atlas_resources.instruments.registry import read_registry
from atlas_resources.instruments.spec.spec import Spec

PROJECT = read_registry()
ADMITTED = set(PROJECT.instruments)
WRITTEN = sorted(
    key for key, spec in PROJECT.specs.items() if spec.region is None and spec.variant_of is None
)  # the others are derived from a segmenter, or refer to another file
WRONG: dict[str, object] = {"no": "such thing"}

FieldPath = tuple[str | int, ...]


def project_spec(key: str) -> Spec:
    return PROJECT.require(key)


def content_of(key: str) -> dict[str, Any]:
    """The content of an instrument's YAML file, not validated; of a variant, joined with that of its base."""
    content = yaml.safe_load((SPECS_FOLDER / f"{key}.yaml").read_text(encoding="utf-8"))
    base = content.pop("variant_of", None)
    return {**content_of(base), **content} if base else content


def with_field(content: dict[str, Any], path: FieldPath, value: object) -> dict[str, Any]:
    """A copy of the content with one field replaced; the path consists of keys and list indexes."""
    changed = copy.deepcopy(content)
    holder: Any = changed
    for part in path[:-1]:
        holder = holder[part]
    holder[path[-1]] = value
    return changed


def without_field(content: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name not in names}


def paths_of(content: object, above: FieldPath = ()) -> list[FieldPath]:
    """Every field of the content, and every field in it; of a list, the first element's."""
    here: list[FieldPath] = [above] if above else []
    if isinstance(content, dict):
        return here + [path for key, value in content.items() for path in paths_of(value, (*above, key))]
    if isinstance(content, list) and content:
        return here + paths_of(content[0], (*above, 0))
    return here


def write_spec(folder: Path, content: dict[str, Any], stem: str | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem or content['key']}.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


def copy_of_project(folder: Path) -> Path:
    """Copies all of the project's specs and the roster into a separate folder."""
    return Path(shutil.copytree(SPECS_FOLDER, folder / "model_specs"))
