"""What an instrument was pinned to when it ran, by the configuration of its runs, and its edges of provenance.

The present specs are not read.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl
from pydantic import TypeAdapter, ValidationError

from atlas_resources.files.yaml_files import problems_of
from atlas_resources.instruments.spec.pins import WITHOUT_WEIGHTS, digest_of_files
from atlas_resources.instruments.spec.spec import PromptPin
from atlas_resources.instruments.spec.weights import WeightFile
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import DatasetBroken, read_json
from atlas_resources.plates.run_contracts import RunConfig
from atlas_resources.tables.ledgers import LINEAGE

LOG = logging.getLogger(__name__)

PINNED = ("fingerprint", "instrument", "model_id", "model_sha", "weights_sha256")
"""Columns of `runs` that say what an instrument was pinned to."""
Edge = dict[str, str | None]

_FILES, _PROMPTS = TypeAdapter(list[WeightFile]), TypeAdapter(list[PromptPin])


@dataclass(frozen=True)
class RecordedPins:
    """The files and prompt sets that an instrument was pinned to, as a run's configuration states them."""

    files: tuple[WeightFile, ...] = ()
    prompts: tuple[PromptPin, ...] = ()

    @property
    def weights(self) -> list[WeightFile]:
        """The files that hold weights; each has a digest."""
        return [file for file in self.files if file.format not in WITHOUT_WEIGHTS]


def read_pins(
    dataset: Dataset, fingerprint: str, weights_sha256: str | None, run_ids: Iterable[str]
) -> RecordedPins | None:
    """The pins of an instrument, from the configuration of the first of its runs that states them.

    A configuration whose files do not have the digest that the plates' manifests state is not believed.

    Args:
        dataset: the dataset.
        fingerprint: the instrument, as the plates' manifests state it.
        weights_sha256: the digest of its weights, likewise.
        run_ids: its runs. Their configurations state the same, since the fingerprint covers it.

    Returns:
        The pins; None if no configuration can be read and believed, which is logged.
    """
    problems = []
    for run_id in run_ids:
        path = dataset.reports_dir / run_id / "config.json"
        try:
            config = read_json(path, RunConfig)
            pins = _pins_of(config.spec)
        except DatasetBroken as error:
            problems.append(str(error))
            continue
        except ValidationError as error:
            problems.append(str(problems_of(str(path), error, "spec.")[0]))
            continue
        found = digest_of_files(pins.weights)
        if (config.instrument.fingerprint, found) == (fingerprint, weights_sha256):
            return pins
        problems.append(f"{path}: expected weights of sha256 {weights_sha256}, as sealed, found {found}")
    for problem in problems:
        LOG.warning(f"lineage without the files of instrument {fingerprint[:8]}: {problem}")
    return None


def _pins_of(spec: dict[str, Any]) -> RecordedPins:
    weights = spec.get("weights") or {}
    files = _FILES.validate_python(weights.get("files") or [])
    prompts = _PROMPTS.validate_python(spec.get("prompts") or [])
    return RecordedPins(tuple(files), tuple(prompts))


def edges_of_pins(runs: pl.DataFrame, pins: Mapping[str, RecordedPins | None]) -> pl.DataFrame:
    """What each instrument that ever ran was made of, by its fingerprint.

    Where its pins are not recorded: the model and the weights, as the plates' manifests state them.
    """
    edges: list[Edge] = []
    for row in runs.select(PINNED).unique().iter_rows(named=True):
        instrument, found = _instrument(row), pins.get(row["fingerprint"])
        model = f"{row['model_id']}@{row['model_sha']}"
        edges.append({**instrument, "object_kind": "model", "object": model, "object_name": row["model_id"]})
        if found:
            edges += _edges_to_files(instrument, row["weights_sha256"], found)
            edges += [{**instrument, **_object("prompt_set", pin.sha256, _shown(pin))} for pin in found.prompts]
        elif row["weights_sha256"]:
            edges.append({**instrument, **_object("weights", row["weights_sha256"], None)})
    return LINEAGE.frame(edges)


def edges_of_prompts(answered: pl.DataFrame, pins: Mapping[str, RecordedPins | None]) -> pl.DataFrame:
    """Each prompt that a row answers is a member of its pinned set; where no pins are recorded, of the instrument.

    Args:
        answered: fingerprint, instrument, prompt_set, prompt_version, prompt_id and prompt_sha256 of rows.
        pins: what each instrument was pinned to, by fingerprint.
    """
    edges: list[Edge] = []
    for row in answered.iter_rows(named=True):
        found, wanted = pins.get(row["fingerprint"]), (row["prompt_set"], row["prompt_version"])
        sets = [pin.sha256 for pin in (found.prompts if found else ()) if (pin.set, pin.version) == wanted]
        subject = _subject("hadMember", "prompt_set", sets[0]) if sets else _instrument(row)
        edges.append({**subject, **_object("prompt", row["prompt_sha256"], row["prompt_id"])})
    return LINEAGE.frame(edges)


def _edges_to_files(instrument: Edge, weights_sha256: str | None, pins: RecordedPins) -> Iterator[Edge]:
    """Edges to the one file of weights, or to the set of them and from there to each, and to configuration files."""
    weights = instrument
    if len(pins.weights) > 1:
        yield {**instrument, **_object("weights_set", weights_sha256, f"{len(pins.weights)} files")}
        weights = _subject("hadMember", "weights_set", weights_sha256)
    for file in pins.weights:
        yield {**weights, **_object("weights", file.sha256, file.path)}
    for file in pins.files:
        if file.format in WITHOUT_WEIGHTS and file.sha256:
            yield {**instrument, **_object("configuration", file.sha256, file.path)}


def _shown(pin: PromptPin) -> str:
    return f"{pin.set} v{pin.version}"


def _instrument(row: Mapping[str, str]) -> Edge:
    fingerprint = row["fingerprint"]
    return {**_subject("wasDerivedFrom", "instrument", fingerprint), "instrument": row["instrument"]}


def _subject(relation: str, kind: str, sha256: str | None) -> Edge:
    return {"relation": relation, "subject_kind": kind, "subject": sha256, "subject_sha256": sha256}


def _object(kind: str, sha256: str | None, name: str | None) -> Edge:
    return {"object_kind": kind, "object": sha256, "object_sha256": sha256, "object_name": name}
