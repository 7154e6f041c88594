"""A dataset's Dagster instance has the project's settings, and a storage of events unless they name one."""

import dagster as dg
import pytest
import yaml
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.event_log import SqliteEventLogStorage

from atlas_assets.in_process import instance as module
from atlas_assets.in_process.instance import instance_settings, open_instance
from atlas_resources.event_storage import PooledSqliteEventLogStorage
from atlas_resources.files.project import SETTINGS_FOLDER
from atlas_resources.plates.dataset import Dataset

PACKAGED = yaml.safe_load((SETTINGS_FOLDER / "dagster.yaml").read_text())


def test_the_packaged_settings_get_a_storage_of_events_in_the_dataset(tmp_path, monkeypatch):
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with open_instance(Dataset(tmp_path)) as instance:
        assert type(instance.event_log_storage) is PooledSqliteEventLogStorage
        assert (tmp_path / ".dagster" / "history" / "runs" / "index.db").is_file()
    written = yaml.safe_load((tmp_path / ".dagster" / "dagster.yaml").read_text())
    assert {name: part for name, part in written.items() if name != "event_log_storage"} == PACKAGED


@pytest.mark.parametrize("storage", ["storage: {sqlite: {base_dir: /tmp/history}}", "event_log_storage: {}"])
def test_settings_that_name_a_storage_are_left_as_they_are(tmp_path, monkeypatch, storage):
    own = tmp_path / "dagster.yaml"
    own.write_text(f"telemetry: {{enabled: false}}\n{storage}\n")
    monkeypatch.setattr(module, "settings_path", lambda name: own)
    assert instance_settings() == own.read_text()


def test_the_packaged_settings_serve_dagsters_own_commands_without_dagster_home(tmp_path, monkeypatch):
    """As `dagster dev` opens them: its history is in a temporary folder, its settings are those of the folder."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    opened = InstanceRef.from_dir(str(tmp_path), config_dir=str(SETTINGS_FOLDER))
    with dg.DagsterInstance.from_ref(opened) as instance:
        assert type(instance.event_log_storage) is SqliteEventLogStorage
    assert (tmp_path / "history" / "runs" / "index.db").is_file()
