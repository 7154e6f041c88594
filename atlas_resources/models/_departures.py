"""Checks that a spec declares the steps of its weights' own processor, or the departures from them."""

from pathlib import Path
from typing import Any

import numpy as np

from atlas_resources.instruments.spec.input import Preprocessing, Resize
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.processor_steps import StepsUnreadable, processor_file, steps_of_snapshot

CHANNEL_TOLERANCE = 1e-6  # of mean and deviation: some configurations hold them rounded to float32


class PreprocessingMismatch(ValueError):
    """A spec declares other steps than its weights' own processor has, and no departure for them."""


def require_snapshots_steps(spec: Spec, folder: Path) -> None:
    """Compares the declared preprocessing with that of the snapshot's own processor, if the snapshot has its settings.

    Raises:
        PreprocessingMismatch: see `require_same_steps`; or the file describes steps that a spec cannot state.
    """
    path = processor_file(folder)
    if spec.preprocessing is None or path is None:
        return
    try:
        own = steps_of_snapshot(folder)
    except StepsUnreadable as error:
        raise PreprocessingMismatch(f"{spec.key}: {path} cannot be compared with the spec: {error}") from error
    require_same_steps(spec, own, str(path))


def require_same_steps(spec: Spec, own: Preprocessing, source: str) -> None:
    """Compares the declared preprocessing, less its departures, with the steps of the weights' own processor.

    Args:
        spec: the instrument.
        own: the processor's steps.
        source: where they were read, for the message.

    Raises:
        PreprocessingMismatch: a step differs without a departure, or a departure is declared where nothing differs.
    """
    if spec.preprocessing is None:
        return
    declared, theirs = _by_path(spec.preprocessing), _by_path(own)
    departed = {departure.step: departure.own for departure in spec.departures}
    wrong = [
        f"{name}: declared {declared[name]}, its own {theirs[name]}"
        for name in declared
        if not _is_same(departed.get(name, declared[name]), theirs[name])
    ]
    wrong += [
        f"{name}: a departure is declared and there is none"
        for name in departed
        if _is_same(declared[name], departed[name])
    ]
    if wrong:
        raise PreprocessingMismatch(
            f"{spec.key}: model_specs/{spec.key}.yaml declares other steps than {source}: {'; '.join(wrong)}. Correct "
            f"preprocessing, or declare under departures which step differs, what it is there, and why."
        )


def _by_path(steps: Preprocessing) -> dict[str, Any]:
    """Each step by its path in a spec. What has no effect without another step is null where that step is."""
    content = steps.model_dump(mode="json") | {"rescale": steps.rescale, "pad": steps.pad}
    resize = steps.resize or Resize.model_construct(mode=None, size_px=None, max_px=None)
    return {
        "reference": steps.reference,
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
        return bool(np.allclose(declared, own, rtol=0, atol=CHANNEL_TOLERANCE))
    return declared == own
