"""Loads the model of a spec: the only way to a loader, whose module is imported by its name in the loader table."""

import importlib
from collections.abc import Callable, Sequence

from atlas_resources.instruments.admission import status_of
from atlas_resources.instruments.loader_table import LOADERS
from atlas_resources.instruments.prompts import AskedPrompt
from atlas_resources.instruments.registry import read_registry
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.instruments.spec.weights import HubWeights
from atlas_resources.models._departures import require_snapshots_steps
from atlas_resources.models._numeric_modes import in_mode, numeric_mode
from atlas_resources.models.protocols import Detector, Embedder, Scorer, Segmenter
from atlas_resources.models.weights import hub_offline, require_weights


class DeviceUnavailable(RuntimeError):
    """This machine does not have the device that the instrument declares."""


def require_device(spec: Spec) -> str:
    """Returns the spec's device, `cpu` or `cuda`. Raises DeviceUnavailable if it is missing: there is no fallback."""
    if spec.numeric is None or spec.numeric.device == "cpu":
        return "cpu"
    import torch

    if not torch.cuda.is_available():
        raise DeviceUnavailable(
            f"{spec.key} is declared for cuda and this machine has no CUDA device. Run it on one that has, or "
            f"{_on_the_cpu(spec)}."
        )
    return "cuda"


def _on_the_cpu(spec: Spec) -> str:
    """Which admitted variants compute the same model on the CPU; else the command that derives one."""
    registry = read_registry()
    there = [
        variant.key
        for variant in registry.variants_of(spec.variant_of or spec.key)
        if variant.numeric and variant.numeric.device == "cpu" and variant.key in registry.instruments
    ]
    if there:
        return f"run {' or '.join(there)}, which computes it on the CPU"
    return f"derive an instrument for the CPU: `atlas models derive {spec.key} --device cpu`"


def load_model(spec: Spec, prompts: Sequence[AskedPrompt] = ()) -> Embedder | Scorer | Segmenter | Detector:
    """Loads the pinned weights, whose digests are checked, onto the declared device and in the declared numeric mode.

    Opens no connection.

    Args:
        spec: the instrument.
        prompts: the prompts that its spec pins, in order (see `Instrument.prompts`).

    Raises:
        WeightsMissing, WeightsMismatch: see `weights.require_weights`.
        DeviceUnavailable: see `require_device`.
        PreprocessingMismatch: the weights' own processor has other steps (see `_departures.require_same_steps`).
        ValueError: the prompts are not those of the sets that the spec pins; or the spec names no loader.
    """
    _require_prompts(spec, prompts)
    device = require_device(spec)
    with hub_offline(), numeric_mode(spec.numeric):
        weights = require_weights(spec)
        if isinstance(spec.weights, HubWeights) and weights.folder is not None:
            require_snapshots_steps(spec, weights.folder)
        load = loader_of(spec)
        model = load(spec, weights, device, prompts) if spec.prompts else load(spec, weights, device)
    return in_mode(model, spec.numeric)


def _require_prompts(spec: Spec, prompts: Sequence[AskedPrompt]) -> None:
    pinned = {f"{pin.set}_v{pin.version}" for pin in spec.prompts or []}
    given = {f"{prompt.set}_v{prompt.version}" for prompt in prompts}
    if given != pinned:
        raise ValueError(
            f"{spec.key}: expected the prompts of {', '.join(sorted(pinned)) or 'no set'}, found those of "
            f"{', '.join(sorted(given)) or 'no set'}. `Instrument.prompts` has the pinned ones."
        )


def loader_of(spec: Spec) -> Callable:
    """Returns the `load(spec, weights, device)` function of the spec's loader; prompts, if any, are a fourth argument.

    Importing it may import torch. Raises ValueError where the spec names no loader.
    """
    if spec.loader is None:
        raise ValueError(f"{spec.key}: {status_of(spec).reason}")
    return importlib.import_module(LOADERS[spec.loader].module).load
