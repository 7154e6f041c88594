"""`atlas snapshot`: what a person sees, and the exit codes."""

import json
import subprocess

import pytest
from support import fake_instruments
from support.fake_instruments import EMBEDDER
from support.made_results import GivenVectors, measure
from support.verified import VECTORS, make_verified
from typer.testing import CliRunner, Result

from atlas_assets.cli import app as cli
from atlas_resources.snapshots.files import read_snapshot


@pytest.fixture(scope="module")
def verified(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        fake_instruments.install(patch)
        dataset, registry = make_verified(tmp_path_factory.mktemp("snapshot"))
        patch.setenv("ATLAS_HOME", str(dataset.root))
        patch.setattr(cli.console, "_width", 300)
        patch.setattr("atlas_resources.instruments.registry.read_registry", lambda: registry)
        yield dataset, registry


def atlas(*arguments: object) -> Result:
    result = CliRunner().invoke(cli.app, ["snapshot", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_create_says_what_it_froze_and_list_and_show_have_it(verified):
    dataset, _ = verified
    result = atlas("create", "paper-2026", "--note", "For [bold]the[/] paper")
    assert result.exit_code == 0
    snapshot = read_snapshot(dataset, "paper-2026")
    assert "snapshot paper-2026: 2 plates, 3 current results" in result.stdout
    assert f"state of the library: {snapshot.root_sha256}" in result.stdout
    assert "[bold]the[/]" in atlas("list").stdout
    shown = atlas("show", "paper-2026").stdout
    assert "For [bold]the[/] paper" in shown
    assert f"Atlas snapshot paper-2026, {snapshot.created_at:%Y-%m-%d}: 2 plates, 2 instruments, 3 results" in shown
    assert "@misc{atlas-paper-2026," in shown
    assert shown.count(snapshot.root_sha256) == 3
    assert json.loads(atlas("show", "paper-2026", "--json").stdout)["citation"] in shown
    assert [one["name"] for one in json.loads(atlas("list", "--json").stdout)][:2] == ["first", "paper-2026"]


def test_a_taken_an_unknown_and_a_wrong_name_fail_with_the_reason(verified):
    taken = atlas("create", "first")
    assert (taken.exit_code, "never overwritten" in taken.stderr) == (1, True)
    unknown = atlas("show", "frist")
    assert (unknown.exit_code, "Did you mean first?" in unknown.stderr) == (1, True)
    wrong = atlas("create", "../up")
    assert (wrong.exit_code, "expected a name of a-z" in wrong.stderr) == (1, True)


def test_a_signed_snapshot_is_verified_by_its_public_key_alone(verified, tmp_path):
    for name in ("mine", "other"):
        make = ["openssl", "genpkey", "-algorithm", "ed25519", "-out", f"{name}.pem"]
        subprocess.run(make, cwd=tmp_path, check=True, capture_output=True)
        public = ["openssl", "pkey", "-in", f"{name}.pem", "-pubout", "-out", f"{name}.pub"]
        subprocess.run(public, cwd=tmp_path, check=True)
    assert atlas("create", "signed", "--sign", tmp_path / "mine.pem").exit_code == 0
    assert "(whose key that is, only --key tells)" in atlas("verify", "signed").stdout
    mine = atlas("verify", "signed", "--key", tmp_path / "mine.pub")
    assert mine.exit_code == 0
    assert "snapshot signed: as it was" in mine.stdout
    other = atlas("verify", "signed", "--key", tmp_path / "other.pub")
    assert (other.exit_code, "expected a signature by the key" in other.stdout) == (1, True)
    refused = atlas("verify", "signed", "--key", tmp_path / "mine.pem")
    assert (refused.exit_code, "Fix: openssl pkey" in refused.stderr) == (1, True)


def test_faults_keep_a_snapshot_from_being_created_unless_it_is_forced_and_then_they_are_counted(verified):
    dataset, _ = verified
    path = dataset.plate("plate-002").source_path()
    path.rename(path.with_name("gone"))
    try:
        refused = atlas("create", "forced")
        assert refused.exit_code == 1
        assert "missing: plates_structured/plate-002/source/" in refused.stdout
        assert "no snapshot was created. Fix them: atlas verify" in refused.stderr
        assert not (dataset.snapshots_dir / "forced.json").exists()
        assert atlas("create", "forced", "--force").exit_code == 0
        assert read_snapshot(dataset, "forced").fault_count > 0
        gone = atlas("verify", "forced")
        assert (gone.exit_code, "missing: plates_structured/plate-002/source/" in gone.stdout) == (1, True)
    finally:
        path.with_name("gone").rename(path)


def test_diff_names_what_differs_and_exits_with_1(verified):
    dataset, registry = verified
    assert atlas("create", "before").exit_code == 0
    same = atlas("diff", "before", "now")
    assert (same.exit_code, "before and now are the same" in same.stdout) == (0, True)
    measure(dataset, registry, EMBEDDER, GivenVectors(VECTORS), ["plate-001"], is_forced=True)
    found = atlas("diff", "before")
    assert found.exit_code == 1
    assert "plate-001: current run of fake_embedder: run-" in found.stdout
    last = "before -> now: 0 plates added, 0 removed, 1 changed; 1 current runs differ; 0 instruments differ"
    assert found.stdout.splitlines()[-1] == last
    assert json.loads(atlas("diff", "before", "--json").stdout)["plates_changed"][0]["plate_id"] == "plate-001"


def test_an_altered_snapshot_fails_verification(verified):
    dataset, _ = verified
    assert atlas("create", "altered").exit_code == 0
    path = dataset.snapshots_dir / "altered.json"
    path.write_bytes(path.read_bytes().replace(b'"note": ""', b'"note": "x"'))
    result = atlas("verify", "altered")
    assert (result.exit_code, "altered: snapshots/altered.json: changed since it was written" in result.stdout) == (
        1,
        True,
    )
    path.unlink()


def test_query_answers_as_of_a_snapshot(verified):
    dataset, _ = verified
    query = ["query", "--snapshot", "first", "SELECT plate_id, run_id FROM embeddings WHERE is_current"]
    result = CliRunner().invoke(cli.app, query)
    assert (result.exit_code, result.stderr) == (0, "")
    assert read_snapshot(dataset, "first").plates[0].runs[EMBEDDER] in result.stdout
    unknown = CliRunner().invoke(cli.app, ["query", "--snapshot", "frist", "SELECT 1"])
    assert (unknown.exit_code, "Did you mean first?" in unknown.stderr) == (1, True)
