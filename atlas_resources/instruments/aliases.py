"""`aliases.yaml`: other names of models, names that mean no model, and kinds of models that are not used."""

import difflib
import re
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from atlas_resources.files.contract import Contract
from atlas_resources.files.yaml_files import FileProblem, read_yaml
from atlas_resources.instruments.spec.spec import Spec

ALIASES_NAME = "aliases.yaml"


class Alias(Contract):
    """An informal name of an instrument."""

    name: str
    key: str
    why: str


class Ghost(Contract):
    """A name that people use and that means no model."""

    name: str
    why: str
    instead: list[str] = Field(description="Keys of instruments that do what was probably wanted; may be empty.")


class ExcludedKind(Contract):
    """A kind of model that is not used, recognised by what its names contain."""

    contains: list[str]
    why: str


class Names(Contract):
    """The file."""

    aliases: list[Alias] = Field(default_factory=list)
    ghosts: list[Ghost] = Field(default_factory=list)
    excluded: list[ExcludedKind] = Field(default_factory=list)

    def joined_by(self, other: "Names") -> "Names":
        """The entries of both files."""
        return Names(
            aliases=[*self.aliases, *other.aliases],
            ghosts=[*self.ghosts, *other.ghosts],
            excluded=[*self.excluded, *other.excluded],
        )


@dataclass(frozen=True)
class Resolution:
    """The instrument that a name means, and a notice if the name is an alias."""

    spec: Spec
    notice: str | None = None


def read_names(folder: Path, specs: dict[str, Spec], unreadable: set[str]) -> tuple[Names, list[FileProblem]]:
    """The file's names, and what is wrong with them; no names where there is no file.

    Args:
        folder: the specs' folder.
        specs: the specs that could be read, by key.
        unreadable: keys of specs that could not be read: a name that means one of them is not at fault.
    """
    path = folder / ALIASES_NAME
    if not path.is_file():
        return Names(), []
    names = read_yaml(path, Names)
    if not isinstance(names, Names):
        return Names(), names
    meant = [(f"aliases.{number}.key", alias.key) for number, alias in enumerate(names.aliases)]
    meant += [(f"ghosts.{number}.instead", key) for number, ghost in enumerate(names.ghosts) for key in ghost.instead]
    problems = [
        FileProblem(ALIASES_NAME, where, repr(key), "an instrument of this folder")
        for where, key in meant
        if key not in specs and key not in unreadable
    ]
    return names, problems + _taken_twice(names, specs)


def _taken_twice(names: Names, specs: dict[str, Spec]) -> list[FileProblem]:
    taken = {name.casefold() for key, spec in specs.items() for name in (key, spec.model_id)}
    problems = []
    for group, entries in (("aliases", names.aliases), ("ghosts", names.ghosts)):
        for number, entry in enumerate(entries):
            if entry.name.casefold() in taken:
                where = f"{group}.{number}.name"
                problems.append(FileProblem(ALIASES_NAME, where, repr(entry.name), "a name that means one thing"))
            taken.add(entry.name.casefold())
    return problems


def _refused(name: str, names: Names) -> str | None:
    for ghost in names.ghosts:
        if ghost.name.casefold() == name.casefold():
            instead = f" Use {' or '.join(ghost.instead)} instead." if ghost.instead else ""
            return f"{ghost.name} is not a model: {ghost.why}{instead}"
    for kind in names.excluded:
        if any(part.casefold() in name.casefold() for part in kind.contains):
            return f"{name!r} is of a kind that is not used: {kind.why}"
    return None


def key_of(model_id: str) -> str:
    """The key that a model's id suggests: `openai/clip-vit-base-patch32` gives `clip_vit_base_patch32`."""
    name = re.sub(r"[^a-z0-9]+", "_", model_id.rpartition("/")[2].lower()).strip("_")
    return (name if name[:1].isalpha() else f"model_{name}")[:63]


def _of_model(model_id: str, specs: dict[str, Spec]) -> Resolution | None:
    """The instrument of a model: of several, the one that reads pixels, then the one whose key is the model's name.

    What is derived from a segmenter, and a variant, have only their keys. Raises KeyError where that leaves several.
    """
    found = [
        spec
        for spec in specs.values()
        if spec.model_id.casefold() == model_id.casefold() and spec.region is None and spec.variant_of is None
    ]
    if not found:
        return None
    readers = [spec for spec in found if spec.upstream is None] or found
    chosen = [spec for spec in readers if spec.key == key_of(model_id)] or readers
    others = sorted({spec.key for spec in found} - {chosen[0].key})
    if len(chosen) > 1:
        keys = " or ".join(sorted(spec.key for spec in found))
        raise KeyError(f"{model_id} is the model of {len(found)} instruments. Name one: {keys}.")
    if not others:
        return Resolution(chosen[0])
    return Resolution(chosen[0], f"{model_id} means {chosen[0].key}. Of the same model: {', '.join(others)}.")


def resolve(name: str, specs: dict[str, Spec], names: Names, folder: Path) -> Resolution:
    """The instrument that a key, a model id or an alias means, in whatever letter case.

    Raises:
        KeyError: no instrument, or more than one, has this name; the message names near ones.
    """
    if name.casefold() in specs:
        return Resolution(specs[name.casefold()])
    if found := _of_model(name, specs):
        return found
    for alias in names.aliases:
        if alias.name.casefold() == name.casefold():
            if alias.key not in specs:
                raise KeyError(
                    f"{alias.name} means {alias.key}, whose spec could not be read; see `atlas models check`."
                )
            spec = specs[alias.key]
            return Resolution(spec, f"{alias.name} means {spec.model_id}, instrument {spec.key}: {alias.why}")
    if refusal := _refused(name, names):
        raise KeyError(refusal)
    known = [*specs, *(spec.model_id for spec in specs.values()), *(alias.name for alias in names.aliases)]
    near = list(dict.fromkeys(difflib.get_close_matches(name, known, n=3)))
    hint = f"Did you mean {' or '.join(near)}?" if near else "`atlas models list` shows them all."
    raise KeyError(f"no instrument {name!r} in {folder}. {hint}")
