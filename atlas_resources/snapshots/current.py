"""Which runs are current, by the plates' own files: of all plates or of some, now or as a tree has them."""

from collections.abc import Iterable, Mapping

from atlas_resources.files.read_ahead import THREADS, ahead
from atlas_resources.instruments.instrument import InstrumentIdentity
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import DatasetBroken
from atlas_resources.plates.plate import MANIFEST_VERSION_NAME, Plate
from atlas_resources.runs.sealed import MANIFEST_NAME, find_done
from atlas_resources.snapshots.tree import PLATES

DEPTH = 16 * THREADS

Runs = dict[str, str]  # run_id by the instrument's key


class PlateLeaves:
    """What the paths of a tree's leaves say of each plate. Reads no file.

    Attributes:
        run_names: names of the plate's run folders, newest first, by plate.
        manifest_versions: number of the plate's present manifest, by plate.
    """

    def __init__(self, leaves: Iterable[str]):
        self.run_names: dict[str, list[str]] = {}
        self.manifest_versions: dict[str, int] = {}
        for path in sorted(leaves, reverse=True):
            match path.removeprefix(PLATES).split("/") if path.startswith(PLATES) else []:
                case [plate_id, "runs", run_id, name] if name == MANIFEST_NAME:
                    self.run_names.setdefault(plate_id, []).append(run_id)
                case [plate_id, "manifests", name] if MANIFEST_VERSION_NAME.fullmatch(name):
                    self.manifest_versions.setdefault(plate_id, int(name.split("-")[1]))
                case [plate_id, "manifest.json"]:
                    self.manifest_versions.setdefault(plate_id, 1)


def current_runs(
    dataset: Dataset,
    identities: Iterable[InstrumentIdentity],
    run_names: Mapping[str, list[str]],
    plate_ids: Iterable[str],
) -> dict[str, Runs]:
    """The current run of each plate and instrument that has one, among the runs named. Reads on threads.

    A plate whose source digest or run manifest cannot be read has none.

    Args:
        dataset: the dataset.
        identities: the instruments.
        run_names: the run folders to consider of each plate, newest first.
        plate_ids: the plates, in order.
    """
    asked = list(identities)

    def of_plate(plate: Plate) -> tuple[str, Runs]:
        names = run_names.get(plate.id, [])
        endings = {name[-8:] for name in names}
        own = [identity for identity in asked if identity.fingerprint[:8] in endings]
        return plate.id, {identity.key: run_id for identity in own if (run_id := _done(plate, identity, names))}

    return dict(ahead(of_plate, map(dataset.plate, plate_ids), DEPTH))


def _done(plate: Plate, identity: InstrumentIdentity, names: list[str]) -> str | None:
    try:
        run = find_done(plate, identity, names)
    except DatasetBroken:  # a broken plate has no current result, as in the ledgers; verification names it
        return None
    return run and run.run_id
