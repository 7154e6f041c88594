"""BLIP and BLIP-2 in the hub's own layout, loaded by transformers: a caption, or the continuation of a prompt."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import AutoTokenizer, Blip2ForConditionalGeneration, BlipForConditionalGeneration

from atlas_resources.instruments.parameters.writing import CaptionerParameters
from atlas_resources.instruments.prompts import AskedPrompt
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loaders._device_maps import places_of, spread
from atlas_resources.models.loaders._snapshots import load_whole
from atlas_resources.models.loaders.describers._writing import (
    QuestionRefused,
    Sheet,
    Writer,
    only_pinned,
    picture_of,
    require_plain_words,
)
from atlas_resources.models.preprocessing import build_preprocess
from atlas_resources.models.protocols import Answer, Question
from atlas_resources.models.weights import LocatedWeights


class Captioner:
    """Writes a caption of an image. Words are its beginning: the answer goes on from them and does not repeat them.

    Args:
        writer: the network.
        preprocess: from an RGB image to float32 [3, H, W].
        image_ids: the tokens that stand for the image, before the words; none for BLIP.
        first_ids: the tokens that a caption without words begins with.
        unspoken: how many tokens the network drops at the end of the words; BLIP drops the separator.
    """

    def __init__(
        self, writer: Writer, preprocess: Any, image_ids: Sequence[int], first_ids: Sequence[int], unspoken: int
    ):
        self.writer = writer
        self.prompts = writer.prompts
        self.device_map = places_of(writer.network)
        self.preprocess = preprocess
        self.image_ids = image_ids
        self.first_ids = first_ids
        self.unspoken = unspoken

    def describe(self, pixels: np.ndarray, questions: Sequence[Question]) -> list[Answer]:
        """Returns an answer to each question, for uint8 [H, W, 3], RGB in sRGB, at any size.

        Raises QuestionRefused for one whose answer is to follow a JSON Schema.
        """
        image = self.preprocess(picture_of(pixels))[None]
        return [self._answer(image, question) for question in questions]

    def _answer(self, image: torch.Tensor, question: Question) -> Answer:
        if question.prompt and question.prompt.json_schema:
            raise QuestionRefused("a captioner's answer follows no JSON Schema; put the question to a chat model")
        sheet = self._sheet(image, question.text)
        return self.writer.answer(sheet, question, self.writer.write(sheet, question))

    def _sheet(self, image: torch.Tensor, words: str) -> Sheet:
        require_plain_words(words, self.writer.tokenizer.all_special_tokens)
        ids = [*self.image_ids, *(self.writer.tokenizer(words).input_ids if words else self.first_ids)]
        tokens, (height_px, width_px) = torch.tensor([ids]), image.shape[-2:]
        return Sheet(
            inputs={"pixel_values": image, "input_ids": tokens, "attention_mask": torch.ones_like(tokens)},
            rendered=self.writer.raw_text(ids),
            echoed=1 if self.writer.is_encoder_decoder else len(ids) - self.unspoken,
            sent_width_px=width_px,
            sent_height_px=height_px,
            image_token_count=len(self.image_ids) or None,
        )


def load(spec: Spec, weights: LocatedWeights, device: str, prompts: Sequence[AskedPrompt] = ()) -> Captioner:
    """Loads the pinned snapshot and its tokenizer.

    Raises:
        WeightsMismatch: see `_snapshots.load_whole`.
        ValueError: the spec declares no preprocessing, or config.json of BLIP-2 names no image token.
    """
    if spec.preprocessing is None:
        raise ValueError(f"{spec.key}: expected a declared preprocessing")
    decoding = CaptionerParameters.model_validate(spec.parameters)
    architecture = {"blip": BlipForConditionalGeneration, "blip2": Blip2ForConditionalGeneration}[spec.loader or ""]
    network: Any = spread(load_whole(architecture, spec, weights), spec, device)
    words = network.config.text_config
    with only_pinned(spec, weights) as folder:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        is_blip = spec.loader == "blip"
        writer = Writer(
            network,
            network.text_decoder if is_blip else network.language_model,
            tokenizer,
            decoding,
            folder=folder,
            device=device,
            prompts=prompts,
            # BLIP's `generate` ends there, whatever generation_config.json says.
            end_ids=[words.sep_token_id] if is_blip else (),
        )
    steps = build_preprocess(spec.preprocessing)
    if is_blip:
        return Captioner(writer, steps, (), (words.bos_token_id, words.sep_token_id), unspoken=1)
    return Captioner(writer, steps, _image_ids(spec, network), _first_ids(writer, words), unspoken=0)


def _image_ids(spec: Spec, network: Any) -> list[int]:
    if network.config.image_token_id is None:
        raise ValueError(
            f"{spec.key}: expected config.json to name the image token, found none: the revision is older than "
            f"transformers' present layout. Pin one that has `image_token_index`."
        )
    return [network.config.image_token_id] * network.config.num_query_tokens


def _first_ids(writer: Writer, words: Any) -> list[int]:
    """An encoder reads an empty text; a decoder is given the token that begins one, as BLIP-2's `generate` does."""
    return writer.tokenizer("").input_ids if writer.is_encoder_decoder else [words.bos_token_id]
