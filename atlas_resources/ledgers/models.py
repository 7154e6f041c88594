"""The ledger of models: every spec with its pins, and whether it runs."""

import json

import polars as pl

from atlas_resources.instruments.instrument import preprocess_tag
from atlas_resources.instruments.registry import Registry, loader_version
from atlas_resources.instruments.spec.output import VectorOutput
from atlas_resources.instruments.spec.pins import model_sha, weights_sha256
from atlas_resources.ledgers.parquet import write_ledger
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.ledgers import MODELS
from atlas_resources.withdrawals.in_force import read_withdrawn


def build_models(dataset: Dataset, registry: Registry) -> pl.DataFrame:
    """`ledger/models`: every spec, admitted, idea, refused or broken."""
    rows = []
    withdrawn = read_withdrawn(dataset.root)
    for spec in registry.specs.values():
        steps, status = spec.preprocessing or spec.own_preprocessing, registry.status(spec.key)
        instrument = registry.instruments.get(spec.key)
        identity = instrument and instrument.identity
        withdrawal = withdrawn.of_instrument(instrument) if instrument else None
        rows.append(
            {
                "instrument": spec.key,
                "role": spec.role,
                "status": status.name,
                "missing": list(status.reasons),
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
                "loader": spec.loader and f"{spec.loader} {loader_version(spec)}",
                "upstream": spec.upstream,
                "fingerprint": identity.fingerprint if identity else None,
                "failure_modes": [f"{mode.fact} ({mode.source})" for mode in spec.failure_modes],
                "sources": spec.sources,
                "withdrawn_by": withdrawal and withdrawal.number,
            }
        )
    broken = {problem.file.removesuffix(".yaml") for problem in registry.problems}
    for stem in sorted(broken):
        missing = [str(problem) for problem in registry.problems if problem.file.removesuffix(".yaml") == stem]
        rows.append({"instrument": stem, "status": "broken", "missing": missing})
    return write_ledger(dataset, MODELS, MODELS.frame(rows))
