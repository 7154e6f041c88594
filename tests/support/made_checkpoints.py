"""Tiny, seeded checkpoints of real architectures, saved by their libraries in the place of the pinned ones."""

import hashlib
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import torch
from segment_anything import sam_model_registry
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    Dinov2Config,
    Dinov2Model,
    SamConfig,
    SamHQConfig,
    SamHQModel,
    SamModel,
)

from atlas_resources.instruments.spec.spec import Spec

SIDE_PX = 56  # of every tiny model's input
SEED = 7
TOWER: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
VISION = {**TOWER, "image_size": SIDE_PX, "patch_size": 14, "intermediate_size": 64, "projection_dim": 24}


def clip_config() -> CLIPConfig:
    """As in the real config.json, the projection's size is in the vision tower's part too."""
    text = {"vocab_size": 50, "bos_token_id": 48, "eos_token_id": 49, "pad_token_id": 0, "max_position_embeddings": 8}
    return CLIPConfig(text_config={**TOWER, "intermediate_size": 64, **text}, vision_config=VISION, projection_dim=24)


def full_clip() -> CLIPModel:
    """Text and vision, as the pinned snapshot has it."""
    torch.manual_seed(SEED)
    return spread(CLIPModel(clip_config()))


def clip_vision() -> CLIPVisionModelWithProjection:
    torch.manual_seed(SEED)
    return spread(CLIPVisionModelWithProjection(CLIPVisionConfig(**VISION)))


def letters() -> CLIPTokenizer:
    """A token per letter, and one per letter that ends a word."""
    alphabet = "abcdefghijklmnopqrstuvwxyz"
    pieces = [*alphabet, *(f"{letter}</w>" for letter in alphabet), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={piece: number for number, piece in enumerate(pieces)}, merges=[])


def clip_of_letters() -> CLIPModel:
    """Text and vision, for the tokens of `letters`."""
    torch.manual_seed(SEED)
    text = {"vocab_size": 54, "bos_token_id": 52, "eos_token_id": 53, "pad_token_id": 53, "max_position_embeddings": 64}
    text_config = {**TOWER, "intermediate_size": 64, **text}
    return spread(CLIPModel(CLIPConfig(text_config=text_config, vision_config=VISION, projection_dim=24)))


def dinov2() -> Dinov2Model:
    torch.manual_seed(SEED)
    return spread(Dinov2Model(Dinov2Config(**TOWER, image_size=SIDE_PX, patch_size=14)))


def spread(network: Any, deviation: float = 0.2) -> Any:
    """Seeded weights wide enough that different images give clearly different outputs."""
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(torch.randn_like(weight) * deviation)
    return network.eval()


def tiny_sam() -> Sam:
    """segment-anything's own modules in miniature, with the real normalisation."""
    torch.manual_seed(SEED)
    encoder = ImageEncoderViT(
        img_size=64, patch_size=16, embed_dim=16, depth=2, num_heads=2, out_chans=16, use_rel_pos=True,
        window_size=2, global_attn_indexes=(1,),
    )  # fmt: skip
    return Sam(
        image_encoder=encoder,
        prompt_encoder=PromptEncoder(16, (4, 4), (64, 64), mask_in_chans=4),
        mask_decoder=MaskDecoder(
            transformer_dim=16, transformer=TwoWayTransformer(depth=1, embedding_dim=16, num_heads=2, mlp_dim=16)
        ),
        pixel_mean=[123.675, 116.28, 103.53],
        pixel_std=[58.395, 57.12, 57.375],
    ).eval()


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def snapshot_folder(spec: Spec, cache: Path) -> Path:
    """`models--<owner>--<name>/snapshots/<revision>`, the hub cache's own layout."""
    weights: Any = spec.weights
    return cache / f"models--{weights.repository.replace('/', '--')}" / "snapshots" / weights.revision


def put_in_hub_cache(network: Any, spec: Spec, cache: Path, patch: pytest.MonkeyPatch) -> Spec:
    """Saves a network in the place of the spec's pinned snapshot and returns the spec that pins this one."""
    patch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    folder = snapshot_folder(spec, cache)
    network.save_pretrained(folder)
    return pinned(spec, folder)


def put_in_torch_hub(network: torch.nn.Module, spec: Spec, home: Path, patch: pytest.MonkeyPatch) -> Spec:
    """Saves a network where torch keeps checkpoints and returns the spec that pins this one."""
    patch.setenv("TORCH_HOME", str(home))
    weights: Any = spec.weights
    path = home / "hub" / "checkpoints" / weights.files[0].path
    path.parent.mkdir(parents=True)
    torch.save(network.state_dict(), path)
    return pinned(spec, path.parent)


def pinned(spec: Spec, folder: Path) -> Spec:
    """The spec with the folder's digests of its weight file and of what else it pins, and without a processor's.

    Where it declares the real model's configuration, the file's digest takes the place of that.
    """
    weights: Any = spec.weights
    without = {"processor": None} if weights.kind == "hub" else {}
    files = [
        file.model_copy(update={"sha256": sha256_of(folder / file.path), "size_bytes": None})
        if file.sha256 or file is weights.files[0] or (spec.configuration and file.path == "config.json")
        else file
        for file in weights.files
    ]
    weights = weights.model_copy(update={"files": files, **without})
    return spec.model_copy(update={"weights": weights, "configuration": None})


def use_tiny_sam(patch: pytest.MonkeyPatch) -> None:
    """Makes segment-anything build the small one under the name of ViT-B."""
    patch.setitem(sam_model_registry, "vit_b", tiny_sam)


def sam_parts(vision: dict[str, Any]) -> dict[str, Any]:
    """The three parts of a SAM configuration: 64 px in, patches of 16, as narrow as the architecture allows."""
    return {
        "vision_config": {
            "hidden_size": 16, "output_channels": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
            "image_size": 64, "patch_size": 16, "window_size": 2, "global_attn_indexes": [1], "mlp_dim": 32,
            "num_pos_feats": 8, **vision,
        },
        "prompt_encoder_config": {"hidden_size": 16, "image_size": 64, "patch_size": 16, "mask_input_channels": 4},
        "mask_decoder_config": {
            "hidden_size": 16, "mlp_dim": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
            "iou_head_hidden_dim": 16,
        },
    }  # fmt: skip


def tiny_hub_sam() -> SamModel:
    """SAM as transformers has it, in miniature."""
    torch.manual_seed(SEED)
    return spread(SamModel(SamConfig(**sam_parts({}))), 0.5)


def tiny_sam_hq() -> SamHQModel:
    """SAM-HQ likewise; its decoder takes the encoder's own width too."""
    torch.manual_seed(SEED)
    parts = sam_parts({})
    parts["mask_decoder_config"]["vit_dim"] = 16
    return spread(SamHQModel(SamHQConfig(**parts)), 0.5)
