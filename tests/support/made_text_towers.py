"""Tiny, seeded models of an image and a text tower, saved as the hub has them, with tokenizers trained here."""

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import open_clip
import pytest
import sentencepiece
import torch
from transformers import BertConfig, BertModel, BertTokenizer, SiglipConfig, SiglipModel, SiglipTokenizer

from atlas_resources.instruments.spec.spec import Spec
from support.made_checkpoints import TOWER, pinned, snapshot_folder
from support.made_specs import project_spec
from support.tiny_networks import SQUARE, seeded

WORDS = (
    "an engraving of a heron by the water a hand coloured picture of an egg in a nest snow on a branch the scan of a "
    "printed page full and empty calm joyful powerful bird fish shell butterfly flower plate drawing"
)
"""What the tokenizers know whole or in parts; every letter is in it."""
LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class MadeTower:
    """A tiny model on disk: the spec that pins it, its folder, and what saved it."""

    spec: Spec
    folder: Path
    network: Any
    tokenizer: Any


def _folder(spec: Spec, hub: Path, patch: pytest.MonkeyPatch) -> Path:
    patch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(hub))
    folder = snapshot_folder(spec, hub)
    folder.mkdir(parents=True)
    return folder


def pieces() -> bytes:
    """A sentencepiece model of few pieces, with the ids of the special ones as SigLIP has them."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([WORDS, " ".join(LETTERS)] * 20),
        model_writer=written,
        vocab_size=60,
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    return written.getvalue()


def siglip_tower(hub: Path, patch: pytest.MonkeyPatch, inputs: tuple[str, ...] = ("input_ids",)) -> MadeTower:
    """SigLIP with texts of 64 tokens, as the real one has them. By its `inputs` the tokenizer gives a mask or none."""
    spec = project_spec("siglip_so400m_patch14_384_prompts")
    folder = _folder(spec, hub, patch)
    (folder / "spiece.model").write_bytes(pieces())
    tokenizer = SiglipTokenizer(str(folder / "spiece.model"), model_input_names=inputs)
    tokenizer.save_pretrained(folder)
    (folder / "special_tokens_map.json").write_text(json.dumps(tokenizer.special_tokens_map), encoding="utf-8")
    text = {**TOWER, "vocab_size": tokenizer.vocab_size, "intermediate_size": 64, "max_position_embeddings": 64}
    config = SiglipConfig(text_config={**text, "projection_size": 32}, vision_config={**TOWER, **SQUARE})
    network = seeded(lambda: SiglipModel(config))
    network.save_pretrained(folder)
    return MadeTower(pinned(spec, folder), folder, network, tokenizer)


def biomedclip_tower(hub: Path, patch: pytest.MonkeyPatch) -> MadeTower:
    """A vision tower of timm and a BERT with a projection, as open_clip builds BiomedCLIP, in a local folder."""
    spec = project_spec("biomedclip_prompts")
    folder = _folder(spec, hub, patch)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    tokenizer = BertTokenizer(vocab={token: number for number, token in enumerate(vocabulary)}, do_lower_case=True)
    tokenizer.save_pretrained(folder)
    bert = BertConfig(**TOWER, vocab_size=len(vocabulary), intermediate_size=64, max_position_embeddings=40)
    BertModel(bert).save_pretrained(hub / "bert")
    vision = {"timm_model_name": "test_vit", "timm_pool": "", "timm_proj": "linear", "image_size": 160}
    text = {
        "hf_model_name": str(hub / "bert"),
        "hf_tokenizer_name": "in the folder",
        "hf_proj_type": "mlp",
        "hf_pooler_type": "cls_last_hidden_state_pooler",
        "hf_model_pretrained": False,
        "context_length": 32,
    }
    means = {"mean": open_clip.OPENAI_DATASET_MEAN, "std": open_clip.OPENAI_DATASET_STD}
    sizes = {"embed_dim": 24, "vision_cfg": vision, "text_cfg": text}
    content = json.dumps({"model_cfg": sizes, "preprocess_cfg": means})
    (folder / "open_clip_config.json").write_text(content, encoding="utf-8")
    network = seeded(lambda: open_clip.create_model(f"local-dir:{folder}", load_weights=False))
    older = {"text.transformer.embeddings.position_ids": torch.arange(40)[None]}  # as files of 2023 have it
    torch.save({**network.state_dict(), **older}, folder / "open_clip_pytorch_model.bin")
    found = open_clip.get_tokenizer(f"local-dir:{folder}")
    heads = {**spec.parameters, "text_attention_heads": TOWER["num_attention_heads"]}
    whole = pinned(spec.model_copy(update={"parameters": heads}), folder)
    return MadeTower(whole, folder, network, found)
