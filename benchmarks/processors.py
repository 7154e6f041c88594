"""The processors of the libraries that models come with, built offline from what a spec declares."""

from collections.abc import Callable
from typing import Any

import numpy as np
import open_clip
import timm
import transformers
from open_clip.transform import PreprocessCfg, image_transform_v2, merge_preprocess_dict
from PIL import Image
from segment_anything.utils.transforms import ResizeLongestSide
from timm.data import create_transform, resolve_data_config
from torchvision.models import get_weight

from atlas_resources.instruments.spec.input import Preprocessing, Resize
from atlas_resources.instruments.spec.spec import Spec

Processor = Callable[[Image.Image], np.ndarray]
"""From an RGB image to a model's input, float32 [3, H, W]."""

CLASS_OF_LOADER = {  # of transformers, whose `Pil` classes use the Pillow backend and the others torchvision's
    "aimv2": "CLIPImageProcessor",
    "clip": "CLIPImageProcessor",
    "detr": "DetrImageProcessor",
    "dinov2": "BitImageProcessor",
    "grounding_dino": "GroundingDinoImageProcessor",
    "mask2former": "Mask2FormerImageProcessor",
    "sam": "SamImageProcessor",
    "sam_hq": "SamImageProcessor",
    "siglip": "SiglipImageProcessor",
}
RESAMPLE = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4}  # numbers of PIL.Image.Resampling


def _settings(steps: Preprocessing) -> dict[str, Any]:
    """The steps as transformers' processors name them. Where the crop begins is left to the processor."""
    settings: dict[str, Any] = {
        "resample": RESAMPLE[steps.interpolation],
        "image_mean": steps.mean,
        "image_std": steps.std,
        "do_center_crop": steps.crop_px is not None,
    }
    if steps.crop_px:
        settings["crop_size"] = {"height": steps.crop_px, "width": steps.crop_px}
    if steps.pad == "square_right_bottom" and steps.resize:
        settings["pad_size"] = {"height": steps.resize.size_px, "width": steps.resize.size_px}
    return settings | {"size": _size(steps.resize)}


def _size(resize: Resize | None) -> dict[str, int]:
    if resize is None:
        raise ValueError("a processor of transformers resizes")
    if resize.mode == "exact":
        return {"height": resize.size_px, "width": resize.size_px}
    if resize.mode == "longest_side":
        return {"longest_edge": resize.size_px}
    return {"shortest_edge": resize.size_px} | ({"longest_edge": resize.max_px} if resize.max_px else {})


def of_transformers(spec: Spec, steps: Preprocessing, suffix: str = "Pil") -> Processor:
    """transformers' processor of the spec's loader: of the Pillow backend, or without suffix of the default one."""
    processor = getattr(transformers, CLASS_OF_LOADER[spec.loader or ""] + suffix)(**_settings(steps))
    return lambda image: np.asarray(processor(image, return_tensors="pt")["pixel_values"][0])


def of_torchvision(spec: Spec) -> Processor:
    """The transforms that come with torchvision's weights."""
    transforms: Any = get_weight(spec.model_id.removeprefix("torchvision/")).transforms()
    return lambda image: transforms(image).numpy()


def of_timm() -> Processor:
    """timm's evaluation transform of EfficientNet-Lite0, by timm's own configuration."""
    network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    transform: Any = create_transform(**resolve_data_config({}, model=network))
    return lambda image: transform(image).numpy()


def of_open_clip(spec: Spec, steps: Preprocessing) -> Processor:
    """open_clip's evaluation transform: of the weights that the spec names, or with the declared mean and deviation."""
    name, tag = str(spec.parameters["architecture"]), spec.parameters.get("pretrained_tag")
    known = open_clip.get_pretrained_cfg(name, str(tag)) if tag else {"mean": steps.mean, "std": steps.std}
    names = PreprocessCfg.__dataclass_fields__
    given = {key: value for key, value in known.items() if key in names}
    merged = merge_preprocess_dict(PreprocessCfg(size=steps.crop_px or 224), given)
    transform: Any = image_transform_v2(PreprocessCfg(**merged), is_train=False)
    return lambda image: transform(image).numpy()


def of_segment_anything(steps: Preprocessing) -> Processor:
    """`ResizeLongestSide`, then the normalisation of `Sam.preprocess`, without its padding."""
    mean, std = (np.float32(values)[:, None, None] * np.float32(255) for values in (steps.mean, steps.std))

    def process(image: Image.Image) -> np.ndarray:
        raster = np.asarray(image)
        if steps.resize:
            raster = ResizeLongestSide(steps.resize.size_px).apply_image(raster)
        return (raster.transpose(2, 0, 1).astype(np.float32) - mean) / std

    return process


def of_carvekit(steps: Preprocessing) -> Processor:
    """`data_preprocessing` of ml/wrap/u2net.py in OPHoperHPO/image-background-remove-tool @f141a311, written out."""
    side_px = steps.resize.size_px if steps.resize else 320

    def process(image: Image.Image) -> np.ndarray:
        levels = np.array(image.resize((side_px, side_px), resample=3), dtype=float)
        if np.max(levels) != 0:
            levels /= np.max(levels)
        return ((levels - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)).transpose(2, 0, 1).astype(np.float32)

    return process


def reference_of(spec: Spec) -> Processor:
    """The processor that the spec's preprocessing equals.

    Raises:
        ValueError: there is none, because the preprocessing is the project's own.
    """
    steps = spec.preprocessing
    if steps is None:
        raise ValueError(f"{spec.key}: no fixed preprocessing is declared")
    if spec.loader in CLASS_OF_LOADER:
        return of_transformers(spec, steps)
    builders: dict[str, Callable[[], Processor]] = {
        "torchvision": lambda: of_torchvision(spec),
        "efficientnet_lite0": of_timm,
        "open_clip": lambda: of_open_clip(spec, steps),
        "segment_anything": lambda: of_segment_anything(steps),
        "u2net": lambda: of_carvekit(steps),
    }
    if spec.loader not in builders:
        raise ValueError(f"{spec.key}: the preprocessing of loader {spec.loader} is the project's own")
    return builders[spec.loader]()
