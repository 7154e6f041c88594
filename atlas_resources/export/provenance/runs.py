"""Sealed runs as they may leave the dataset: their files, without what is withdrawn or what the terms do not allow."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from atlas_resources.export.left_out import (
    LeftOut,
    LeftOutPlate,
    Withdrawn,
    count_left_out,
    plate_sentences,
    plates_left_out,
    require_ledger,
    require_present_entries,
)
from atlas_resources.ledgers.terms import allowed_rows, withheld_plates, withheld_rows
from atlas_resources.plates.contracts import PlateManifest
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import read_json
from atlas_resources.plates.run_contracts import RunConfig, RunManifest, RunReport
from atlas_resources.runs.sealed import read_manifest
from atlas_resources.tables.ledgers import MODELS, PLATES, RUNS


@dataclass(frozen=True)
class RunOfPlate:
    """A run on one plate, as it was sealed, with the plate's identity."""

    plate: PlateManifest
    manifest: RunManifest


@dataclass(frozen=True)
class LeavingRun:
    """A run over its plates, as it may leave.

    Attributes:
        run_id: the run.
        config: what it was asked to do.
        report: how it ended; None if it was killed.
        plates: what it sealed of each plate that may leave, by plate.
        withdrawn: what is left out since it is withdrawn.
        left_out: what is left out by the terms of the model.
        plates_left_out: plates that are left out by the terms of their scans.
    """

    run_id: str
    config: RunConfig
    report: RunReport | None
    plates: list[RunOfPlate]
    withdrawn: Withdrawn
    left_out: list[LeftOut]
    plates_left_out: list[LeftOutPlate]

    @property
    def sentences(self) -> list[str]:
        """What is left out, and why, a line each."""
        by_terms = (one.sentence for one in self.left_out)
        return [*self.withdrawn.sentences, *plate_sentences(self.plates_left_out), *by_terms]


class Leaving:
    """The runs of a dataset, as they may leave it.

    Raises:
        FileNotFoundError: there is no ledger of runs.
        ValueError: the ledgers are behind the withdrawals or tags.
    """

    def __init__(self, dataset: Dataset, *, commercial: bool = False):
        require_present_entries(dataset)
        self._dataset, self._is_commercial = dataset, commercial
        self._runs, self._plates = require_ledger(dataset, RUNS), require_ledger(dataset, PLATES)
        self._models = require_ledger(dataset, MODELS)

    @property
    def run_ids(self) -> list[str]:
        """Every run of the ledger, the oldest first."""
        return self._runs["run_id"].unique().sort().to_list()

    @cached_property
    def _withheld(self) -> dict[str, LeftOutPlate]:
        return {one.plate_id: one for one in plates_left_out(self._dataset)} if self._is_commercial else {}

    def find(self, run_id: str) -> LeavingRun:
        """One run, with the files of those of its plates that may leave.

        Raises:
            DatasetBroken: a file of the run cannot be read.
            LookupError: the ledger has no such run.
        """
        rows = self._runs.filter(run_id=run_id)
        if rows.is_empty():
            where = self._dataset.ledger_dir
            raise LookupError(f"{where}: no run {run_id!r}. Fix: atlas run @ledgers, if it was sealed")
        gone = self._plates.filter(pl.col("withdrawn_by").is_not_null())
        of_gone = rows.join(gone, on="plate_id", how="semi")
        present = rows.join(gone, on="plate_id", how="anti")
        kept = present.filter(pl.col("withdrawn_by").is_null())
        withdrawn = Withdrawn(of_gone["plate_id"].n_unique(), present.height - kept.height)
        left_out: list[LeftOut] = []
        plates: list[LeftOutPlate] = []
        if self._is_commercial:
            plates = [self._withheld[one] for one in sorted(kept["plate_id"]) if one in self._withheld]
            usable = kept.join(withheld_plates(self._plates), on="plate_id", how="anti")
            left_out = count_left_out("runs", withheld_rows(usable, self._models, self._plates), self._models)
            kept = allowed_rows(kept, self._models, self._plates)
        folder = self._dataset.reports_dir / run_id
        report = folder / "report.json"
        return LeavingRun(
            run_id=run_id,
            config=read_json(folder / "config.json", RunConfig),
            report=read_json(report, RunReport) if report.is_file() else None,
            plates=list(self._sealed(run_id, sorted(kept["plate_id"]))),
            withdrawn=withdrawn,
            left_out=left_out,
            plates_left_out=plates,
        )

    def _sealed(self, run_id: str, plate_ids: list[str]) -> Iterator[RunOfPlate]:
        for plate_id in plate_ids:
            plate = self._dataset.plate(plate_id)
            yield RunOfPlate(plate.manifest(), read_manifest(plate, run_id))
