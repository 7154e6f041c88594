"""Events that are stored by connections that stay open are those that Dagster's own class stores and reads."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.event_log import SqliteEventLogStorage

from atlas_assets.in_process.instance import instance_settings
from atlas_resources.event_storage import MOST_OPEN, PooledSqliteEventLogStorage

KEY = dg.AssetKey("plate")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "dagster.yaml").write_text(instance_settings())
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def instance(home: Path):
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


@pytest.fixture
def of_dagster(home: Path, instance: dg.DagsterInstance) -> SqliteEventLogStorage:
    """Dagster's own class over the same files."""
    return SqliteEventLogStorage(str(home / "history" / "runs"))


def record(instance: dg.DagsterInstance, *partitions: str) -> str:
    """A run that materialises partitions of an asset; its id."""

    @dg.asset(key=KEY, partitions_def=dg.StaticPartitionsDefinition(list(partitions)), output_required=False)
    def plate():
        for one in partitions:
            yield dg.AssetMaterialization(KEY, partition=one)

    result = dg.materialize([plate], instance=instance, partition_key=partitions[0])
    assert result.success
    return result.run_id


def messages(storage: SqliteEventLogStorage, run_id: str) -> list[tuple[str, str]]:
    records = storage.get_records_for_run(run_id, limit=1000).records
    return [(str(one.event_log_entry.dagster_event_type), one.event_log_entry.message) for one in records]


def materialised(storage: SqliteEventLogStorage) -> dict[str, int]:
    return dict(storage.get_latest_storage_id_by_partition(KEY, dg.DagsterEventType.ASSET_MATERIALIZATION))


def test_an_instance_of_these_settings_stores_events_where_dagster_does(instance, home):
    assert type(instance.event_log_storage) is PooledSqliteEventLogStorage
    run_id = record(instance, "a")
    assert {"index.db", f"{run_id}.db"} <= {path.name for path in (home / "history" / "runs").iterdir()}


def test_dagsters_own_class_reads_the_same_events_while_connections_are_open(instance, of_dagster):
    run_id = record(instance, "a", "b", "c")
    assert set(materialised(instance.event_log_storage)) == {"a", "b", "c"}
    assert materialised(of_dagster) == materialised(instance.event_log_storage)
    assert messages(of_dagster, run_id) == messages(instance.event_log_storage, run_id)
    assert len(messages(of_dagster, run_id)) > 6


def test_events_that_dagsters_own_class_stored_are_read(instance, of_dagster):
    run_id = record(instance, "a")
    last = of_dagster.get_records_for_run(run_id, limit=1000).records[-1].event_log_entry
    before = len(messages(instance.event_log_storage, run_id))
    of_dagster.store_event(last)
    assert len(messages(instance.event_log_storage, run_id)) == before + 1


STORE_THEN_DIE = """
import os, signal, sys
import dagster as dg
with dg.DagsterInstance.from_config(os.environ["DAGSTER_HOME"]) as instance:
    run = instance.create_run_for_job(dg.GraphDefinition(name="nothing").to_job(), run_id=sys.argv[1])
    for number in range(50):
        instance.report_engine_event(f"event {number}", run)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_loses_no_event(instance, of_dagster):
    run_id = "00000000-0000-4000-8000-000000000001"
    killed = subprocess.run([sys.executable, "-c", STORE_THEN_DIE, run_id], check=False)
    assert killed.returncode == -signal.SIGKILL
    for storage in (of_dagster, instance.event_log_storage):
        told = [message for _, message in messages(storage, run_id)]
        assert [message for message in told if message.startswith("event ")] == [f"event {n}" for n in range(50)]


def test_who_watches_a_run_is_told_of_each_event(instance):
    """As the UI does, by the times of the run's file."""
    run = instance.create_run_for_job(dg.GraphDefinition(name="nothing").to_job())
    instance.report_engine_event("before", run)
    told: list[str] = []
    has_last = threading.Event()

    def note(entry: dg.EventLogEntry, cursor: str) -> None:
        told.append(entry.message)
        if entry.message == "event 9":
            has_last.set()

    instance.watch_event_logs(run.run_id, None, note)
    for number in range(10):
        instance.report_engine_event(f"event {number}", run)
    assert has_last.wait(20)
    instance.end_watch_event_logs(run.run_id, note)
    assert told == ["before", *(f"event {number}" for number in range(10))]


def test_reading_does_not_look_like_writing(instance):
    run_id = record(instance, "a")
    path = Path(instance.event_log_storage.path_for_shard(run_id))
    before = path.stat().st_mtime_ns
    messages(instance.event_log_storage, run_id)
    assert path.stat().st_mtime_ns == before


def test_few_databases_are_open_at_a_time(instance, home):
    runs = [instance.create_run_for_job(dg.GraphDefinition(name="nothing").to_job()) for _ in range(MOST_OPEN + 5)]
    for run in runs:
        instance.report_engine_event("an event", run)
    open_files = [Path(f"/proc/self/fd/{one}") for one in os.listdir("/proc/self/fd")]
    names = {os.path.basename(os.readlink(one)) for one in open_files if one.is_symlink()}
    databases = {name for name in names if name.endswith(".db") and (home / "history" / "runs" / name).is_file()}
    assert "index.db" in databases
    assert len(databases) <= MOST_OPEN
    assert [len(messages(instance.event_log_storage, run.run_id)) for run in runs] == [1] * len(runs)


def test_a_forked_process_opens_connections_of_its_own(instance):
    run_id = record(instance, "a")
    engines = dict(instance.event_log_storage._engines)
    child = os.fork()
    if child == 0:
        found = messages(instance.event_log_storage, run_id)
        is_own = not set(map(id, instance.event_log_storage._engines.values())) & set(map(id, engines.values()))
        os._exit(0 if found and is_own else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_threads_store_events_at_the_same_time(instance):
    runs = [instance.create_run_for_job(dg.GraphDefinition(name="nothing").to_job()) for _ in range(4)]

    def report(run: dg.DagsterRun) -> None:
        for number in range(20):
            instance.report_engine_event(f"event {number}", run)

    threads = [threading.Thread(target=report, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(messages(instance.event_log_storage, run.run_id)) for run in runs] == [20] * 4


def test_wiping_leaves_no_event(instance):
    run_id = record(instance, "a")
    instance.event_log_storage.wipe()
    assert materialised(instance.event_log_storage) == {}
    assert messages(instance.event_log_storage, run_id) == []
    record(instance, "b")
    assert set(materialised(instance.event_log_storage)) == {"b"}


def test_without_a_folder_the_error_says_which_variable_to_set(monkeypatch):
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with pytest.raises(ValueError, match=r"DAGSTER_HOME is not set\. Fix: set DAGSTER_HOME"):
        PooledSqliteEventLogStorage.from_config_value(None, {})
