"""Any image-text-to-text model of transformers with a chat template, such as Qwen2-VL, LLaVA-NeXT and Idefics2."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoProcessor
from transformers.image_utils import SizeDict

from atlas_resources.instruments.parameters.writing import ChatParameters
from atlas_resources.instruments.prompts import AskedPrompt
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.instruments.texts.json_schemas import sha256_of
from atlas_resources.models.loaders._device_maps import places_of, spread
from atlas_resources.models.loaders._snapshots import load_whole
from atlas_resources.models.loaders.describers._schema_tokens import SchemaTokens
from atlas_resources.models.loaders.describers._writing import (
    QuestionRefused,
    Sheet,
    Writer,
    only_pinned,
    picture_of,
    require_plain_words,
)
from atlas_resources.models.processor_steps import INTERPOLATION_OF_RESAMPLE
from atlas_resources.models.protocols import Answer, Question
from atlas_resources.models.weights import LocatedWeights, WeightsMismatch


class Chat:
    """Answers a question about an image: one turn of a person with the image before the words.

    Args:
        writer: the network.
        processor: of the snapshot, its image limits as declared.
        template: the snapshot's chat template.
        schemas: keeps answers to their JSON Schema; None if the spec declares that they are only validated.
    """

    def __init__(self, writer: Writer, processor: Any, template: str, schemas: SchemaTokens | None):
        self.writer = writer
        self.prompts = writer.prompts
        self.device_map = places_of(writer.network)
        self.processor = processor
        self.template = template
        self.template_sha256 = sha256_of(template)
        self.schemas = schemas

    def describe(self, pixels: np.ndarray, questions: Sequence[Question]) -> list[Answer]:
        """Returns an answer to each question, for uint8 [H, W, 3], RGB in sRGB, at any size.

        Raises QuestionRefused for one without words, and for words that hold a special token of the model.
        """
        image = picture_of(pixels)
        return [self._answer(image, question) for question in questions]

    def _answer(self, image: Image.Image, question: Question) -> Answer:
        sheet = self._sheet(image, question.text)
        schema = question.prompt and question.prompt.json_schema
        steering = self.schemas.follow(schema, sheet.echoed) if self.schemas and schema else None
        written = self.writer.write(sheet, question, steering)
        return self.writer.answer(sheet, question, written, template=self.template_sha256)

    def _sheet(self, image: Image.Image, words: str) -> Sheet:
        if not words:
            raise QuestionRefused("a chat model must be asked something. Fix: pin a prompt set of kind `questions`")
        tokenizer = self.writer.tokenizer
        require_plain_words(words, [*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()])
        turn = {"role": "user", "content": [{"type": "image", "image": image}, {"type": "text", "text": words}]}
        asked: dict[str, Any] = {"chat_template": self.template, "add_generation_prompt": True}
        rendered = self.processor.apply_chat_template([turn], tokenize=False, **asked)
        # transformers adds no token that begins a text where the template has one.
        inputs = dict(
            self.processor.apply_chat_template([turn], tokenize=True, return_dict=True, return_tensors="pt", **asked)
        )
        tokens = inputs["input_ids"]
        grid = inputs.get("image_grid_thw")
        height_px, width_px = self._sent_size(inputs)
        return Sheet(
            inputs=inputs,
            rendered=rendered,
            echoed=tokens.shape[1],
            sent_width_px=width_px,
            sent_height_px=height_px,
            image_grid=None if grid is None else tuple(grid[0].tolist()),
            image_token_count=int((tokens == self.writer.network.config.image_token_id).sum()),
        )

    def _sent_size(self, inputs: dict[str, Any]) -> tuple[int, int]:
        """Height and width of the image as the network sees it; of one tile where the processor cuts it."""
        grid = inputs.get("image_grid_thw")
        if grid is None:
            height_px, width_px = inputs["pixel_values"].shape[-2:]
            return height_px, width_px
        side_px = self.processor.image_processor.patch_size
        return int(grid[0, 1]) * side_px, int(grid[0, 2]) * side_px


def load(spec: Spec, weights: LocatedWeights, device: str, prompts: Sequence[AskedPrompt] = ()) -> Chat:
    """Loads the pinned snapshot with its processor and its chat template.

    Raises:
        WeightsMismatch: see `_snapshots.load_whole`; or the chat template is missing, or not the declared one; or the
            image processor has another interpolation, mean or deviation than the spec's `own_preprocessing`.
        ValueError: the spec declares image limits that the processor does not have.
    """
    parameters = ChatParameters.model_validate(spec.parameters)
    network: Any = spread(load_whole(AutoModelForImageTextToText, spec, weights), spec, device)
    with only_pinned(spec, weights) as folder:
        local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        processor: Any = AutoProcessor.from_pretrained(folder, **local)
        # Not asked for above, since a processor of videos, which is loaded with the others, has one backend only.
        processor.image_processor = AutoImageProcessor.from_pretrained(
            folder, backend=parameters.image_backend, **local
        )
        template = _require_template(spec, processor, parameters)
        _require_declared_steps(spec, processor.image_processor)
        _set_limits(spec, processor, parameters)
        writer = Writer(
            network, network, processor.tokenizer, parameters, folder=folder, device=device, prompts=prompts
        )
    schemas = None
    if parameters.is_constrained:
        schemas = SchemaTokens(processor.tokenizer, network.get_output_embeddings().out_features, writer.end_ids)
    return Chat(writer, processor, template, schemas)


def _require_template(spec: Spec, processor: Any, parameters: ChatParameters) -> str:
    template = processor.chat_template or processor.tokenizer.chat_template
    found = sha256_of(template) if isinstance(template, str) else None
    if found is None or found != parameters.chat_template_sha256:
        raise WeightsMismatch(
            f"{spec.key}: expected the chat template of sha256 {parameters.chat_template_sha256}, found {found}. Pin "
            f"the file that has it under `weights`, and its digest as parameters.chat_template_sha256 in "
            f"model_specs/{spec.key}.yaml."
        )
    return template


def _require_declared_steps(spec: Spec, images: Any) -> None:
    own = spec.own_preprocessing
    found = {
        "interpolation": INTERPOLATION_OF_RESAMPLE.get(int(images.resample)),
        "mean": tuple(images.image_mean),
        "std": tuple(images.image_std),
    }
    declared = {name: getattr(own, name) for name in found} if own else {}
    if wrong := [name for name, value in declared.items() if value is not None and value != found[name]]:
        told = "; ".join(f"{name}: declared {declared[name]}, its own {found[name]}" for name in wrong)
        raise WeightsMismatch(
            f"{spec.key}: model_specs/{spec.key}.yaml declares another own_preprocessing than the snapshot's image "
            f"processor has: {told}. Correct it there."
        )


def _set_limits(spec: Spec, processor: Any, parameters: ChatParameters) -> None:
    """Sets the declared limits of the image's number of pixels in the snapshot's image processor."""
    limits = {"shortest_edge": parameters.min_pixels, "longest_edge": parameters.max_pixels}
    declared = {name: pixels for name, pixels in limits.items() if pixels}
    has_limits = "min_pixels" in type(processor.image_processor).valid_kwargs.__annotations__
    if declared and not has_limits:
        raise ValueError(
            f"{spec.key}: min_pixels and max_pixels are declared, and {type(processor.image_processor).__name__} has "
            f"no such limits. Remove them from parameters."
        )
    if has_limits and len(declared) != len(limits):
        raise ValueError(f"{spec.key}: parameters must declare min_pixels and max_pixels of the image as sent")
    if declared:
        processor.image_processor.size = SizeDict(**declared)
