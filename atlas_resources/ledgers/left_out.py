"""Which sealed runs the ledgers leave out because they are not whole."""

from collections.abc import Iterable, Iterator

from atlas_resources.ledgers.growth.growing import read_rows_of
from atlas_resources.ledgers.parquet import KEY_COLUMNS, ledger_path, read_sealed_files, runs_in, runs_path
from atlas_resources.ledgers.runs import open_plates
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.index.memory import one_look
from atlas_resources.runs.faults import RunKey, SealedFault, list_all_runs, own_faults, require_whole, try_read
from atlas_resources.tables.ledgers import RUNS
from atlas_resources.tables.results import INSTRUMENT_TABLES


def find_left_out(dataset: Dataset) -> list[SealedFault]:
    """Every fault that keeps a plate, or a run of it, out of the ledgers.

    Reads what no ledger has rows of: a file that changed after its rows were taken is not among the faults.
    """
    with one_look(dataset.root):
        identities = dataset.identities()
        own, listed = own_faults(dataset, identities), list_all_runs(dataset, identities)
        faults: list[SealedFault] = []
        for plate_id in identities:
            faults += [*([own[plate_id]] if plate_id in own else []), *listed.faults.get(plate_id, ())]
        plate_ids = open_plates(dataset)
        on_disk = {(run_id, plate_id) for plate_id in plate_ids for run_id in listed.ids[plate_id]}
        known = runs_in(read_rows_of(dataset, ledger_path(dataset, RUNS), RUNS, plate_ids, KEY_COLUMNS))
        faults += _faults(try_read(dataset, on_disk - known, require_whole))
        for role, table in INSTRUMENT_TABLES.items():
            runs = read_rows_of(dataset, runs_path(dataset, role), RUNS, plate_ids, (*KEY_COLUMNS, "status"))
            with_rows = runs_in(read_rows_of(dataset, ledger_path(dataset, table), table, plate_ids, KEY_COLUMNS))
            without_rows = runs_in(runs.filter(status="complete")) & on_disk - with_rows
            faults += read_sealed_files(dataset, role, without_rows)[1] if without_rows else []
        return faults


def is_any_whole(dataset: Dataset, keys: Iterable[RunKey]) -> bool:
    """Whether at least one of these runs is whole. Reads no further than the first that is."""
    return any(not isinstance(one, SealedFault) for one in try_read(dataset, keys, require_whole))


def _faults(found: Iterable[object]) -> Iterator[SealedFault]:
    return (one for one in found if isinstance(one, SealedFault))
