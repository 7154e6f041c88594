"""The digest that a JSON file holds of itself."""

import json

import pytest

from atlas_resources.files.contract import FileContract, content_problem, file_bytes


class Named(FileContract):
    """What a JSON file here holds."""

    name: str


def problem(data: bytes) -> str | None:
    return content_problem(Named.model_validate_json(data), data)


def test_a_file_agrees_with_its_own_digest():
    assert problem(file_bytes(Named(name="Crane"))) is None


@pytest.mark.parametrize("name", ["0" * 64, "content_sha256", '"\\'])
def test_no_content_is_taken_for_the_digest(name):
    assert problem(file_bytes(Named(name=name))) is None


def test_any_other_byte_contradicts_the_digest():
    data = file_bytes(Named(name="Crane"))
    for changed in (data.replace(b"Crane", b"Drake"), data.replace(b"\n", b" "), data + b"\n"):
        assert "changed since it was written" in str(problem(changed))


def test_a_file_of_version_1_has_no_digest_and_a_later_one_must():
    assert problem(b'{"name": "Crane"}') is None
    assert problem(json.dumps({"schema_version": 2, "name": "Crane"}).encode()) == (
        "content_sha256: expected the file's digest, in version 2"
    )
