"""The files of deploy/ are well formed by their programs' own schemas, and hold no secret."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from dagster._core.instance.ref import InstanceRef

from atlas_resources.files.project import PROJECT_ROOT, SETTINGS_FOLDER

DEPLOY = PROJECT_ROOT / "deploy"
UNITS = sorted(path.name for path in (DEPLOY / "systemd").iterdir())
SECRET = re.compile(r"(?i)(password|token|secret)\b\s*[:=]\s*(\S+)")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_accepts_every_unit(tmp_path: Path):
    """With programs that exist: those of the files are where the person installs them."""
    for name in UNITS:
        text = (DEPLOY / "systemd" / name).read_text()
        (tmp_path / name).write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE))
    done = subprocess.run(
        ["systemd-analyze", "verify", *(str(tmp_path / name) for name in UNITS)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_every_unit_belongs_to_the_target_and_starts_after_the_database_is_there():
    target = (DEPLOY / "systemd" / "atlas.target").read_text()
    services = [name for name in UNITS if name.endswith(".service")]
    assert services == ["atlas-code.service", "atlas-daemon.service", "atlas-instance.service", "atlas-web.service"]
    for name in services:
        text = (DEPLOY / "systemd" / name).read_text()
        assert "PartOf=atlas.target" in text
        if name != "atlas-instance.service":
            assert name in target
            assert "Requires=atlas-instance.service" in text
            assert re.search(r"^After=.*\batlas-instance\.service", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("engine", "launcher"),
    [("ray", "atlas_resources.cluster.run_launcher"), ("celery", "dagster_celery.launcher")],
)
def test_dagster_accepts_the_settings_of_each_engine(tmp_path: Path, engine: str, launcher: str):
    (tmp_path / "dagster.yaml").write_bytes((DEPLOY / engine / "dagster.yaml").read_bytes())
    instance = InstanceRef.from_dir(str(tmp_path))
    assert instance.run_launcher_data is not None
    assert instance.run_launcher_data.module_name == launcher
    assert instance.storage_data is not None
    assert instance.storage_data.class_name == "DagsterPostgresStorage"


@pytest.mark.parametrize("engine", ["ray", "celery"])
def test_settings_that_are_no_matter_of_the_engine_are_the_packaged_ones(engine: str):
    packaged = yaml.safe_load((SETTINGS_FOLDER / "dagster.yaml").read_text())
    theirs = yaml.safe_load((DEPLOY / engine / "dagster.yaml").read_text())
    for part in ("telemetry", "run_retries", "nux", "freshness"):
        assert theirs[part] == packaged[part]
    assert theirs["concurrency"]["pools"]["granularity"] == "op"
    assert theirs["run_monitoring"]["enabled"] is True


def test_ray_accepts_the_cluster_file():
    util = pytest.importorskip("ray.autoscaler._private.util", reason="Ray is not installed. Fix: make cluster")
    content = yaml.safe_load((DEPLOY / "ray" / "cluster.yaml").read_text())
    util.validate_config(util.prepare_config(content))
    assert len(content["provider"]["worker_ips"]) == content["max_workers"] == content["min_workers"]


def test_the_compose_file_names_services_and_volumes_that_it_has():
    content = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    for service in content["services"].values():
        assert set(service.get("depends_on", ())) <= set(content["services"])
        assert {volume.partition(":")[0] for volume in service["volumes"]} <= set(content["volumes"])
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


@pytest.mark.parametrize("path", sorted(DEPLOY.rglob("*.yaml")), ids=lambda path: str(path.relative_to(DEPLOY)))
def test_no_file_holds_a_password_or_a_token(path: Path):
    assert secrets_in(path.read_text()) == []


def secrets_in(text: str) -> list[str]:
    """Values of passwords and tokens that are written out; `${VARIABLE}` stands for one of the environment."""
    lines = (re.sub(r"\$\{[^}]*\}", "", line.partition("#")[0]) for line in text.splitlines())
    found = (match[2].strip("\"'{},") for line in lines for match in SECRET.finditer(line))
    return [value for value in found if value]


def test_a_password_and_a_token_that_are_written_out_are_found():
    assert secrets_in("POSTGRES_PASSWORD: hunter2\nRAY_AUTH_TOKEN=abc # why\n# password: none") == ["hunter2", "abc"]
    assert secrets_in('RAY_AUTH_TOKEN: "${RAY_AUTH_TOKEN:?}"') == []
