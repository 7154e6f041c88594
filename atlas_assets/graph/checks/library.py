"""Checks of what a person should look at. They warn, and keep nothing from being built."""

from typing import Any

import polars as pl

from atlas_assets.graph.checks.finding import Finding, build_check, current_rows
from atlas_assets.graph.ledger_origins import ledger_key
from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.parquet import read_ledger
from atlas_resources.ledgers.reproductions.files import list_reproductions, read_reproductions
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.refused_scans import read_refused_scans
from atlas_resources.tables.intake import REFUSED_SCANS
from atlas_resources.tables.ledgers import MODELS, PLATES
from atlas_resources.tables.records.reproductions import REPRODUCTIONS
from atlas_resources.tables.results import INSTRUMENT_TABLES
from atlas_resources.verification.soundness import changed_source

EMBEDDINGS, TEXTS = INSTRUMENT_TABLES["embedding"], INSTRUMENT_TABLES["text"]
MOST_UNUSABLE = 0.1
"""Share of an instrument's questions without a usable answer from which a person should look."""
REFUSED_KEY, REFUSED_CHECK = ledger_key(REFUSED_SCANS), "no_scan_is_refused"


def _too_few_objectives(registry: Registry) -> Finding:
    """Agreement of two embeddings proves little if they were trained for the same objective: they err alike."""
    objective_of = {
        key: instrument.spec.objective
        for key, instrument in registry.instruments.items()
        if instrument.spec.role == "embedding"
    }

    def find(dataset: Dataset) -> tuple[int, list[str]]:
        rows = current_rows(dataset, EMBEDDINGS)
        keys = [key for key in sorted(registry.active & objective_of.keys()) if (rows["instrument"] == key).any()]
        found = {objective for key in keys if (objective := objective_of[key]) is not None}
        if len(found) >= 2:
            return len(keys), []
        listed = ", ".join(f"{key} ({objective_of[key] or 'objective not declared'})" for key in keys) or "none"
        return len(keys), [
            f"expected active embeddings of at least 2 training objectives, found {len(found)}: {listed}. "
            f"Fix: name another in model_specs/roster.yaml; `atlas models list --set minimum` shows two that differ"
        ]

    return find


def _changed_sources(dataset: Dataset) -> tuple[int, list[str]]:
    plates = dataset.plates()
    wrong: list[str] = []
    for plate in plates:
        try:
            wrong += changed_source(plate)
        except (OSError, ValueError, LookupError) as error:
            wrong.append(f"{plate.id}: {error}")
    return len(plates), wrong


def refused_lines(dataset: Dataset) -> list[str]:
    """A line for each scan that is refused at present, until it is gone or right."""
    return [
        f"{scan.path}: {scan.reason}{f'. Fix: {scan.fix}' if scan.fix else ''}" for scan in read_refused_scans(dataset)
    ]


def _refused_scans(dataset: Dataset) -> tuple[int, list[str]]:
    lines = refused_lines(dataset)
    return len(lines), lines


def _broken_specs(dataset: Dataset) -> tuple[int, list[str]]:
    rows = read_ledger(dataset, MODELS)
    broken = rows.filter(pl.col("status") == "broken")
    return rows.height, [line for missing in broken["missing"] for line in missing]


def _unknown_licences(registry: Registry) -> Finding:
    def find(dataset: Dataset) -> tuple[int, list[str]]:
        active = [instrument.spec for instrument in registry.active_instruments]
        unknown = [spec.key for spec in active if spec.licence is None or spec.licence.spdx == "unknown"]
        return len(active), [
            f"{key}: licence unknown; its rows may not be exported for commercial use" for key in unknown
        ]

    return find


def _not_reproduced(dataset: Dataset) -> tuple[int, list[str]]:
    """Results that did not come out again when they were last repeated, and files that cannot be read."""
    rows = read_ledger(dataset, REPRODUCTIONS)
    last = rows.sort("reproduced_at", "file").unique(["run_id", "plate_id"], keep="last", maintain_order=True)
    different = last.filter(verdict="different").select("plate_id", "instrument", "run_id", "reason", "file")
    _, broken = read_reproductions(dataset, list_reproductions(dataset))
    lines = [f"{plate} {key} {run}: {reason} ({file})" for plate, key, run, reason, file in different.iter_rows()]
    return last.height, [*lines, *map(str, broken)]


def _unusable_answers(dataset: Dataset) -> tuple[int, list[str]]:
    """Instruments that leave many questions without a usable answer, and why. A question may be asked several times."""
    asked = current_rows(dataset, TEXTS).filter(pl.col("raw_text").is_not_null())
    question = ["instrument", "plate_id", "segment_id", "prompt_set", "prompt_id"]
    last = asked.sort("attempt").group_by(question).agg(pl.col("status").last(), pl.col("text_id").last())
    lines = []
    for (key,), rows in sorted(last.group_by("instrument")):
        unusable = rows.filter(pl.col("status") != "done").sort("plate_id", "text_id")
        if unusable.height > MOST_UNUSABLE * rows.height:
            counts = unusable.group_by("status").len().sort("status").iter_rows()
            why = ", ".join(f"{count} {status}" for status, count in counts)
            first = unusable.row(0, named=True)
            lines.append(
                f"{key}: {unusable.height} of {rows.height} questions have no usable answer: {why}. The first: "
                f"{first['plate_id']} {first['text_id']}. Fix: declare more tokens, or another question, in its spec"
            )
    return last.height, lines


def build_library_checks(registry: Registry) -> list[Any]:
    """What a person should look at; warnings only."""
    checks = (
        (
            EMBEDDINGS,
            "two_embedding_families",
            "Active embeddings were trained for at least two objectives, so that they can disagree.",
            _too_few_objectives(registry),
        ),
        (
            PLATES,
            "sources_are_unchanged",
            "Each source is the registered file; one whose file changed since is hashed again.",
            _changed_sources,
        ),
        (REFUSED_SCANS, REFUSED_CHECK, "No scan in the staging folder is refused.", _refused_scans),
        (
            REPRODUCTIONS,
            "reproductions_agree",
            "No sealed result was different when it was last repeated by `atlas reproduce`.",
            _not_reproduced,
        ),
        (
            TEXTS,
            "answers_are_usable",
            f"At most {MOST_UNUSABLE:.0%} of an instrument's questions have no answer that is whole and valid.",
            _unusable_answers,
        ),
        (MODELS, "specs_are_readable", "No spec is broken.", _broken_specs),
        (MODELS, "licences_are_known", "Every active instrument's licence is known.", _unknown_licences(registry)),
    )
    return [build_check(*check) for check in checks]
