"""Full-size architectures with seeded weights, put where the real loaders look for pinned ones. No benchmark by itself.

Times and memory are those of the real models; vectors and masks mean nothing.
"""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import open_clip
import segment_anything
import timm
import torch
from safetensors.torch import save_file
from segment_anything.build_sam import _build_sam
from torch import nn
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    Dinov2Config,
    Dinov2Model,
    SiglipVisionConfig,
    SiglipVisionModel,
)

from atlas_resources.instruments.instrument import Instrument
from atlas_resources.instruments.registry import read_registry
from atlas_resources.instruments.spec.numeric import Numeric
from atlas_resources.models.weights import weights_folder

SEED = 7
SMALL: dict[str, Any] = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}


@dataclass(frozen=True)
class Architecture:
    """How the network of an instrument is built.

    Attributes:
        build: returns the network; asked for a small one, with the same input and less of everything else.
        save: writes it into a folder, as a file of a name.
    """

    build: Callable[[bool], nn.Module]
    save: Callable[[Any, Path, str], None]


def _of_hub(model: Any, configuration: Any, sizes: dict[str, Any], is_small: bool) -> nn.Module:
    small = {**SMALL, **({"projection_dim": 32} if "projection_dim" in sizes else {})} if is_small else {}
    return model(configuration(**{**sizes, **small}))


def _save_pretrained(network: Any, folder: Path, name: str) -> None:
    network.save_pretrained(folder)


def _save_tensors(prefix: str, network: nn.Module, folder: Path, name: str) -> None:
    save_file({f"{prefix}{key}": value.contiguous() for key, value in network.state_dict().items()}, folder / name)


def _save_pickle(network: nn.Module, folder: Path, name: str) -> None:
    torch.save(network.state_dict(), folder / name)


def _open_clip_tower(name: str, is_small: bool) -> nn.Module:
    if is_small:
        raise NotSmall(f"open_clip's {name} has one size")
    return open_clip.create_model(name, pretrained=None).visual  # type: ignore[union-attr] # every CLIP has one


def _timm(name: str, is_small: bool) -> nn.Module:
    if is_small:
        raise NotSmall(f"timm's {name} has one size")
    return timm.create_model(name, pretrained=False, num_classes=0, global_pool="avg")


def _sam(name: str, is_small: bool) -> nn.Module:
    """A small SAM takes the place of the real one in segment-anything's table, in this process."""
    if is_small:
        shape: dict[str, Any] = {
            "encoder_embed_dim": 32, "encoder_depth": 2, "encoder_num_heads": 2, "encoder_global_attn_indexes": [1],
        }  # fmt: skip
        segment_anything.sam_model_registry[name] = partial(_build_sam, **shape)
    network = segment_anything.sam_model_registry[name]()
    for key, values in network.named_parameters():
        if "rel_pos" in key:
            nn.init.normal_(values, std=0.02)  # they begin as zeros
    return network


class NotSmall(ValueError):
    """An architecture has no small form."""


# Sizes: the config.json of each model, or those that its name stands for in the library.
CLIP_L = {
    "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16,
    "patch_size": 14, "image_size": 224, "projection_dim": 768,
}  # fmt: skip
SIGLIP = {
    "hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, "num_attention_heads": 16,
    "patch_size": 14, "image_size": 384,
}  # fmt: skip
DINOV2_L = {
    "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "patch_size": 14, "image_size": 518,
}  # fmt: skip
CLIP = partial(_of_hub, CLIPVisionModelWithProjection, CLIPVisionConfig)
ARCHITECTURES = {
    "clip_vit_base_patch32": Architecture(partial(CLIP, {"projection_dim": 512}), _save_pretrained),
    "clip_vit_large_patch14": Architecture(partial(CLIP, CLIP_L), _save_pretrained),
    "clip_vit_huge_patch14_laion2b": Architecture(
        partial(_open_clip_tower, "ViT-H-14"), partial(_save_tensors, "visual.")
    ),
    "siglip_so400m_patch14_384": Architecture(
        partial(_of_hub, SiglipVisionModel, SiglipVisionConfig, SIGLIP), _save_pretrained
    ),
    "dinov2_large": Architecture(partial(_of_hub, Dinov2Model, Dinov2Config, DINOV2_L), _save_pretrained),
    "aimv2_large_patch14_336": Architecture(
        partial(_timm, "aimv2_large_patch14_336"), partial(_save_tensors, "")
    ),
    "sam_vit_base": Architecture(partial(_sam, "vit_b"), _save_pickle),
    "sam_vit_large": Architecture(partial(_sam, "vit_l"), _save_pickle),
    "sam_vit_huge": Architecture(partial(_sam, "vit_h"), _save_pickle),
}  # fmt: skip


def seeded_instrument(
    key: str, folder: Path, numeric: Numeric, *, is_small: bool = False, side_px: int | None = None
) -> tuple[Instrument, nn.Module]:
    """Saves seeded weights below a folder, where this process then looks for all weights.

    Args:
        key: of an instrument of ARCHITECTURES.
        folder: of the caches; other weights are not found from then on.
        numeric: how numbers are computed.
        is_small: whether the network is a small one, for tests.
        side_px: side of the model's square input, if it is not the declared one.

    Returns:
        The instrument with these weights, and the network that was saved.

    Raises:
        NotSmall: the architecture has no small form.
    """
    huggingface_hub.constants.HF_HUB_CACHE = str(folder / "hub")
    os.environ["TORCH_HOME"] = str(folder / "torch")
    torch.manual_seed(SEED)
    spec: Any = read_registry().specs[key]
    architecture = ARCHITECTURES[key]
    network = architecture.build(is_small).eval()
    place = weights_folder(spec.weights)
    place.mkdir(parents=True, exist_ok=True)
    name = spec.weights.files[0].path
    architecture.save(network, place, name)
    (file,) = (one for one in spec.weights.files if one.path == name)
    pinned = file.model_copy(update={"sha256": _sha256(place / name), "size_bytes": None})
    others = [one for one in spec.weights.files[1:] if (place / one.path).is_file()]
    weights = spec.weights.model_copy(
        update={"files": [pinned, *(one.model_copy(update={"sha256": _sha256(place / one.path)}) for one in others)]}
        | ({"processor": None} if spec.weights.kind == "hub" else {})
    )
    update: dict[str, Any] = {"weights": weights, "configuration": None, "numeric": numeric}
    if side_px is not None:
        resize = spec.preprocessing.resize.model_copy(update={"size_px": side_px})
        steps = {"resize": resize, "crop_px": side_px if spec.preprocessing.crop_px else None}
        update["preprocessing"] = spec.preprocessing.model_copy(update=steps)
    if is_small and spec.output.kind == "vector":
        dim = getattr(network.config, "projection_dim", network.config.hidden_size)  # type: ignore[union-attr] # a hub network has one
        update["output"] = spec.output.model_copy(update={"dim": dim})
    spec = spec.model_copy(update=update)
    return Instrument(spec, _identity(key)), network


def _identity(key: str) -> Any:
    """Of an admitted instrument; results are thrown away, so that an idea may have another's."""
    admitted = read_registry().instruments
    return admitted[key].identity if key in admitted else next(iter(admitted.values())).identity


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
