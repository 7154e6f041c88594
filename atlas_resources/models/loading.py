"""From a spec to a loaded model, and what a model of each role does. What it is fed is in `preprocessing`."""

import importlib
from collections.abc import Callable

from atlas_resources.instruments.admission import status_of
from atlas_resources.instruments.loader_table import LOADERS
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.instruments.spec.weights import HubWeights
from atlas_resources.models._departures import require_snapshots_steps
from atlas_resources.models._numeric_modes import in_mode, numeric_mode
from atlas_resources.models.protocols import Detector, Embedder, Scorer, Segmenter
from atlas_resources.models.weights import hub_offline, require_weights


class DeviceUnavailable(RuntimeError):
    """The instrument's declared device is not there."""


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


def load_model(spec: Spec, paranoid: bool = False) -> Embedder | Scorer | Segmenter | Detector:
    """Loads the pinned weights, digests checked, on the declared device and in its numeric mode. Opens no connection.

    Args:
        spec: the instrument.
        paranoid: hash every file again, even one whose digest is remembered.

    Raises:
        WeightsMissing, WeightsMismatch: see `weights.require_weights`.
        DeviceUnavailable: see `require_device`.
        PreprocessingMismatch: the weights' own processor does something else (see `_departures.require_same_steps`).
    """
    device = require_device(spec)
    with hub_offline(), numeric_mode(spec.numeric):
        weights = require_weights(spec, paranoid)
        if isinstance(spec.weights, HubWeights) and weights.folder is not None:
            require_snapshots_steps(spec, weights.folder)
        model = loader_of(spec)(spec, weights, device)
    return in_mode(model, spec.numeric)


def loader_of(spec: Spec) -> Callable:
    """The `load(spec, weights, device)` function of the spec's family. Importing it may import torch.

    Raises ValueError for an instrument that is not admitted.
    """
    if spec.loader is None:
        raise ValueError(f"{spec.key}: {status_of(spec).reason}")
    return importlib.import_module(LOADERS[spec.loader].module).load
