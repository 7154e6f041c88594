"""Several members over the same plates: one decode a plate, a run for each, and failures that stay alone."""

import errno
import time
import weakref
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import polars as pl
import pytest
from support.fake_instruments import EMBEDDER, SEGMENTER, fake_registry, fake_spec
from support.made_datasets import alter_source, make_dataset, run_folders
from support.made_results import GivenVectors, run_instrument

from atlas_assets.roles.segmentation import SegmentationWork
from atlas_assets.roles.works import build_work, groundwork_member, make_groundwork
from atlas_resources.models.loading import load_model
from atlas_resources.models.memory import DeviceLost
from atlas_resources.plates.contracts import GroundworkCost
from atlas_resources.plates.decode import decode_source
from atlas_resources.plates.groundwork import COST_NAME, read_groundwork
from atlas_resources.plates.json_files import read_json
from atlas_resources.plates.run_contracts import Metrics, RunReport
from atlas_resources.runs.claims import claim_plate
from atlas_resources.runs.execution import InstrumentRun, execute_run
from atlas_resources.runs.passes import shared_source
from atlas_resources.runs.passes.job import Member, MemberEnded, PlateEnded
from atlas_resources.runs.passes.together import measure_together
from atlas_resources.runs.sealed import read_manifest, read_output, result_file
from atlas_resources.runs.sealing import Run

GROUNDWORK = "groundwork"
OTHER = "another_fake_embedder"
ALL = [GROUNDWORK, EMBEDDER, OTHER, SEGMENTER]
PLATES = ["plate-001", "plate-002", "plate-003", "plate-004", "plate-005"]


@pytest.fixture
def registry(fakes):
    return fake_registry(
        fake_spec(EMBEDDER), fake_spec(OTHER, gain=2.0).model_copy(update={"batch_size": 3}), fake_spec(SEGMENTER)
    )


@pytest.fixture
def members(dataset, registry) -> list[Member[Any]]:
    """The groundwork, and a run of each instrument with its own work."""
    return members_of(dataset, registry)


def members_of(dataset, registry, keys: Sequence[str] = ALL, **works: Any) -> list[Member[Any]]:
    """Members by key; an instrument's work is its own unless it is given."""
    found: list[Member[Any]] = []
    for key in keys:
        if key == GROUNDWORK:
            found.append(groundwork_member(dataset))
            continue
        instrument = registry.instruments[key]
        work = works.get(key) or build_work(instrument, lambda spec=instrument.spec: load_model(spec))
        found.append(InstrumentRun(dataset, instrument, work))
    return found


def each(members: Sequence[Member[Any]], plate_ids: Sequence[str]) -> list[tuple[Member[Any], Sequence[str]]]:
    """The same plates for each member."""
    return [(member, plate_ids) for member in members]


@pytest.fixture
def decoded(monkeypatch) -> list[str]:
    """The plates whose source is decoded, in order."""
    found: list[str] = []

    def counted(plate):
        found.append(plate.id)
        return decode_source(plate)

    monkeypatch.setattr(shared_source, "decode_source", counted)
    return found


def statuses(events: Sequence[PlateEnded | MemberEnded]) -> dict[str, list[tuple[str, str]]]:
    """Plate and status of each outcome, by member, in order."""
    found: dict[str, list[tuple[str, str]]] = {}
    for event in events:
        if isinstance(event, PlateEnded):
            found.setdefault(event.key, []).append((event.outcome.plate_id, event.outcome.status))
    return found


def ends(events: Sequence[PlateEnded | MemberEnded]) -> dict[str, str | None]:
    """The error that ended each member, as text."""
    return {
        event.key: None if event.error is None else f"{type(event.error).__name__}: {event.error}"
        for event in events
        if isinstance(event, MemberEnded)
    }


def report_of(dataset, key: str, registry) -> RunReport:
    """The one report of an instrument."""
    prefix = registry.instruments[key].identity.fingerprint[:8]
    (folder,) = [folder for folder in dataset.reports_dir.iterdir() if folder.name.endswith(prefix)]
    return read_json(folder / "report.json", RunReport)


def rows_of(dataset, key: str) -> list[pl.DataFrame]:
    """The sealed rows of an instrument, plate by plate, without the id of the run."""
    found = []
    for plate_id in dataset.plate_ids():
        plate = dataset.plate(plate_id)
        for run_id in run_folders(dataset, plate_id):
            manifest = read_manifest(plate, run_id)
            if manifest.instrument.key == key:
                content = read_output(plate, manifest, result_file(plate, manifest))
                found.append(pl.read_parquet(content).drop("run_id"))
    return found


def is_free(dataset, key: str) -> bool:
    """Whether no plate is held, and no process counts as dead with one."""
    for plate_id in dataset.plate_ids():
        claim = claim_plate(dataset.plate(plate_id), key)
        if claim is None or claim.deaths:
            return False
        claim.release()
    return True


def refusing(base: type, method: str, error: Callable[[], Exception], at: int = 1) -> type:
    """A work whose method raises from its n-th call on."""
    calls: list[None] = []

    def refuse(self, *arguments):
        calls.append(None)
        if len(calls) >= at:
            raise error()
        return getattr(base, method)(self, *arguments)

    return type("Refusing", (base,), {method: refuse})


def test_each_plate_is_decoded_once_for_all_members(dataset, members, decoded):
    events = list(measure_together(dataset, each(members, PLATES)))
    assert Counter(decoded) == dict.fromkeys(PLATES, 1)
    assert statuses(events) == {key: [(plate_id, "complete") for plate_id in PLATES] for key in ALL}
    assert ends(events) == dict.fromkeys(ALL)


def test_the_results_are_those_of_each_member_alone(dataset, members, registry, tmp_path):
    list(measure_together(dataset, each(members, PLATES)))
    alone = make_dataset(tmp_path / "alone", "red", "green", "blue", "ochre", "teal")
    list(make_groundwork(alone, PLATES))
    for key in (EMBEDDER, OTHER, SEGMENTER):
        run_instrument(alone, registry, key)
        together, apart = rows_of(dataset, key), rows_of(alone, key)
        assert len(together) == len(apart) == 5
        assert all(one.equals(other) for one, other in zip(together, apart, strict=True))
    for plate_id in PLATES:
        assert read_groundwork(dataset.plate(plate_id)) == read_groundwork(alone.plate(plate_id))


def test_each_instrument_has_a_run_and_a_report_of_its_own(dataset, members, registry):
    list(measure_together(dataset, each(members, PLATES)))
    for plate_id in PLATES:
        assert len(run_folders(dataset, plate_id)) == 3
    reports = [report_of(dataset, key, registry) for key in (EMBEDDER, OTHER, SEGMENTER)]
    assert len({report.run_id for report in reports}) == 3
    assert [(report.status, report.done) for report in reports] == [("complete", PLATES)] * 3
    assert not list(dataset.reports_dir.glob("*/.lock"))


def test_every_member_counts_a_share_of_the_decode(dataset, members, monkeypatch):
    """A member that prepares before or after the others counts as much of it."""
    spent: list[float] = []

    def timed(plate):
        started = time.perf_counter()
        found = decode_source(plate)
        spent.append(time.perf_counter() - started)
        return found

    monkeypatch.setattr(shared_source, "decode_source", timed)
    list(measure_together(dataset, each(members, ["plate-001"])))
    plate = dataset.plate("plate-001")
    shares = [read_json(plate.derived_path(COST_NAME), GroundworkCost).decode_seconds]
    for run_id in run_folders(dataset, "plate-001"):
        seconds = read_json(plate.runs_folder / run_id / "metrics.json", Metrics).seconds
        assert seconds is not None
        shares.append(seconds.decode)
    assert len(shares) == len(members)
    assert min(shares) >= spent[0] / len(members)


def test_what_is_done_is_reused_and_only_missing_plates_are_decoded(dataset, registry, decoded):
    list(measure_together(dataset, each(members_of(dataset, registry, [EMBEDDER]), PLATES[:2])))
    decoded.clear()
    list(measure_together(dataset, each(members_of(dataset, registry, [SEGMENTER]), PLATES[:1])))
    decoded.clear()
    events = list(measure_together(dataset, each(members_of(dataset, registry, [EMBEDDER, SEGMENTER]), PLATES[:3])))
    assert sorted(decoded) == ["plate-002", "plate-003"]
    assert statuses(events) == {
        EMBEDDER: [("plate-001", "reused"), ("plate-002", "reused"), ("plate-003", "complete")],
        SEGMENTER: [("plate-001", "reused"), ("plate-002", "complete"), ("plate-003", "complete")],
    }


def test_members_may_have_plates_of_their_own(dataset, registry, decoded):
    embedder, segmenter = members_of(dataset, registry, [EMBEDDER, SEGMENTER])
    asked = [(embedder, ["plate-002", "plate-003", "plate-002"]), (segmenter, ["plate-005", "plate-002"])]
    events = list(measure_together(dataset, asked))
    assert Counter(decoded) == dict.fromkeys(["plate-002", "plate-003", "plate-005"], 1)
    assert {key: sorted(found) for key, found in statuses(events).items()} == {
        EMBEDDER: [("plate-002", "complete"), ("plate-003", "complete")],
        SEGMENTER: [("plate-002", "complete"), ("plate-005", "complete")],
    }
    assert report_of(dataset, EMBEDDER, registry).selected == ["plate-002", "plate-003"]


def test_a_member_whose_plates_are_all_done_loads_no_model_and_opens_no_run(dataset, registry, fakes):
    list(measure_together(dataset, each(members_of(dataset, registry, [EMBEDDER]), PLATES)))
    fakes.clear()
    events = list(measure_together(dataset, each(members_of(dataset, registry, [EMBEDDER, SEGMENTER]), PLATES)))
    assert fakes == [SEGMENTER]
    assert len(list(dataset.reports_dir.iterdir())) == 2
    assert ends(events) == {EMBEDDER: None, SEGMENTER: None}


def test_a_bad_scan_fails_for_each_member_after_one_decode(dataset, members, decoded):
    alter_source(dataset, "plate-003")
    events = list(measure_together(dataset, each(members, PLATES)))
    assert decoded.count("plate-003") == 1
    for key in ALL:
        failed = [plate_id for plate_id, status in statuses(events)[key] if status == "failed"]
        assert failed == ["plate-003"]
    reasons = {
        event.outcome.reason.split(":")[0]
        for event in events
        if isinstance(event, PlateEnded) and event.outcome.status == "failed"
    }
    assert reasons == {"SourceChanged (decode)"}


def test_a_plate_that_one_member_refuses_is_measured_by_the_others(dataset, registry):
    class Picky(SegmentationWork):
        def prepare(self, plate, upstream, stopwatch):
            if plate.id == "plate-002":
                raise ArithmeticError("no")
            return super().prepare(plate, upstream, stopwatch)

    spec = registry.instruments[SEGMENTER].spec
    members = members_of(dataset, registry, [SEGMENTER, EMBEDDER], fake_segmenter=Picky(spec, lambda: load_model(spec)))
    events = list(measure_together(dataset, each(members, PLATES[:3])))
    assert statuses(events) == {
        SEGMENTER: [("plate-001", "complete"), ("plate-002", "failed"), ("plate-003", "complete")],
        EMBEDDER: [(plate_id, "complete") for plate_id in PLATES[:3]],
    }
    assert report_of(dataset, SEGMENTER, registry).status == "failed"
    assert report_of(dataset, EMBEDDER, registry).status == "complete"


@pytest.mark.parametrize(
    ("method", "error", "sealed"),
    [("load", lambda: LookupError("weights are missing"), 0), ("measure", lambda: DeviceLost("gone"), 2)],
    ids=["weights are missing", "the device is lost"],
)
def test_what_ends_one_member_ends_no_other(dataset, registry, method, error, sealed):
    """The device is lost with the second batch of two plates."""
    work = refusing(GivenVectors, method, error, at=1 + sealed // 2)(dict.fromkeys(PLATES, (1.0, 0.0, 0.0)))
    events = list(measure_together(dataset, each(members_of(dataset, registry, **{EMBEDDER: work}), PLATES)))
    ended = ends(events)
    assert str(ended.pop(EMBEDDER)).startswith(type(error()).__name__)
    assert ended == {GROUNDWORK: None, OTHER: None, SEGMENTER: None}
    found = statuses(events)
    assert found.pop(EMBEDDER, []) == [(plate_id, "complete") for plate_id in PLATES[:sealed]]
    assert found == {key: [(plate_id, "complete") for plate_id in PLATES] for key in ended}
    assert is_free(dataset, EMBEDDER)
    assert not list(dataset.reports_dir.glob("*/.lock"))


def test_an_error_of_the_disk_ends_the_member_that_met_it(dataset, members, registry, monkeypatch):
    seal, fingerprint = Run.seal, registry.instruments[SEGMENTER].identity.fingerprint

    def full(self, *arguments):
        if self.instrument.identity.fingerprint == fingerprint:
            raise OSError(errno.ENOSPC, "no space left on device")
        return seal(self, *arguments)

    monkeypatch.setattr(Run, "seal", full)
    events = list(measure_together(dataset, each(members, PLATES)))
    assert ends(events) == {**dict.fromkeys(ALL), SEGMENTER: "OSError: [Errno 28] no space left on device"}
    assert SEGMENTER not in statuses(events)
    assert is_free(dataset, SEGMENTER)


def test_a_plate_that_another_run_holds_for_one_member_comes_last_for_it_alone(dataset, registry):
    held = claim_plate(dataset.plate("plate-001"), EMBEDDER)
    assert held is not None
    found: dict[str, list[str]] = {EMBEDDER: [], SEGMENTER: []}
    for event in measure_together(dataset, each(members_of(dataset, registry, [EMBEDDER, SEGMENTER]), PLATES[:4])):
        if isinstance(event, PlateEnded):
            found[event.key].append(event.outcome.plate_id)
        if sum(map(len, found.values())) == 7:
            held.release()
    assert found == {EMBEDDER: ["plate-002", "plate-003", "plate-004", "plate-001"], SEGMENTER: PLATES[:4]}


def test_no_plate_is_held_while_the_pass_waits_for_one(dataset, registry):
    held = [claim_plate(dataset.plate("plate-001"), key) for key in (EMBEDDER, SEGMENTER)]
    events = measure_together(dataset, each(members_of(dataset, registry, [EMBEDDER, SEGMENTER]), PLATES[:2]))
    before = [next(events), next(events)]
    assert {event.outcome.plate_id for event in before if isinstance(event, PlateEnded)} == {"plate-002"}
    for key in (EMBEDDER, SEGMENTER):
        free = claim_plate(dataset.plate("plate-002"), key)
        assert free is not None
        free.release()
    for claim in held:
        assert claim is not None
        claim.release()
    assert statuses(list(events)) == {key: [("plate-001", "complete")] for key in (EMBEDDER, SEGMENTER)}


def test_a_pass_that_is_closed_early_releases_every_plate_of_every_member(dataset, members):
    events = measure_together(dataset, each(members, PLATES))
    for event in events:
        if isinstance(event, PlateEnded):
            break
    events.close()
    assert all(is_free(dataset, key) for key in ALL)
    assert not list(dataset.reports_dir.glob("*/.lock"))


def test_at_most_one_decoded_plate_a_thread_is_in_memory(dataset, members, monkeypatch):
    alive: list[weakref.ref] = []
    most: list[int] = []

    def watched(plate):
        found = decode_source(plate)
        alive.append(weakref.ref(found.image))
        most.append(sum(image() is not None for image in alive))
        return found

    monkeypatch.setattr(shared_source, "decode_source", watched)
    list(measure_together(dataset, each(members, PLATES)))
    assert len(most) == 5
    assert max(most) <= 2


def test_a_forced_pass_measures_done_plates_again(dataset, registry):
    for _ in range(2):
        runs = [
            InstrumentRun(dataset, registry.instruments[key], build(registry, key), is_forced=True)
            for key in (EMBEDDER, SEGMENTER)
        ]
        events = list(measure_together(dataset, each(runs, PLATES[:1])))
        assert statuses(events) == {key: [("plate-001", "complete")] for key in (EMBEDDER, SEGMENTER)}
    assert len(run_folders(dataset, "plate-001")) == 4


def build(registry, key: str) -> Any:
    instrument = registry.instruments[key]
    return build_work(instrument, lambda: load_model(instrument.spec))


def test_an_instrument_alone_raises_what_ends_it(dataset, registry):
    work = refusing(GivenVectors, "load", lambda: LookupError("weights are missing"))({})
    with pytest.raises(LookupError, match="weights are missing"):
        list(execute_run(dataset, registry.instruments[EMBEDDER], PLATES, work))
