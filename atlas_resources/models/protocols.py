"""The methods of a loaded model of each role, and what they return."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from atlas_resources.instruments.prompts import AskedPrompt
from atlas_resources.measures.masks import run_lengths
from atlas_resources.models.inputs import ModelInput


@dataclass(frozen=True)
class Mask:
    """A mask of a segmenter on its working raster, stored as run lengths so that a thousand of them fit in memory.

    Attributes:
        counts: COCO's compressed run lengths, column by column, ASCII.
        height_px, width_px: size of the raster.
        class_name: name of its class; None for a class-agnostic mask.
        class_id: id of its class in the model's vocabulary, if there is one.
        predicted_iou: the model's own estimate of the mask's quality, 0..1, if it gives one.
        stability_score: stability of the mask under a shifted threshold, 0..1, if the model gives one; None where no
            pixel passes even the lower threshold.
    """

    counts: str
    height_px: int
    width_px: int
    class_name: str | None = None
    class_id: int | None = None
    predicted_iou: float | None = None
    stability_score: float | None = None

    @classmethod
    def encode(cls, pixels: np.ndarray, class_name: str | None = None, class_id: int | None = None) -> "Mask":
        """Encodes bool [H, W], True inside. Raises ValueError for an array of another kind."""
        counts = run_lengths.encode(pixels)
        height_px, width_px = pixels.shape
        return cls(counts, height_px, width_px, class_name, class_id)

    @property
    def pixels(self) -> np.ndarray:
        """bool [H, W], True inside. Decoded at each access."""
        return run_lengths.decode(self.counts, self.height_px, self.width_px)


@dataclass(frozen=True)
class Label:
    """What a score is for: a class, by id and name in the model's vocabulary, or a prompt, by id and text."""

    label_id: str
    name: str
    prompt: AskedPrompt | None = None


def shown_names(labels: Sequence[Label]) -> list[str]:
    """Returns the label names as people see them: the first synonym, with the id where another label has it too.

    ImageNet has two classes `crane`, a bird and a machine: `crane (n02012849)` and `crane (n03126707)`.
    """
    first = [label.name.split(",")[0] for label in labels]
    count = Counter(first)
    return [
        f"{name} ({label.label_id})" if count[name] > 1 else name for name, label in zip(first, labels, strict=True)
    ]


@dataclass(frozen=True)
class Detection:
    """A box of a detector.

    Attributes:
        corners: float32 [4], left, top, right, bottom as shares of the image's width and height. They may be a little
            outside 0..1.
        label: the model's name for what is in the box.
        score: the model's own, 0..1.
        label_id: id of the label in the model's vocabulary; None where the label is words of a prompt.
        is_ambiguous: whether another label of the vocabulary has the same name.
        prompt: the prompt that the box answers, if the model was given prompts.
    """

    corners: np.ndarray
    label: str
    score: float
    label_id: str | None = None
    prompt: AskedPrompt | None = None
    is_ambiguous: bool = False

    @property
    def shown_label(self) -> str:
        """The label as people see it: with its id where the name alone does not tell which label it is."""
        return f"{self.label} ({self.label_id})" if self.is_ambiguous else self.label


@runtime_checkable
class Embedder(Protocol):
    """Turns images into vectors."""

    def embed(self, batch: ModelInput) -> np.ndarray:
        """Returns float32 [N, dim], not normalised, for a batch float32 [N, 3, H, W]."""
        ...


@runtime_checkable
class Scorer(Protocol):
    """Scores images, or vectors of them, by labels."""

    labels: list[Label]

    def score(self, batch: ModelInput) -> tuple[np.ndarray, np.ndarray]:
        """Returns logits and probabilities, each float32 [N, labels].

        Args:
            batch: images float32 [N, 3, H, W]; of a scorer that reads another instrument, raw vectors float32 [N, dim].
        """
        ...


@runtime_checkable
class TextEmbedder(Protocol):
    """Turns texts into vectors of the space that its model shares with images."""

    def embed_text(self, texts: list[str]) -> np.ndarray:
        """Returns float32 [N, dim], not normalised, in the space of the image vectors that its instrument reads."""
        ...


@runtime_checkable
class TemplateEmbedder(TextEmbedder, Protocol):
    """A text tower with the templates that a keyword is put into.

    Attributes:
        templates: prompts of the kind `templates`, in order.
    """

    templates: Sequence[AskedPrompt]


@runtime_checkable
class TextScorer(Scorer, TextEmbedder, Protocol):
    """A scorer whose labels are texts. Its logits are the cosines of images and texts, scaled and shifted."""

    def cosines(self, batch: ModelInput) -> np.ndarray:
        """Returns float32 [N, prompts], -1..1, for raw image vectors float32 [N, dim]."""
        ...


@runtime_checkable
class Segmenter(Protocol):
    """Finds masks in an image."""

    def segment(self, raster: np.ndarray) -> list[Mask]:
        """Returns the masks, each [H, W], of one raster: uint8 [H, W, 3], RGB in sRGB."""
        ...


@runtime_checkable
class Detector(Protocol):
    """Finds boxes in an image."""

    def detect(self, image: ModelInput) -> list[Detection]:
        """Returns the boxes of one image, float32 [3, H, W], in any order."""
        ...


@dataclass(frozen=True)
class TextLine:
    """A line of text that was read on an image.

    Attributes:
        text: what was read, not empty.
        score: the model's own, 0..1; None if it gives none.
        corners: float64 [4, 2], x and y of the corners, clockwise from the text's upper left, pixels of the image.
        language: ISO 639 code; None if the model does not tell.
    """

    text: str
    score: float | None
    corners: np.ndarray
    language: str | None = None


@runtime_checkable
class PageReader(Protocol):
    """Finds and reads lines of text on an image."""

    def read_page(self, pixels: np.ndarray) -> list[TextLine]:
        """Returns the lines in reading order, for uint8 [H, W, 3], RGB in sRGB."""
        ...


@runtime_checkable
class LineReader(Protocol):
    """Reads lines of text that were cut out."""

    def read_lines(self, lines: Sequence[np.ndarray]) -> list[tuple[str, float | None]]:
        """Returns the text and the score of each line, uint8 [h, w, 3], RGB in sRGB, of any size."""
        ...


@dataclass(frozen=True)
class Question:
    """What a model is asked about an image.

    Attributes:
        prompt: a prompt of a pinned set; None for a model that takes an image only.
        text: the words that are asked: the prompt's, with what an earlier stage said filled in.
        attempt: 1 for the first time; a drawn answer depends on it, a greedy one does not.
    """

    prompt: AskedPrompt | None = None
    text: str = ""
    attempt: int = 1


@dataclass(frozen=True)
class Answer:
    """What a model wrote about an image, and how. Fields are as the columns ANSWER; `text` has no special tokens.

    `finish_reason` is `length` where the answer was cut off. `regions` are texts that the answer has places for, in the
    pixels of the image.
    """

    text: str
    raw_text: str
    finish_reason: str
    sent_width_px: int
    sent_height_px: int
    rendered_prompt_sha256: str | None = None
    chat_template_sha256: str | None = None
    json_schema_sha256: str | None = None
    image_grid: tuple[int, ...] | None = None
    image_token_count: int | None = None
    prompt_token_count: int | None = None
    output_token_count: int | None = None
    answer_seconds: float | None = None
    peak_memory_bytes: int | None = None
    server_sha256: str | None = None
    attested_by: str | None = None
    request_count: int | None = None
    regions: tuple[TextLine, ...] = ()


class AnswerRefused(ValueError):
    """A question about one image to which there is no answer. Other images can still be asked about."""


@runtime_checkable
class Describer(Protocol):
    """Answers questions about an image.

    A describer may have two attributes more: `concurrency`, how many images may be asked about at once, on threads; and
    `server`, the record of the server that answers for it.

    Attributes:
        prompts: what it is asked, in order; empty for a model that takes an image only.
    """

    prompts: Sequence[AskedPrompt]

    def describe(self, pixels: np.ndarray, questions: Sequence[Question]) -> list[Answer]:
        """Returns an answer to each question, for uint8 [H, W, 3], RGB in sRGB, at any size."""
        ...
