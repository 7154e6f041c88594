"""Two workers with folders of their own and one bucket of a real S3 server: racing, and one of them killed.

`make s3` installs the server; without it these tests are skipped.
"""

import signal
import time

import pytest
from support.forked import Forked, begin
from support.made_datasets import make_dataset
from support.made_stores import BUCKET, s3_server, s3_store
from support.sharing import measure_all

from atlas_resources.plates.dataset import Dataset
from atlas_resources.sharing.comparison import verify_store
from atlas_resources.sharing.transfer import pull, push, stored_plates
from atlas_resources.store.address import open_store
from atlas_resources.store.leases import LEASE_SECONDS, Leases

pytestmark = pytest.mark.system

NAMES = ["red", "green", "blue", "ochre", "teal", "brown"]
END_SECONDS = 240


@pytest.fixture(scope="module")
def server():
    with s3_server() as port:
        yield port


@pytest.fixture
def store(server, tmp_path, monkeypatch):
    """A bucket with six plates, named in the environment as an operator names it."""
    made = s3_store(server)
    monkeypatch.setenv("ATLAS_STORE", made.address)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server}")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    assert made.address.startswith(f"s3://{BUCKET}/")
    push(make_dataset(tmp_path / "drawn", *NAMES), open_store(made.address))
    return made


def worker(tmp_path, name: str, store) -> Dataset:
    """A worker's folder, with the plates and nothing else."""
    dataset = Dataset(tmp_path / name)
    dataset.ensure()
    pull(dataset, store)
    return dataset


def said(process: Forked) -> dict[str, str]:
    lines = process.communicate(timeout=END_SECONDS)
    assert process.returncode == 0, lines
    return dict(line.split() for line in lines.splitlines())


def test_two_workers_seal_every_plate_of_a_bucket_once(store, tmp_path):
    processes = [Forked(measure_all, worker(tmp_path, name, store), name) for name in ("forwards", "backwards")]
    begin(*processes)
    first, second = (said(process) for process in processes)
    for plate_id, status in first.items():
        assert {status, second[plate_id]} == {"complete", "reused"}
    assert {len(runs) for runs in stored_plates(store).values()} == {1}
    assert [problem for problem in verify_store(store, is_deep=True) if problem] == []
    third = worker(tmp_path, "third", store)
    assert len(list(third.plates_dir.glob("*/runs/run-*"))) == len(NAMES)


def test_a_killed_workers_plates_are_measured_once_its_leases_end(store, tmp_path):
    victim, survivor = (worker(tmp_path, name, store) for name in ("forwards", "backwards"))
    process = Forked(measure_all, victim, "forwards")
    begin(process)
    assert process.stdout.readline().split()[1] == "complete"
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    process.close()
    later = Leases(open_store(store.address), "later", now=lambda: time.time() + LEASE_SECONDS + 2 * END_SECONDS)
    taken = [lease for listed in store.list("claims/") if (lease := later.take(listed.key))]
    assert [lease.deaths for lease in taken if lease.deaths] != []
    for lease in taken:
        lease.give_back()
    finishing = Forked(measure_all, survivor, "backwards")
    begin(finishing)
    finished = said(finishing)
    assert set(finished) == {f"plate-00{number}" for number in range(1, 7)}
    assert "reused" in finished.values()
    assert {len(runs) for runs in stored_plates(store).values()} == {1}
    assert [problem for problem in verify_store(store) if problem] == []
