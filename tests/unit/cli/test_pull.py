"""`atlas plates pull` as a curator uses it: an index of addresses in, plates with their origin out."""

import hashlib
import json
from datetime import UTC, datetime

import pytest
from support.hub_server import Fault
from support.made_pulls import Archive, archive, only_loopback
from support.made_scans import write_image
from support.network import shut_network
from support.scan_server import MODIFIED
from typer.testing import CliRunner

from atlas_assets.cli import app as cli
from atlas_assets.cli.plates import pull
from atlas_resources.ledgers.plates import build_plates
from atlas_resources.plates.intake.registration import register_scans
from atlas_resources.plates.refused_scans import read_refused_scans

__all__ = ["archive", "only_loopback", "shut_network"]  # fixtures

pytestmark = pytest.mark.timeout(120)


def test_scans_are_fetched_registered_and_keep_their_origin(archive: Archive):
    content = archive.add_scan("a.png", plate=13, artist="Ada", sha256="")
    archive.rows[0]["sha256"] = hashlib.sha256(content).hexdigest().upper()
    result = archive.pull()
    assert result.exit_code == 0
    assert "plate-013  a.png  a.png\n" in result.output
    assert result.output.endswith("\n1 registered\n")
    manifest = archive.manifest("plate-013")
    assert archive.source("plate-013") == content
    assert (manifest.registered_from, manifest.download_url) == ("a.png", archive.server.url("/a.png"))
    assert manifest.extra["artist"] == "Ada"
    origin = manifest.origin
    assert origin is not None
    assert (origin.url, origin.index) == (archive.server.url("/a.png"), "data.json")
    assert origin.index_sha256 == hashlib.sha256(archive.index().read_bytes()).hexdigest()
    assert origin.expected_sha256 == hashlib.sha256(content).hexdigest()
    assert (origin.etag, origin.last_modified) == (f'"{hashlib.sha256(content).hexdigest()[:16]}"', MODIFIED)
    assert abs((datetime.now(UTC) - origin.retrieved_at).total_seconds()) < 60
    assert archive.leftovers() == []


def test_the_origin_is_in_the_ledger_and_in_show(archive: Archive):
    archive.add_scan("a.png")
    archive.pull()
    (row,) = build_plates(archive.dataset).collect().iter_rows(named=True)
    assert (row["origin_url"], row["origin_index"]) == (archive.server.url("/a.png"), "data.json")
    shown = CliRunner().invoke(cli.app, ["plates", "show", "plate-001"]).output
    assert f"origin.url: {archive.server.url('/a.png')}\n" in shown
    assert "origin.index: data.json\n" in shown


def test_a_second_call_fetches_only_what_is_missing(archive: Archive):
    archive.add_scan("a.png", (1, 1, 1))
    archive.add_scan("b.png", (2, 2, 2))
    gone = archive.server.files.pop("/b.png")
    first = archive.pull()
    assert first.exit_code == 1
    assert f"failed entry 2: {archive.server.url('/b.png')}: there is no such file (404). Fix: " in first.output
    assert first.output.endswith("\n1 registered, 1 failed\n")
    archive.server.files["/b.png"] = gone
    archive.server.requests.clear()
    second = archive.pull()
    assert second.exit_code == 0
    assert second.output.endswith("\n1 registered, 1 there\n")
    assert archive.server.paths() == ["/b.png"]
    archive.server.requests.clear()
    assert archive.pull().output.endswith("\n2 there\n")
    assert archive.server.paths() == []


def test_plates_without_a_number_are_numbered_in_the_order_of_the_index(archive: Archive):
    for number in range(6):
        archive.add_scan(f"{number}.png", (number, 9, 9))
    archive.server.faults = [Fault("GET", "/0.png", status=503, headers={"Retry-After": "1"})]
    assert archive.pull("--per-host", 4).exit_code == 0
    titles = [archive.manifest(f"plate-{number:03d}").title for number in range(1, 7)]
    assert titles == [f"{number}.png" for number in range(6)]


def test_a_dry_run_lists_what_would_be_fetched_and_connects_to_nothing(archive: Archive, shut_network: None):
    archive.add_scan("a.png")
    result = archive.pull("--dry-run")
    assert result.exit_code == 0
    assert f"to fetch      a.png  {archive.server.url('/a.png')}\n" in result.output
    assert result.output.endswith("\n1 to fetch\n")
    assert not archive.dataset.root.exists()


def test_a_plate_that_is_there_is_not_fetched_from_any_other_address(archive: Archive, tmp_path):
    archive.add_scan("a.png", (1, 1, 1), plate_id="plate-007")
    archive.add_scan("b.png", (2, 2, 2))
    scans = tmp_path / "scans"
    write_image(scans / "own.png", (8, 8, 8))
    write_image(scans / "b.png", (3, 3, 3))
    (scans / "plates.csv").write_text(
        f"file,plate_id,download_url\nown.png,plate-007,\nb.png,,{archive.server.url('/b.png')}\n"
    )
    list(register_scans(archive.dataset, [scans]))
    result = archive.pull()
    assert result.exit_code == 0
    assert "note: entry 1: plate-007 is registered, and not from this address. A source never changes" in result.output
    assert result.output.endswith("\n2 there\n")
    assert archive.server.paths() == []


def test_one_image_at_two_addresses_is_one_plate_and_fetched_once_from_each(archive: Archive):
    archive.add_scan("a.png")
    archive.add_scan("b.png")
    assert archive.pull().output.endswith("\n1 registered, 1 already registered\n")
    assert archive.pull().output.endswith("\n2 there\n")
    assert sorted(archive.server.paths()) == ["/a.png", "/b.png"]
    assert archive.leftovers() == ["pull.json"]


def test_another_digest_than_the_index_s_is_refused_and_nothing_is_kept(archive: Archive):
    archive.add_scan("a.png", sha256="0" * 64)
    result = archive.pull()
    assert result.exit_code == 1
    assert f"is not the file of the index: expected sha256 {'0' * 64}, found sha256 " in result.output
    assert (archive.dataset.plate_ids(), archive.leftovers()) == ([], [])


def test_another_size_than_the_index_s_is_refused_before_the_body(archive: Archive):
    archive.add_scan("a.png", size_bytes=1_000_000)
    assert "the index states 1,000,000. Nothing was kept" in archive.pull().output
    assert (archive.dataset.plate_ids(), archive.leftovers()) == ([], [])


@pytest.mark.parametrize("body", [b"<!DOCTYPE html><title>Sorry</title>", b'\xef\xbb\xbf {"error": 1}', b"<svg/>"])
def test_a_page_in_the_place_of_an_image_is_refused(body: bytes, archive: Archive):
    archive.add_scan("a.png")
    archive.server.files["/a.png"] = body
    result = archive.pull()
    assert result.exit_code == 1
    assert "is a page or a text, not an image ('application/octet-stream'). Fix: correct" in result.output
    assert (archive.dataset.plate_ids(), archive.leftovers()) == ([], [])


@pytest.mark.parametrize("size", [0, 100])
def test_a_truncated_or_empty_image_is_refused_and_fetched_anew_by_the_next_call(size: int, archive: Archive):
    content = archive.add_scan("a.png")
    archive.server.files["/a.png"] = content[:size]
    assert archive.pull().exit_code == 1
    assert (archive.dataset.plate_ids(), archive.leftovers()) == ([], [])
    assert read_refused_scans(archive.dataset) == []
    archive.server.files["/a.png"] = content
    assert archive.pull().exit_code == 0
    assert archive.source("plate-001") == content


def test_a_scan_that_its_row_refuses_is_kept_and_registered_once_the_row_is_right(archive: Archive):
    archive.add_scan("a.png", (1, 1, 1), plate="not a slug!")
    refused = archive.pull()
    assert refused.exit_code == 1
    assert "plate id 'not a slug!' (entry 1 of the index) is not a slug" in refused.output
    assert sorted(archive.leftovers()) == ["a.png", "pull.json"]
    assert [scan.path.rpartition("/")[2] for scan in read_refused_scans(archive.dataset)] == ["a.png"]
    archive.rows[0]["plate"] = 5
    archive.server.requests.clear()
    assert archive.pull().exit_code == 0
    assert archive.server.paths() == []
    assert archive.dataset.plate_ids() == ["plate-005"]
    assert (archive.leftovers(), read_refused_scans(archive.dataset)) == ([], [])


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("../../../etc/passwd.png", "passwd.png"),
        ("/abs/x.png", "x.png"),
        ("..\\..\\win.png", "win.png"),
        ("..", "a.png"),
        ("a\x1b[31m.png", "a__31m.png"),
        ("[red]x.png", "_red_x.png"),
        (".hidden.png", "hidden.png"),
    ],
)
def test_a_file_name_never_leads_out_of_its_folder(file: str, expected: str, archive: Archive):
    archive.add_scan("a.png", fileName=file)
    before = {path for path in archive.folder.rglob("*") if "atlas" not in path.parts}
    result = archive.pull()
    assert result.exit_code == 0, result.output
    assert archive.manifest("plate-001").source_image == expected
    assert {path for path in archive.folder.rglob("*") if "atlas" not in path.parts} - before <= {archive.index()}


def test_rows_without_an_address_are_noted_and_wrong_ones_fail_alone(archive: Archive):
    archive.add_scan("a.png")
    wrong: list[dict[str, object]] = [
        {"title": "none"},
        {"title": "file", "download": "file:///etc/passwd"},
        {"title": "secret", "download": "http://user:word@127.0.0.1/a.png"},
        {"title": "digest", "download": archive.server.url("/c.png"), "sha256": "abc"},
    ]
    archive.rows += wrong
    result = archive.pull()
    assert result.exit_code == 1
    assert "note: 1 row without an address (entry 2)" in result.output
    assert (
        "failed entry 3: 'file:///etc/passwd' is not an address that begins with http:// or https://" in result.output
    )
    assert "failed entry 4: the address at '127.0.0.1' has a user name or password" in result.output
    assert "word" not in result.output.replace("password", "")
    assert "failed entry 5: sha256: expected 64 hex digits, found 'abc'" in result.output
    assert result.output.endswith("\n1 registered, 3 failed\n")
    assert archive.server.paths() == ["/a.png"]


def test_an_index_without_addresses_names_the_column_that_has_them(archive: Archive):
    (archive.folder / "plates.csv").write_text("file,picture\na.png,https://images.example/a.png\n")
    result = archive.pull(index=archive.folder / "plates.csv")
    assert result.exit_code == 1
    assert "'picture' has addresses. Fix: rename 'picture' to download_url" in result.output


def test_a_column_of_files_that_are_addresses_is_taken(archive: Archive):
    archive.add_scan("a.png")
    (archive.folder / "plates.csv").write_text(f"image,title\n{archive.server.url('/a.png')},Heron\n")
    assert archive.pull(index=archive.folder / "plates.csv").exit_code == 0
    assert (archive.manifest("plate-001").title, archive.manifest("plate-001").source_image) == ("Heron", "a.png")


def test_only_one_pull_works_on_a_dataset(archive: Archive):
    from atlas_resources.acquisition.store import only_pull

    archive.add_scan("a.png")
    archive.dataset.ensure()
    with only_pull(archive.dataset):
        result = archive.pull()
    assert result.exit_code == 1
    assert "another atlas plates pull works on" in result.output


def test_the_contact_is_in_the_user_agent_and_no_secret_is_sent(archive: Archive, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # nothing listens there
    archive.add_scan("a.png")
    assert archive.pull("--contact", "scans@museum.example\r\nX-Evil: 1").exit_code == 0
    (request,) = archive.server.requests
    assert request.headers["user-agent"] == "atlas-plates/0.1.0 (atlas plates pull; scans@museum.exampleX-Evil: 1)"
    assert not {"cookie", "authorization", "x-evil"} & set(request.headers)


def test_a_plate_s_pages_are_plates_of_their_own_with_one_origin(archive: Archive):
    from PIL import Image

    path = archive.folder / "pages.tif"
    pages = [Image.new("RGB", (20, 10), (number, 0, 0)) for number in range(2)]
    pages[0].save(path, save_all=True, append_images=pages[1:])
    archive.server.files["/pages.tif"] = path.read_bytes()
    archive.rows.append({"plate": 3, "title": "Two", "download": archive.server.url("/pages.tif")})
    assert archive.pull("--pages").output.endswith("\n2 registered\n")
    assert archive.manifest("plate-003-page-2").origin == archive.manifest("plate-003").origin
    assert archive.server.paths() == ["/pages.tif"]


def test_a_title_that_looks_like_markup_is_shown_as_it_is(archive: Archive):
    archive.add_scan("a.png", title="[/] [red]Heron[link=http://a]")
    assert "plate-001  a.png  [/] [red]Heron[link=http://a]\n" in archive.pull().output


def test_a_table_that_is_no_iiif_document_is_read_as_a_table(archive: Archive):
    (archive.folder / "data.json").write_text(json.dumps({"type": "Annotation"}))
    result = archive.pull(index=archive.folder / "data.json")
    assert result.exit_code == 1
    assert "expected a list of objects, found dict" in result.output


def test_without_a_terminal_progress_is_a_plain_line_now_and_then(archive: Archive, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pull, "LINE_SECONDS", 0.0)
    content = archive.add_scan("a.png")
    result = archive.pull()
    assert f"1 of 1 scans, {len(content) / 1e6:.1f} MB\n" in result.stderr
    assert "of 1 scans" not in result.stdout


def test_what_is_not_fetched_when_the_time_is_over_is_named_and_fetched_by_the_next_call(archive: Archive):
    archive.add_scan("a.png", (1, 1, 1))
    content = archive.add_scan("b.png", (2, 2, 2))
    archive.server.faults = [Fault("GET", "/b.png", status=503, headers={"Retry-After": "2"})]
    result = archive.pull("--max-hours", 0.0003)
    assert result.exit_code == 1
    assert "b.png: not fetched: the 0.0003 hours of --max-hours are over. Run this again" in result.output
    assert archive.pull().exit_code == 0
    assert archive.source(archive.dataset.plate_ids()[-1]) == content


def test_a_new_plate_that_the_sensor_finds_staged_is_never_one_in_progress(archive: Archive):
    """What is being fetched is in the staging folder, and is hidden there."""
    archive.add_scan("a.png", plate="not a slug!")
    archive.pull()
    assert "a.png" in archive.leftovers()
    assert list(register_scans(archive.dataset, [archive.dataset.staging_dir])) == []


@pytest.mark.parametrize("proxy", ["nonsense", "ftp://user:word@127.0.0.1:1", "http://x:port", "socks5://127.0.0.1:1"])
def test_a_proxy_that_is_none_is_one_line_without_its_password(proxy: str, archive: Archive):
    archive.add_scan("a.png")
    result = archive.pull("--proxy", proxy)
    assert result.exit_code == 1
    assert "--proxy is not the address of a proxy that can be used" in result.output.splitlines()[-1]
    assert "word@" not in result.output
