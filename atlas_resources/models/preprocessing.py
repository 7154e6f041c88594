"""From a plate's pixels, RGB in sRGB, to a model's input, by the steps that its spec declares.

Equal, within float rounding, to transformers' image processors of the Pillow backend and to torchvision's transforms.
torch is imported only when a tensor is asked for.
"""

from collections.abc import Callable

from PIL import Image

from atlas_resources.instruments.spec.input import Interpolation, Preprocessing, Resize
from atlas_resources.models.inputs import ModelInput

PILLOW_FILTERS: dict[Interpolation, Image.Resampling] = {
    "nearest": Image.Resampling.NEAREST,
    "lanczos": Image.Resampling.LANCZOS,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "box": Image.Resampling.BOX,
}


MAX_RESIZED_PX = 1 << 26
"""Pixels of a resized image, 200 MB of RGB: at a shorter side of 518 px, a plate 250 times as long as it is wide."""


class ImageTooLong(ValueError):
    """An image is so much longer than wide that it cannot be resized by its shorter side."""


def resize(image: Image.Image, steps: Preprocessing) -> Image.Image:
    """Returns the RGB image at its working size, by the declared filter of Pillow.

    Raises:
        ImageTooLong: it would have more than MAX_RESIZED_PX pixels. Only the middle would be kept of them.
    """
    if steps.resize is None:
        return image
    width_px, height_px = working_size(image.width, image.height, steps.resize)
    if width_px * height_px > MAX_RESIZED_PX:
        raise ImageTooLong(
            f"expected an image that has at most {MAX_RESIZED_PX} pixels when its shorter side is "
            f"{min(width_px, height_px)} px, found {image.width} x {image.height} px, which would become "
            f"{width_px} x {height_px}. Crop the scan to its plate and register it again."
        )
    return image.resize((width_px, height_px), PILLOW_FILTERS[steps.interpolation])


def working_size(width_px: int, height_px: int, to: Resize) -> tuple[int, int]:
    """Returns width and height after resizing, in pixels, rounded as the reference of each mode rounds.

    `shortest_side` truncates the other side, as torchvision's Resize and `get_resize_output_image_size` in
    image_transforms.py of transformers 5.23; with `max_px`, as `get_size_with_aspect_ratio` there. `longest_side`
    rounds half up, as `ResizeLongestSide.get_preprocess_shape` in utils/transforms.py of segment-anything 1.0.
    """
    short, long = sorted((width_px, height_px))
    if to.mode == "exact":
        return to.size_px, to.size_px
    if to.mode == "longest_side":
        scale = to.size_px / long
        return max(1, int(width_px * scale + 0.5)), max(1, int(height_px * scale + 0.5))
    exact, rounded = _shortest_side(short, long, to)
    if short == rounded:
        # The reference does not resize an image whose shorter side is right, though the other might round to one less.
        return width_px, height_px
    other = int(exact * long / short)
    return (rounded, other) if width_px <= height_px else (other, rounded)


def _shortest_side(short: int, long: int, to: Resize) -> tuple[float, int]:
    """Returns the shorter side in pixels, exact and rounded: smaller where the longer one would exceed `max_px`."""
    if to.max_px is None or long / short * to.size_px <= to.max_px:
        return to.size_px, to.size_px
    exact = to.max_px * short / long
    return exact, round(exact)


def centre_crop(image: Image.Image, side_px: int, rounding: str | None = None) -> Image.Image:
    """Returns the square in the middle of the image, black where the image is too small.

    Half of an odd margin is rounded down on the left and above, as by `center_crop` in image_transforms.py of
    transformers 5.23. With `half_to_even` it is rounded half to even, as by torchvision's CenterCrop (`center_crop` in
    transforms/functional.py of 0.29.1): of a margin of 3, 2 pixels are cut on the left and 1 on the right.
    """
    left, top = (_cut(side, side_px, rounding) for side in image.size)
    return image.crop((left, top, left + side_px, top + side_px))


def _cut(side_px: int, wanted_px: int, rounding: str | None) -> int:
    """Returns the pixels cut off before the crop begins; negative where black is added."""
    margin = side_px - wanted_px
    if rounding is None:
        return margin // 2
    return round(margin / 2) if margin >= 0 else -(-margin // 2)


def build_preprocess(steps: Preprocessing) -> Callable[[Image.Image], ModelInput]:
    """Builds the function from an RGB image in sRGB to a model's input, float32 [3, H, W].

    Pillow resizes and crops; torchvision rescales to 0..1 and normalises by channel. `pad: batch_right_bottom` adds
    nothing, as a model is given images of different sizes one by one.
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


def _to_image_maximum(levels: ModelInput) -> ModelInput:
    """Divides uint8 levels [3, H, W] by the highest of them, or by 1 where all are 0.

    As ToTensorLab in data_loader.py of U-2-Net.
    """
    return levels.float() / max(1, int(levels.max()))


def _to_square(pixels: ModelInput) -> ModelInput:
    """Adds zeros on the right or below: [3, H, W] becomes [3, side, side] of the longer side."""
    from torch.nn.functional import pad

    height_px, width_px = pixels.shape[-2:]
    side_px = max(height_px, width_px)
    return pad(pixels, (0, side_px - width_px, 0, side_px - height_px))
