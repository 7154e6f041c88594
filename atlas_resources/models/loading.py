"""Loads the model of a spec: the only way to a loader, whose module is imported by its name in the loader table."""

import importlib
from collections.abc import Callable, Sequence

from atlas_resources.instruments.admission import status_of
from atlas_resources.instruments.loader_table import LOADERS
from atlas_resources.instruments.prompts import AskedPrompt
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.instruments.spec.weights import HubWeights
from atlas_resources.models._departures import require_snapshots_steps
from atlas_resources.models._numeric_modes import in_mode, numeric_mode
from atlas_resources.models.devices import require_device, start_on
from atlas_resources.models.memory import freeze_imports
from atlas_resources.models.protocols import (
    Describer,
    Detector,
    Embedder,
    LineReader,
    PageReader,
    Scorer,
    Segmenter,
    TextEmbedder,
)
from atlas_resources.models.servers.running import require_server
from atlas_resources.models.weights import hub_offline, require_weights

Model = Embedder | Scorer | TextEmbedder | Segmenter | Detector | PageReader | LineReader | Describer
"""A loaded model, with the method of its role."""


def load_model(spec: Spec, prompts: Sequence[AskedPrompt] = ()) -> Model:
    """Loads the pinned weights, whose digests are checked, onto the declared device and in the declared numeric mode.

    Opens no connection. Of a served model it returns the client of the server that runs, which loads nothing.

    Args:
        spec: the instrument.
        prompts: the prompts that its spec pins, in order (see `Instrument.prompts`).

    Raises:
        WeightsMissing, WeightsMismatch: see `weights.require_weights`.
        DeviceUnavailable: see `devices.require_device`. Nothing has been read then.
        ServerMissing: see `servers.running.require_server`, or the loader refuses what the server ignores.
        PreprocessingMismatch: the weights' own processor has other steps (see `_departures.require_same_steps`).
        ValueError: the prompts are not those of the sets that the spec pins; or the spec names no loader.
    """
    _require_prompts(spec, prompts)
    if spec.served is not None:
        return loader_of(spec)(spec, require_server(spec), prompts)
    device = require_device(spec)
    start_on(device)
    with hub_offline(), numeric_mode(spec.numeric, device):
        weights = require_weights(spec)
        if isinstance(spec.weights, HubWeights) and weights.folder is not None:
            require_snapshots_steps(spec, weights.folder)
        load = loader_of(spec)
        freeze_imports()  # before the model is there, which must be collected
        model = load(spec, weights, device, prompts) if spec.prompts else load(spec, weights, device)
    return in_mode(model, spec.numeric, device)


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

    Of a served model it is `load(spec, server, prompts)`, with the record of the server.

    Importing it may import torch. Raises ValueError where the spec names no loader.
    """
    if spec.loader is None:
        raise ValueError(f"{spec.key}: {status_of(spec).reason}")
    return importlib.import_module(LOADERS[spec.loader].module).load
