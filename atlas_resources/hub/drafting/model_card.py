"""What a hub states about a model at one commit: metadata, files with their digests, configuration files."""

import hashlib
import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from atlas_resources.hub.client import Hub, describe, read_small
from atlas_resources.hub.errors import HubError
from atlas_resources.models.processor_steps import PROCESSOR_CONFIG

CONFIGURATIONS = ("config.json", PROCESSOR_CONFIG, "open_clip_config.json")
TEMPLATE_HOLDERS = ("chat_template.json", "processor_config.json", "tokenizer_config.json")


@dataclass(frozen=True)
class HubFile:
    """A file of a revision. sha256 is None where the hub states none and the content was not read."""

    path: str
    size_bytes: int | None
    sha256: str | None


@dataclass(frozen=True)
class ModelCard:
    """What a hub states about a model at one commit.

    Attributes:
        model_id: the model's current `owner/name`.
        asked: the name and revision that were asked for.
        revision: the commit, 40 hex digits.
        endpoint: address of the hub.
        pipeline_tag, library_name, licence_tag: of the hub's metadata, if it states them.
        files: by path.
        configurations: the parsed JSON objects of CONFIGURATIONS that the revision has, by path.
        chat_template: of the files that were read; None if none has one.
    """

    model_id: str
    asked: str
    revision: str
    endpoint: str
    pipeline_tag: str | None
    library_name: str | None
    licence_tag: str | None
    files: tuple[HubFile, ...]
    configurations: dict[str, Any]
    chat_template: str | None = None


def fetch_model_card(hub: Hub, asked: str, also: Collection[str] = ()) -> ModelCard:
    """Fetches what the hub states about a model.

    Args:
        hub: to ask.
        asked: `owner/name` or `owner/name@revision`.
        also: small files to read besides CONFIGURATIONS, for their digests, which a hub states of large files only.

    Raises:
        HubError: the hub cannot be asked, or states no commit, or a file is no JSON object.
    """
    repository, _, revision = asked.partition("@")
    info = describe(hub, repository, revision or None)
    if info.sha is None:
        raise HubError(f"{asked}: the hub states no commit. Check HF_ENDPOINT.")
    siblings = info.siblings or []
    contents = {
        sibling.rfilename: read_small(hub, info.id, info.sha, sibling.rfilename)
        for sibling in siblings
        if sibling.rfilename in CONFIGURATIONS or (sibling.rfilename in also and not sibling.lfs)
    }
    files = [
        HubFile(
            sibling.rfilename,
            sibling.size,
            sibling.lfs.sha256 if sibling.lfs else _sha256_or_none(contents.get(sibling.rfilename)),
        )
        for sibling in siblings
    ]
    return ModelCard(
        model_id=info.id,
        asked=asked,
        revision=info.sha,
        endpoint=hub.endpoint,
        pipeline_tag=info.pipeline_tag,
        library_name=info.library_name,
        licence_tag=_licence_tag(info.card_data, info.tags or []),
        files=tuple(sorted(files, key=lambda file: file.path)),
        configurations={path: _parsed(asked, path, contents[path]) for path in CONFIGURATIONS if path in contents},
        chat_template=_chat_template(asked, contents),
    )


def _chat_template(asked: str, contents: dict[str, bytes]) -> str | None:
    """The template, from the first of the files that transformers 5.23 takes it from."""
    if plain := contents.get("chat_template.jinja"):
        return plain.decode()
    held = [_parsed(asked, path, contents[path]) for path in TEMPLATE_HOLDERS if path in contents]
    return next((one["chat_template"] for one in held if isinstance(one.get("chat_template"), str)), None)


def _sha256_or_none(content: bytes | None) -> str | None:
    return None if content is None else hashlib.sha256(content).hexdigest()


def _parsed(asked: str, path: str, content: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(content)
    except (ValueError, RecursionError):  # the latter where it is nested too deeply
        parsed = None
    if not isinstance(parsed, dict):
        raise HubError(f"{asked}: {path}: expected a JSON object, found none. Pin another revision.")
    return parsed


def _licence_tag(card: Any, tags: list[str]) -> str | None:
    declared = card.get("license") if card is not None else None
    tagged = [tag.removeprefix("license:") for tag in tags if tag.startswith("license:")]
    return declared if isinstance(declared, str) else next(iter(tagged), None)


def needed_files(
    files: tuple[HubFile, ...], is_open_clip: bool = False, tokenizer: tuple[str, ...] = ()
) -> list[HubFile]:
    """Selects what a loader reads: safetensors, whole or in shards with their index, or else pickles; configuration.

    Args:
        files: of the revision.
        is_open_clip: whether the loader reads open_clip's files and not those of transformers.
        tokenizer: names of further files that it reads.
    """
    paths = {file.path: file for file in files}
    at_top = [path for path in paths if "/" not in path]
    names = ("open_clip_model.safetensors", "model.safetensors") if is_open_clip else ("model.safetensors",)
    whole = [path for path in (*names, "open_clip_model.safetensors") if path in paths][:1]
    shards = [path for path in paths if re.fullmatch(r"model-\d+-of-\d+\.safetensors(\.index\.json)?", path)]
    index = [path for path in ("model.safetensors.index.json",) if path in paths]
    others = [path for path in at_top if path.endswith(".safetensors")]
    pickles = [path for path in at_top if path.endswith((".bin", ".pt", ".pth"))]
    if is_open_clip:
        pickles = [path for path in pickles if path.startswith("open_clip")] or pickles
    weights = whole or (index + shards if shards else []) or others or pickles
    configuration = "open_clip_config.json" if is_open_clip else "config.json"
    return [paths[path] for path in weights + [path for path in (configuration, *tokenizer) if path in paths]]
