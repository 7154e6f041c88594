"""Florence-2 in the layout of transformers, loaded by it: one task of it, by the parameter `task`."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from transformers import Florence2ForConditionalGeneration, Florence2Processor

from atlas_resources.instruments.parameters.writing import FlorenceParameters, FlorenceTask
from atlas_resources.instruments.prompts import AskedPrompt
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loaders._snapshots import load_whole
from atlas_resources.models.loaders.describers._writing import QuestionRefused, Sheet, Writer, only_pinned, picture_of
from atlas_resources.models.preprocessing import build_preprocess
from atlas_resources.models.protocols import Answer, Question, TextLine
from atlas_resources.models.weights import LocatedWeights

TOKEN_OF_TASK: Mapping[FlorenceTask, str] = MappingProxyType(
    {  # keys of `task_prompts_without_inputs` in processing_florence2.py, transformers 5.23
        "caption": "<CAPTION>",
        "detailed_caption": "<DETAILED_CAPTION>",
        "more_detailed_caption": "<MORE_DETAILED_CAPTION>",
        "ocr": "<OCR>",
        "ocr_with_regions": "<OCR_WITH_REGION>",
        "dense_regions": "<DENSE_REGION_CAPTION>",
    }
)


class Florence:
    """Performs one task on an image."""

    def __init__(self, writer: Writer, processor: Any, preprocess: Any, task: FlorenceTask):
        self.writer = writer
        self.prompts = writer.prompts
        self.processor = processor
        self.preprocess = preprocess
        self.task: FlorenceTask = task

    def describe(self, pixels: np.ndarray, questions: Sequence[Question]) -> list[Answer]:
        """Returns an answer to each question, for uint8 [H, W, 3], RGB in sRGB, at any size.

        The task is the question. Raises QuestionRefused for one that has words of its own.
        """
        image = self.preprocess(picture_of(pixels))[None]
        return [self._answer(image, pixels, question) for question in questions]

    def _answer(self, image: torch.Tensor, pixels: np.ndarray, question: Question) -> Answer:
        if question.text:
            raise QuestionRefused(f"the task {self.task} takes no words, found {question.text!r}")
        sheet = self._sheet(image)
        written = self.writer.write(sheet, question)
        height_px, width_px = pixels.shape[:2]
        token = TOKEN_OF_TASK[self.task]
        parsed = self.processor.post_process_generation(
            text=self.writer.raw_text(written.ids), task=token, image_size=(width_px, height_px)
        )[token]
        if isinstance(parsed, str):
            return self.writer.answer(sheet, question, written, text=self.writer.plain_text(written.ids))
        regions = tuple(_regions(parsed))
        text = "\n".join(region.text for region in regions)
        return self.writer.answer(sheet, question, written, text=text, regions=regions)

    def _sheet(self, image: torch.Tensor) -> Sheet:
        """The words of the task after the image tokens, as `prepare_inputs_layout` of transformers 5.23 joins them."""
        processor, tokenizer = self.processor, self.writer.tokenizer
        words = processor.task_prompts_without_inputs[TOKEN_OF_TASK[self.task]]
        rendered = processor.image_token * processor.num_image_tokens
        rendered += f"{tokenizer.bos_token}{words}{tokenizer.eos_token}"
        inputs = dict(tokenizer(rendered, add_special_tokens=False, return_tensors="pt"))
        height_px, width_px = image.shape[-2:]
        return Sheet(
            inputs={"pixel_values": image, **inputs},
            rendered=rendered,
            echoed=1,  # the token that starts the decoder
            sent_width_px=width_px,
            sent_height_px=height_px,
            image_token_count=processor.num_image_tokens,
        )


def _regions(parsed: Mapping[str, list[Any]]) -> list[TextLine]:
    """The texts with their places, in source pixels: quadrilaterals as they are, boxes by their corners."""
    places = parsed.get("quad_boxes") or [
        (left, top, right, top, right, bottom, left, bottom) for left, top, right, bottom in parsed.get("bboxes", [])
    ]
    return [
        TextLine(text.strip(), None, np.asarray(place, dtype=np.float64).reshape(4, 2))
        for text, place in zip(parsed["labels"], places, strict=True)
        if text.strip()
    ]


def load(spec: Spec, weights: LocatedWeights, device: str, prompts: Sequence[AskedPrompt] = ()) -> Florence:
    """Loads the pinned snapshot, its tokenizer, and the rules by which its answers are parsed.

    Raises:
        WeightsMismatch: see `_snapshots.load_whole`.
        ValueError: the spec declares no preprocessing, or pins prompts, which a task has no place for; or the snapshot
            does not say how the task's answers are parsed.
    """
    if spec.preprocessing is None or prompts:
        raise ValueError(f"{spec.key}: expected a declared preprocessing and no prompts: the task is the question")
    parameters = FlorenceParameters.model_validate(spec.parameters)
    network: Any = load_whole(Florence2ForConditionalGeneration, spec, weights)
    with only_pinned(spec, weights) as folder:
        processor: Any = Florence2Processor.from_pretrained(
            folder, backend="pil", local_files_only=True, trust_remote_code=False
        )
        _require_rules(spec, processor, parameters.task)
        writer = Writer(
            network, network, processor.tokenizer, parameters, folder=folder, device=device, prompts=prompts
        )
    return Florence(writer, processor, build_preprocess(spec.preprocessing), parameters.task)


def _require_rules(spec: Spec, processor: Any, task: FlorenceTask) -> None:
    kind = processor.tasks_answer_post_processing_type[TOKEN_OF_TASK[task]]
    if kind not in (processor.post_processor_config or {}):
        raise ValueError(
            f"{spec.key}: expected post_processor_config in the snapshot's processor_config.json to have {kind!r}, by "
            f"which the answers of the task {task} are parsed. Pin that file under `weights` in "
            f"model_specs/{spec.key}.yaml."
        )
