"""From a plate's sRGB pixels to a model's input, as its spec declares. Loads torch when asked for a tensor, not before.

Equal within float rounding to transformers' image processors of the Pillow backend and to torchvision's transforms.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from PIL import Image

from atlas_resources.instruments.spec.input import Interpolation, Preprocessing, Resize

if TYPE_CHECKING:
    import torch

PILLOW_FILTERS: dict[Interpolation, Image.Resampling] = {
    "nearest": Image.Resampling.NEAREST,
    "lanczos": Image.Resampling.LANCZOS,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "box": Image.Resampling.BOX,
}


def resize(image: Image.Image, steps: Preprocessing) -> Image.Image:
    """The RGB image at the declared working size."""
    if steps.resize is None:
        return image
    return image.resize(working_size(image.width, image.height, steps.resize), PILLOW_FILTERS[steps.interpolation])


def working_size(width_px: int, height_px: int, to: Resize) -> tuple[int, int]:
    """Width and height after resizing, in pixels, rounded as each mode's reference has it.

    `shortest_side` truncates the other side: torchvision's Resize, and `get_resize_output_image_size` in
    image_transforms.py of transformers 5.23; with `max_px`, `get_size_with_aspect_ratio` there. `longest_side` rounds
    half up: `ResizeLongestSide.get_preprocess_shape` in utils/transforms.py of segment-anything 1.0.
    """
    short, long = sorted((width_px, height_px))
    if to.mode == "exact":
        return to.size_px, to.size_px
    if to.mode == "longest_side":
        scale = to.size_px / long
        return max(1, int(width_px * scale + 0.5)), max(1, int(height_px * scale + 0.5))
    exact, rounded = _shortest_side(short, long, to)
    if short == rounded:
        # The reference leaves an image alone whose shorter side is right, though the other might round to one less.
        return width_px, height_px
    other = int(exact * long / short)
    return (rounded, other) if width_px <= height_px else (other, rounded)


def _shortest_side(short: int, long: int, to: Resize) -> tuple[float, int]:
    """The shorter side in pixels, exact and rounded: less than declared where the longer would pass `max_px`."""
    if to.max_px is None or long / short * to.size_px <= to.max_px:
        return to.size_px, to.size_px
    exact = to.max_px * short / long
    return exact, round(exact)


def centre_crop(image: Image.Image, side_px: int, rounding: str | None = None) -> Image.Image:
    """The square in the middle, black where the image is too small.

    Where a margin is odd, the extra pixel stays on the right and below, as in `center_crop` of transformers 5.23
    (image_transforms.py). With `half_to_even` half the margin is rounded so, as in torchvision's CenterCrop
    (`center_crop` of transforms/functional.py, 0.29.1): a margin of 3 is cut 2 and 1.
    """
    left, top = (_cut(side, side_px, rounding) for side in image.size)
    return image.crop((left, top, left + side_px, top + side_px))


def _cut(side_px: int, wanted_px: int, rounding: str | None) -> int:
    """Pixels cut off before the crop begins; less than none where black is put before it."""
    margin = side_px - wanted_px
    if rounding is None:
        return margin // 2
    return round(margin / 2) if margin >= 0 else -(-margin // 2)


def build_preprocess(steps: Preprocessing) -> Callable[[Image.Image], "torch.Tensor"]:
    """Pixels to model input as declared: float32 [3, H, W].

    Resized and cropped by Pillow, normalised by torchvision. Padding to a batch's largest is left to `stack_padded`.
    """
    import torch
    from torchvision.transforms import v2

    stages: list[Callable] = [lambda image: resize(image, steps)]
    if crop_px := steps.crop_px:
        stages.append(lambda image: centre_crop(image, crop_px, steps.crop_rounding))
    stages += [v2.PILToTensor(), _to_image_maximum if steps.rescale else v2.ToDtype(torch.float32, scale=True)]
    if steps.mean and steps.std:
        stages.append(v2.Normalize(list(steps.mean), list(steps.std)))
    if steps.pad == "square_right_bottom":
        stages.append(_to_square)
    return v2.Compose(stages)


def _to_image_maximum(levels: "torch.Tensor") -> "torch.Tensor":
    """uint8 levels over the greatest of them, as ToTensorLab in data_loader.py of U-2-Net; all black stays 0."""
    return levels.float() / max(1, int(levels.max()))


def _to_square(pixels: "torch.Tensor") -> "torch.Tensor":
    side = max(pixels.shape[-2:])
    return _padded(pixels, side, side)


def _padded(pixels: "torch.Tensor", height_px: int, width_px: int) -> "torch.Tensor":
    from torch.nn.functional import pad

    return pad(pixels, (0, width_px - pixels.shape[-1], 0, height_px - pixels.shape[-2]))


def stack_padded(inputs: list["torch.Tensor"]) -> tuple["torch.Tensor", "torch.Tensor"]:
    """Inputs of different sizes as one batch, with zeros on the right and below: `pad: batch_right_bottom`.

    Args:
        inputs: float32 [3, h, w] each, from `build_preprocess`.

    Returns:
        Pixels, float32 [N, 3, H, W], H and W being the largest, and a mask, int64 [N, H, W], 1 where an image is.
    """
    import torch

    height, width = (max(image.shape[axis] for image in inputs) for axis in (-2, -1))
    pixels = torch.stack([_padded(image, height, width) for image in inputs])
    masks = torch.zeros((len(inputs), height, width), dtype=torch.int64)
    for mask, image in zip(masks, inputs, strict=True):
        mask[: image.shape[-2], : image.shape[-1]] = 1
    return pixels, masks
