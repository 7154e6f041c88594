"""Reads a model's configuration files: the steps of its image processor in the words of a spec, and its sizes.

The only module that reads `preprocessor_config.json`. transformers reads the files, so that their older forms and the
defaults of each class count as they do when the model is used.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from atlas_resources.instruments.spec.input import Interpolation, Preprocessing, Reference, Resize
from atlas_resources.models.weights import hub_offline

PROCESSOR_CONFIG = "preprocessor_config.json"
JOINT_CONFIG = "processor_config.json"
"""Where transformers 5 saves the processors of images and of text together."""
INTERPOLATION_OF_RESAMPLE: dict[int, Interpolation] = {  # numbers of PIL.Image.Resampling
    0: "nearest",
    1: "lanczos",
    2: "bilinear",
    3: "bicubic",
    4: "box",
}
# The `do_` switches of transformers' processors: those that a spec can state, and those that change no pixel.
STATED_SWITCHES = {"do_resize", "do_center_crop", "do_rescale", "do_normalize", "do_pad"}
SWITCHES_WITHOUT_EFFECT = {"do_convert_rgb", "do_convert_annotations", "do_reduce_labels"}
# Methods that change pixels. A class with its own may do something that its settings do not say, as Qwen2-VL's does:
# its `shortest_edge` is a number of pixels in all. Of these classes the settings are read right (transformers 5.23).
PIXEL_METHODS = ("preprocess", "_preprocess", "resize", "center_crop", "pad", "rescale", "normalize")
READ_RIGHT = {
    "BeitImageProcessorPil",
    "ConvNextImageProcessorPil",
    "DetrImageProcessorPil",
    "GroundingDinoImageProcessorPil",
    "Mask2FormerImageProcessorPil",
    "MobileNetV2ImageProcessorPil",
    "SamImageProcessorPil",
    "SegformerImageProcessorPil",
}
SQUASHED_FROM_PX = 384  # ConvNextImageProcessor of transformers 5.23 crops below this size and squashes from it on
RESCALE_TOLERANCE = 1e-6  # of 255 times the factor: configurations hold 1/255 rounded


class StepsUnreadable(ValueError):
    """A processor's file cannot be read, or the processor does something that a spec cannot state."""


def _build_steps(
    reference: Reference, resize: Resize | None, interpolation: Interpolation, **more: Any
) -> Preprocessing:
    """Builds a spec's preprocessing of the full-size sRGB source. `more` are further fields of `Preprocessing`."""
    always: dict[str, Any] = {"raster": "source", "colour_policy": "srgb8-v2", "backend": "pillow"}
    return Preprocessing(reference=reference, resize=resize, interpolation=interpolation, **always, **more)


def steps_of_configurations(configurations: Mapping[str, Any]) -> Preprocessing:
    """Reads the steps from the parsed configuration files of a revision that is not on disk.

    Args:
        configurations: the JSON objects by file name: `preprocessor_config.json`, and `config.json` if there is one.
            transformers takes the class of the processor from the first, or from the model type in the second.

    Raises:
        StepsUnreadable: see `steps_of_snapshot`.
    """
    with TemporaryDirectory(prefix="atlas-processor-") as folder, hub_offline():
        for name in {PROCESSOR_CONFIG, "config.json"} & configurations.keys():
            (Path(folder) / name).write_text(json.dumps(configurations[name]), encoding="utf-8")
        return steps_of_snapshot(Path(folder))


def read_configuration(configuration: Mapping[str, Any]) -> Any:
    """Reads a parsed config.json as transformers does, with the defaults of its class.

    Raises:
        StepsUnreadable: transformers cannot read it.
    """
    from huggingface_hub import errors
    from transformers import AutoConfig

    with TemporaryDirectory(prefix="atlas-configuration-") as folder, hub_offline():
        (Path(folder) / "config.json").write_text(json.dumps(configuration), encoding="utf-8")
        try:
            return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        except (
            ValueError, TypeError, LookupError, AttributeError, ImportError, OSError, errors.StrictDataclassError,
        ) as error:  # fmt: skip # a file may hold anything, and transformers checks little of it
            raise StepsUnreadable(f"transformers cannot read it: {error}") from error


def processor_file(folder: Path) -> Path | None:
    """Returns the file of a snapshot folder that has the settings of its image processor; None if none has."""
    for name in (PROCESSOR_CONFIG, JOINT_CONFIG):
        path = folder / name
        if path.is_file() and (name == PROCESSOR_CONFIG or "image_processor" in path.read_text(encoding="utf-8")):
            return path
    return None


def steps_of_snapshot(folder: Path) -> Preprocessing:
    """Reads the steps from the file of a snapshot folder that `processor_file` finds.

    Code that comes with a repository is never run.

    Raises:
        StepsUnreadable: transformers cannot read the file, or the processor does something that a spec cannot state.
    """
    from huggingface_hub import errors
    from transformers import AutoImageProcessor

    try:
        processor = AutoImageProcessor.from_pretrained(
            folder, backend="pil", local_files_only=True, trust_remote_code=False
        )
        return _steps_of_processor(processor)
    except StepsUnreadable:
        raise
    except (
        ValueError, TypeError, LookupError, AttributeError, ImportError, OSError, errors.StrictDataclassError,
    ) as error:  # fmt: skip # a file may hold anything, and transformers checks little of it
        raise StepsUnreadable(f"transformers cannot read it: {error}") from error


def _steps_of_processor(processor: Any) -> Preprocessing:
    _require_common_steps(processor)
    resize, crop_px = _resize_and_crop(processor) if processor.do_resize else (None, _crop(processor))
    resample = int(processor.resample)
    if resample not in INTERPOLATION_OF_RESAMPLE:
        raise StepsUnreadable(f"resample {resample} is none of {INTERPOLATION_OF_RESAMPLE}")
    return _build_steps(
        "transformers_pillow",
        resize,
        INTERPOLATION_OF_RESAMPLE[resample],
        crop_px=crop_px,
        mean=processor.image_mean if processor.do_normalize else None,
        std=processor.image_std if processor.do_normalize else None,
        pad=_pad(processor),
    )


def _require_common_steps(processor: Any) -> None:
    """Raises StepsUnreadable where the class or its switches do more to the pixels than the settings read here say."""
    from transformers.image_processing_backends import PilBackend

    kind = type(processor)
    own = [name for name in PIXEL_METHODS if getattr(kind, name, None) is not getattr(PilBackend, name)]
    if own and kind.__name__ not in READ_RIGHT:
        raise StepsUnreadable(f"{kind.__name__} has a method of its own for {', '.join(own)}")
    switches = {name for name, value in vars(processor).items() if name.startswith("do_") and value}
    if unknown := sorted(switches - STATED_SWITCHES - SWITCHES_WITHOUT_EFFECT):
        raise StepsUnreadable(f"{kind.__name__} does what a spec cannot state: {', '.join(unknown)}")
    if not (processor.do_rescale and abs(processor.rescale_factor * 255 - 1) < RESCALE_TOLERANCE):
        raise StepsUnreadable(f"{kind.__name__} does not divide pixels by 255, which every spec does")


def _resize_and_crop(processor: Any) -> tuple[Resize, int | None]:
    size = processor.size
    if type(processor).__name__ == "ConvNextImageProcessorPil":
        side_px = size.shortest_edge
        if side_px >= SQUASHED_FROM_PX:
            return Resize(mode="exact", size_px=side_px), _crop(processor)
        return Resize(mode="shortest_side", size_px=int(side_px / processor.crop_pct)), side_px
    if size.shortest_edge:
        resize = Resize(mode="shortest_side", size_px=size.shortest_edge, max_px=size.longest_edge)
    elif size.longest_edge:
        resize = Resize(mode="longest_side", size_px=size.longest_edge)
    else:
        resize = Resize(mode="exact", size_px=_side(size))
    divisor = getattr(processor, "size_divisor", None)  # Mask2Former's: sides are rounded up to a multiple of it
    if divisor and (resize.mode != "exact" or resize.size_px % divisor):
        raise StepsUnreadable(f"sides are rounded up to a multiple of {divisor}")
    return resize, _crop(processor)


def _crop(processor: Any) -> int | None:
    return _side(processor.crop_size) if processor.do_center_crop else None


def _side(size: Any) -> int:
    if not size.height or size.height != size.width:
        raise StepsUnreadable(f"expected the same height and width, found {size}")
    return size.height


def _pad(processor: Any) -> str | None:
    if not processor.do_pad:
        return None
    if processor.pad_size is None:
        return "batch_right_bottom"
    if _side(processor.pad_size) == processor.size.longest_edge:
        return "square_right_bottom"
    raise StepsUnreadable(f"it pads to {processor.pad_size}, which is not the longest side")


def steps_of_open_clip(settings: Mapping[str, Any], side_px: int) -> Preprocessing:
    """Reads the steps of open_clip's transforms.

    Args:
        settings: the model's `preprocess_cfg`; open_clip's PreprocessCfg has the defaults of what is missing.
        side_px: side of the vision tower's square input.

    Raises:
        StepsUnreadable: the images are resized in a way that a spec cannot state.
    """
    from open_clip.transform import PreprocessCfg, merge_preprocess_dict

    merged = merge_preprocess_dict(PreprocessCfg(size=side_px), dict(settings))
    if merged["resize_mode"] not in {"shortest", "squash"}:
        raise StepsUnreadable(f"open_clip's resize_mode is {merged['resize_mode']}")
    is_cropped = merged["resize_mode"] == "shortest"
    return _build_steps(
        "open_clip",
        Resize(mode="shortest_side" if is_cropped else "exact", size_px=merged["size"]),
        merged["interpolation"],
        crop_px=merged["size"] if is_cropped else None,
        crop_rounding="half_to_even" if is_cropped else None,
        mean=merged["mean"],
        std=merged["std"],
    )


def steps_of_torchvision(transforms: Any) -> Preprocessing:
    """Reads the steps of the `ImageClassification` preset that comes with torchvision's weights."""
    (resized_px,), (crop_px,) = transforms.resize_size, transforms.crop_size
    return _build_steps(
        "torchvision_on_pil",
        Resize(mode="shortest_side", size_px=resized_px),
        transforms.interpolation.value,
        crop_px=crop_px,
        crop_rounding="half_to_even",
        mean=transforms.mean,
        std=transforms.std,
    )


def steps_of_timm(network: Any) -> Preprocessing:
    """Reads the steps of timm's evaluation transform from a network's `pretrained_cfg`: resize, then centre crop.

    Raises:
        StepsUnreadable: the transform crops in another way than from the centre.
    """
    from timm.data.config import resolve_data_config

    own = resolve_data_config({}, model=network)
    if own["crop_mode"] != "center":
        raise StepsUnreadable(f"timm's crop_mode is {own['crop_mode']}")
    side_px = own["input_size"][-1]
    return _build_steps(
        "timm",
        Resize(mode="shortest_side", size_px=math.floor(side_px / own["crop_pct"])),  # as timm.data.transforms_factory
        own["interpolation"],
        crop_px=side_px,
        crop_rounding="half_to_even",
        mean=list(own["mean"]),
        std=list(own["std"]),
    )
