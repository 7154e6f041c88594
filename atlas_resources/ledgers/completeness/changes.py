"""What differs between a complete run of an earlier version or source and the instrument and source of the present."""

import json
from collections.abc import Iterator
from typing import Any

from atlas_resources.instruments.instrument import Instrument
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import DatasetBroken, read_json
from atlas_resources.plates.run_contracts import RunConfig, RunManifest

IDENTITY_FIELDS = {
    "model_id": "model",
    "model_sha": "revision",
    "weights_sha256": "weights",
    "loader": "loader",
    "loader_version": "loader version",
}
"""Fields of a sealed identity that are part of the fingerprint, and what people call them."""
SPEC_FIELDS = {
    "weights": "pinned files",
    "preprocessing": "preprocessing",
    "own_preprocessing": "preprocessing",
    "output": "output",
    "parameters": "parameters",
    "numeric": "numeric mode",
    "prompts": "prompts",
    "tiles": "tiles",
    "upstream": "upstream",
    "region": "crop",
}
"""Fields of a spec that are part of the fingerprint, likewise."""
OUTSIDE_FINGERPRINT = {
    "weights": ("kind", "repository", "revision", "library", "version", "requirement"),
    "preprocessing": ("reference",),
    "numeric": ("golden", "device_index"),
    "region": ("segmenter", "part", "embedder"),
}
"""Parts of these fields that do not change a result, or that the identity states already."""
MOST_CHARACTERS = 24


class SealedSpecs:
    """The specs that runs recorded in `reports/<run_id>/config.json`. Each is read once, however many plates it has."""

    def __init__(self, dataset: Dataset):
        self._dataset = dataset
        self._specs: dict[str, dict[str, Any] | None] = {}

    def read(self, run_id: str) -> dict[str, Any] | None:
        """The spec of a run, as JSON; None if the run's report is gone or cannot be read."""
        if run_id not in self._specs:
            try:
                self._specs[run_id] = read_json(self._dataset.reports_dir / run_id / "config.json", RunConfig).spec
            except DatasetBroken:
                self._specs[run_id] = None
        return self._specs[run_id]


def what_changed(run: RunManifest, instrument: Instrument, source_sha256: str, specs: SealedSpecs) -> str:
    """What of a plate's run is not of the present, such as `parameters.gain 1.0 -> 2.0`; parts separated by `; `.

    Args:
        run: a complete run of the instrument on the plate, by another fingerprint or on another source.
        instrument: the instrument at present.
        source_sha256: of the plate's present source.
        specs: the specs that runs recorded.
    """
    changes = []
    if run.source_sha256 != source_sha256:
        changes.append(_change("source", run.source_sha256, source_sha256))
    if run.instrument.fingerprint != instrument.identity.fingerprint:
        changes += list(_of_instrument(run, instrument, specs)) or [_unnamed(run, instrument, specs)]
    return "; ".join(dict.fromkeys(changes))


def _of_instrument(run: RunManifest, instrument: Instrument, specs: SealedSpecs) -> Iterator[str]:
    for field, name in IDENTITY_FIELDS.items():
        before, now = getattr(run.instrument, field), getattr(instrument.identity, field)
        if before != now:
            yield _change(name, before, now)
    if upstream := instrument.upstream:
        read = [path.split("/")[1][-8:] for path in (file.path for file in run.inputs) if path.startswith("runs/")]
        present = upstream.identity.fingerprint[:8]
        if read and present not in read:
            yield _change(f"version of {upstream.key}", read[0], present)
    before_spec, now_spec = specs.read(run.run_id), instrument.spec.model_dump(mode="json")
    if before_spec is not None:
        for field, name in SPEC_FIELDS.items():
            before, now = (_counted(field, spec.get(field)) for spec in (before_spec, now_spec))
            yield from _differences(name, before, now)
    elif run.instrument.preprocess_tag != instrument.identity.preprocess_tag:
        yield _change("preprocessing", run.instrument.preprocess_tag, instrument.identity.preprocess_tag)


def _unnamed(run: RunManifest, instrument: Instrument, specs: SealedSpecs) -> str:
    """For a change that neither the identity nor the recorded spec shows."""
    change = _change("fingerprint", run.instrument.fingerprint, instrument.identity.fingerprint)
    if specs.read(run.run_id) is None:
        return f"{change} (parameters and numeric mode are unknown: reports/{run.run_id}/config.json cannot be read)"
    return f"{change} (switches of the numeric mode, or the code of the fingerprint)"


def _counted(field: str, value: Any) -> Any:
    """What of a field counts: null and empty are the same, and some parts do not change a result."""
    if isinstance(value, dict):
        value = {name: part for name, part in value.items() if name not in OUTSIDE_FINGERPRINT.get(field, ())}
    if field == "weights" and isinstance(value, dict):
        value = {file["path"]: file.get("sha256") for file in value.get("files") or []}
    return value or None


def _differences(name: str, before: Any, now: Any) -> Iterator[str]:
    """The innermost differences of two JSON values, a text each."""
    if isinstance(before, dict) or isinstance(now, dict):
        before, now = (value if isinstance(value, dict) else {} for value in (before, now))
        for key in sorted({*before, *now}):
            yield from _differences(f"{name}.{key}", before.get(key), now.get(key))
    elif before != now:
        yield _change(name, before, now)


def _change(name: str, before: Any, now: Any) -> str:
    return f"{name} {_shown(before)} -> {_shown(now)}"


def _shown(value: Any) -> str:
    """A value, shortened. Digests are known by their first digits."""
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    is_digest = len(text) in (40, 64) and set(text) <= set("0123456789abcdef")
    if is_digest:
        return text[:8]
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 3]}..."
