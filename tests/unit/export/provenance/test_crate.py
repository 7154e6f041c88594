"""A sealed run as a Process Run Crate: `roc-validator` finds no fault, and what may not leave is not in it."""

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import rocrate
from support.fake_instruments import EMBEDDER, fake_registry, fake_spec
from support.licensed import license_plates
from support.made_results import GivenVectors, build_ledgers, measure
from support.made_withdrawals import withdrawn
from support.validators import needs_validators, run_offline
from typer.testing import CliRunner

from atlas_assets.cli.app import app
from atlas_resources.export.provenance.crate import export_crate
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import DatasetBroken, read_json
from atlas_resources.plates.run_contracts import RunConfig
from atlas_resources.runs.sealed import read_manifest, run_names

VECTORS = GivenVectors({f"plate-00{number}": (3.0, 4.0, float(number)) for number in range(1, 6)})
CONTEXT = Path(rocrate.__file__).parent / "data" / "ro-crate.jsonld"
# The validator fetches the context of RO-Crate 1.1. It is given that of 1.3, which is in the package rocrate and has
# the terms of 1.1; its shapes for RO-Crate 1.1 and for the profile are its own. Prints what is against them.
VALIDATE = """
import json, logging, sys
from rocrate_validator import models, services
from rocrate_validator.utils import document_loader
from rocrate_validator.utils.http import HttpRequester
text = open(sys.argv[1]).read()
class Answer:
    status_code, headers, content = 200, {"Content-Type": "application/ld+json"}, text.encode()
    def __init__(self, url): self.url, self.text = url, text
    def json(self): return json.loads(text)
HttpRequester.get = lambda self, url, **options: Answer(url)
document_loader._fetch_json_ld = lambda url: json.loads(text)
logging.disable(logging.CRITICAL)
settings = services.ValidationSettings(
    rocrate_uri=sys.argv[2], profile_identifier="process-run-crate", offline=True, cache_path=sys.argv[3],
    requirement_severity=getattr(models.Severity, sys.argv[4]),
)
found = services.validate(settings)
print("FOUND" + json.dumps([[issue.check.identifier, str(issue.message)] for issue in found.get_issues()]))
"""
PROFILE = "process-run-crate-0.5_"


def issues(crate: Path, tmp_path: Path, severity: str = "REQUIRED") -> list[list[str]]:
    printed = run_offline(VALIDATE, CONTEXT, crate, tmp_path / "cache", severity)
    return json.loads(printed.partition("FOUND")[2])


@pytest.fixture
def measured(dataset, fakes) -> Dataset:
    """Five plates in the public domain, measured in one run by the embedder; ledgers built."""
    registry = fake_registry(fake_spec(EMBEDDER))
    license_plates(dataset, "CC0")
    measure(dataset, registry, EMBEDDER, VECTORS)
    build_ledgers(dataset, registry)
    return dataset


def run_of(dataset: Dataset) -> str:
    (name,) = run_names(dataset.plate("plate-001"))
    return name


def graph(path: Path) -> dict[str, dict[str, Any]]:
    document = json.loads((path / "ro-crate-metadata.json").read_text(encoding="utf-8"))
    return {one["@id"]: one for one in document["@graph"]}


def refs(value: Any) -> list[str]:
    return [one["@id"] for one in (value if isinstance(value, list) else [value])]


@needs_validators
@pytest.mark.parametrize("with_scans", [False, True])
def test_the_validator_of_the_profile_finds_no_fault(measured, tmp_path, with_scans):
    export_crate(measured, tmp_path / "crate", run_of(measured), by="Ada", with_scans=with_scans)
    assert issues(tmp_path / "crate", tmp_path) == []


@needs_validators
def test_of_the_recommendations_of_the_profile_only_ids_of_software_on_the_web_are_not_followed(measured, tmp_path):
    export_crate(measured, tmp_path / "crate", run_of(measured), by="Ada", ran_by="Ben")
    found = issues(tmp_path / "crate", tmp_path, "RECOMMENDED")
    of_profile = {message for check, message in found if check.startswith(PROFILE)}
    assert of_profile <= {
        "The SoftwareApplication id SHOULD be an absolute URI",  # it is, but not one of http
        "The Application SHOULD have a url",
    }


@needs_validators
def test_a_crate_against_the_profile_is_found(measured, tmp_path):
    export_crate(measured, tmp_path / "crate", run_of(measured), by="Ada")
    path = tmp_path / "crate" / "ro-crate-metadata.json"
    document = json.loads(path.read_text())
    for one in document["@graph"]:
        one.pop("instrument", None)
    path.write_text(json.dumps(document))
    assert any("instrument" in message for _, message in issues(tmp_path / "crate", tmp_path))


def test_each_plate_is_an_action_with_its_own_inputs_and_results(measured, tmp_path):
    run_id = run_of(measured)
    export_crate(measured, tmp_path / "crate", run_id, by="Ada")
    found = graph(tmp_path / "crate")
    assert refs(found["./"]["conformsTo"]) == ["https://w3id.org/ro/wfrun/process/0.5"]
    assert refs(found["./"]["mentions"]) == [f"#plate-00{number}" for number in range(1, 6)]
    manifest = read_manifest(measured.plate("plate-001"), run_id)
    done = found["#plate-001"]
    assert done["actionStatus"].endswith("CompletedActionStatus")
    assert f"atlas:{run_id}" in done["identifier"]
    scan = found[refs(done["object"])[0]]
    assert (scan["sha256"], scan["@type"]) == (manifest.source_sha256, "File")
    results = {one: found[one]["sha256"] for one in refs(done["result"])}
    assert set(results) == {f"plate-001/{name}" for name in ("embeddings.parquet", "metrics.json", "run.manifest.json")}
    for name, digest in results.items():
        assert hashlib.sha256((tmp_path / "crate" / name).read_bytes()).hexdigest() == digest
    software = found[refs(done["instrument"])[0]]
    assert software["softwareVersion"] == manifest.instrument.model_sha
    assert f"fingerprint: {manifest.instrument.fingerprint}" in software["additionalProperty"]
    atlas = found[refs(software["softwareRequirements"])[0]]
    assert atlas["operatingSystem"] == manifest.environment.os
    packages = {found[one]["name"]: found[one]["softwareVersion"] for one in refs(atlas["softwareRequirements"])}
    assert packages == {"python": manifest.environment.python, **manifest.environment.packages}
    parameters = {found[one]["name"]: found[one]["value"] for one in refs(done["object"])[1:]}
    config = read_json(measured.reports_dir / run_id / "config.json", RunConfig)
    numeric = config.spec["numeric"]
    assert (parameters["batch_size"], parameters["dtype"]) == (config.batch_size, numeric["dtype"])


def test_scans_are_copied_when_they_are_asked_for(measured, tmp_path):
    export_crate(measured, tmp_path / "crate", run_of(measured), by="Ada", with_scans=True)
    found = graph(tmp_path / "crate")
    scan = refs(found["#plate-001"]["object"])[0]
    source = measured.plate("plate-001").source_path()
    assert (tmp_path / "crate" / scan).read_bytes() == source.read_bytes()
    assert refs(found[scan]["license"]) == ["http://creativecommons.org/publicdomain/zero/1.0/"]


def test_nothing_of_withdrawn_plates_is_in_it_and_it_says_so(measured, tmp_path):
    withdrawn(measured, "plate", "plate-002")
    build_ledgers(measured, fake_registry(fake_spec(EMBEDDER)))
    done = export_crate(measured, tmp_path / "crate", run_of(measured), by="Ada")
    assert (done.plates_count, done.left_out) == (4, ["1 plate with all rows: withdrawn"])
    assert "Left out: 1 plate with all rows: withdrawn." in graph(tmp_path / "crate")["./"]["description"]
    for path in (tmp_path / "crate").rglob("*"):
        assert "plate-002" not in path.name
        if path.suffix == ".json":
            assert "plate-002" not in path.read_text()


def test_for_commercial_use_plates_go_by_their_licence(measured, tmp_path):
    license_plates(measured, "CC BY-NC 4.0", "plate-003")
    build_ledgers(measured, fake_registry(fake_spec(EMBEDDER)))
    done = export_crate(measured, tmp_path / "crate", run_of(measured), by="Ada", commercial=True)
    assert done.left_out == ["1 plate with all rows: its licence, CC BY-NC 4.0, forbids commercial use"]
    assert "#plate-003" not in graph(tmp_path / "crate")


def test_a_withdrawn_run_does_not_leave(measured, tmp_path):
    run_id = run_of(measured)
    withdrawn(measured, "run", run_id)
    build_ledgers(measured, fake_registry(fake_spec(EMBEDDER)))
    with pytest.raises(LookupError, match=r"nothing of it may leave\. Left out: 5 results of plates"):
        export_crate(measured, tmp_path / "crate", run_id, by="Ada")
    assert not (tmp_path / "crate").exists()


def test_a_file_that_changed_since_it_was_sealed_stops_it(measured, tmp_path):
    path = measured.plate("plate-004").runs_folder / run_of(measured) / "embeddings.parquet"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b"altered")
    with pytest.raises(DatasetBroken, match="changed since it was sealed"):
        export_crate(measured, tmp_path / "crate", run_of(measured), by="Ada")
    assert list(tmp_path.glob("*crate*")) == []


def test_a_folder_with_files_is_left_alone(measured, tmp_path):
    (tmp_path / "crate").mkdir()
    (tmp_path / "crate" / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="expected no file and no folder with files"):
        export_crate(measured, tmp_path / "crate", run_of(measured), by="Ada")
    assert [path.name for path in (tmp_path / "crate").iterdir()] == ["mine.txt"]


def test_the_command_writes_a_zip(measured, tmp_path, monkeypatch):
    monkeypatch.setenv("ATLAS_HOME", str(measured.root))
    target = tmp_path / "run.zip"
    done = CliRunner().invoke(app, ["export-crate", run_of(measured), str(target), "--by", "Ada"])
    assert done.exit_code == 0, done.output
    assert f"{target}: 5 plates, 21 files" in done.output.replace("\n", "")
    with zipfile.ZipFile(target) as archive:
        names = set(archive.namelist())
    assert {"ro-crate-metadata.json", "instrument.json", "plate-001/embeddings.parquet"} <= names
    unknown = CliRunner().invoke(app, ["export-crate", "run-20000101-000000Z-00000000", str(tmp_path / "no")])
    assert unknown.exit_code == 1
    assert "no run 'run-20000101-000000Z-00000000'" in unknown.output
