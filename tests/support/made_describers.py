"""Tiny, seeded models that write, of each real architecture, with tokenizers of bytes or letters."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    BartConfig,
    BertTokenizer,
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2Processor,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipImageProcessorPil,
    BlipProcessor,
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    Florence2Config,
    Florence2ForConditionalGeneration,
    Florence2Processor,
    Florence2VisionConfig,
    Idefics2Config,
    Idefics2ForConditionalGeneration,
    Idefics2ImageProcessorPil,
    Idefics2Processor,
    LlavaNextConfig,
    LlavaNextForConditionalGeneration,
    LlavaNextImageProcessorPil,
    LlavaNextProcessor,
    MistralConfig,
    OPTConfig,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2Tokenizer,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessorPil,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
    T5Config,
    T5Tokenizer,
)

from atlas_resources.instruments.spec.input import Resize
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.instruments.spec.weights import WeightFile
from atlas_resources.instruments.texts.json_schemas import sha256_of as sha256_of_text
from support.made_checkpoints import SEED, TOWER, sha256_of, snapshot_folder, spread
from support.made_specs import project_spec

SIDE_PX = 48
FAR_ABOVE = 8  # scale of the letters' scores: no other token is drawn
BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}IMAGE{% else %}{{ c['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""A chat template as the real ones are; IMAGE stands for the model's image tokens."""


@dataclass(frozen=True)
class MadeDescriber:
    """A tiny model on disk: the spec that pins it, its folder, and what saved it."""

    spec: Spec
    folder: Path
    network: Any
    processor: Any


def byte_tokenizer(specials: list[str], kind: Any = PreTrainedTokenizerFast, **names: str) -> Any:
    """A token per byte, after the special ones."""
    vocabulary = {token: number for number, token in enumerate([*specials, *BYTES])}
    if kind is not PreTrainedTokenizerFast:
        tokenizer = kind(vocab=vocabulary, merges=[], **names)
    else:
        model = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
        model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        model.decoder = decoders.ByteLevel()
        tokenizer = kind(tokenizer_object=model, **names)
    tokenizer.add_special_tokens({"additional_special_tokens": specials})
    return tokenizer


def seeded(kind: Any, config: Any, deviation: float = 0.4) -> Any:
    torch.manual_seed(SEED)
    return spread(kind(config), deviation)


def place(
    key: str, folder: Path, patch: pytest.MonkeyPatch, network: Any, processor: Any, **parameters: Any
) -> MadeDescriber:
    """Saves network and processor in the place of the spec's snapshot. The spec pins every file that was saved.

    What is there already is left as it is: a server may be reading it.
    """
    spec = project_spec(key)
    patch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(folder))
    where = snapshot_folder(spec, folder)
    if not where.exists():
        network.save_pretrained(where)
        processor.save_pretrained(where)
    weights: Any = spec.weights
    formats = {".safetensors": "safetensors", ".json": "json"}
    files = [
        WeightFile(path=path.name, format=formats.get(path.suffix, "text"), sha256=sha256_of(path))  # type: ignore[arg-type] # names
        for path in sorted(where.iterdir())
    ]
    changes: dict[str, Any] = {
        "weights": weights.model_copy(update={"files": files, "processor": None}),
        "configuration": None,
        "numeric": project_spec("detr_resnet50").numeric.model_copy(update={"device": "cpu"}),  # type: ignore[union-attr] # declared
        "parameters": {**spec.parameters, **parameters},
        "licence": project_spec("otsu_luma").licence,
    }
    if spec.preprocessing:
        changes["preprocessing"] = spec.preprocessing.model_copy(
            update={"resize": Resize(mode="exact", size_px=SIDE_PX)}
        )
    return MadeDescriber(spec.model_copy(update=changes), where, network, processor)


def square(kind: Any = BlipImageProcessorPil, spec_key: str = "blip_image_captioning_base", **more: Any) -> Any:
    steps = project_spec(spec_key).preprocessing
    assert steps is not None
    size = {"height": SIDE_PX, "width": SIDE_PX}
    return kind(size=size, image_mean=list(steps.mean or ()), image_std=list(steps.std or ()), resample=3, **more)


def made_blip(folder: Path, patch: pytest.MonkeyPatch) -> MadeDescriber:
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", *letters, *(f"##{letter}" for letter in letters)]
    tokenizer = BertTokenizer(vocab={word: number for number, word in enumerate(words)})
    config = BlipConfig(
        vision_config={**TOWER, "image_size": SIDE_PX, "patch_size": 16, "intermediate_size": 64},
        text_config={
            **TOWER, "vocab_size": len(words), "encoder_hidden_size": 32, "intermediate_size": 64,
            "max_position_embeddings": 64, "bos_token_id": 5, "pad_token_id": 0, "eos_token_id": 3, "sep_token_id": 3,
        },
        projection_dim=16,
    )  # fmt: skip
    processor = BlipProcessor(square(), tokenizer)
    return place(
        "blip_image_captioning_base", folder, patch, seeded(BlipForConditionalGeneration, config), processor,
        max_new_tokens=12,
    )  # fmt: skip


def made_blip2_opt(folder: Path, patch: pytest.MonkeyPatch) -> MadeDescriber:
    tokenizer = byte_tokenizer(["<pad>", "<s>", "</s>"], bos_token="</s>", eos_token="</s>", pad_token="<pad>")  # noqa: S106
    processor = Blip2Processor(square(), tokenizer, num_query_tokens=4)
    words = OPTConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, ffn_dim=64,
        max_position_embeddings=128, word_embed_proj_dim=32, bos_token_id=2, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    return place("blip2_opt_2_7b", folder, patch, seeded(Blip2ForConditionalGeneration, blip2(words, tokenizer)),
                 processor, max_new_tokens=12)  # fmt: skip


def made_blip2_t5(folder: Path, patch: pytest.MonkeyPatch) -> MadeDescriber:
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", -10.0), ("▁", -2.0)]
    pieces += [(letter, -3.0) for letter in "abcdefghijklmnopqrstuvwxyz:?."]
    tokenizer = T5Tokenizer(vocab=pieces, extra_ids=0)
    processor = Blip2Processor(square(), tokenizer, num_query_tokens=4)
    start: dict[str, Any] = {"decoder_start_token_id": 0, "eos_token_id": 1, "pad_token_id": 0}
    words = T5Config(vocab_size=len(tokenizer), d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, **start)
    network = seeded(Blip2ForConditionalGeneration, blip2(words, tokenizer))
    with torch.no_grad():
        network.language_model.lm_head.weight[1].zero_()  # otherwise each answer ends before it begins
    return place("blip2_flan_t5_xl", folder, patch, network, processor, max_new_tokens=12)


def blip2(words: Any, tokenizer: Any) -> Blip2Config:
    qformer = {**TOWER, "vocab_size": 30, "intermediate_size": 64, "encoder_hidden_size": 32,
               "cross_attention_frequency": 1}  # fmt: skip
    return Blip2Config(
        vision_config={**TOWER, "image_size": SIDE_PX, "patch_size": 16, "intermediate_size": 64},
        qformer_config=qformer,
        text_config=words.to_dict(),
        num_query_tokens=4,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )


def made_florence(folder: Path, patch: pytest.MonkeyPatch, **parameters: Any) -> MadeDescriber:
    places = [f"<loc_{number}>" for number in range(1000)]
    named: dict[str, Any] = {"extra_special_tokens": {"image_token": "<image>"}}
    tokenizer = byte_tokenizer(
        ["<s>", "<pad>", "</s>", "<unk>", "<image>", "<od>", "</od>", "<ocr>", "</ocr>", *places],
        bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>",  # noqa: S106
        **named,
    )  # fmt: skip
    steps = project_spec("florence_2_base_converted").preprocessing
    assert steps is not None
    images: Any = CLIPImageProcessorPil(
        size={"height": SIDE_PX, "width": SIDE_PX}, do_center_crop=False, resample=3, image_mean=list(steps.mean or ()),
        image_std=list(steps.std or ()),
    )  # fmt: skip
    images.image_seq_length = 5  # one of each of two rows and columns, and one of the whole
    rules: dict[str, Any] = {"pure_text": {}, "ocr": {"AREA_THRESHOLD": 0.0}, "description_with_bboxes": {}}
    processor = Florence2Processor(images, tokenizer, post_processor_config=rules)
    config = Florence2Config(
        vision_config=Florence2VisionConfig(
            depths=(1, 1, 1, 1), embed_dim=(8, 8, 16, 16), num_heads=(2, 2, 2, 2), num_groups=(2, 2, 2, 2),
            window_size=3, projection_dim=32, max_position_embeddings=8, drop_path_rate=0.0,
        ).to_dict(),
        text_config=BartConfig(
            vocab_size=len(tokenizer), d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
            decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64, max_position_embeddings=256,
            bos_token_id=0, pad_token_id=1, eos_token_id=2, decoder_start_token_id=2, forced_eos_token_id=2,
        ).to_dict(),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
    )  # fmt: skip
    network = seeded(Florence2ForConditionalGeneration, config)
    return place("florence_2_base_converted", folder, patch, network, processor, **{"max_new_tokens": 12, **parameters})


def qwen_words(image: str) -> tuple[Any, str]:
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
                "<|video_pad|>"]  # fmt: skip
    tokenizer = byte_tokenizer(specials, Qwen2Tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>")  # noqa: S106
    return tokenizer, CHATML.replace("IMAGE", image)


def qwen_text(tokenizer: Any, head_dim: int = 8) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer), "hidden_size": 4 * head_dim, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 4096, "bos_token_id": 0,
        "eos_token_id": 2, "pad_token_id": 0,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0,
                            "mrope_section": [head_dim // 8, head_dim // 8, head_dim // 4]},
    }  # fmt: skip


def qwen_ids(tokenizer: Any) -> dict[str, Any]:
    names = {"image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>",
             "vision_start_token_id": "<|vision_start|>", "vision_end_token_id": "<|vision_end|>"}  # fmt: skip
    return {name: tokenizer.convert_tokens_to_ids(token) for name, token in names.items()}


def made_qwen2_vl(
    folder: Path, patch: pytest.MonkeyPatch, *, head_dim: int = 8, is_plain: bool = False, **parameters: Any
) -> MadeDescriber:
    """A tiny Qwen2-VL.

    Args:
        folder: a hub's cache.
        patch: sets that cache.
        head_dim: of the attention; vLLM's kernels for the CPU have 32 and more.
        is_plain: whether it writes letters only, and ends by itself before long.
        parameters: of the spec.
    """
    tokenizer, template = qwen_words("<|vision_start|><|image_pad|><|vision_end|>")
    processor = Qwen2VLProcessor(Qwen2VLImageProcessorPil(), tokenizer, Qwen2VLVideoProcessor(), chat_template=template)
    vision: dict[str, Any] = {"depth": 2, "embed_dim": 32, "hidden_size": 4 * head_dim, "num_heads": 4}
    parts: dict[str, Any] = {
        "text_config": qwen_text(tokenizer, head_dim), "vision_config": vision, **qwen_ids(tokenizer)
    }  # fmt: skip
    network = seeded(Qwen2VLForConditionalGeneration, Qwen2VLConfig(**parts))
    if is_plain:
        only_letters(network, tokenizer)
    return chat("qwen2_vl_2b", folder, patch, network, processor, min_pixels=3136, max_pixels=12544, **parameters)


def only_letters(network: Any, tokenizer: Any) -> None:
    """Leaves a network letters and the end token to write: the scores of all others are 0."""
    letters = [tokenizer.convert_tokens_to_ids(letter) for letter in "abcdefghijklmnopqrstuvwxyz"]
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    with torch.no_grad():
        weight = network.get_output_embeddings().weight
        kept = torch.zeros(weight.shape[0], 1)
        kept[[*letters, end]] = FAR_ABOVE
        weight.mul_(kept)


def made_qwen2_5_vl(folder: Path, patch: pytest.MonkeyPatch, **parameters: Any) -> MadeDescriber:
    tokenizer, template = qwen_words("<|vision_start|><|image_pad|><|vision_end|>")
    processor = Qwen2_5_VLProcessor(
        Qwen2VLImageProcessorPil(), tokenizer, Qwen2VLVideoProcessor(), chat_template=template
    )
    config = Qwen2_5_VLConfig(
        text_config=qwen_text(tokenizer),
        vision_config={
            "depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 4, "out_hidden_size": 32,
            "fullatt_block_indexes": [1],
        },
        **qwen_ids(tokenizer),
    )  # fmt: skip
    return chat("qwen2_vl_2b", folder, patch, seeded(Qwen2_5_VLForConditionalGeneration, config), processor,
                min_pixels=3136, max_pixels=12544, **parameters)  # fmt: skip


def mistral(tokenizer: Any) -> dict[str, Any]:
    return MistralConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=4096, bos_token_id=1, eos_token_id=2, pad_token_id=0,
    ).to_dict()  # fmt: skip


def made_llava_next(folder: Path, patch: pytest.MonkeyPatch, **parameters: Any) -> MadeDescriber:
    specials = ["<pad>", "<s>", "</s>", "<image>", "<|im_start|>", "<|im_end|>"]
    tokenizer = byte_tokenizer(specials, bos_token="<s>", eos_token="</s>", pad_token="<pad>")  # noqa: S106
    template = CHATML.replace("IMAGE", "<image>\n")
    tiles = [[28, 56], [56, 28], [56, 56]]
    images = LlavaNextImageProcessorPil(
        size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}, image_grid_pinpoints=tiles
    )
    processor = LlavaNextProcessor(
        images, tokenizer, patch_size=14, vision_feature_select_strategy="default", num_additional_image_tokens=1,
        chat_template=template,
    )  # fmt: skip
    config = LlavaNextConfig(
        vision_config=CLIPVisionConfig(**TOWER, intermediate_size=64, image_size=28, patch_size=14).to_dict(),
        text_config=mistral(tokenizer),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_grid_pinpoints=tiles,
        image_seq_length=4,
    )
    return chat("llava_1_6_mistral_7b", folder, patch, seeded(LlavaNextForConditionalGeneration, config), processor,
                **parameters)  # fmt: skip


def made_idefics2(folder: Path, patch: pytest.MonkeyPatch, **parameters: Any) -> MadeDescriber:
    specials = ["<pad>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"]
    tokenizer = byte_tokenizer(specials, bos_token="<s>", eos_token="</s>", pad_token="<pad>")  # noqa: S106
    template = CHATML.replace("IMAGE", "<image>")
    images = Idefics2ImageProcessorPil(size={"shortest_edge": 28, "longest_edge": 56}, do_image_splitting=True)
    processor = Idefics2Processor(images, tokenizer, image_seq_len=4, chat_template=template)
    config = Idefics2Config(
        vision_config={**TOWER, "intermediate_size": 64, "image_size": 56, "patch_size": 14},
        perceiver_config={
            "hidden_size": 32, "resampler_n_latents": 4, "resampler_depth": 1, "resampler_n_heads": 4,
            "resampler_head_dim": 8, "num_key_value_heads": 2,
        },
        text_config=mistral(tokenizer),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
    )  # fmt: skip
    return chat("idefics2_8b", folder, patch, seeded(Idefics2ForConditionalGeneration, config), processor,
                **parameters)  # fmt: skip


def chat(
    key: str, folder: Path, patch: pytest.MonkeyPatch, network: Any, processor: Any, **parameters: Any
) -> MadeDescriber:
    template = sha256_of_text(processor.chat_template)
    declared = {"max_new_tokens": 12, "chat_template_sha256": template, **parameters}
    return place(key, folder, patch, network, processor, **declared)


CAPTIONERS: dict[str, Callable[..., MadeDescriber]] = {
    "blip": made_blip,
    "blip2, OPT": made_blip2_opt,
    "blip2, T5": made_blip2_t5,
}
CHATS: dict[str, Callable[..., MadeDescriber]] = {
    "Qwen2-VL": made_qwen2_vl,
    "Qwen2.5-VL": made_qwen2_5_vl,
    "LLaVA-NeXT": made_llava_next,
    "Idefics2": made_idefics2,
}
