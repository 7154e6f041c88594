"""What the weights' own processor does to an image, in a spec's words, and whether the spec declares the same."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from atlas_resources.instruments.spec.input import Interpolation, Preprocessing, Resize
from atlas_resources.instruments.spec.spec import Spec

PROCESSOR_CONFIG = "preprocessor_config.json"
INTERPOLATION_OF_RESAMPLE: dict[int, Interpolation] = {  # numbers of PIL.Image.Resampling
    0: "nearest",
    1: "lanczos",
    2: "bilinear",
    3: "bicubic",
    4: "box",
}
# Steps of transformers' processors that a spec says, or that change no pixel.
KNOWN_STEPS = {"do_resize", "do_center_crop", "do_rescale", "do_normalize", "do_pad"}
WITHOUT_EFFECT = {"do_convert_rgb", "do_convert_annotations", "do_reduce_labels"}
SQUASHED_FROM_PX = 384  # ConvNextImageProcessor of transformers 5.23 crops below this size and squashes from it on
TOLERANCE = 1e-6  # of mean and deviation: some configurations hold them rounded to float32


class PreprocessingMismatch(ValueError):
    """A spec declares other steps than those of its weights' own processor, and does not say so."""


def steps(resize: Resize | None, interpolation: Interpolation, **more: Any) -> Preprocessing:
    """A processor's steps in the words of a spec."""
    always: dict[str, Any] = {"raster": "source", "colour_policy": "srgb8-v1", "backend": "pillow"}
    return Preprocessing(resize=resize, interpolation=interpolation, **always, **more)


def steps_of_snapshot(folder: Path) -> Preprocessing:
    """Steps of the snapshot's preprocessor_config.json as transformers reads it, older forms and defaults included.

    Raises ValueError for what no spec can say.
    """
    from transformers import AutoImageProcessor

    processor: Any = AutoImageProcessor.from_pretrained(
        folder, backend="pil", local_files_only=True, trust_remote_code=False
    )
    others = {name for name, value in vars(processor).items() if name.startswith("do_") and value}
    if unknown := sorted(others - KNOWN_STEPS - WITHOUT_EFFECT):
        raise ValueError(f"{type(processor).__name__} does what no spec can say: {', '.join(unknown)}")
    if not (processor.do_rescale and abs(processor.rescale_factor * 255 - 1) < TOLERANCE):
        raise ValueError(f"{type(processor).__name__} does not divide pixels by 255, which every spec does")
    resize, crop_px = _resize_and_crop(processor) if processor.do_resize else (None, _crop(processor))
    return steps(
        resize,
        INTERPOLATION_OF_RESAMPLE[int(processor.resample)],
        crop_px=crop_px,
        mean=processor.image_mean if processor.do_normalize else None,
        std=processor.image_std if processor.do_normalize else None,
        pad=_pad(processor),
    )


def _crop(processor: Any) -> int | None:
    return _side(processor.crop_size) if processor.do_center_crop else None


def _side(size: Any) -> int:
    if not size.height or size.height != size.width:
        raise ValueError(f"a size that is no square: {size}")
    return size.height


def _resize_and_crop(processor: Any) -> tuple[Resize, int | None]:
    size, share = processor.size, getattr(processor, "crop_pct", None)
    if share is not None and size.shortest_edge:
        side_px = size.shortest_edge
        if side_px >= SQUASHED_FROM_PX:
            return Resize(mode="exact", size_px=side_px), _crop(processor)
        return Resize(mode="shortest_side", size_px=int(side_px / share)), side_px
    if size.shortest_edge:
        resize = Resize(mode="shortest_side", size_px=size.shortest_edge, max_px=size.longest_edge)
    elif size.longest_edge:
        resize = Resize(mode="longest_side", size_px=size.longest_edge)
    else:
        resize = Resize(mode="exact", size_px=_side(size))
    return resize, _crop(processor)


def _pad(processor: Any) -> str | None:
    if not processor.do_pad:
        return None
    if processor.pad_size is None:
        return "batch_right_bottom"
    if _side(processor.pad_size) == processor.size.longest_edge:
        return "square_right_bottom"
    raise ValueError(f"padding to {processor.pad_size}")


def steps_of_open_clip(settings: Mapping[str, Any], side_px: int) -> Preprocessing:
    """Steps of open_clip's transforms: of its PreprocessCfg, whose missing values are its defaults.

    Raises ValueError for a way to resize that no spec can say.
    """
    from open_clip.transform import PreprocessCfg, merge_preprocess_dict

    merged = merge_preprocess_dict(PreprocessCfg(size=side_px), dict(settings))
    if merged["resize_mode"] not in {"shortest", "squash"}:
        raise ValueError(f"resize_mode {merged['resize_mode']}")
    is_cropped = merged["resize_mode"] == "shortest"
    return steps(
        Resize(mode="shortest_side" if is_cropped else "exact", size_px=merged["size"]),
        merged["interpolation"],
        crop_px=merged["size"] if is_cropped else None,
        crop_rounding="half_to_even" if is_cropped else None,
        mean=merged["mean"],
        std=merged["std"],
    )


def steps_of_torchvision(transforms: Any) -> Preprocessing:
    """Steps of the ImageClassification preset that torchvision's weights carry."""
    (resized_px,), (crop_px,) = transforms.resize_size, transforms.crop_size
    return steps(
        Resize(mode="shortest_side", size_px=resized_px),
        transforms.interpolation.value,
        crop_px=crop_px,
        crop_rounding="half_to_even",
        mean=transforms.mean,
        std=transforms.std,
    )


def _flat(steps: Preprocessing) -> dict[str, Any]:
    """Each step by its path in a spec; what says nothing without another step is left out with it."""
    content = steps.model_dump(mode="json") | {"rescale": steps.rescale, "pad": steps.pad}
    resize = steps.resize or Resize.model_construct(mode=None, size_px=None, max_px=None)
    return {
        "resize.mode": resize.mode,
        "resize.size_px": resize.size_px,
        "resize.max_px": resize.max_px,
        "interpolation": steps.interpolation if steps.resize else None,
        "crop_px": steps.crop_px,
        "crop_rounding": steps.crop_rounding if steps.crop_px else None,
        **{name: content[name] for name in ("rescale", "mean", "std", "pad")},
    }


def _is_same(declared: Any, own: Any) -> bool:
    if isinstance(declared, list) and isinstance(own, list):
        return bool(np.allclose(declared, own, rtol=0, atol=TOLERANCE))
    return declared == own


def require_same_steps(spec: Spec, own: Preprocessing, source: str) -> None:
    """Holds the declared preprocessing, its departures taken off, against the steps of the weights' own processor.

    Args:
        spec: the instrument.
        own: steps of its weights' processor.
        source: where those stand, for the message.

    Raises:
        PreprocessingMismatch: a step differs and no departure says so, or a departure says what is not so.
    """
    if spec.preprocessing is None:
        return
    declared, theirs = _flat(spec.preprocessing), _flat(own)
    said = {departure.step: departure.own for departure in spec.departures}
    wrong = [
        f"{name}: declared {declared[name]}, its own {theirs[name]}"
        for name in declared
        if not _is_same(said.get(name, declared[name]), theirs[name])
    ]
    wrong += [
        f"{name}: a departure is declared and there is none" for name in said if _is_same(declared[name], said[name])
    ]
    if wrong:
        raise PreprocessingMismatch(
            f"{spec.key}: model_specs/{spec.key}.yaml declares other steps than {source}: {'; '.join(wrong)}. Correct "
            f"preprocessing, or declare under departures which step differs, what it is there, and why."
        )


def require_snapshots_steps(spec: Spec, folder: Path) -> None:
    """Holds the spec against the snapshot's preprocessor_config.json, if it has one.

    Raises PreprocessingMismatch: see `require_same_steps`; or the file says what no spec can say.
    """
    path = folder / PROCESSOR_CONFIG
    if spec.preprocessing is None or not path.is_file():
        return
    try:
        own = steps_of_snapshot(folder)
    except (ValueError, KeyError, OSError) as error:
        raise PreprocessingMismatch(f"{spec.key}: {path} cannot be held against the spec: {error}") from error
    require_same_steps(spec, own, str(path))
