"""A tiny, seeded TrOCR of the real architecture with a byte-level tokenizer, saved by transformers."""

import json
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import torch
from transformers import TrOCRConfig, VisionEncoderDecoderConfig, VisionEncoderDecoderModel, ViTConfig

from atlas_resources.instruments.spec.spec import Spec
from support.made_checkpoints import SEED, pinned, snapshot_folder, spread
from support.made_instruments import changed
from support.made_specs import project_spec

SIDE_PX, TOKENS = 32, 12
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def trocr() -> VisionEncoderDecoderModel:
    """ViT and TrOCR's decoder, one layer each; ids of special tokens are those of the real config.json."""
    torch.manual_seed(SEED)
    encoder = ViTConfig(
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=64,
        image_size=SIDE_PX,
        patch_size=8,
    )  # fmt: skip
    decoder = TrOCRConfig(
        vocab_size=len(SPECIAL) + len(LETTERS) + 1, d_model=32, decoder_layers=1, decoder_attention_heads=4,
        decoder_ffn_dim=64, max_position_embeddings=64, cross_attention_hidden_size=32,
        decoder_start_token_id=2, bos_token_id=0, pad_token_id=1, eos_token_id=2,
    )  # fmt: skip
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    return spread(VisionEncoderDecoderModel(config), 0.4)


def reader_spec() -> Spec:
    """The project's spec at the tiny network's sizes, on the CPU."""
    return changed(
        project_spec("trocr_base_printed"),
        preprocessing={"resize": {"mode": "exact", "size_px": SIDE_PX}},
        parameters={"max_new_tokens": TOKENS, "lines_at_once": 2},
        numeric={"dtype": "float32", "device": "cpu"},
    )


def put_reader_in_hub_cache(network: Any, spec: Spec, cache: Path, patch: pytest.MonkeyPatch) -> Spec:
    """Saves the network without its pooler, as the published files are, and a tokenizer of letters; pins both."""
    patch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    folder = snapshot_folder(spec, cache)
    state = {name: value for name, value in network.state_dict().items() if not name.startswith("encoder.pooler.")}
    network.save_pretrained(folder, state_dict=state)
    vocabulary = {piece: number for number, piece in enumerate([*SPECIAL[:4], *LETTERS, "Ġ", SPECIAL[4]])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer_config.json").write_text("{}")
    return pinned(spec, folder)
