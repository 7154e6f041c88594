"""The ledger of models: every spec with its pins, and whether it runs."""

import json
from typing import Any

import polars as pl

from atlas_resources.instruments.instrument import InstrumentIdentity, preprocess_tag
from atlas_resources.instruments.registry import Registry, loader_version
from atlas_resources.instruments.spec.output import VectorOutput
from atlas_resources.instruments.spec.pins import model_sha, weights_sha256
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.ledgers.parquet import write_ledger
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.ledgers import MODELS
from atlas_resources.withdrawals.in_force import read_withdrawn


def build_models(dataset: Dataset, registry: Registry) -> pl.DataFrame:
    """`ledger/models`: every spec, admitted, idea, refused or broken."""
    rows = []
    withdrawn = read_withdrawn(dataset.root)
    for spec in registry.specs.values():
        status, instrument = registry.status(spec.key), registry.instruments.get(spec.key)
        withdrawal = withdrawn.of_instrument(instrument) if instrument else None
        own = {"status": status.name, "missing": list(status.reasons), "withdrawn_by": withdrawal and withdrawal.number}
        rows.append(_row(spec, instrument and instrument.identity) | own)
    broken = {problem.file.removesuffix(".yaml") for problem in registry.problems}
    for stem in sorted(broken):
        missing = [str(problem) for problem in registry.problems if problem.file.removesuffix(".yaml") == stem]
        rows.append({"instrument": stem, "status": "broken", "missing": missing})
    return write_ledger(dataset, MODELS, MODELS.frame(rows))


def admitted_row(spec: Spec, identity: InstrumentIdentity) -> dict[str, Any]:
    """An admitted instrument as a row of `models`."""
    return _row(spec, identity) | {"status": "admitted", "missing": []}


def _row(spec: Spec, identity: InstrumentIdentity | None) -> dict[str, Any]:
    """What a spec declares, and what follows from it where it is admitted."""
    steps = spec.preprocessing or spec.own_preprocessing
    return {
        "instrument": spec.key,
        "role": spec.role,
        "title": spec.title,
        "model_id": spec.model_id,
        "model_sha": model_sha(spec),
        "weights_sha256": weights_sha256(spec),
        "licence": identity.licence if identity else spec.licence and spec.licence.spdx,
        "commercial_use": identity.commercial_use if identity else spec.licence and spec.licence.commercial_use,
        "output_kind": spec.output and spec.output.kind,
        "vector_dim": spec.output.dim if isinstance(spec.output, VectorOutput) else None,
        "preprocess_tag": preprocess_tag(spec),
        "preprocessing": steps and steps.model_dump_json(),
        "parameters": json.dumps(spec.parameters),
        "device": spec.numeric and spec.numeric.device,
        "dtype": spec.numeric and spec.numeric.dtype,
        "loader": f"{identity.loader} {identity.loader_version}" if identity else _loader(spec),
        "upstream": spec.upstream,
        "vectors_of": spec.ranking and spec.ranking.vectors,
        "fingerprint": identity.fingerprint if identity else None,
        "failure_modes": [f"{mode.fact} ({mode.source})" for mode in spec.failure_modes],
        "sources": spec.sources,
    }


def _loader(spec: Spec) -> str | None:
    return spec.loader and f"{spec.loader} {loader_version(spec)}"
