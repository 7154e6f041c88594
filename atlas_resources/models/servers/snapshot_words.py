"""What the pinned files of a snapshot say of words: chat template, special tokens and their ids. Read without torch."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TOKEN_IDS = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id", "forced_bos_token_id")
TEMPLATE_FILES = ("chat_template.jinja", "chat_template.json", "tokenizer_config.json")
"""Files that may hold a snapshot's chat template, in the order in which transformers takes them."""


def chat_template(files: Mapping[str, Path]) -> str | None:
    """The chat template of pinned files, by their paths in the spec; None if none of them has one."""
    for name in TEMPLATE_FILES:
        if name not in files:
            continue
        text = files[name].read_text(encoding="utf-8")
        found = text if name.endswith(".jinja") else json.loads(text).get("chat_template")
        if isinstance(found, str):
            return found
    return None


def special_tokens(files: Mapping[str, Path]) -> list[str]:
    """The tokens that a tokenizer does not read as plain words."""
    found: set[str] = set()
    if "tokenizer.json" in files:
        added = json.loads(files["tokenizer.json"].read_text(encoding="utf-8")).get("added_tokens") or []
        found.update(one["content"] for one in added)
    if "tokenizer_config.json" in files:
        config = json.loads(files["tokenizer_config.json"].read_text(encoding="utf-8"))
        found.update(one["content"] for one in (config.get("added_tokens_decoder") or {}).values())
    return sorted(found)


def token_ids(files: Mapping[str, Path]) -> dict[str, Any]:
    """The ids of special tokens, by generation_config.json, or else by config.json; those that are null left out."""
    name = "generation_config.json" if "generation_config.json" in files else "config.json"
    if name not in files:
        return {}
    config = json.loads(files[name].read_text(encoding="utf-8"))
    return {key: config[key] for key in TOKEN_IDS if config.get(key) is not None}
