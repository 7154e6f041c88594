"""The Dagster resources: the dataset, and one for each admitted instrument, which shows its pins.

A model is loaded at first use, and released when its instrument has measured.
"""

from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import PrivateAttr

from atlas_resources.instruments.fast_modes import mode_name
from atlas_resources.instruments.instrument import Instrument
from atlas_resources.plates.dataset import Dataset


class DatasetResource(dg.ConfigurableResource):
    """Where the plates, runs and ledgers are."""

    root: str

    def open(self) -> Dataset:
        """The dataset. Its folders and schemas are created if they are missing."""
        dataset = Dataset(Path(self.root))
        dataset.ensure()
        return dataset


class InstrumentResource(dg.ConfigurableResource):
    """A pinned instrument.

    The UI shows its fields. The model is loaded at first use, and released by the step that used it.
    """

    model_id: str
    revision: str
    weights_sha256: str
    licence: str
    device: str
    dtype: str
    fingerprint: str

    _model: Any = PrivateAttr(default=None)

    def load(self, instrument: Instrument) -> Any:
        """The loaded model. Raises what `load_model` raises."""
        from atlas_resources.models.loading import load_model

        if self._model is None:
            self._model = load_model(instrument.spec, instrument.prompts)
        return self._model

    def release(self) -> None:
        """Frees the model, on a GPU too: a run over several instruments holds only those of the step in progress."""
        from atlas_resources.models.memory import release_cached_memory

        if self._model is not None:
            self._model = None
            release_cached_memory()

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Releases the model of a step that was interrupted."""
        self.release()


def build_instrument_resource(instrument: Instrument) -> InstrumentResource:
    """The resource of an admitted instrument. Every field is set explicitly, since the UI shows only such fields."""
    identity, numeric = instrument.identity, instrument.spec.numeric
    return InstrumentResource(
        model_id=identity.model_id,
        revision=identity.model_sha,
        weights_sha256=identity.weights_sha256 or "none: an algorithm without weights",
        licence=identity.licence,
        device=numeric.device if numeric else "undeclared",
        dtype=mode_name(numeric),
        fingerprint=identity.fingerprint,
    )
