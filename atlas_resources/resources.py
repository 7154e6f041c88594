"""The Dagster resources: the dataset, and one per admitted instrument with its pins in plain sight.

Models load lazily, once a run.
"""

from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import PrivateAttr

from atlas_resources.instruments.fast_modes import mode_name
from atlas_resources.instruments.instrument_identity import InstrumentIdentity
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.plates.dataset import Dataset


class DatasetResource(dg.ConfigurableResource):
    """Where the plates, runs and ledgers lie."""

    root: str

    def open(self) -> Dataset:
        """The dataset, with its folders and schemas in place."""
        dataset = Dataset(Path(self.root))
        dataset.ensure()
        return dataset


class InstrumentResource(dg.ConfigurableResource):
    """A pinned instrument.

    Its fields are what the UI shows; the model is loaded at first use and freed after the run.
    """

    model_id: str
    revision: str
    weights_sha256: str
    licence: str
    device: str
    dtype: str
    fingerprint: str

    _model: Any = PrivateAttr(default=None)

    def load(self, spec: Spec, *, paranoid: bool = False) -> Any:
        """The loaded model (see `inference.load_model` for `paranoid` and for what it raises)."""
        from atlas_resources.models.loading import load_model

        if self._model is None:
            self._model = load_model(spec, paranoid)
        return self._model

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Frees the model."""
        self._model = None


def build_instrument_resource(spec: Spec, identity: InstrumentIdentity) -> InstrumentResource:
    """The resource of an admitted instrument, every field set explicitly: the UI shows only those."""
    return InstrumentResource(
        model_id=identity.model_id,
        revision=identity.model_sha,
        weights_sha256=identity.weights_sha256 or "none: an algorithm without weights",
        licence=identity.licence,
        device=spec.numeric.device if spec.numeric else "undeclared",
        dtype=mode_name(spec.numeric),
        fingerprint=identity.fingerprint,
    )
