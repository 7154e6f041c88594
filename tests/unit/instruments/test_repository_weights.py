"""Weights that are one version of a model in a repository of Triton, and the loader that such a spec names."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError
from support.made_triton import MODEL, pinned_spec, triton_content

from atlas_resources.files.project import PROJECT_ROOT
from atlas_resources.instruments.admission import missing_for_admission
from atlas_resources.instruments.instrument import fingerprint
from atlas_resources.instruments.loader_table import problems_with_loader
from atlas_resources.instruments.spec.pins import model_sha
from atlas_resources.instruments.spec.spec import Spec


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spec:
    return pinned_spec(tmp_path, monkeypatch)


def test_the_spec_in_the_documentation_is_admitted_once_its_files_have_digests():
    (text,) = re.findall(r"```yaml\n(.*?)```", (PROJECT_ROOT / "docs" / "triton.md").read_text(), re.DOTALL)
    content: dict[str, Any] = yaml.safe_load(text)
    assert missing_for_admission(Spec.model_validate(content)) == [
        f"weights: no sha256 of {MODEL}/config.pbtxt and 2 more"
    ]
    for file in content["weights"]["files"]:
        file["sha256"] = "0" * 64
    spec = Spec.model_validate(content)
    assert missing_for_admission(spec) == []
    assert problems_with_loader("museum_encoder.yaml", spec) == []


@pytest.mark.parametrize(("change", "field"), [({"served": None}, "served"), ({"parameters": {}}, "parameters.input")])
def test_a_spec_needs_its_server_and_its_tensors(change: dict[str, Any], field: str):
    problems = problems_with_loader("museum_encoder.yaml", Spec.model_validate(triton_content(**change)))
    assert field in [problem.field for problem in problems]


def test_a_repository_is_admitted_when_each_of_its_files_has_a_digest(spec: Spec):
    assert model_sha(spec) == "museum/encoders:plate_encoder/3"
    bare = Spec.model_validate(triton_content())
    assert missing_for_admission(bare) == [f"weights: no sha256 of {MODEL}/config.pbtxt and 2 more"]


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ([f"{MODEL}/3/model.py"], "expected plate_encoder/config.pbtxt and the files in plate_encoder/3/"),
        ([f"{MODEL}/config.pbtxt"], "expected plate_encoder/config.pbtxt and the files in plate_encoder/3/"),
        ([f"{MODEL}/config.pbtxt", f"{MODEL}/3/a", f"{MODEL}/2/a"], f"{MODEL}/2/a: expected a file in"),
        ([f"{MODEL}/config.pbtxt", f"{MODEL}/3/a", "other/config.pbtxt"], "other/config.pbtxt: expected a file in"),
        ([f"{MODEL}/config.pbtxt", f"{MODEL}/3/a", f"{MODEL}/3/../../a"], "expected a file in"),
    ],
)
def test_a_repository_is_one_version_of_one_model(files: list[str], found: str):
    content = triton_content()
    content["weights"]["files"] = [{"path": path, "format": "served"} for path in files]
    with pytest.raises(ValidationError, match=found.replace("(", r"\(")):
        Spec.model_validate(content)


def test_only_the_format_served_is_left_to_a_server():
    content = triton_content()
    content["weights"]["files"][0]["format"] = "text"
    with pytest.raises(ValidationError, match="expected format `served`"):
        Spec.model_validate(content)


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("weights", "repository", "museum/others"),
        ("parameters", "input", "image"),
        ("parameters", "output", "features"),
        ("served", "version", "2.52.0"),
        ("served", "flags", {"http-thread-count": 2}),
    ],
)
def test_the_fingerprint_changes_with_what_is_served(part: str, name: str, value: object):
    content = triton_content()
    before = fingerprint(Spec.model_validate(content), 1)
    content[part] = {**content[part], name: value}
    assert fingerprint(Spec.model_validate(content), 1) != before


def test_the_fingerprint_changes_with_the_configuration_of_the_model(spec: Spec):
    content = spec.model_dump(mode="json")
    content["weights"]["files"][0]["sha256"] = "0" * 64
    assert fingerprint(Spec.model_validate(content), 1) != fingerprint(spec, 1)
