"""What differs between a complete run of an earlier version or source and the instrument and source of the present."""

import json
from collections.abc import Iterator
from typing import Any

from atlas_resources.instruments.instrument import Instrument
from atlas_resources.ledgers.completeness._runs import KnownRun
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import DatasetBroken, read_json
from atlas_resources.plates.run_contracts import RunConfig

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
    "ranking": "ranking",
    "region": "crop",
}
"""Fields of a spec that are part of the fingerprint, likewise."""
OUTSIDE_FINGERPRINT = {
    "weights": ("kind", "repository", "revision", "library", "version", "requirement"),
    "preprocessing": ("reference",),
    "numeric": ("golden", "device_index", "device_map"),
    "region": ("segmenter", "part", "embedder"),
}
"""Parts of these fields that do not change a result, or that the identity states already."""
MOST_CHARACTERS = 24


class Changes:
    """Finds what changed since runs were sealed. Each run's spec is read and compared once, however many its plates."""

    def __init__(self, dataset: Dataset):
        self._dataset = dataset
        self._found: dict[tuple[str, str, tuple[str, ...]], tuple[str, ...]] = {}

    def since(self, run: KnownRun, instrument: Instrument, source_sha256: str) -> str:
        """What of a plate's run is not of the present, such as `parameters.gain 1.0 -> 2.0`; parts separated by `; `.

        Args:
            run: a complete run of the instrument on the plate, by another fingerprint or on another source.
            instrument: the instrument at present.
            source_sha256: of the plate's present source.
        """
        source = [_change("source", run.source_sha256, source_sha256)] if run.source_sha256 != source_sha256 else []
        if run.instrument.fingerprint == instrument.identity.fingerprint:
            return "; ".join(source)
        same = (run.run_id, instrument.key, run.read_run_ids)
        if same not in self._found:
            spec = self._sealed_spec(run.run_id)
            found = tuple(dict.fromkeys(_of_instrument(run, instrument, spec)))
            self._found[same] = found or (_unnamed(run, instrument, spec),)
        return "; ".join([*source, *self._found[same]])

    def _sealed_spec(self, run_id: str) -> dict[str, Any] | None:
        """The spec that a run recorded, as JSON; None if the run's report is gone or cannot be read."""
        try:
            return read_json(self._dataset.reports_dir / run_id / "config.json", RunConfig).spec
        except DatasetBroken:
            return None


def _of_instrument(run: KnownRun, instrument: Instrument, sealed_spec: dict[str, Any] | None) -> Iterator[str]:
    for field, name in IDENTITY_FIELDS.items():
        before, now = getattr(run.instrument, field), getattr(instrument.identity, field)
        if before != now:
            yield _change(name, before, now)
    for one, run_id in zip(instrument.reads, run.read_run_ids, strict=False):  # it may have read fewer, or others
        read, present = run_id[-8:], one.identity.fingerprint[:8]
        if read != present:
            yield _change(f"version of {one.key}", read, present)
    if sealed_spec is not None:
        present_spec = instrument.spec.model_dump(mode="json")
        for field, name in SPEC_FIELDS.items():
            yield from _differences(name, *(_counted(field, spec.get(field)) for spec in (sealed_spec, present_spec)))
    elif run.instrument.preprocess_tag != instrument.identity.preprocess_tag:
        yield _change("preprocessing", run.instrument.preprocess_tag, instrument.identity.preprocess_tag)


def _unnamed(run: KnownRun, instrument: Instrument, sealed_spec: dict[str, Any] | None) -> str:
    """For a change that neither the identity nor the recorded spec shows."""
    change = _change("fingerprint", run.instrument.fingerprint, instrument.identity.fingerprint)
    if sealed_spec is None:
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
    if not isinstance(before, dict) and not isinstance(now, dict):
        if before != now:
            yield _change(name, before, now)
        return
    parts_before: dict[str, Any] = before if isinstance(before, dict) else {}
    parts_now: dict[str, Any] = now if isinstance(now, dict) else {}
    for key in sorted({*parts_before, *parts_now}):
        yield from _differences(f"{name}.{key}", parts_before.get(key), parts_now.get(key))


def _change(name: str, before: Any, now: Any) -> str:
    return f"{name} {_shown(before)} -> {_shown(now)}"


def _shown(value: Any) -> str:
    """A value, shortened. Digests are known by their first digits."""
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    is_digest = len(text) in (40, 64) and set(text) <= set("0123456789abcdef")
    if is_digest:
        return text[:8]
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 3]}..."
