"""Two hosts on one dataset: claims, logs, registration, sealing and ledgers, on a local disk and on NFS 4.2.

ATLAS_TEST_HOSTS=FIRST:SECOND names two mounts of one export that share no cache. `make nfs` runs these tests in a guest
(`tests/support/nfs/`) that has them. Elsewhere both hosts are processes on one local folder.
"""

import hashlib
import os
import signal
import subprocess
import time
import uuid
from pathlib import Path

import duckdb
import pytest
from support import fake_instruments
from support.fake_instruments import SEGMENTER, fake_registry, fake_spec
from support.forked import Forked, begin, ready
from support.made_datasets import draw_scans, make_dataset, source_digests
from support.made_results import build_ledgers
from support.nfs import steps
from support.sharing import measure_all

from atlas_resources.catalogue.build import build_catalogue
from atlas_resources.ledgers.parquet import sealed_runs
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.intake.registration import register_scans
from atlas_resources.plates.json_files import read_json
from atlas_resources.plates.run_contracts import RunManifest
from atlas_resources.runs.claims import claim_plate, is_live
from atlas_resources.runs.sealed import MANIFEST_NAME
from atlas_resources.tags.log import LOG
from atlas_resources.verification.library import verify

pytestmark = pytest.mark.system

HOSTS = os.environ.get("ATLAS_TEST_HOSTS", "")
NAMES = ["red", "green", "blue", "ochre", "teal", "brown"]
END_SECONDS = 120
LEASE_SECONDS = 10  # of the server in the guest


@pytest.fixture(
    params=[
        "local",
        pytest.param("nfs", marks=pytest.mark.skipif(not HOSTS, reason="ATLAS_TEST_HOSTS names no two mounts")),
    ]
)
def hosts(request, tmp_path):
    """The same new folder as two hosts see it."""
    if request.param == "local":
        return tmp_path, tmp_path
    name = uuid.uuid4().hex[:8]
    first, second = (Path(host) / name for host in HOSTS.split(":"))
    first.mkdir()
    assert second.is_dir()
    return first, second


@pytest.fixture
def datasets(hosts):
    """A dataset of six plates as two hosts see it."""
    here, there = hosts
    return make_dataset(here, *NAMES), Dataset(there / "atlas")


def said(process: Forked) -> list[list[str]]:
    lines = process.communicate(timeout=END_SECONDS)
    assert process.returncode == 0, lines
    return [line.split() for line in lines.splitlines()]


def told(process: Forked) -> str:
    return process.stdout.readline().strip()


def go_on(process: Forked) -> None:
    process.stdin.write("go\n")
    process.stdin.flush()
    said(process)


def sealed(dataset: Dataset) -> list[str]:
    """The plate of each sealed folder, after its files were compared with its manifest."""
    plates = []
    for folder in sorted(dataset.plates_dir.glob("*/runs/run-*")):
        manifest = read_json(folder / MANIFEST_NAME, RunManifest)
        for output in manifest.outputs:
            content = (folder.parents[1] / output.path).read_bytes()
            assert hashlib.sha256(content).hexdigest() == output.sha256
        plates.append(manifest.plate_id)
    return plates


@pytest.mark.parametrize(
    ("held", "wanted", "excluded"), [(False, False, True), (True, False, True), (True, True, False)]
)
def test_a_lock_that_one_host_holds_excludes_the_other(hosts, held, wanted, excluded):
    here, there = hosts
    holder = Forked(steps.hold_lock, here / "lock", held)
    assert told(holder) == "held"
    waiter = Forked(steps.hold_lock, there / "lock", wanted)
    if excluded:
        time.sleep(1)
        go_on(holder)
    assert told(waiter) == "held"
    go_on(waiter)
    if not excluded:
        go_on(holder)


def test_what_is_written_under_a_lock_is_read_by_the_next_holder_on_the_other_host(hosts):
    here, there = hosts
    (here / "number").write_text("0")
    counting = [Forked(steps.count_locked, place / "number", place / "lock", 40) for place in (here, there)]
    begin(*counting)
    for process in counting:
        said(process)
    with_lock = Forked(steps.count_locked, there / "number", there / "lock", 0)
    begin(with_lock)
    said(with_lock)
    assert (there / "number").read_text() == "80"


def test_a_claim_excludes_the_other_host_until_its_process_is_killed(datasets):
    here, there = datasets
    holder = Forked(steps.hold_claim, here, "plate-001", SEGMENTER)
    assert told(holder) == "held"
    assert claim_plate(there.plate("plate-001"), SEGMENTER) is None
    holder.kill()
    holder.wait(10)
    holder.close()
    claim = claim_plate(there.plate("plate-001"), SEGMENTER)
    assert claim is not None
    assert claim.deaths == 1
    claim.release()
    again = claim_plate(here.plate("plate-001"), SEGMENTER)
    assert again is not None
    assert again.deaths == 0
    again.release()


@pytest.mark.parametrize("order", ["backwards", "forwards"])
def test_two_hosts_seal_every_plate_once(datasets, order):
    here, there = datasets
    processes = Forked(measure_all, here, "forwards"), Forked(measure_all, there, order)
    begin(*processes)
    statuses = {process: {plate_id: status for plate_id, status in said(process)} for process in processes}
    first, second = statuses.values()
    for plate_id in here.plate_ids():
        assert {first[plate_id], second[plate_id]} == {"complete", "reused"}
    for dataset in datasets:
        assert sorted(sealed(dataset)) == here.plate_ids()
        found = verify(dataset, fake_registry(fake_spec(SEGMENTER))).findings
        assert [finding for finding in found if finding.plate_id] == []


def test_when_one_host_loses_its_process_the_other_finishes_all(datasets):
    here, there = datasets
    victim, survivor = Forked(measure_all, here, "forwards"), Forked(measure_all, there, "backwards")
    begin(victim, survivor)
    assert told(victim).endswith("complete")
    victim.send_signal(signal.SIGKILL)
    victim.wait(10)
    victim.close()
    finished = dict(said(survivor))
    assert set(finished) == set(here.plate_ids())
    assert sorted(sealed(there)) == here.plate_ids()
    assert not any(is_live(folder) for folder in there.reports_dir.iterdir())


def test_a_plate_that_the_other_host_has_just_sealed_is_not_measured_again(datasets):
    """The second host has looked at the plate before: what it remembers of the folder is old."""
    here, there = datasets
    for plate_id in there.plate_ids():
        os.listdir(there.plate(plate_id).folder)
        assert not there.plate(plate_id).runs_folder.is_dir()
    begun = Forked(measure_all, there, "forwards")
    ready(begun)
    measured = Forked(measure_all, here, "forwards")
    begin(measured)
    assert {status for _, status in said(measured)} == {"complete"}
    begun.stdin.write("go\n")
    begun.stdin.flush()
    assert {status for _, status in said(begun)} == {"reused"}
    assert len(sealed_runs(there)) == len(NAMES)


def test_entries_of_two_hosts_follow_each_other_in_one_log(datasets):
    here, there = datasets
    plates = here.plate_ids()
    processes = Forked(steps.tag_all, here, "birds", plates), Forked(steps.tag_all, there, "water", plates)
    begin(*processes)
    for process in processes:
        said(process)
    for dataset in datasets:
        assert [entry.content.number for entry in LOG.read(dataset.root)] == list(range(1, 2 * len(plates) + 1))


def test_two_hosts_register_scans_at_once_and_none_is_lost(hosts, tmp_path):
    here, there = hosts
    scans = draw_scans(tmp_path / "drawn", *NAMES)
    first, second = Dataset(here / "atlas"), Dataset(there / "atlas")
    first.ensure()
    processes = Forked(steps.register, first, scans[::2]), Forked(steps.register, second, scans[1::2])
    begin(*processes)
    found = [line for process in processes for line in said(process)]
    assert {status for _, status, *_ in found} <= {"registered", "refused"}  # of two that chose one id, by name
    again = [registration.status for registration in register_scans(first, scans)]
    assert again.count("already_registered") == sum(status == "registered" for _, status, *_ in found)
    assert again.count("registered") == sum(status == "refused" for _, status, *_ in found)
    for dataset in (first, second):
        assert len(source_digests(dataset)) == len(set(source_digests(dataset).values())) == len(NAMES)


def test_a_ledger_is_read_whole_while_the_other_host_replaces_it(datasets, monkeypatch):
    here, there = datasets
    begin(measuring := Forked(measure_all, here, "forwards"))
    said(measuring)
    fake_instruments.install(monkeypatch)
    registry = fake_registry(fake_spec(SEGMENTER, delay_seconds=0.2))
    build_ledgers(here, registry)
    reading = Forked(steps.read_segments, there, 6.0)
    begin(reading)
    for _ in range(3):
        build_ledgers(here, registry)
    assert said(reading) == [[str(2 * len(NAMES))]]


def test_the_catalogue_answers_while_the_other_host_replaces_it(datasets, monkeypatch):
    here, there = datasets
    begin(measuring := Forked(measure_all, here, "forwards"))
    said(measuring)
    fake_instruments.install(monkeypatch)
    registry = fake_registry(fake_spec(SEGMENTER, delay_seconds=0.2))
    build_ledgers(here, registry)
    build_catalogue(here, registry)
    query = "SELECT count(*) FROM segments WHERE is_current"
    with duckdb.connect(str(there.catalogue_path), read_only=True) as opened:
        assert opened.execute(query).fetchone() == (2 * len(NAMES),)
        build_catalogue(here, registry)
        build_ledgers(there, registry)
        build_catalogue(there, registry)
        assert opened.execute(query).fetchone() == (2 * len(NAMES),)
    with duckdb.connect(str(here.catalogue_path), read_only=True) as opened:
        assert opened.execute(query).fetchone() == (2 * len(NAMES),)


def test_a_host_that_is_cut_off_loses_its_claim_after_the_lease(datasets, request):
    if "local" in request.node.name:
        pytest.skip("a local disk has no lease")
    here, there = datasets
    holder = Forked(steps.hold_claim, there, "plate-001", SEGMENTER)
    assert told(holder) == "held"
    link = ["nsenter", "--net=/run/netns/second", "ip", "link", "set", "eth0"]
    subprocess.run([*link, "down"], check=True)
    try:
        assert claim_plate(here.plate("plate-001"), SEGMENTER) is None
        deadline = time.monotonic() + 6 * LEASE_SECONDS
        claim = None
        while claim is None:
            assert time.monotonic() < deadline, "the claim of a host that is gone holds for ever"
            time.sleep(1)
            claim = claim_plate(here.plate("plate-001"), SEGMENTER)
    finally:
        subprocess.run([*link, "up"], check=True)
        holder.kill()
        holder.wait(60)
        holder.close()
    claim.release()
