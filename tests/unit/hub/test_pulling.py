"""`atlas models pull` fetches exactly the pinned files, verifies them before a loader can find them, and resumes."""

import os
import re
from pathlib import Path

import huggingface_hub
import pytest
from support.hub_server import SIGNATURE, Commit, Fault
from support.made_hubs import (
    CONFIG,
    KEY,
    LATER,
    MODEL,
    REVISION,
    TOKEN,
    WEIGHTS,
    Bench,
    bench,
    only_loopback,
    sha256,
    spec_content,
)
from support.made_specs import content_of, with_field, write_spec
from support.made_triton import triton_content

from atlas_resources.hub.client import Hub
from atlas_resources.models.weights import hub_offline

__all__ = ["bench", "only_loopback"]  # fixtures

GET_WEIGHTS = ("GET", "/model.safetensors")


def test_the_pinned_files_and_no_others_are_in_the_hubs_own_layout(bench: Bench):
    result = bench.atlas("pull", KEY)
    assert result.exit_code == 0, result.output
    blobs = bench.storage / "blobs"
    weights, config = bench.snapshot / "model.safetensors", bench.snapshot / "config.json"
    assert weights.read_bytes() == WEIGHTS
    assert config.read_bytes() == CONFIG
    assert {path.name for path in bench.snapshot.iterdir()} == {"model.safetensors", "config.json"}
    assert os.readlink(weights) == f"../../blobs/{sha256(WEIGHTS)}"
    assert {path.name for path in blobs.iterdir()} == {sha256(WEIGHTS), os.path.basename(os.readlink(config))}
    with hub_offline():  # huggingface_hub 2.4.0 connects even for local files only, to name programs in its user agent
        found = huggingface_hub.hf_hub_download(MODEL, "model.safetensors", revision=REVISION, cache_dir=bench.cache)
    assert Path(found) == weights


def test_pulling_again_makes_no_request(bench: Bench):
    bench.atlas("pull", KEY)
    bench.fake.requests.clear()
    assert bench.atlas("pull", KEY).exit_code == 0
    assert bench.fake.requests == []


def test_a_dry_run_prints_sizes_and_fetches_nothing(bench: Bench):
    result = bench.atlas("pull", KEY, "--dry-run")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "to fetch          16.4 kB  tiny_clip: model.safetensors",
        "to fetch            100 B  tiny_clip: config.json",
        "2 files of 1 instrument; 2 to fetch, 16.5 kB.",
    ]
    assert bench.fake.asked("GET", "") == []
    assert not bench.storage.exists()


def test_a_dry_run_prints_what_is_there_already(bench: Bench):
    bench.atlas("pull", KEY)
    result = bench.atlas("pull", KEY, "--dry-run")
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["there", "there", "2"]
    assert "0 to fetch, 0 B." in result.stdout


def test_content_that_the_cache_holds_for_another_revision_is_not_fetched_again(bench: Bench):
    bench.atlas("pull", KEY)
    bench.repository.commits[LATER] = bench.repository.commits[REVISION]
    bench.pin(revision=LATER)
    bench.fake.requests.clear()
    assert bench.atlas("pull", KEY).exit_code == 0
    assert bench.fake.asked(*GET_WEIGHTS) == []
    assert (bench.storage / "snapshots" / LATER / "model.safetensors").read_bytes() == WEIGHTS


def test_a_body_cut_off_once_is_continued_where_it_stopped(bench: Bench):
    bench.fake.faults.append(Fault(*GET_WEIGHTS, cut=5000, times=2))  # the redirect passes through; the storage cuts
    assert bench.atlas("pull", KEY).exit_code == 0
    ranges = [request.headers.get("range") for request in bench.fake.asked(*GET_WEIGHTS)]
    assert ranges[0] is None
    assert "bytes=5000-" in ranges
    assert (bench.snapshot / "model.safetensors").read_bytes() == WEIGHTS


def test_a_pull_that_was_cut_off_is_resumed_by_the_next(bench: Bench):
    storage = bench.fake.storage
    cut = [Fault(*GET_WEIGHTS, cut=5000, times=2), Fault(*GET_WEIGHTS, status=503, times=3)]
    bench.fake.faults += cut
    result = bench.atlas("pull", KEY)
    assert result.exit_code == 1
    assert "answered 503, tried 3 times" in result.stderr
    assert "It was cut off at 5000 of 16384 bytes." in result.stderr
    assert bench.part.read_bytes() == WEIGHTS[:5000]
    assert not (bench.snapshot / "model.safetensors").exists()
    bench.fake.requests.clear()
    assert bench.atlas("pull", KEY).exit_code == 0
    (served,) = [request for request in bench.fake.asked(*GET_WEIGHTS) if request.origin == storage]
    assert served.headers["range"] == "bytes=5000-"
    assert (bench.snapshot / "model.safetensors").read_bytes() == WEIGHTS
    assert not bench.part.exists()


def test_without_ranges_the_transfer_starts_again(bench: Bench):
    bench.part.parent.mkdir(parents=True)
    bench.part.write_bytes(WEIGHTS[:5000])
    bench.fake.answers_ranges = False
    assert bench.atlas("pull", KEY).exit_code == 0
    assert (bench.snapshot / "model.safetensors").read_bytes() == WEIGHTS


def test_a_part_longer_than_the_file_is_discarded(bench: Bench):
    bench.part.parent.mkdir(parents=True)
    bench.part.write_bytes(WEIGHTS + b"more")
    assert bench.atlas("pull", KEY).exit_code == 0
    assert (bench.snapshot / "model.safetensors").read_bytes() == WEIGHTS


def test_a_file_of_the_wrong_digest_is_removed_before_a_loader_could_find_it(bench: Bench):
    bench.fake.faults.append(Fault(*GET_WEIGHTS, wrong=True, times=2))
    result = bench.atlas("pull", KEY)
    found = sha256(bytes(255 - byte for byte in WEIGHTS))
    assert result.exit_code == 1
    assert "tiny_clip: model.safetensors is not the pinned file" in result.stderr
    assert f"expected sha256 {sha256(WEIGHTS)}, 16384 bytes; found sha256 {found}, 16384 bytes" in result.stderr
    assert "Fix: pull again" in result.stderr
    assert {path.name for path in bench.snapshot.iterdir()} == {"config.json"}  # the other file is not held up
    assert not list((bench.storage / "blobs").glob(f"{sha256(WEIGHTS)}*"))


def test_a_configuration_is_checked_by_its_git_digest(bench: Bench):
    bench.fake.faults.append(Fault("GET", "/config.json", wrong=True, times=2))  # the redirect passes through
    result = bench.atlas("pull", KEY)
    assert result.exit_code == 1
    assert "config.json is not the pinned file: expected git blob " in result.stderr
    assert not (bench.snapshot / "config.json").exists()


def test_a_pin_that_differs_from_the_hubs_file_is_reported_before_a_byte_is_fetched(bench: Bench):
    files = [{"path": "model.safetensors", "format": "safetensors", "sha256": "0" * 64}]
    bench.pin(files=files)
    result = bench.atlas("pull", KEY)
    assert result.exit_code == 1
    assert f"expected sha256 {'0' * 64}" in result.stderr
    assert f"found {sha256(WEIGHTS)}, 16384 bytes. Nothing was fetched." in result.stderr
    assert bench.fake.asked("GET", "") == []


def test_a_wrong_file_in_the_cache_is_replaced(bench: Bench):
    bench.atlas("pull", KEY)
    (bench.storage / "blobs" / sha256(WEIGHTS)).write_bytes(b"rot")
    assert bench.atlas("pull", KEY).exit_code == 0
    assert (bench.snapshot / "model.safetensors").read_bytes() == WEIGHTS


def test_weights_without_a_pinned_digest_are_fetched_and_their_digest_printed(bench: Bench):
    bench.pin(files=[{"path": "model.safetensors", "format": "safetensors"}])
    result = bench.atlas("pull", KEY)
    assert result.exit_code == 0
    assert f"sha256 {sha256(WEIGHTS)}, which the spec does not pin" in result.stdout


def test_an_outage_is_waited_out_within_bounds(bench: Bench):
    bench.fake.faults += [Fault("HEAD", "/model.safetensors", status=503), Fault("GET", "/config.json", status=502)]
    assert bench.atlas("pull", KEY).exit_code == 0


def test_an_outage_that_lasts_is_reported(bench: Bench):
    bench.fake.faults.append(Fault("HEAD", "/model.safetensors", status=500, times=99))
    result = bench.atlas("pull", KEY)
    assert result.exit_code == 1
    assert len(bench.fake.asked("HEAD", "/model.safetensors")) == 3
    assert f"{bench.fake.endpoint} answered 500, tried 3 times. Wait some minutes and run this again" in result.stderr


def test_a_short_rate_limit_is_waited_out(bench: Bench):
    bench.fake.faults.append(Fault("GET", "/config.json", status=429, headers={"Retry-After": "0"}))
    assert bench.atlas("pull", KEY).exit_code == 0


def test_a_rate_limit_longer_than_the_longest_wait_is_reported(bench: Bench):
    bench.fake.faults.append(Fault("HEAD", "/model.safetensors", status=429, headers={"Retry-After": "3600"}))
    result = bench.atlas("pull", KEY)
    assert result.exit_code == 1
    assert "too many requests (429). Wait 3600 seconds and run this again: what was fetched is kept." in result.stderr
    assert len(bench.fake.asked("HEAD", "/model.safetensors")) == 1


def test_a_gated_model_is_reported_with_a_fix(bench: Bench):
    bench.repository.is_gated = True
    result = bench.atlas("pull", KEY)
    assert result.exit_code == 1
    assert (
        f"tiny_clip: model.safetensors of {MODEL}@{REVISION}: the model is gated. Accept its terms on its page at "
        f"{bench.fake.endpoint} and set HF_TOKEN to a token of that account." in result.stderr
    )


def test_a_refused_token_is_reported_and_not_shown(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    bench.repository.is_gated = True
    result = bench.atlas("pull", KEY)
    assert "A token was sent and refused" in result.stderr
    assert TOKEN not in result.output


def test_a_refusal_without_a_reason_is_reported(bench: Bench):
    bench.fake.faults.append(Fault("HEAD", "/model.safetensors", status=403))
    assert "access is refused (403). Accept its terms" in bench.atlas("pull", KEY).stderr


def test_an_unknown_model_is_reported(bench: Bench):
    bench.pin(repository="studio/nothing")
    result = bench.atlas("pull", KEY)
    assert result.exit_code == 1
    assert f"there is no such model at {bench.fake.endpoint}, or it is private. Check the id" in result.stderr


def test_an_unknown_revision_is_reported(bench: Bench):
    bench.pin(revision=LATER)
    result = bench.atlas("pull", KEY)
    assert f"model.safetensors of {MODEL}@{LATER}: there is no such revision. `atlas models pin ID`" in result.stderr
    assert result.exit_code == 1


def test_an_unknown_file_is_reported(bench: Bench):
    bench.pin(files=[{"path": "model-2.safetensors", "format": "safetensors"}])
    assert "model-2.safetensors of studio/tiny-clip" in (message := bench.atlas("pull", KEY).stderr)
    assert "there is no such file at this revision. Correct weights.files" in message


def test_a_moved_tag_moves_nothing_that_is_pinned(bench: Bench):
    bench.repository.commits[LATER] = Commit({"model.safetensors": b"other", "config.json": b"{}"})
    bench.repository.refs |= {"main": LATER, "v1": LATER}
    assert bench.atlas("pull", KEY).exit_code == 0
    assert (bench.snapshot / "model.safetensors").read_bytes() == WEIGHTS


def test_an_answer_of_another_commit_is_refused(bench: Bench):
    bench.fake.answered_commit = LATER
    result = bench.atlas("pull", KEY)
    assert f"the hub answered with commit {LATER}. Pin the commit that is meant" in result.stderr
    assert not bench.snapshot.exists()


def test_a_server_that_is_not_a_hub_is_reported(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    bench.fake.faults.append(Fault("HEAD", "/model.safetensors", status=200))
    assert "does not answer as a model hub does. Check HF_ENDPOINT." in bench.atlas("pull", KEY).stderr
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert (
        "the connection to http://127.0.0.1:9 failed (ConnectError), tried 3 times" in bench.atlas("pull", KEY).stderr
    )


def test_offline_mode_is_respected_and_reported(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set. Unset it and run this again." in bench.atlas("pull", KEY).stderr
    assert bench.fake.requests == []


def test_a_hub_that_does_not_answer_is_reported_once(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    result = bench.atlas("pull", KEY)
    assert len(result.stderr.splitlines()) == 1
    assert result.exit_code == 1


def test_an_endpoint_that_is_not_an_address_is_reported(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_ENDPOINT", "hub.example")
    for command, name in (("pull", KEY), ("pin", MODEL)):
        result = bench.atlas(command, name)
        assert "HF_ENDPOINT: found 'hub.example', expected an address that begins with https://" in result.stderr
        assert result.exit_code == 1


def test_a_refused_model_is_not_fetched(bench: Bench):
    content = {**spec_content(), "refusal": {"reason": "needs code from its repository", "source": "its card"}}
    write_spec(bench.specs, content)
    (bench.specs / "roster.yaml").write_text(
        f"active: []\nsets: {{some: {{description: One., instruments: [{KEY}]}}}}\n", encoding="utf-8"
    )
    named = bench.atlas("pull", KEY)
    assert "needs code from its repository" in named.stderr
    assert named.exit_code == 1
    in_a_set = bench.atlas("pull", "--roster", "some")
    assert in_a_set.stdout.startswith("nothing to fetch")
    assert in_a_set.exit_code == 0
    assert bench.fake.requests == []


def test_a_set_of_the_roster_is_pulled(bench: Bench):
    (bench.specs / "roster.yaml").write_text(
        f"active: []\nsets: {{some: {{description: One., instruments: [{KEY}]}}}}\n", encoding="utf-8"
    )
    assert bench.atlas("pull", "--roster", "some").exit_code == 0
    assert (bench.snapshot / "model.safetensors").is_file()
    unknown = bench.atlas("pull", "--roster", "none")
    assert "no set 'none'" in unknown.stderr
    assert unknown.exit_code == 1


@pytest.mark.parametrize("path", ["../../escaped.json", "/escaped.json"])
def test_a_path_out_of_the_repository_is_refused(bench: Bench, path: str):
    bench.pin(files=[{"path": path, "format": "json"}])
    result = bench.atlas("pull", KEY)
    assert result.exit_code == 1
    assert "a path inside the repository is expected" in result.stderr
    assert bench.fake.requests == []


def test_the_token_goes_to_the_endpoint_and_not_to_its_storage(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    bench.repository.is_gated, bench.repository.accepted_token = True, TOKEN
    result = bench.atlas("pull", KEY)
    assert result.exit_code == 0
    by_origin = {
        origin: {request.authorization for request in bench.fake.requests if request.origin == origin}
        for origin in (bench.fake.endpoint, bench.fake.storage)
    }
    assert by_origin == {bench.fake.endpoint: {f"Bearer {TOKEN}"}, bench.fake.storage: {None}}


def test_neither_token_nor_signed_address_is_written_anywhere(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level("DEBUG")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    bench.repository.is_gated, bench.repository.accepted_token = True, TOKEN
    bench.fake.faults += [Fault(*GET_WEIGHTS, cut=5000, times=2), Fault(*GET_WEIGHTS, status=503, times=3)]
    printed = bench.atlas("pull", KEY).output + bench.atlas("pin", MODEL, "--write", "--key", "drafted").output
    bench.repository.accepted_token = "another"  # noqa: S105
    printed += bench.atlas("pull", "drafted").output + bench.atlas("pin", MODEL).output + repr(Hub("", TOKEN))
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for secret in (TOKEN, SIGNATURE):
        assert secret not in printed
        assert secret not in caplog.text
        assert secret.encode() not in written


def test_weights_that_no_hub_has_are_reported_without_a_request(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for key in ("otsu_luma", "efficientnet_lite0", "sam_vit_base"):
        write_spec(
            bench.specs,
            with_field(content_of(key), ("weights", "files", 0, "url"), None) if "sam" in key else content_of(key),
        )
    algorithm, package = bench.atlas("pull", "otsu_luma"), bench.atlas("pull", "efficientnet_lite0")
    assert (algorithm.exit_code, package.exit_code) == (0, 0)
    assert "nothing to fetch" in algorithm.stdout
    assert package.stdout.startswith("there ")
    by_hand = bench.atlas("pull", "sam_vit_base")
    path = tmp_path / "hub" / "checkpoints" / "sam_vit_b_01ec64.pth"
    assert (
        "the spec gives no address to fetch sam_vit_b_01ec64.pth from. Put the file of sha256 ec2df627"
        in by_hand.stderr
    )
    assert f"there: {path}" in by_hand.stderr
    assert by_hand.exit_code == 1
    assert bench.fake.requests == []


def test_a_repository_of_triton_is_put_there_by_hand_unless_its_files_have_addresses(bench: Bench):
    content = triton_content()
    for file in content["weights"]["files"]:
        file["sha256"] = "0" * 64
    write_spec(bench.specs, content)
    by_hand = bench.atlas("pull", "museum_encoder")
    assert by_hand.exit_code == 1
    assert (
        "the spec gives no address to fetch plate_encoder/3/model.py from. Put the file of sha256 000" in by_hand.stderr
    )
    assert "/repository--museum--encoders/snapshots/plate_encoder-3/plate_encoder/3/model.py" in by_hand.stderr
    content["weights"]["files"][1]["url"] = "https://example.org/model.py"
    write_spec(bench.specs, content)
    planned = bench.atlas("pull", "museum_encoder", "--dry-run")
    assert re.search(r"to fetch .*museum_encoder: plate_encoder/3/model\.py", planned.stdout)
    assert bench.fake.requests == []


def test_an_unpinned_revision_is_reported(bench: Bench):
    bench.pin(revision=None)
    assert f"no revision is pinned. `atlas models pin --fill {KEY}` pins one." in bench.atlas("pull", KEY).stderr


@pytest.mark.parametrize("arguments", [[], [KEY, "--active"], ["--roster", "x", "--active"]])
def test_what_to_pull_is_named_in_exactly_one_way(bench: Bench, arguments: list[str]):
    result = bench.atlas("pull", *arguments)
    assert result.exit_code == 1
    assert (
        "Give instruments by name, or --roster SET, or --active, or --run RUN: exactly one of the four."
        in result.stderr
    )


def test_the_active_instruments_are_pulled(bench: Bench):
    (bench.specs / "roster.yaml").write_text(f"active: [{KEY}]\n", encoding="utf-8")
    result = bench.atlas("pull", "--active")
    assert result.exit_code == 0, result.output
    assert (bench.snapshot / "model.safetensors").is_file()


def test_an_unknown_name_is_answered_with_the_nearest(bench: Bench):
    assert "tiny_clip" in bench.atlas("pull", "tiny_clp").stderr
