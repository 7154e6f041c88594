"""Fills what a spec lacks from what the hub states about its pinned revision, and leaves the rest as it is.

A file that no hub serves is fetched and hashed; its digest is taken only if the file's name begins it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import yaml

from atlas_resources.files.digests import digest_of
from atlas_resources.files.yaml_blocks import with_block, with_items
from atlas_resources.hub.client import Hub
from atlas_resources.hub.drafting.families import (
    CLASSIFIER,
    FAMILIES,
    OPEN_CLIP,
    Family,
    NotStated,
    family_of,
    output_of,
    preprocessing_of,
)
from atlas_resources.hub.drafting.model_card import ModelCard, fetch_model_card
from atlas_resources.hub.drafting.spec_draft import family_source, licence_of, weights_of, without_declared
from atlas_resources.hub.errors import HubError
from atlas_resources.hub.planning import Step, plan_pull
from atlas_resources.instruments.loader_table import LOADERS
from atlas_resources.instruments.spec.pins import pinned_files, weight_files
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.instruments.spec.weights import HubWeights, LibraryWeights
from atlas_resources.instruments.texts.json_schemas import sha256_of

TEMPLATE = "chat_template_sha256"
SIZES = ("dim", "count", "max_boxes", "pooled_feature")
DIGEST_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.[a-z]+$")
"""torch.hub's rule of names: the first digits of the sha256, after a hyphen."""


@dataclass(frozen=True)
class Filled:
    """A spec's text with what it lacked, and a line for each thing that was filled in."""

    text: str
    lines: list[str]


def fill_spec(hub: Hub, spec: Spec, text: str, pull: Callable[[Step], Step], licence: str | None = None) -> Filled:
    """Fills a spec's file.

    Args:
        hub: to ask.
        spec: the spec, as it was read.
        text: its file's content.
        pull: does a planned step; used only for files that no hub serves.
        licence: SPDX id that a person declares.

    Raises:
        HubError: the hub cannot be asked, or states something else than the spec; or a digest cannot be proven.
    """
    match spec.weights:
        case HubWeights(repository=repository, revision=revision):
            asked = f"{repository}@{revision}" if revision else repository
            card = fetch_model_card(hub, asked, _undigested(spec))
            return _fill_from_card(spec, text, card, licence)
        case LibraryWeights(location="torch_hub"):
            return _fill_from_files(hub, spec, text, pull)
    raise HubError(f"{spec.key}: its weights are neither on a hub nor at an address, so nothing can be asked for them.")


def _fill_from_card(spec: Spec, text: str, card: ModelCard, licence: str | None) -> Filled:
    family, lines = _family_for(spec, card), []
    content = yaml.safe_load(text)
    if family is None and spec.loader is None:
        family = family_of(card)
    facts = _facts(spec, card, family, licence)
    weights, added = _filled_weights(spec, content["weights"], card, family)
    if added:
        text = with_block(text, "weights", weights)
        at = f"{card.model_id} @{card.revision}"
        text = with_items(text, "sources", [f"{', '.join(added)}: the hub's metadata of {at}"])
        lines += [f"weights: {line}" for line in added]
    filled = _filled_template(spec, text, card)
    lines += [] if filled == text else [f"parameters: {TEMPLATE}"]
    text = filled
    inherited = family.inherited() if family else {}
    fields = [name for name, value in facts.items() if value and not content.get(name)]
    for name in fields:
        text = with_block(text, name, facts[name], list(Spec.model_fields))
        stated = "as declared" if name == "licence" and licence else "as the hub states it"
        lines.append(f"{name}: {f'as in {family.like}' if family and name in inherited else stated}")
    if family and family.like and any(line.endswith(family.like) for line in lines):
        text = with_items(text, "sources", [family_source(family)])
    return Filled(without_declared(text, fields), lines)


def _undigested(spec: Spec) -> list[str]:
    """The files without a digest that a model which is asked reads besides its weights."""
    entry, weights = LOADERS.get(spec.loader or ""), spec.weights
    if entry is None or not entry.is_asked or not isinstance(weights, HubWeights):
        return []
    return [file.path for file in pinned_files(weights) if file.sha256 is None]


def _filled_template(spec: Spec, text: str, card: ModelCard) -> str:
    """The text with the digest of the chat template, if the loader takes one and the spec has none."""
    entry = LOADERS.get(spec.loader or "")
    if not entry or TEMPLATE not in entry.parameters.__annotations__ or TEMPLATE in spec.parameters:
        return text
    if card.chat_template is None:
        return text
    return with_block(text, "parameters", {**spec.parameters, TEMPLATE: sha256_of(card.chat_template)})


def _family_for(spec: Spec, card: ModelCard) -> Family | None:
    by_loader = {family.loader: family for family in (*FAMILIES.values(), CLASSIFIER, OPEN_CLIP)}
    family = by_loader.get(spec.loader or "")
    return family if family and family.role == spec.role else None


def _facts(spec: Spec, card: ModelCard, family: Family | None, licence: str | None) -> dict[str, Any]:
    """What the hub and the family say, by the spec's fields. Raises HubError where the spec declares another output."""
    facts: dict[str, Any] = {"licence": licence_of(card, licence)}
    if family is None or family.role != spec.role:
        return facts
    try:
        own = output_of(family, card)
    except NotStated:
        own = None
    if own and spec.output:
        declared = spec.output.model_dump()
        wrong = [name for name in SIZES if name in own and name in declared and own[name] != declared[name]]
        if wrong:
            found = ", ".join(f"{name} {own[wrong[0]]}" for name in wrong[:1])
            raise HubError(
                f"{spec.key}: output.{wrong[0]} is {declared[wrong[0]]} and {family.configuration} of {card.model_id} "
                f"@{card.revision} has {found}. Nothing was written. Correct model_specs/{spec.key}.yaml first."
            )
    steps = None if spec.own_preprocessing else preprocessing_of(card, family)
    written = steps and steps.model_dump(mode="json", exclude_defaults=True)
    return {"loader": family.loader, "output": own, "preprocessing": written, **family.inherited(), **facts}


def _filled_weights(
    spec: Spec, weights: dict[str, Any], card: ModelCard, family: Family | None
) -> tuple[dict[str, Any], list[str]]:
    """The part `weights` with digests, and what was added to it."""
    drafted = weights_of(card, family)
    stated = {file.path: file for file in card.files}
    added: list[str] = []
    filled = {**weights}
    if not weights.get("revision"):
        filled["revision"] = card.revision
        added.append(f"revision {card.revision}")
    files = [dict(file) for file in weights["files"]]
    if not any(file["format"] != "json" for file in files):
        named = {file["path"] for file in files}
        files = [file for file in drafted["files"] if file["path"] not in named] + files
        added += [f"file {file['path']}" for file in drafted["files"]]
    elif family and family.is_configured and not any(file["path"] == family.configuration for file in files):
        files += [file for file in drafted["files"] if file["path"] == family.configuration]
    for file in files:
        known = stated.get(file["path"])
        if known is None:
            raise HubError(f"{spec.key}: {card.asked} has no file {file['path']}. Correct weights.files.")
        if file.get("sha256") and known.sha256 and file["sha256"] != known.sha256:
            raise HubError(
                f"{spec.key}: {file['path']}: the spec pins sha256 {file['sha256']}, the hub states {known.sha256}. "
                f"Nothing was written. Find out which of the two is meant."
            )
        if known.sha256 and not file.get("sha256"):
            file["sha256"] = known.sha256
            added.append(f"sha256 of {file['path']}")
        if known.size_bytes and not file.get("size_bytes"):
            file["size_bytes"] = known.size_bytes
    filled["files"] = [{name: value for name, value in file.items() if value is not None} for file in files]
    if "processor" in drafted and not weights.get("processor"):
        filled["processor"] = drafted["processor"]
        added.append(f"sha256 of {drafted['processor']['path']}")
    return filled, added


def _fill_from_files(hub: Hub, spec: Spec, text: str, pull: Callable[[Step], Step]) -> Filled:
    """Fetches the files without a digest from their addresses, and takes the digests that their names begin."""
    content = yaml.safe_load(text)
    lines: list[str] = []
    undigested = {file.path for file in weight_files(spec) if file.sha256 is None}
    for step in plan_pull(hub, spec):
        if step.name not in undigested:
            continue
        done = pull(step)
        if done.state == "failed":
            raise HubError(f"{spec.key}: {done.detail}")
        digest = digest_of(done.path)
        _require_proven(spec, step, digest)
        (file,) = (file for file in content["weights"]["files"] if file["path"] == step.name)
        file |= {"sha256": digest, "size_bytes": done.path.stat().st_size}
        lines.append(f"weights: sha256 of {step.name}")
        source = f"Digest of {step.name}: of the file that {file['url']} served; the file's name begins it"
        text = with_items(text, "sources", [source])
    return Filled(with_block(text, "weights", content["weights"]) if lines else text, lines)


def _require_proven(spec: Spec, step: Step, digest: str) -> None:
    """Raises HubError unless the file's name begins its digest. A file whose name says another one is removed."""
    named = DIGEST_IN_NAME.search(step.name)
    if named is None:
        raise HubError(
            f"{spec.key}: {step.path} has sha256 {digest}, and nothing states that it should. If you trust {step.url}, "
            f"write the digest into model_specs/{spec.key}.yaml."
        )
    if not digest.startswith(named[1]):
        step.path.unlink(missing_ok=True)
        raise HubError(
            f"{spec.key}: {step.name} should have a sha256 that begins with {named[1]}, found {digest}. The file was "
            f"removed. Run this again; if the same file comes, ask the owner of {step.url}."
        )
