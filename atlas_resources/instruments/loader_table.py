"""The families of models: each loader's module, version, roles and parameters. Imports no loader.

A new loader is an entry here and a module in `models/loaders/`.
"""

import json
from dataclasses import dataclass
from functools import partial
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from atlas_resources.files.contract import Contract
from atlas_resources.files.yaml_files import FileProblem, problems_of
from atlas_resources.instruments.parameters.detecting import (
    DetrParameters,
    GroundingDinoParameters,
    MtcnnParameters,
)
from atlas_resources.instruments.parameters.onnx import OnnxParameters
from atlas_resources.instruments.parameters.open_clip import OpenClipParameters, OpenClipTextParameters
from atlas_resources.instruments.parameters.reading import PpocrParameters, TesseractParameters, TrocrParameters
from atlas_resources.instruments.parameters.segmenting import OtsuParameters, SamParameters, U2NetParameters
from atlas_resources.instruments.parameters.tensors import TritonParameters
from atlas_resources.instruments.parameters.writing import (
    CaptionerParameters,
    ChatParameters,
    FlorenceParameters,
    ServedChatParameters,
)
from atlas_resources.instruments.region_plans import OutlineParameters, PaletteParameters
from atlas_resources.instruments.spec.output import PooledFeature, VectorOutput
from atlas_resources.instruments.spec.spec import Role, Spec
from atlas_resources.measures.masks.pruning import PruningRules


class NoParameters(Contract):
    """A loader without parameters."""


class HeadParameters(Contract):
    """The network that reads the embedding: one linear layer, or the five of the improved aesthetic predictor."""

    head: Literal["linear", "perceptron"]


@dataclass(frozen=True)
class LoaderEntry:
    """A family's loader.

    Attributes:
        module: where its `load` is.
        version: of its code; part of the fingerprint.
        roles: what it serves.
        parameters: schema of the spec's parameters.
        pooled_features: what its vectors may be; a spec that declares another is broken. Empty without vectors.
        reads: role of the upstream instrument whose sealed results it takes; None if it takes pixels.
        may_read: role of an upstream instrument whose sealed results it can take besides the pixels.
        has_own_steps: whether it computes the preprocessing of the model's own processor.
        is_asked: whether its model answers questions (a `Describer`). It reads a tokenizer and rules of decoding, so
            every file that the spec names must have a digest.
        reads_words: whether it reads words without answering; its tokenizer's files must have digests likewise.
        can_rank: whether its text tower can also rank the keywords of another instrument: role text, with `ranking`.
        has_attention: whether a declared attention kernel reaches its network.
        can_compile: whether its network can be compiled, in one piece.
        can_spread: whether its network may be spread over devices, by a declared device map.
        is_cpu_only: whether it computes in float32 on the CPU, whatever is declared.
        is_served: whether it is a client of a server, which the spec must declare; it computes nothing itself.
    """

    module: str
    version: int
    roles: frozenset[Role]
    parameters: type[Contract] | type[PruningRules]
    pooled_features: frozenset[PooledFeature] = frozenset()
    reads: Role | None = None
    may_read: Role | None = None
    has_own_steps: bool = False
    is_asked: bool = False
    reads_words: bool = False
    can_rank: bool = False
    has_attention: bool = False
    can_compile: bool = False
    can_spread: bool = False
    is_cpu_only: bool = False
    is_served: bool = False


ROOM = "atlas_resources.models.loaders"
EMBEDDING: frozenset[Role] = frozenset({"embedding"})
TEXT: frozenset[Role] = frozenset({"text"})
ARITHMETIC = f"{ROOM}.arithmetic"
EFFICIENTNET_LITE = LoaderEntry(
    f"{ROOM}.embedders.efficientnet_lite",
    1,
    frozenset({"embedding", "probe"}),
    NoParameters,
    frozenset({"global_average_pool"}),
)


def _tower(feature: PooledFeature) -> LoaderEntry:
    module = f"{ROOM}.embedders.towers"
    features: frozenset[PooledFeature] = frozenset({feature})
    return LoaderEntry(module, 1, EMBEDDING, NoParameters, features, has_attention=True, can_compile=True)


_describer = partial(LoaderEntry, version=1, roles=TEXT, may_read="text", is_asked=True)
_text_tower = partial(LoaderEntry, version=1, roles=frozenset({"probe", "text"}), reads="embedding", can_rank=True)


LOADERS: dict[str, LoaderEntry] = {
    "efficientnet_lite0": EFFICIENTNET_LITE,
    "efficientnet_lite2": EFFICIENTNET_LITE,
    "clip": _tower("projected_image_embedding"),
    "dinov2": _tower("cls_token"),
    "siglip": _tower("attention_pool"),
    "aimv2": LoaderEntry(
        f"{ROOM}.embedders.aimv2", 1, EMBEDDING, NoParameters, frozenset({"patch_token_mean"}), can_compile=True
    ),
    "open_clip": LoaderEntry(
        f"{ROOM}.embedders.open_clip_vision",
        1,
        EMBEDDING,
        OpenClipParameters,
        frozenset({"projected_image_embedding"}),
        can_compile=True,
    ),
    "torchvision": LoaderEntry(
        f"{ROOM}.embedders.torchvision_features",
        1,
        EMBEDDING,
        NoParameters,
        frozenset({"global_average_pool", "global_average_pool_layer_norm"}),
        can_compile=True,
    ),
    "triton": LoaderEntry(f"{ROOM}.triton", 1, frozenset({"embedding", "probe"}), TritonParameters, is_served=True),
    "image_classifier": LoaderEntry(
        f"{ROOM}.scorers.image_classifier", 1, frozenset({"probe"}), NoParameters, can_compile=True
    ),
    "aesthetic_head": LoaderEntry(
        f"{ROOM}.scorers.aesthetic_head", 1, frozenset({"probe"}), HeadParameters, reads="embedding"
    ),
    "clip_prompts": _text_tower(module=f"{ROOM}.scorers.clip_prompts", parameters=NoParameters),
    "siglip_prompts": _text_tower(module=f"{ROOM}.scorers.siglip_prompts", parameters=NoParameters, reads_words=True),
    "open_clip_prompts": _text_tower(
        module=f"{ROOM}.scorers.open_clip_prompts", parameters=OpenClipTextParameters, reads_words=True
    ),
    "detr": LoaderEntry(f"{ROOM}.detectors.detr", 1, frozenset({"detection"}), DetrParameters),
    "grounding_dino": LoaderEntry(
        f"{ROOM}.detectors.grounding_dino", 1, frozenset({"detection"}), GroundingDinoParameters
    ),
    "mtcnn": LoaderEntry(f"{ROOM}.detectors.mtcnn", 1, frozenset({"detection"}), MtcnnParameters),
    "ppocr": LoaderEntry(f"{ROOM}.readers.ppocr", 1, TEXT, PpocrParameters, is_cpu_only=True),
    "tesseract": LoaderEntry(f"{ROOM}.readers.tesseract", 1, TEXT, TesseractParameters, is_cpu_only=True),
    "trocr": LoaderEntry(f"{ROOM}.readers.trocr", 1, TEXT, TrocrParameters, reads="text"),
    "segment_anything": LoaderEntry(
        f"{ROOM}.segmenters.prompted.segment_anything", 1, frozenset({"segmentation"}), SamParameters
    ),
    "sam": LoaderEntry(f"{ROOM}.segmenters.prompted.sam", 1, frozenset({"segmentation"}), SamParameters),
    "sam_hq": LoaderEntry(f"{ROOM}.segmenters.prompted.sam", 1, frozenset({"segmentation"}), SamParameters),
    "mask2former": LoaderEntry(f"{ROOM}.segmenters.mask2former", 1, frozenset({"segmentation"}), NoParameters),
    "u2net": LoaderEntry(f"{ROOM}.segmenters.u2net", 1, frozenset({"segmentation"}), U2NetParameters),
    "onnx": LoaderEntry(
        f"{ROOM}.segmenters.onnx_saliency", 1, frozenset({"segmentation"}), OnnxParameters, is_cpu_only=True
    ),
    "otsu_luma": LoaderEntry(
        f"{ROOM}.segmenters.otsu_luma", 2, frozenset({"segmentation"}), OtsuParameters, is_cpu_only=True
    ),
    "blip": _describer(module=f"{ROOM}.describers.captioners", parameters=CaptionerParameters),
    "blip2": _describer(module=f"{ROOM}.describers.captioners", parameters=CaptionerParameters, can_spread=True),
    "florence2": _describer(module=f"{ROOM}.describers.florence", parameters=FlorenceParameters),
    "chat": _describer(
        module=f"{ROOM}.describers.chat",
        parameters=ChatParameters,
        has_own_steps=True,
        has_attention=True,
        can_spread=True,
    ),
    "openai_chat": _describer(
        module=f"{ROOM}.describers.served_chat", parameters=ServedChatParameters, has_own_steps=True, is_served=True
    ),
    "pruning": LoaderEntry(ARITHMETIC, 1, frozenset({"pruning"}), PruningRules, reads="segmentation", is_cpu_only=True),
    "palette": LoaderEntry(ARITHMETIC, 1, frozenset({"palette"}), PaletteParameters, reads="pruning", is_cpu_only=True),
    "outline": LoaderEntry(ARITHMETIC, 2, frozenset({"outline"}), OutlineParameters, reads="pruning", is_cpu_only=True),
}


def problems_with_loader(file: str, spec: Spec) -> list[FileProblem]:
    """What of a spec its loader cannot serve: name, role, upstream, pooled feature, numeric mode, parameters."""
    entry = LOADERS.get(spec.loader or "")
    if spec.loader is None:
        return []
    if entry is None:
        return [FileProblem(file, "loader", repr(spec.loader), f"one of {', '.join(sorted(LOADERS))}")]
    return _unserved(file, spec, entry) or _wrong_parameters(file, spec, entry)


def _unserved(file: str, spec: Spec, entry: LoaderEntry) -> list[FileProblem]:
    problems = []
    if spec.role not in entry.roles:
        expected = f"{' or '.join(sorted(entry.roles))} for {spec.loader}"
        problems.append(FileProblem(file, "role", repr(spec.role), expected))
    if (entry.reads is None) != (spec.upstream is None) and not entry.may_read:
        expected = f"an instrument of role {entry.reads!r}" if entry.reads else "null: its loader takes pixels"
        problems.append(FileProblem(file, "upstream", repr(spec.upstream), expected))
    if entry.is_served != (spec.served is not None):
        expected = "the program that serves the model" if entry.is_served else f"null: {spec.loader} loads the model"
        problems.append(FileProblem(file, "served", "stated" if spec.served else "null", expected))
    if (spec.ranking is not None) != (entry.can_rank and spec.role == "text"):
        expected = f"how {spec.loader} ranks keywords" if spec.ranking is None else f"null: {spec.loader} ranks none"
        problems.append(FileProblem(file, "ranking", "stated" if spec.ranking else "null", expected))
    features = entry.pooled_features
    if isinstance(spec.output, VectorOutput) and features and spec.output.pooled_feature not in features:
        expected = f"{' or '.join(sorted(features))} for {spec.loader}"
        problems.append(FileProblem(file, "output.pooled_feature", repr(spec.output.pooled_feature), expected))
    return problems + _unserved_mode(file, spec, entry)


def _unserved_mode(file: str, spec: Spec, entry: LoaderEntry) -> list[FileProblem]:
    numeric = spec.numeric
    if numeric is None:
        return []
    problems = []
    if numeric.attention is not None and not entry.has_attention:
        expected = f"null: {spec.loader} has no choice of it"
        problems.append(FileProblem(file, "numeric.attention", repr(numeric.attention), expected))
    if numeric.compile is not None and not entry.can_compile:
        expected = f"null: the network of {spec.loader} is not called in one piece"
        problems.append(FileProblem(file, "numeric.compile", repr(numeric.compile), expected))
    if numeric.device_map is not None and not entry.can_spread:
        expected = f"null: the network of {spec.loader} is on one device"
        problems.append(FileProblem(file, "numeric.device_map", repr(numeric.device_map), expected))
    if entry.is_cpu_only and (numeric.device, numeric.dtype) != ("cpu", "float32"):
        found = f"{numeric.dtype} on {numeric.device}"
        problems.append(FileProblem(file, "numeric", found, f"float32 on cpu, as {spec.loader} computes"))
    return problems


def read_parameters(spec: Spec, entry: LoaderEntry) -> Contract | PruningRules:
    """A spec's parameters by its loader's schema, types taken strictly. Raises pydantic's ValidationError."""
    # As JSON, since strict validation takes an object for a dataclass from JSON only.
    return TypeAdapter(entry.parameters).validate_json(json.dumps(spec.parameters), strict=True)


def _wrong_parameters(file: str, spec: Spec, entry: LoaderEntry) -> list[FileProblem]:
    try:
        read_parameters(spec, entry)
    except ValidationError as error:
        return problems_of(file, error, "parameters.")
    return []
