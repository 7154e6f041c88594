"""What a loaded model of each role does, and what it returns."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from atlas_resources.instruments.prompts import AskedPrompt
from atlas_resources.measures.masks import run_lengths
from atlas_resources.models.inputs import ModelInput


@dataclass(frozen=True)
class Mask:
    """One mask of a segmenter, on its working raster, kept as run lengths: a thousand of them fit any memory.

    Attributes:
        counts: COCO's compressed run lengths, column by column, ASCII.
        height_px, width_px: of the raster.
        class_name: name of its class, None for class-agnostic masks.
        class_id: id of its class in the model's vocabulary, if it has one.
        predicted_iou: the model's own estimate of its quality, 0..1, if it gives one.
        stability_score: stability of the mask under a shifted threshold, 0..1, if it gives one; None where even the
            lower threshold leaves no pixel.
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
        """The mask of bool [H, W], True inside. Raises ValueError for an array of another kind."""
        counts = run_lengths.encode(pixels)
        height_px, width_px = pixels.shape
        return cls(counts, height_px, width_px, class_name, class_id)

    @property
    def pixels(self) -> np.ndarray:
        """bool [H, W], True inside, decoded at each call."""
        return run_lengths.decode(self.counts, self.height_px, self.width_px)


@dataclass(frozen=True)
class Label:
    """What a probe can answer: the class's id in its vocabulary and its name, or the prompt it is asked with."""

    label_id: str
    name: str
    prompt: AskedPrompt | None = None


@dataclass(frozen=True)
class Detection:
    """One box of a detector.

    Attributes:
        corners: float32 [4], left, top, right, bottom as shares of the image's width and height; they may reach a
            little beyond it.
        label: what the model calls it.
        score: 0..1, the model's own.
        label_id: the label's id in the model's vocabulary, None where it is words.
        prompt: what it was asked for, if it was asked.
    """

    corners: np.ndarray
    label: str
    score: float
    label_id: str | None = None
    prompt: AskedPrompt | None = None


@runtime_checkable
class Embedder(Protocol):
    """Gives a vector per image."""

    def embed(self, batch: ModelInput) -> np.ndarray:
        """float32 [N, dim], raw (not normalised), of float32 [N, 3, H, W]."""
        ...


@runtime_checkable
class Scorer(Protocol):
    """Gives a score per label."""

    labels: list[Label]

    def score(self, batch: ModelInput) -> tuple[np.ndarray, np.ndarray]:
        """Logits and probabilities, each float32 [N, labels], of float32 [N, 3, H, W] or of vectors [N, dim]."""
        ...


@runtime_checkable
class TextScorer(Scorer, Protocol):
    """A scorer that is asked in words: its logits are cosines with the prompts, scaled."""

    def embed_text(self, texts: list[str]) -> np.ndarray:
        """float32 [N, dim], raw, in the space of the upstream's image vectors."""
        ...

    def cosines(self, batch: ModelInput) -> np.ndarray:
        """float32 [N, prompts], of raw image vectors, float32 [N, dim]."""
        ...


@runtime_checkable
class Segmenter(Protocol):
    """Gives masks."""

    def segment(self, raster: np.ndarray) -> list[Mask]:
        """Masks [H, W] of one uint8 sRGB raster [H, W, 3]."""
        ...


@runtime_checkable
class Detector(Protocol):
    """Gives boxes."""

    def detect(self, image: ModelInput) -> list[Detection]:
        """Boxes of one image, float32 [3, H, W], in any order."""
        ...
