"""Dagster's storage of events in SQLite, with connections that stay open. For one machine; set in `dagster.yaml`.

Dagster (1.13) opens an engine and a connection to each of two databases for each event, and closes them. Closing the
last connection of a database moves its log into the file and flushes it. That takes two thirds of the time of an event.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME, SqliteEventLogStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.event import listen

MOST_OPEN = 16
"""Databases with an open connection: that of all assets, and of the runs that were asked for last."""


class PooledSqliteEventLogStorage(SqliteEventLogStorage):
    """Stores events in the same files as Dagster's own class, by a connection to each that stays open.

    A commit is not flushed to disk (`synchronous = NORMAL`, https://sqlite.org/pragma.html#pragma_synchronous). A
    process that is killed loses nothing. After a power cut, databases are whole and the last events may be missing; a
    run of the same plates records them again from what is sealed.
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None):
        """Opens nothing: Dagster creates the database of all assets if it is missing."""
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        self._process = os.getpid()
        self._in_use = threading.Lock()  # Dagster's own transactions are one after another too
        super().__init__(base_dir, inst_data)

    @classmethod
    def config_type(cls) -> Any:
        """`base_dir`, the folder of the databases; Dagster's own in DAGSTER_HOME if it is left out."""
        return {"base_dir": dg.Field(dg.StringSource, is_required=False)}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> SqliteEventLogStorage:
        """As Dagster makes it from `dagster.yaml`. Raises ValueError without a folder."""
        return cls(config_value.get("base_dir") or _folder_in_home(), inst_data)

    def run_connection(self, run_id: str | None = None) -> Any:
        """A transaction in the database of a run."""
        return self._transaction(str(run_id))

    def index_connection(self) -> Any:
        """A transaction in the database of all assets."""
        return self._transaction(INDEX_SHARD_NAME)

    def store_event(self, event: dg.EventLogEntry) -> None:
        """Stores an event of a run."""
        super().store_event(event)
        with suppress(OSError):  # SQLite wrote to the log beside the file, and Dagster's UI watches the file itself
            os.utime(self.path_for_shard(event.run_id))

    def wipe(self) -> None:
        """Deletes all events, and the databases of runs."""
        self._close()
        super().wipe()

    def dispose(self) -> None:
        """Closes the connections."""
        self._close()
        super().dispose()

    @contextmanager
    def _transaction(self, shard: str) -> Iterator[Connection]:
        with self._in_use, self._engine(shard).begin() as connection:
            yield connection

    def _engine(self, shard: str) -> Engine:
        if self._process != os.getpid():  # forked: a connection belongs to the process that opened it
            self._process, self._engines = os.getpid(), OrderedDict()
        if shard not in self._engines:
            with self._connect(shard):  # Dagster's own creates the database if it is missing
                self._engines[shard] = self._open(shard)
            while len(self._engines) > MOST_OPEN:
                self._engines.pop(next(one for one in self._engines if one != INDEX_SHARD_NAME)).dispose()
        self._engines.move_to_end(shard)
        return self._engines[shard]

    def _open(self, shard: str) -> Engine:
        connect_args = {"timeout": SQLITE_BUSY_TIMEOUT_SECONDS}
        engine = create_engine(
            self.conn_string_for_shard(shard), pool_size=1, max_overflow=0, connect_args=connect_args
        )
        listen(engine, "connect", _set_not_flushed_at_commit)
        return engine

    def _close(self) -> None:
        with self._in_use:
            while self._engines:
                self._engines.popitem()[1].dispose()


def _set_not_flushed_at_commit(connection: Any, record: object) -> None:
    connection.execute("PRAGMA synchronous = NORMAL")


def _folder_in_home() -> str:
    """The folder in which Dagster keeps events, unless its settings name another (`dagster._core.instance.ref`)."""
    home = os.environ.get("DAGSTER_HOME")
    if not home:
        raise ValueError(
            "event_log_storage in dagster.yaml has no base_dir, and DAGSTER_HOME is not set. Fix: set DAGSTER_HOME to"
            " the folder of dagster.yaml, or start Dagster by `atlas ui`"
        )
    return str(Path(home).expanduser().absolute() / "history" / "runs")
