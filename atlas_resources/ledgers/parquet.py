"""Ledgers as Parquet files: where they are, locking, reading and writing them whole, and the rows of sealed runs.

The rows of `ledger/runs` are gathered with the results, one file for each role in `ledger/runs_by_role/`.
"""

import io
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import polars as pl

from atlas_resources.files.durable import make_folder, sweep_leftovers, write_in_place_of
from atlas_resources.files.locking import locked
from atlas_resources.files.stated_digests import part_paths, state_digest, stated_digest_problem
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import run_fix
from atlas_resources.plates.plate import Plate
from atlas_resources.runs.faults import RunKey, SealedFault, list_all_runs, try_read
from atlas_resources.runs.sealed import read_manifest, read_output, result_file, result_path
from atlas_resources.runs.sealing import parquet_bytes
from atlas_resources.tables.ledgers import LEDGERS, RUNS
from atlas_resources.tables.results import INSTRUMENT_TABLES
from atlas_resources.tables.table import Table

LOG = logging.getLogger(__name__)

FILES_AT_ONCE = 256  # read together: in half the time of reading each alone, in bounded memory
KEY_COLUMNS = ("run_id", "plate_id")


@dataclass(frozen=True)
class _Building:
    """The locks on ledgers that the builder of one holds, by name."""

    dataset: Dataset
    held: set[str]
    locks: ExitStack = field(default_factory=ExitStack)

    def hold(self, name: str, *, is_shared: bool) -> None:
        """Waits for a ledger's lock, unless it is held, and keeps it until the ledger is built."""
        if name not in self.held:
            self.locks.enter_context(locked(self.dataset.locks_dir / f"ledger.{name}", is_shared=is_shared))
            self.held.add(name)


_BUILDING: ContextVar[_Building | None] = ContextVar("building", default=None)


@contextmanager
def building(dataset: Dataset, name: str) -> Iterator[None]:
    """Within the block no other process builds this ledger, nor one that has been read in the block.

    A builder reads several ledgers, some of them twice: were one replaced in between, its rows would be of two states.
    No two builders wait for each other, since each waits only for ledgers that come before its own. The runs of roles
    are not kept, since the builders of results read each other's.
    """
    make_folder(dataset.locks_dir)
    builder = _Building(dataset, set())
    with builder.locks:
        builder.hold(name, is_shared=False)
        token = _BUILDING.set(builder)
        try:
            yield
        finally:
            _BUILDING.reset(token)


def keep(dataset: Dataset, *names: str) -> None:
    """Keeps ledgers as they are for the builder that reads them; nothing for other readers."""
    builder = _BUILDING.get()
    if builder is not None and builder.dataset == dataset:
        for name in names:
            builder.hold(name, is_shared=True)


def ledger_path(dataset: Dataset, table: Table) -> Path:
    """The file of a ledger; of one that grew beyond some plates, its folder of parts."""
    return dataset.ledger_dir / f"{table.name}.parquet"


def runs_path(dataset: Dataset, role: str) -> Path:
    """The file of the runs of a role."""
    return dataset.ledger_dir / "runs_by_role" / f"{INSTRUMENT_TABLES[role].name}.parquet"


def has_present_columns(dataset: Dataset, table: Table) -> bool:
    """Whether a ledger exists, can be read and has exactly the columns of its table."""
    return _read(ledger_path(dataset, table), table, []) is not None


def read_ledger(dataset: Dataset, table: Table, columns: Sequence[str] = ()) -> pl.DataFrame:
    """A ledger's rows; no rows if it does not exist, has other columns than its table, or is no Parquet file.

    A ledger that is no Parquet file is logged: it is derived, and the next refresh builds it again from the plates.

    Args:
        dataset: the dataset.
        table: the ledger's table.
        columns: the columns to read; all by default.
    """
    names = list(columns) or table.schema.names()
    keep(dataset, table.name)
    rows = _read(ledger_path(dataset, table), table, names)
    return table.empty.select(names) if rows is None else rows


def read_as_built(dataset: Dataset, table: Table) -> pl.DataFrame:
    """A ledger's rows as `read_ledger` does; no rows if the file is not the one that was built."""
    keep(dataset, table.name)
    is_altered = stated_digest_problem(ledger_path(dataset, table)) is not None
    return table.empty if is_altered else read_ledger(dataset, table)


def built_ledgers(dataset: Dataset) -> list[Path]:
    """The files of every ledger, whether they exist or not."""
    return [
        *(ledger_path(dataset, table) for table in LEDGERS.values()),
        *(runs_path(dataset, role) for role in INSTRUMENT_TABLES),
    ]


def read_runs_of(dataset: Dataset, role: str) -> pl.DataFrame:
    """The runs of a role, as gathered with its results: rows of `ledger/runs`."""
    rows = _read(runs_path(dataset, role), RUNS, RUNS.schema.names())
    return RUNS.empty if rows is None else rows


def scan_table(path: Path, table: Table) -> pl.LazyFrame:
    """The rows of a table's file or folder of parts, in the table's order, read once they are collected."""
    parts = part_paths(path)
    rows = pl.scan_parquet(parts)
    return rows if len(parts) == 1 else rows.sort(table.order_by, nulls_last=True)


def read_files(paths: Iterable[Path], table: Table, columns: Sequence[str] = ()) -> pl.DataFrame:
    """The rows of some parts of a ledger, which have the table's columns, one part after another.

    Args:
        paths: the parts.
        table: the ledger's table.
        columns: the columns to read; all by default.

    Raises:
        FileNotFoundError: a part is gone.
    """
    names = list(columns) or table.schema.names()
    frames = []
    for path in paths:
        with path.open("rb") as file:
            frames.append(pl.read_parquet(file, columns=names))
    return pl.concat(frames) if frames else table.empty.select(names)


def _read(path: Path, table: Table, columns: list[str]) -> pl.DataFrame | None:
    """Some columns of a table's file or of all its parts, in the table's order; None if they have other columns."""
    parts = part_paths(path)
    if len(parts) < 2 or not columns:
        return _read_file(parts[0] if parts else path, table, columns)
    names = list(dict.fromkeys((*columns, *table.order_by)))
    folder = _inode(path)
    frames = [_read_file(part, table, names) for part in parts]
    if _inode(path) != folder:  # it was replaced while it was read
        return _read(path, table, columns)
    whole = [one for one in frames if one is not None]
    is_whole = len(whole) == len(parts)
    return pl.concat(whole).sort(table.order_by, nulls_last=True).select(columns) if is_whole else None


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0


def _read_file(path: Path, table: Table, columns: list[str]) -> pl.DataFrame | None:
    """Some columns of a table's file; None if there is no file with the table's columns.

    The file is opened once: a ledger that is replaced meanwhile stays readable through the open file, whereas a reader
    that opens its path twice reads the columns of one file by the footer of another.
    """
    try:
        with path.open("rb") as file:
            if pl.read_parquet_schema(file) != dict(table.schema):
                return None
            file.seek(0)
            return pl.read_parquet(file, columns=columns)
    except (FileNotFoundError, IsADirectoryError):
        return None
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        LOG.warning(f"{path} is no Parquet file and is built again: {error}")
        return None


def write_ledger(dataset: Dataset, table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    """Replaces the ledger atomically. Returns the rows as written: in the table's columns and order."""
    return write_table(dataset, ledger_path(dataset, table), table, rows)


def write_table(dataset: Dataset, path: Path, table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    """Replaces a table's file and its digest. Returns the rows as written."""
    conformed = table.conform(rows)
    sweep_leftovers(path.parent)
    make_folder(dataset.locks_dir)
    with locked(dataset.locks_dir / "ledgers"):  # two writers would leave the file of one and the digest of the other
        write_in_place_of(path, parquet_bytes(conformed))
        state_digest(path)
    return conformed


def sealed_runs(dataset: Dataset) -> set[RunKey]:
    """Every sealed run folder on disk. Lists folders that changed since they were listed, and reads no file."""
    return {
        (run_id, plate_id)
        for plate_id, run_ids in list_all_runs(dataset, dataset.plate_ids()).ids.items()
        for run_id in run_ids
    }


def runs_in(rows: pl.DataFrame) -> set[RunKey]:
    """The sealed runs that rows come from."""
    return set(rows.select(KEY_COLUMNS).unique().iter_rows())


def complete_runs(dataset: Dataset, role: str) -> set[RunKey]:
    """The complete runs of a role that were gathered with its results."""
    return runs_in(read_runs_of(dataset, role).filter(status="complete"))


def read_sealed_files(dataset: Dataset, role: str, keys: Iterable[RunKey]) -> tuple[pl.DataFrame, list[SealedFault]]:
    """The rows that runs of a role sealed, without `is_current`, and the runs whose files are not those sealed.

    A column that is younger than a file is null in it. Files are compared with their digests as they are read.
    """
    schema = INSTRUMENT_TABLES[role].sealed_schema
    files, frames, faults = try_read(dataset, keys, _read_result), [schema.to_frame()], []
    while some := list(islice(files, FILES_AT_ONCE)):
        whole = [file for file in some if isinstance(file, _ResultFile)]
        parsed = list(_parse(whole, schema)) if whole else []
        frames += [one for one in parsed if isinstance(one, pl.DataFrame)]
        faults += [one for one in (*some, *parsed) if isinstance(one, SealedFault)]
    return pl.concat(frames), faults


@dataclass(frozen=True)
class _ResultFile:
    """The Parquet file of a plate's sealed result, with the bytes that were sealed."""

    plate: Plate
    path: Path
    content: bytes


def _read_result(plate: Plate, run_id: str) -> _ResultFile:
    manifest = read_manifest(plate, run_id)
    content = read_output(plate, manifest, result_file(plate, manifest))
    return _ResultFile(plate, result_path(plate, manifest), content)


def _parse(files: Sequence[_ResultFile], schema: pl.Schema) -> Iterator[pl.DataFrame | SealedFault]:
    """The rows of some files, read together. If that fails each is read alone, so that only the bad one is left out."""
    try:
        yield pl.read_parquet([io.BytesIO(file.content) for file in files], schema=schema, missing_columns="insert")
    except pl.exceptions.PolarsError as error:
        if len(files) > 1:
            for file in files:
                yield from _parse([file], schema)
            return
        (file,) = files
        problem = f"has other columns than its table: {str(error).splitlines()[0]}"
        yield SealedFault(file.plate.id, file.path, problem, run_fix(file.path.parent))


def read_sealed_rows(dataset: Dataset, role: str) -> tuple[pl.DataFrame, list[SealedFault]]:
    """The rows of a role's complete runs, as gathered, from the plates' own files, as `read_sealed_files` does."""
    return read_sealed_files(dataset, role, complete_runs(dataset, role) & sealed_runs(dataset))
