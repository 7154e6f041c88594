"""A whole dataset and its store: writing what the store has not, fetching what the folder has not, and comparing both.

Everything may be interrupted and called again: what is there already is skipped.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import read_json
from atlas_resources.plates.plate import Plate
from atlas_resources.plates.run_contracts import RunManifest
from atlas_resources.sharing.fetching import LAST, fetch_plate, fetch_source
from atlas_resources.sharing.layout import PLATE_KEY, PLATES, RUN_KEY, RUN_MANIFEST, plate_key
from atlas_resources.sharing.runs import fetch_run, publish_run, read_sealed
from atlas_resources.sharing.worker import Shared
from atlas_resources.store.protocol import Store

DIGEST = "source.sha256"
IDENTITY = (DIGEST, LAST)
"""Compared with the store's at each push, so that two plates of one id are not mixed."""


def _silent(text: str) -> None:
    """For callers that show no progress."""


@dataclass
class Moved:
    """What was moved.

    Attributes:
        counts: numbers of plates, runs and files by what they are.
    """

    counts: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        """One line for a person."""
        return ", ".join(f"{count} {name}" for name, count in self.counts.items() if count) or "nothing new"


def push(dataset: Dataset, store: Store, *, on_plate: Callable[[str], None] = _silent) -> Moved:
    """Writes every plate of a dataset into its store: files, sources, runs. Nothing in the store is overwritten.

    Facts derived from sources are replaced by those of this folder. A run that lost to another worker's in the store,
    or was sealed without it, is kept beside it.

    Args:
        dataset: the dataset.
        store: its store.
        on_plate: called with the id of each plate that was pushed.

    Raises:
        AlreadyWritten: the store has another plate of the same id, or another file.
        StoreUnreachable: the store does not answer.
    """
    moved, known = Moved(), {listed.key for listed in store.list(f"{PLATES}/")}
    shared = Shared(dataset, store)
    for plate in dataset.plates():
        for path in _plate_files(plate):
            key = plate_key(plate.id, path.relative_to(plate.folder).as_posix())
            if path.parent.name == "derived":
                shared.publish_derived(plate, [path.name])
            elif key not in known or path.name in IDENTITY:
                moved.counts["files"] += store.write_once(key, path)
        for manifest in _runs(plate):
            if plate_key(plate.id, f"runs/{manifest.run_id}/{RUN_MANIFEST}") not in known:
                moved.counts["runs"] += _push_run(store, plate, manifest)
        moved.counts["plates"] += plate_key(plate.id, LAST) not in known
        on_plate(plate.id)
    for path in sorted(dataset.reports_dir.glob("run-*/*.json")):
        shared.publish_report(path)
    return moved


def _push_run(store: Store, plate: Plate, manifest: RunManifest) -> bool:
    fingerprint = manifest.instrument.fingerprint
    content = (plate.runs_folder / manifest.run_id / RUN_MANIFEST).read_bytes()
    sealed = read_sealed(store, fingerprint, plate.id, manifest.source_sha256) if manifest.status == "complete" else []
    if content in sealed:  # its worker ended between the two writes of the manifest
        return store.write_once(plate_key(plate.id, f"runs/{manifest.run_id}/{RUN_MANIFEST}"), content)
    publish_run(store, plate.runs_folder / manifest.run_id, manifest, None)
    return True


def _plate_files(plate: Plate) -> Iterator[Path]:
    """A plate's files without its runs: its digest first, which another plate of its id would have otherwise.

    `manifest.json` comes last: without it the store has no such plate.
    """
    found = [path for path in plate.folder.rglob("*") if path.is_file()]
    keys = {path: PLATE_KEY.fullmatch(plate_key(plate.id, path.relative_to(plate.folder).as_posix())) for path in found}
    yield from sorted(
        (path for path, match in keys.items() if match), key=lambda path: (path.name == LAST, path.name != DIGEST)
    )


def _runs(plate: Plate) -> list[RunManifest]:
    return [read_json(path, RunManifest) for path in sorted(plate.runs_folder.glob(f"run-*/{RUN_MANIFEST}"))]


def pull(
    dataset: Dataset, store: Store, *, has_sources: bool = False, on_plate: Callable[[str], None] = _silent
) -> Moved:
    """Fetches every plate of a store: its files and runs, each compared with its digest.

    Args:
        dataset: the local folder.
        store: the store.
        has_sources: whether to fetch sources too, which are large; a run fetches those that it measures.
        on_plate: called with the id of each plate that is whole here.

    Raises:
        FetchedWrong: a file in the store is not the one that was sealed or registered.
        StoreUnreachable: the store does not answer.
    """
    moved, found = Moved(), stored_plates(store)
    for plate_id, run_ids in found.items():
        plate = dataset.plate(plate_id)
        moved.counts["plates"] += not plate.manifest_path.is_file()
        moved.counts["files"] += fetch_plate(store, plate)
        for run_id in run_ids:
            if not (plate.runs_folder / run_id).is_dir():
                content = store.read(plate_key(plate_id, f"runs/{run_id}/{RUN_MANIFEST}")).content
                fetch_run(dataset, store, plate, content)
                moved.counts["runs"] += 1
        if has_sources:
            moved.counts["sources"] += fetch_source(dataset, store, plate)
        on_plate(plate_id)
    return moved


def stored_plates(store: Store) -> dict[str, list[str]]:
    """The ids of a store's plates, each with the ids of its sealed runs, by one list."""
    runs: dict[str, list[str]] = {}
    plates = set()
    for listed in store.list(f"{PLATES}/"):
        if run := RUN_KEY.fullmatch(listed.key):
            if run[3] == RUN_MANIFEST:
                runs.setdefault(run[1], []).append(run[2])
        elif listed.key.endswith(f"/{LAST}"):
            plates.add(listed.key.split("/")[1])
    return {plate_id: runs.get(plate_id, []) for plate_id in sorted(plates)}
