"""From a spec to a loaded model and from pixels to its input. The one place, beside the loaders, that touches torch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from PIL import Image

from atlas_resources.registry import loader_of
from atlas_resources.specs import Preprocessing, Spec
from atlas_resources.weights import hub_shut, require_weights

if TYPE_CHECKING:
    import torch

PILLOW_FILTERS = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "box": Image.Resampling.BOX,
}


class DeviceUnavailable(RuntimeError):
    """The instrument's declared device is not there."""


@dataclass(frozen=True)
class Mask:
    """One mask of a segmenter, on its working raster.

    Attributes:
        pixels: bool [H, W], True inside.
        class_name: name of its class, None for class-agnostic masks.
        predicted_iou: the model's own estimate of its quality, 0..1, if it gives one.
        stability_score: stability of the mask under a shifted threshold, 0..1, if it gives one.
    """

    pixels: np.ndarray
    class_name: str | None = None
    predicted_iou: float | None = None
    stability_score: float | None = None


@dataclass(frozen=True)
class Label:
    """What a probe can answer: the class's id in its vocabulary, and its name."""

    label_id: str
    name: str


@runtime_checkable
class Embedder(Protocol):
    """Gives a vector per image."""

    def embed(self, batch: "torch.Tensor") -> np.ndarray:
        """float32 [N, dim], raw (not normalised), of float32 [N, 3, H, W]."""
        ...


@runtime_checkable
class Scorer(Protocol):
    """Gives a score per label."""

    labels: list[Label]

    def score(self, batch: "torch.Tensor") -> tuple[np.ndarray, np.ndarray]:
        """Logits and probabilities, each float32 [N, labels], of float32 [N, 3, H, W]."""
        ...


@runtime_checkable
class Segmenter(Protocol):
    """Gives masks."""

    def segment(self, raster: np.ndarray) -> list[Mask]:
        """Masks [H, W] of one uint8 sRGB raster [H, W, 3]."""
        ...


def require_device(spec: Spec) -> str:
    """The spec's device. Raises DeviceUnavailable at once when it is not there: nothing falls back to another."""
    if spec.numeric is None or spec.numeric.device == "cpu":
        return "cpu"
    import torch

    if not torch.cuda.is_available():
        raise DeviceUnavailable(
            f"{spec.key} is declared for cuda and this machine has no CUDA device. Run it where there is one, or "
            f"declare an instrument of its own for the CPU (numeric.device: cpu) in model_specs/."
        )
    return "cuda"


def load_model(spec: Spec, paranoid: bool = False) -> Embedder | Scorer | Segmenter:
    """Loads the pinned weights, digests checked, on the declared device. Nothing connects to a network.

    Args:
        spec: the instrument.
        paranoid: hash every file again, even one whose digest is remembered.

    Raises:
        WeightsMissing, WeightsMismatch: see `weights.require_weights`.
        DeviceUnavailable: see `require_device`.
    """
    device = require_device(spec)
    with hub_shut():
        return loader_of(spec)(spec, require_weights(spec, paranoid), device)


def resize(image: Image.Image, steps: Preprocessing) -> Image.Image:
    """The RGB image at the declared working size.

    The other side rounds as each mode's reference has it. With `shortest_side` it truncates: torchvision's Resize, and
    `get_resize_output_image_size` in image_transforms.py of transformers 5.23. With `longest_side` it rounds half up:
    `ResizeLongestSide.get_preprocess_shape` in utils/transforms.py of segment-anything 1.0.
    """
    if steps.resize is None:
        return image
    width, height = image.size
    size_px = steps.resize.size_px
    if steps.resize.mode == "exact":
        size = (size_px, size_px)
    elif steps.resize.mode == "shortest_side":
        short = min(width, height)
        size = (size_px, int(size_px * height / short)) if width == short else (int(size_px * width / short), size_px)
    else:
        scale = size_px / max(width, height)
        size = (max(1, int(width * scale + 0.5)), max(1, int(height * scale + 0.5)))
    return image.resize(size, PILLOW_FILTERS[steps.interpolation])


def centre_crop(image: Image.Image, side_px: int) -> Image.Image:
    """The square in the middle, black where the image is too small.

    Where the margin is odd, the extra pixel stays on the right and below, as in `center_crop` of transformers 5.23
    (image_transforms.py); torchvision's CenterCrop would round the margin half to even.
    """
    left, top = (image.width - side_px) // 2, (image.height - side_px) // 2
    return image.crop((left, top, left + side_px, top + side_px))


def build_preprocess(steps: Preprocessing) -> Callable[[Image.Image], "torch.Tensor"]:
    """Pixels to model input as declared: float32 [3, H, W], resized and cropped by Pillow, normalised by torchvision.

    Equal to transformers' image processors of the Pillow backend within float rounding.
    """
    import torch
    from torchvision.transforms import v2

    stages: list[Callable] = [lambda image: resize(image, steps)]
    if crop_px := steps.crop_px:
        stages.append(lambda image: centre_crop(image, crop_px))
    stages += [v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True)]
    if steps.mean and steps.std:
        stages.append(v2.Normalize(list(steps.mean), list(steps.std)))
    return v2.Compose(stages)
