"""Which sealed runs the ledgers leave out because they are not whole."""

from collections.abc import Iterable, Iterator

from atlas_resources.ledgers.parquet import complete_runs, read_sealed_files, runs_in_ledger
from atlas_resources.plates.dataset import Dataset
from atlas_resources.runs.faults import RunKey, SealedFault, list_all_runs, own_faults, require_whole, try_read
from atlas_resources.tables.ledgers import RUNS
from atlas_resources.tables.results import INSTRUMENT_TABLES


def find_left_out(dataset: Dataset) -> list[SealedFault]:
    """Every fault that keeps a plate, or a run of it, out of the ledgers.

    Reads what no ledger has rows of: a file that changed after its rows were taken is not among the faults.
    """
    faults: list[SealedFault] = []
    on_disk: set[RunKey] = set()
    identities = dataset.identities()
    own = own_faults(dataset, identities)
    for plate_id, (run_ids, strays) in list_all_runs(dataset, identities).items():
        on_disk |= {(run_id, plate_id) for run_id in run_ids}
        faults += [*([own[plate_id]] if plate_id in own else []), *strays]
    faults += _faults(try_read(dataset, on_disk - runs_in_ledger(dataset, RUNS), require_whole))
    for role, table in INSTRUMENT_TABLES.items():
        without_rows = complete_runs(dataset, role) & on_disk - runs_in_ledger(dataset, table)
        faults += read_sealed_files(dataset, role, without_rows)[1]
    return faults


def is_any_whole(dataset: Dataset, keys: Iterable[RunKey]) -> bool:
    """Whether at least one of these runs is whole. Reads no further than the first that is."""
    return any(not isinstance(one, SealedFault) for one in try_read(dataset, keys, require_whole))


def _faults(found: Iterable[object]) -> Iterator[SealedFault]:
    return (one for one in found if isinstance(one, SealedFault))
