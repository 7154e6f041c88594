"""Export of provenance as PROV-JSON: all that a plate, or a run, was made from.

The form is that of the W3C Member Submission "The PROV-JSON Serialization", 24 April 2013; the words are PROV-DM's.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl

from atlas_resources.export._destination import require_outside
from atlas_resources.export.left_out import (
    count_left_out,
    plate_sentences,
    require_present_entries,
    withdrawn_from,
    withheld_with_reasons,
    without_withdrawn,
)
from atlas_resources.files.durable import write_bytes_atomically
from atlas_resources.files.stated_digests import part_paths
from atlas_resources.ledgers.lineage.closure import made_from
from atlas_resources.ledgers.parquet import ledger_path, read_ledger
from atlas_resources.ledgers.terms import withheld_plates, withheld_rows
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.ledgers import LINEAGE, MODELS, PLATES, RUNS

Attributes = dict[str, Any]

PREFIXES = {"atlas": "urn:atlas:", "plate": "urn:atlas:plate:", "sha256": "urn:sha256:"}
BY_PATH, BY_NAME = {"file", "run"}, {"model", "preprocessing", "origin", "code"}
"""Kinds of nodes that are identified by a path in the dataset, and by their own name. Others have a digest."""
ENDS = {
    "used": ("prov:activity", "prov:entity"),
    "wasGeneratedBy": ("prov:entity", "prov:activity"),
    "wasDerivedFrom": ("prov:generatedEntity", "prov:usedEntity"),
    "wasAssociatedWith": ("prov:activity", "prov:agent"),
    "hadMember": ("prov:collection", "prov:entity"),
}
"""What PROV-JSON calls the subject and the object of each relation."""
COLLECTIONS = {"weights_set", "prompt_set"}


@dataclass(frozen=True)
class WrittenProv:
    """How many edges were written, and what was left out, a line each."""

    edges_count: int
    left_out: list[str]


def export_prov(
    dataset: Dataset,
    path: Path,
    *,
    plate_id: str | None = None,
    run_id: str | None = None,
    commercial: bool = False,
) -> WrittenProv:
    """Writes the provenance of a plate or of a run to a file, atomically.

    Args:
        dataset: the dataset; its ledgers are read.
        path: the file, outside the dataset.
        plate_id: the plate; all its groundwork and runs, failed and older ones too.
        run_id: the run; what it sealed of every plate.
        commercial: leave out results that are not known to allow commercial use.

    Raises:
        FileNotFoundError: there is no ledger of lineage.
        LookupError: the ledger has no such plate or run, or nothing of it may leave, or not one of the two is given.
        ValueError: the file is inside the dataset, or the ledgers are behind the withdrawals or tags.
    """
    require_outside(dataset, path)
    if not part_paths(ledger_path(dataset, LINEAGE)):
        raise FileNotFoundError(f"{ledger_path(dataset, LINEAGE)}: expected a ledger, found none. Build it: atlas run")
    if (plate_id is None) == (run_id is None):
        raise LookupError("expected a plate or a run, and not both")
    require_present_entries(dataset)
    lineage = read_ledger(dataset, LINEAGE)
    own = lineage.filter(plate_id=plate_id) if plate_id else lineage.filter(run_id=run_id)
    if own.is_empty():
        what = f"plate {plate_id}" if plate_id else f"run {run_id}"
        raise LookupError(f"{dataset.ledger_dir}: no provenance of {what}. Fix: atlas run @ledgers, if it was measured")
    runs, plates = read_ledger(dataset, RUNS), read_ledger(dataset, PLATES)
    kept, left_out = _leaving(own, runs, plates, read_ledger(dataset, MODELS) if commercial else None)
    if kept.is_empty():
        raise LookupError(f"nothing of {plate_id or run_id} may leave. Left out: {'; '.join(left_out)}")
    edges = made_from(kept, lineage)
    document = prov_document(edges, runs, plates)
    write_bytes_atomically(path, (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode())
    return WrittenProv(edges.height, left_out)


def _leaving(
    own: pl.DataFrame, runs: pl.DataFrame, plates: pl.DataFrame, models: pl.DataFrame | None
) -> tuple[pl.DataFrame, list[str]]:
    """The edges that may leave, and what is left out. Without models, no terms are looked at."""
    of_own = own.select("run_id", "plate_id").unique()
    asked = {
        PLATES.name: plates.join(of_own, on="plate_id", how="semi"),
        RUNS.name: runs.join(of_own, on=["run_id", "plate_id"], how="semi"),
    }
    present = without_withdrawn({**asked, LINEAGE.name: own})
    left_out, kept = withdrawn_from(asked).sentences, present[LINEAGE.name]
    if models is not None:
        withheld = withheld_plates(present[PLATES.name])
        left_out += plate_sentences(withheld_with_reasons(present[PLATES.name]))
        usable = present[RUNS.name].join(withheld, on="plate_id", how="anti")
        gone = withheld_rows(usable, models, plates)
        left_out += [one.sentence for one in count_left_out(RUNS.name, gone, models)]
        kept = kept.join(withheld, on="plate_id", how="anti").join(gone, on=["run_id", "plate_id"], how="anti")
    return kept, left_out


def prov_document(edges: pl.DataFrame, runs: pl.DataFrame, plates: pl.DataFrame) -> dict[str, Any]:
    """Edges of lineage as a PROV-JSON document, whose activities have the times and devices that the ledgers state."""
    facts = {**_facts_of_runs(runs), **_facts_of_groundwork(plates)}
    document: dict[str, Any] = {"prefix": PREFIXES, "entity": {}, "activity": {}, "agent": {}}
    instruments = edges.filter(subject_kind="run", object_kind="instrument")
    plans = {row["subject"]: _identifier("instrument", row["object"]) for row in instruments.iter_rows(named=True)}
    for number, edge in enumerate(edges.iter_rows(named=True)):
        for side in ("subject", "object"):
            _add_node(document, edge, side, facts)
        first, second = ENDS[edge["relation"]]
        ends = {first: _identifier(edge["subject_kind"], edge["subject"])}
        ends[second] = _identifier(edge["object_kind"], edge["object"])
        if edge["relation"] == "wasAssociatedWith" and edge["subject"] in plans:
            ends["prov:plan"] = plans[edge["subject"]]
        document.setdefault(edge["relation"], {})[f"_:e{number}"] = ends
    return {name: part for name, part in document.items() if part}


def _add_node(document: dict[str, Any], edge: Mapping[str, Any], side: str, facts: Mapping[str, Attributes]) -> None:
    """Declares an end of an edge, or adds what this edge knows of it."""
    kind, node, sha256 = edge[f"{side}_kind"], edge[side], edge[f"{side}_sha256"]
    section = {"run": "activity", "code": "agent"}.get(kind, "entity")
    attributes: Attributes = {"atlas:kind": kind, **facts.get(node, {})}
    if kind == "code":
        attributes["prov:type"] = {"$": "prov:SoftwareAgent", "type": "prov:QUALIFIED_NAME"}
    if kind in COLLECTIONS:
        attributes["prov:type"] = {"$": "prov:Collection", "type": "prov:QUALIFIED_NAME"}
    if sha256:
        attributes["atlas:sha256"] = sha256
    if kind == "origin":
        attributes["prov:location"] = node
    name = edge["object_name"] if side == "object" else None
    if name or kind in BY_NAME:
        attributes["prov:label"] = name or node
    document[section].setdefault(_identifier(kind, node), {}).update(attributes)


def _identifier(kind: str, node: str) -> str:
    """A node as a qualified name. What no IRI may contain is percent-encoded."""
    if kind in BY_PATH:
        return f"plate:{quote(node, safe='/')}"
    if kind in BY_NAME or (kind == "instrument" and len(node) != 64):
        return f"atlas:{kind}/{quote(node, safe='')}"
    return f"sha256:{node}"


def _facts_of_runs(runs: pl.DataFrame) -> dict[str, Attributes]:
    """Times, outcome and device of each run on a plate, by its node."""
    return {
        f"{run['plate_id']}/runs/{run['run_id']}": _known(
            {
                "prov:startTime": _time(run["started_at"]),
                "prov:endTime": _time(run["sealed_at"]),
                "prov:label": f"{run['instrument']} on {run['plate_id']}",
                "atlas:status": run["status"],
                "atlas:device": run["device"],
                "atlas:dtype": run["dtype"],
                "atlas:packages": run["packages"],
                "atlas:codeIsDirty": run["code_is_dirty"],
            }
        )
        for run in runs.iter_rows(named=True)
    }


def _facts_of_groundwork(plates: pl.DataFrame) -> dict[str, Attributes]:
    return {
        f"{plate['plate_id']}/groundwork": _known(
            {
                "prov:endTime": _time(plate["groundwork_measured_at"]),
                "prov:label": f"groundwork of {plate['plate_id']}",
                "atlas:codeIsDirty": plate["groundwork_code_is_dirty"],
            }
        )
        for plate in plates.iter_rows(named=True)
    }


def _time(at: Any) -> str | None:
    return at.isoformat() if at else None


def _known(attributes: Attributes) -> Attributes:
    """Without what was not recorded."""
    return {name: value for name, value in attributes.items() if value is not None}
