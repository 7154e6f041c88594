"""Whatever happens to a library, ledgers and catalogue that grew with it have the rows of ones built from nothing."""

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from polars.testing import assert_frame_equal
from support import fake_instruments
from support.fake_instruments import EMBEDDER, READER, SEGMENTER, fake_registry, fake_spec, reader_spec
from support.made_datasets import draw_scan, make_dataset
from support.made_results import TWO_SEGMENTS, GivenVectors, measure, measure_groundwork, run_instrument
from support.made_withdrawals import restored, withdrawn

from atlas_resources.catalogue.build import build_catalogue, differing_tables
from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers import parquet
from atlas_resources.ledgers.builders import BUILDERS
from atlas_resources.ledgers.completeness.states import MOST_ATTEMPTS
from atlas_resources.ledgers.growth import growing, parts
from atlas_resources.ledgers.parquet import write_ledger
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.index import memory
from atlas_resources.plates.index.memory import one_look
from atlas_resources.plates.intake.registration import register_scans
from atlas_resources.plates.json_files import DatasetBroken
from atlas_resources.plates.plate import Plate
from atlas_resources.runs import sealing
from atlas_resources.tables.ledgers import TOPOLOGY
from atlas_resources.withdrawals.in_force import read_withdrawn

GROWING = [name for name in BUILDERS if name not in {table.name for table in TOPOLOGY}]
"""Ledgers of topology are compared space by space, whatever the plates: they are left empty here."""
REGISTRIES = [{"gain": 1.0}, {"gain": 2.0}]


class Killed(BaseException):
    """Stands for a process that is killed: nothing catches it."""


class Library:
    """A dataset to which things happen, of which a number chooses the plate."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.dataset = make_dataset(folder, "red", "green", "blue")
        self.registries = [self._registry(**parameters) for parameters in REGISTRIES]
        self.registry = self.registries[0]
        self.scans = 0
        self.taken: set[Path] = set()
        """Run folders that a build has seen: rows that it took stay, whatever becomes of the sealed files."""
        measure_groundwork(self.dataset)
        self.seal(0)

    def _registry(self, **parameters: float) -> Registry:
        return fake_registry(fake_spec(EMBEDDER, **parameters), fake_spec(SEGMENTER), reader_spec())

    def plate(self, number: int) -> Plate | None:
        plates = self.dataset.plates()
        return plates[number % len(plates)] if plates else None

    def runs(self, number: int) -> list[Path]:
        plate = self.plate(number)
        return sorted(plate.runs_folder.glob("run-*")) if plate and plate.runs_folder.is_dir() else []

    def seal(self, number: int, *, is_forced: bool = False, is_failing: bool = False) -> None:
        plate_ids = self.dataset.plate_ids()
        vectors = {} if is_failing else {one: (float(place), 1.0, 2.0) for place, one in enumerate(plate_ids)}
        asked = [one for place, one in enumerate(plate_ids) if not is_forced or place == number % len(plate_ids)]
        measure(self.dataset, self.registry, EMBEDDER, GivenVectors(vectors), asked, is_forced=is_forced)
        measure(self.dataset, self.registry, SEGMENTER, TWO_SEGMENTS, asked, is_forced=is_forced)
        run_instrument(self.dataset, self.registry, READER)

    def register(self, number: int) -> None:
        self.scans += 1
        with suppress(DatasetBroken):  # nothing is registered next to a plate whose manifest is broken
            scan = draw_scan(self.folder / f"late-{self.scans}.png", (number, self.scans, 9))
            list(register_scans(self.dataset, [scan]))

    def delete_a_run(self, number: int) -> None:
        for folder in self.runs(number)[number % 3 : number % 3 + 1]:
            shutil.rmtree(folder)

    def delete_a_plate(self, number: int) -> None:
        if plate := self.plate(number):
            shutil.rmtree(plate.folder)

    def break_a_result(self, number: int) -> None:
        for folder in [one for one in self.runs(number) if one not in self.taken][:1]:
            for path in folder.glob("*.parquet"):
                shutil.move(path, self.folder / f"{folder.parents[1].name}-{folder.name}-{path.name}")

    def mend_the_results(self, number: int) -> None:
        for path in self.folder.glob("*-run-*.parquet"):
            plate_id, rest = path.name.split("-run-", 1)
            folder = self.dataset.plate(plate_id).runs_folder / f"run-{rest[:25]}"
            if folder.is_dir():
                shutil.move(path, folder / rest[26:])

    def alter_groundwork(self, number: int) -> None:
        if plate := self.plate(number):
            path = plate.derived_path(("input_image.json", "input_color_histograms.json")[number % 2])
            path.parent.mkdir(exist_ok=True)  # a plate registered just now has none
            path.write_bytes(path.read_bytes() + b"\n" if path.is_file() else b"{}")

    def break_a_manifest(self, number: int) -> None:
        if plate := self.plate(number):
            path = plate.manifest_path
            path.write_bytes(path.read_bytes().replace(b'"title"', b'"titel"') if number % 2 else b"{")

    def withdraw_a_plate(self, number: int) -> None:
        if (plate := self.plate(number)) and not read_withdrawn(self.dataset.root).of_plate(plate.id, None):
            withdrawn(self.dataset, "plate", plate.id)

    def restore_the_first(self, number: int) -> None:
        for entry in read_withdrawn(self.dataset.root).entries[:1]:
            restored(self.dataset, entry.number)

    def change_the_instrument(self, number: int) -> None:
        self.registry = self.registries[number % 2]

    def lose_the_memory(self, number: int) -> None:
        for name in (".known.db", ".catalogue.built_from")[number % 2 :]:
            (self.dataset.root / name).unlink(missing_ok=True)

    def build(self, dataset: Dataset) -> dict:
        self.taken |= set(dataset.plates_dir.glob("*/runs/run-*"))
        for table in TOPOLOGY:
            write_ledger(dataset, table, table.frame([]))
        with one_look(dataset.root):
            return {name: BUILDERS[name](dataset, self.registry, MOST_ATTEMPTS).lazy().collect() for name in GROWING}

    def build_until_killed(self, number: int) -> None:
        """The process dies before it states the digest of one of the files that it writes."""
        left = number % 8

        def state_digest(*given) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            own(*given)

        own = parts.state_digest
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(parquet, "state_digest", state_digest)
            patch.setattr(parts, "state_digest", state_digest)
            with pytest.raises(Killed):
                self.build(self.dataset)

    def replace_parts_until_killed(self, number: int) -> None:
        """The process dies before, or after, a folder of parts takes the place of an older one."""
        left, is_after = number % 3, number % 2

        def take_the_place(new: Path, path: Path) -> None:
            nonlocal left
            left -= 1
            if left < 0 and not is_after:
                raise Killed
            own(new, path)
            if left < 0:
                raise Killed

        own = parts.take_the_place
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(parts, "take_the_place", take_the_place)
            with suppress(Killed):  # fewer folders may change
                self.build(self.dataset)

    def seal_until_killed(self, number: int) -> None:
        """The process dies while it seals: after the files of a plate's run are written, before the folder is shown."""
        left = number % 3

        def write_folder_synced(folder: Path, contents) -> None:
            nonlocal left
            own(folder, contents)
            left -= 1
            if left < 0:
                raise Killed

        own = sealing.write_folder_synced
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sealing, "write_folder_synced", write_folder_synced)
            with suppress(Killed):  # all plates may be done
                self.seal(number, is_forced=True)

    def rebuilt(self) -> dict:
        """The rows of ledgers built from the plates alone; those that grew are put back."""
        aside = self.folder / "aside"
        aside.mkdir()
        grown = [path for path in (self.dataset.ledger_dir, self.dataset.root / ".known.db") if path.exists()]
        for path in grown:
            path.rename(aside / path.name)
        memory._MEMORIES.clear()
        rows = self.build(self.dataset)
        shutil.rmtree(self.dataset.ledger_dir)
        (self.dataset.root / ".known.db").unlink(missing_ok=True)
        for path in grown:
            (aside / path.name).rename(path)
        memory._MEMORIES.clear()
        aside.rmdir()
        return rows


HAPPENINGS: list[Callable[[Library, int], None]] = [
    Library.seal,
    lambda library, number: library.seal(number, is_forced=True),
    lambda library, number: library.seal(number, is_forced=True, is_failing=True),
    Library.register,
    Library.delete_a_run,
    Library.delete_a_plate,
    Library.break_a_result,
    Library.mend_the_results,
    Library.alter_groundwork,
    Library.break_a_manifest,
    Library.withdraw_a_plate,
    Library.restore_the_first,
    Library.change_the_instrument,
    Library.lose_the_memory,
    Library.build_until_killed,
    Library.replace_parts_until_killed,
    Library.seal_until_killed,
]
CALLS = st.tuples(st.sampled_from(HAPPENINGS), st.integers(0, 11))


@pytest.mark.timeout(900)
@settings(max_examples=6, suppress_health_check=[HealthCheck.too_slow], phases=[Phase.generate])  # each takes seconds
@given(st.lists(st.lists(CALLS, min_size=1, max_size=3), min_size=2, max_size=4))
def test_grown_rows_are_those_of_a_rebuild(tmp_path_factory, rounds):
    with pytest.MonkeyPatch.context() as patch:
        fake_instruments.install(patch)
        patch.setattr(growing, "PLATES_PER_PART", 2)
        library = Library(tmp_path_factory.mktemp("library"))
        for calls in [[], *rounds]:
            for happen, number in calls:
                happen(library, number)
            grown = library.build(library.dataset)
            build_catalogue(library.dataset, library.registry)
            assert differing_tables(library.dataset) == []
            for name, rows in library.rebuilt().items():
                assert_frame_equal(grown[name], rows)
