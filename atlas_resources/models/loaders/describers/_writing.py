"""How every describer writes: from a network's inputs to tokens, text and the record of the answer."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList, StopStringCriteria

from atlas_resources.instruments.parameters.writing import Decoding
from atlas_resources.instruments.prompts import AskedPrompt
from atlas_resources.instruments.spec.pins import pinned_files
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.instruments.spec.weights import Algorithm
from atlas_resources.instruments.texts.json_schemas import sha256_of
from atlas_resources.models.loaders._device_maps import is_spread
from atlas_resources.models.memory import peak_device_memory_bytes, peak_memory_bytes
from atlas_resources.models.protocols import Answer, Question, TextLine
from atlas_resources.models.weights import LocatedWeights

# Without forced_eos_token_id, which ends an answer at the limit as if the model had ended it.
TOKEN_IDS = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id", "forced_bos_token_id")
GENERATION_CONFIG = "generation_config.json"


class QuestionRefused(ValueError):
    """A question that the model cannot be asked as it is."""


@dataclass(frozen=True)
class Sheet:
    """What a network is given for one question.

    Attributes:
        inputs: tensors by name, each with a batch of one; `input_ids` [1, tokens] if the model takes words.
        rendered: the whole prompt, image tokens included.
        echoed: how many tokens of what the network returns are not of the answer: the prompt, or a start token.
        sent_width_px, sent_height_px: of the image as the network sees it, or of one tile.
        image_grid: frames, rows and columns of image patches; None if the model has none.
        image_token_count: how many tokens stand for the image; None if it is not one of the prompt's tokens.
    """

    inputs: Mapping[str, torch.Tensor]
    rendered: str
    echoed: int
    sent_width_px: int
    sent_height_px: int
    image_grid: tuple[int, ...] | None = None
    image_token_count: int | None = None


@contextmanager
def only_pinned(spec: Spec, weights: LocatedWeights) -> Iterator[Path]:
    """A folder with links to the files that the spec pins, and to no other of the snapshot, while the block runs.

    transformers reads whatever tokenizer, template or processor file it finds.
    """
    if spec.weights is None or isinstance(spec.weights, Algorithm) or weights.folder is None:
        raise ValueError(f"{spec.key}: expected a snapshot of files")
    with TemporaryDirectory(prefix="atlas-snapshot-") as name:
        folder = Path(name)
        for file in pinned_files(spec.weights):
            (folder / file.path).parent.mkdir(parents=True, exist_ok=True)
            (folder / file.path).symlink_to((weights.folder / file.path).resolve())
        yield folder


def declared_generation(speaker: Any, folder: Path, decoding: Decoding) -> GenerationConfig:
    """The declared decoding, with the ids of special tokens that the pinned files state; nothing else of them is used.

    Args:
        speaker: the network, or its part that writes.
        folder: the pinned files.
        decoding: the spec's parameters.
    """
    own = speaker.generation_config
    if (folder / GENERATION_CONFIG).is_file():
        own = GenerationConfig.from_pretrained(folder, local_files_only=True)
    is_drawn = decoding.temperature > 0
    drawn = {"temperature": decoding.temperature, "top_p": decoding.top_p, "top_k": 0} if is_drawn else {}
    return GenerationConfig(
        **{name: getattr(own, name, None) for name in TOKEN_IDS},
        **drawn,
        do_sample=is_drawn,
        num_beams=1,
        max_new_tokens=decoding.max_new_tokens,
        repetition_penalty=decoding.repetition_penalty,
        no_repeat_ngram_size=decoding.no_repeat_ngram_size,
        use_cache=True,
    )


class Writer:
    """Lets a network write, one question at a time: no question is padded to others.

    Args:
        network: what is called.
        speaker: the network, or its part whose generation counts.
        tokenizer: of the network.
        decoding: the spec's parameters.
        folder: the pinned files, read here only.
        device: of the network.
        prompts: what is asked, in order.
        end_ids: tokens that end an answer, for a network that ends at others than the pinned files state.
    """

    def __init__(
        self,
        network: Any,
        speaker: Any,
        tokenizer: Any,
        decoding: Decoding,
        *,
        folder: Path,
        device: str,
        prompts: Sequence[AskedPrompt] = (),
        end_ids: Sequence[int] = (),
    ):
        self.network = network.eval() if is_spread(network) else network.eval().to(device)
        self.tokenizer = tokenizer
        self.decoding = decoding
        self.device = device
        self.prompts = prompts
        speaker.generation_config = declared_generation(speaker, folder, decoding)
        ends = speaker.generation_config.eos_token_id
        self.is_encoder_decoder = bool(speaker.config.is_encoder_decoder)
        self.end_ids = set(end_ids) or ({ends} if isinstance(ends, int) else set(ends or ()))

    @torch.inference_mode()
    def write(self, sheet: Sheet, question: Question, steering: LogitsProcessor | None = None) -> "Written":
        """Writes the answer to one question.

        Args:
            sheet: the network's inputs.
            question: its attempt seeds the drawing of tokens.
            steering: changes the scores of the next token.
        """
        inputs = {name: value.to(self.device) for name, value in sheet.inputs.items()}
        prompt = sheet.inputs.get("input_ids")
        prompt_count = 0 if prompt is None else prompt.shape[1]
        more: dict[str, Any] = {"logits_processor": LogitsProcessorList([steering])} if steering else {}
        if self.decoding.stop:
            more["stopping_criteria"] = [StopStringCriteria(self.tokenizer, [self.decoding.stop])]
        started = time.perf_counter()
        with torch.random.fork_rng(devices=[self.device] if self.device.startswith("cuda") else []):
            torch.manual_seed(self.decoding.seed + question.attempt - 1)
            found = self.network.generate(**inputs, **more)[0].cpu()
        seconds = time.perf_counter() - started
        ids = found[sheet.echoed :].tolist()
        return Written(ids, self._finish_reason(ids), seconds, prompt_count)

    def _finish_reason(self, ids: list[int]) -> str:
        """`stop` at an end token or the declared text, `length` at the limit."""
        is_ended = bool(ids) and ids[-1] in self.end_ids
        is_stopped = bool(self.decoding.stop) and self.decoding.stop in self.raw_text(ids)
        return "stop" if is_ended or is_stopped else "length"

    def raw_text(self, ids: list[int]) -> str:
        """Returns the text of tokens, special ones included, exactly as the tokenizer gives it."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def plain_text(self, ids: list[int]) -> str:
        """Returns the text of tokens without special ones, up to the declared stop text, without space around it."""
        text = str(self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))
        return (text.partition(self.decoding.stop)[0] if self.decoding.stop else text).strip()

    def answer(
        self, sheet: Sheet, question: Question, written: "Written", *, template: str | None = None,
        text: str | None = None, regions: tuple[TextLine, ...] = (),
    ) -> Answer:  # fmt: skip
        """The record of an answer. Without a `text`, it is the plain text of the tokens."""
        schema = question.prompt and question.prompt.json_schema
        return Answer(
            text=self.plain_text(written.ids) if text is None else text,
            raw_text=self.raw_text(written.ids),
            finish_reason=written.finish_reason,
            sent_width_px=sheet.sent_width_px,
            sent_height_px=sheet.sent_height_px,
            rendered_prompt_sha256=sha256_of(sheet.rendered),
            chat_template_sha256=template,
            json_schema_sha256=sha256_of(schema) if schema else None,
            image_grid=sheet.image_grid,
            image_token_count=sheet.image_token_count,
            prompt_token_count=written.prompt_token_count,
            output_token_count=len(written.ids),
            answer_seconds=written.seconds,
            peak_memory_bytes=peak_device_memory_bytes() or peak_memory_bytes(),
            regions=regions,
        )


@dataclass(frozen=True)
class Written:
    """The tokens of an answer, an end token included, and how they came about."""

    ids: list[int]
    finish_reason: str
    seconds: float
    prompt_token_count: int


def require_plain_words(words: str, special_tokens: Sequence[str]) -> None:
    """Raises QuestionRefused if words hold a special token of the model, which would be read as one.

    What an earlier stage wrote is data, and may hold anything.
    """
    if found := sorted(token for token in special_tokens if token and token in words):
        raise QuestionRefused(f"expected plain words, found the model's special tokens {', '.join(map(repr, found))}")


def picture_of(pixels: np.ndarray) -> Image.Image:
    """The image of uint8 [H, W, 3], RGB in sRGB."""
    return Image.fromarray(pixels)
