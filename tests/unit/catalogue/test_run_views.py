"""The views of failures and of seconds, on rows whose answer is known by hand."""

from datetime import UTC, datetime

from support.made_catalogue import made_catalogue

from atlas_resources.catalogue._view import create
from atlas_resources.catalogue.run_views import FAILURES, SECONDS

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
OTSU = {"instrument": "otsu_luma", "fingerprint": "new", "source_sha256": "aa", "device": "cpu"}


def run(plate_id: str, hour: int, *, is_complete: bool = False, **columns):
    status = {"status": "complete", "is_current": True} if is_complete else {"status": "failed", "is_current": False}
    error = {} if is_complete else {"error_type": "OSError", "error_message": "cut", "error_stage": "decode"}
    sealed_at = NOON.replace(hour=hour)
    return {**OTSU, **status, **error, "plate_id": plate_id, "run_id": f"run-{hour}", "sealed_at": sealed_at, **columns}


def found(view, query: str, **rows):
    with made_catalogue(**rows) as connection:
        create(connection, view)
        return connection.execute(query).fetchall()


PLATES = [{"plate_id": f"plate-00{number}", "source_sha256": "aa"} for number in (1, 2, 3, 4)]
MODELS = [{"instrument": "otsu_luma", "fingerprint": "new"}]


def test_failures_of_instruments_groundwork_and_registration_are_in_one_view():
    rows = found(
        FAILURES,
        "SELECT kind, plate_id, instrument, path, stage, error_type, message, fix, attempts, failed_at, is_current "
        "FROM failures ORDER BY kind DESC",
        plates=PLATES,
        models=MODELS,
        runs=[run("plate-001", 3, attempt=2)],
        groundwork_failures=[
            {"plate_id": "plate-002", "attempts": 3, "error_type": "PlateRefused", "message": "no pixels"}
            | {"failed_at": NOON, "is_current": True}
        ],
        refused_scans=[{"path": "plates/a.gif", "reason": "GIF", "fix": "convert it", "last_refused_at": NOON}],
    )
    instrument = ("instrument", "plate-001", "otsu_luma", "plates_structured/plate-001/runs/run-3", "decode", "OSError")
    groundwork = ("groundwork", "plate-002", None, "plates_structured/plate-002/source", "groundwork", "PlateRefused")
    assert rows == [
        ("refused_scan", None, None, "plates/a.gif", "registration", None, "GIF", "convert it", None, NOON, True),
        (*instrument, "cut", "atlas run @otsu_luma --plates plate-001", 2, NOON.replace(hour=3), True),
        (*groundwork, "no pixels", "atlas run @groundwork --plates plate-002", 3, NOON, True),
    ]


def test_the_fix_of_a_source_is_named_before_the_command_that_tries_again():
    changed = "/a.png: expected sha256 aa, found bb. Fix: put the registered file back"
    rows = found(
        FAILURES,
        "SELECT plate_id, fix FROM failures ORDER BY ALL",
        plates=PLATES,
        models=MODELS,
        runs=[run("plate-001", 1, error_message=changed), run("plate-002", 1, error_message="/b.png: does not exist")],
        groundwork_failures=[
            {"plate_id": "plate-003", "attempts": 1, "error_type": "SourceChanged", "message": changed}
            | {"failed_at": NOON, "is_current": True}
        ],
    )
    assert rows == [
        ("plate-001", "put the registered file back; then: atlas run @otsu_luma --plates plate-001"),
        ("plate-002", "put the registered file back; then: atlas run @otsu_luma --plates plate-002"),
        ("plate-003", "put the registered file back; then: atlas run @groundwork --plates plate-003"),
    ]


def test_a_failure_is_current_until_a_result_another_attempt_source_or_version():
    rows = found(
        FAILURES,
        "SELECT plate_id, split_part(path, '/', -1), is_current FROM failures ORDER BY ALL",
        plates=PLATES,
        models=MODELS,
        runs=[
            *(run("plate-001", 1), run("plate-001", 2)),  # failed twice: the second counts
            *(run("plate-002", 1), run("plate-002", 2, is_complete=True)),  # succeeded since
            *(run("plate-003", 1, fingerprint="old"), run("plate-004", 1, source_sha256="bb")),
            run("plate-001", 1, instrument="removed"),
        ],
    )
    assert rows == [
        ("plate-001", "run-1", False),
        ("plate-001", "run-1", False),
        ("plate-001", "run-2", True),
        ("plate-002", "run-1", False),
        ("plate-003", "run-1", False),
        ("plate-004", "run-1", False),
    ]


def test_seconds_are_summed_over_current_results_whose_seconds_are_known():
    seconds = [(1.0, 0.5, 2.0, 0.25), (3.0, 0.5, 4.0, 0.25), (2.0, 0.5, 9.0, 0.25)]
    stages = ("decode_seconds", "preprocess_seconds", "compute_seconds", "seal_seconds")
    timed = [
        run(f"plate-00{number}", number, is_complete=True, peak_memory_bytes=number * 100)
        | dict(zip(stages, of_plate, strict=True))
        for number, of_plate in enumerate(seconds, start=1)
    ]
    rows = found(
        SECONDS,
        "SELECT instrument, plate_count, timed_count, decode_median_seconds, compute_median_seconds, "
        "decode_total_seconds, total_seconds, plate_median_seconds, peak_memory_bytes FROM seconds",
        runs=[*timed, run("plate-004", 4, is_complete=True), {**timed[0], "is_current": False}],
    )
    # By hand: decode 1, 2, 3; compute 2, 4, 9; plates 3.75, 7.75, 11.75.
    assert rows == [("otsu_luma", 4, 3, 2.0, 4.0, 6.0, 23.25, 7.75, 300)]


def test_an_instrument_without_seconds_has_nulls():
    rows = found(
        SECONDS,
        "SELECT plate_count, timed_count, total_seconds FROM seconds",
        runs=[run("plate-001", 1, is_complete=True)],
    )
    assert rows == [(1, 0, None)]
