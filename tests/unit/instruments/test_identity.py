"""The fingerprint changes with everything that can change a result, and with nothing else."""

import hashlib
import json
from pathlib import Path

import pytest
from support.identity_cases import CHANGES, HUB, LIBRARY, NO_CHANGES, ONE_VALUE, SAM, SCORES, read_loosely
from support.made_specs import (
    PROJECT,
    WRITTEN,
    FieldPath,
    content_of,
    paths_of,
    project_spec,
    with_field,
    without_field,
)

from atlas_resources.instruments.instrument import fingerprint
from atlas_resources.instruments.spec.spec import Spec

# By hand: printf '%s' '<the text>' | sha256sum, the text being one line of JSON with sorted keys and no spaces.
OTSU_TEXT = (
    '{"loader":["otsu_luma",1],'
    '"model_id":"skimage.filters.threshold_otsu",'
    '"model_sha":"scikit-image==0.26.0",'
    '"numeric":{"device":"cpu","dtype":"float32"},'
    '"output":{"classes":["printed","paper"],"encoding":"coco_rle","kind":"masks"},'
    '"parameters":{"max_regions":48,"min_area_ratio":0.0005},'
    '"preprocessing":{"backend":"pillow","colour_policy":"srgb8-v2","crop_px":null,"interpolation":"box","mean":null,'
    '"raster":"source","resize":{"mode":"longest_side","size_px":1024},"std":null},'
    '"role":"segmentation","weights":{}}'
)
OTSU_FINGERPRINT = "4f172392e175392a9302936d634b162bf9a02086ff22d110c2f7c8a91e166bfc"


def test_a_fingerprint_is_the_sha256_of_canonical_json():
    """The text is written out here field by field, and its digest was taken with sha256sum."""
    assert hashlib.sha256(OTSU_TEXT.encode()).hexdigest() == OTSU_FINGERPRINT
    assert fingerprint(project_spec("otsu_luma"), 1) == OTSU_FINGERPRINT


def test_the_fingerprint_of_a_model_with_weights_is_the_same_by_independent_code():
    """From the YAML alone, by the recipe: null where a default is null, the revision as model_sha, digests by path."""
    content = content_of(HUB)
    recipe = {
        "loader": ["clip", 1],
        "model_id": "openai/clip-vit-base-patch32",
        "model_sha": "c237dc49a33fc61debc9276459120b7eac67e7ef",
        "numeric": content["numeric"],
        "output": content["output"],
        "parameters": {},
        "preprocessing": without_field(content["preprocessing"], "reference"),
        "role": "embedding",
        "weights": {
            "model.safetensors": "99d28a652e6ec46629ab7047a0ac82c69b1fe11e0ce672c43af65d3a9a3fc05d",
            "config.json": None,
        },
    }
    text = json.dumps(recipe, sort_keys=True, separators=(",", ":"))
    assert fingerprint(project_spec(HUB), 1) == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(("key", "path", "value"), CHANGES, ids=lambda part: part if isinstance(part, str) else None)
def test_it_changes_with_what_can_change_a_result(key: str, path: FieldPath, value: object, tmp_path: Path):
    content = with_field(content_of(key), path, value)
    assert content != content_of(key)
    assert fingerprint(read_loosely(tmp_path, content), 1) != fingerprint(project_spec(key), 1)


@pytest.mark.parametrize(("key", "path"), ONE_VALUE)
def test_it_will_change_with_what_has_one_value_today(key: str, path: FieldPath):
    spec = project_spec(key)
    holder, name = map(str, path)
    part = getattr(spec, holder).model_copy(update={name: "another"})
    changed = spec.model_copy(update={holder: part})
    assert fingerprint(changed, 1) != fingerprint(spec, 1)


def test_it_changes_with_the_loaders_version():
    assert fingerprint(project_spec(HUB), 2) != fingerprint(project_spec(HUB), 1)


@pytest.mark.parametrize(("key", "path", "value"), NO_CHANGES, ids=lambda part: part if isinstance(part, str) else None)
def test_it_stays_with_what_cannot(key: str, path: FieldPath, value: object, tmp_path: Path):
    content = with_field(content_of(key), path, value)
    assert content != content_of(key)
    assert fingerprint(read_loosely(tmp_path, content), 1) == fingerprint(project_spec(key), 1)


def test_every_field_is_among_the_cases():
    """A new field has to be put down in support/identity_cases.py as one that changes a result or one that does not."""
    cases = {path for _, path, _ in [*CHANGES, *NO_CHANGES]} | {path for _, path in ONE_VALUE}
    heads = {tuple(part for part in path if isinstance(part, str)) for path in cases}
    covered = heads | {head[:length] for head in heads for length in range(1, len(head))}
    fields = {
        tuple(part for part in path if isinstance(part, str))
        for key in WRITTEN  # what is derived is written nowhere; its own fields are tested with the regions
        for path in paths_of(content_of(key))
    }
    variants = {("key",), ("weights", "kind"), ("failure_modes", "fact"), ("failure_modes", "source")}
    assert fields - covered == variants  # the key is a name; a kind decides which of the other fields there are


def test_the_order_of_keys_is_nothing(tmp_path: Path):
    content = content_of("sam_vit_base")
    reordered = {name: content[name] for name in reversed(content)}
    reordered["parameters"] = dict(reversed(content["parameters"].items()))
    reordered["preprocessing"] = dict(reversed(content["preprocessing"].items()))
    assert fingerprint(read_loosely(tmp_path, reordered), 1) == fingerprint(project_spec("sam_vit_base"), 1)


def test_a_field_left_out_is_its_default(tmp_path: Path):
    content = with_field(content_of("otsu_luma"), ("preprocessing", "crop_px"), None)
    assert fingerprint(read_loosely(tmp_path, content), 1) == fingerprint(project_spec("otsu_luma"), 1)


def test_the_fingerprints_of_the_project_are_all_different():
    assert len({fingerprint(spec, 1) for spec in PROJECT.specs.values()}) == len(PROJECT.specs)


@pytest.mark.parametrize(
    ("key", "sealed"),
    [
        (HUB, "1bd540bad4d10e8a942c93cacb2385d836d4b009796cda2e95f4ab78860ba30b"),
        ("dinov2_base", "d3d7e502645b1c1cf035f981a630d000a9e48ca8311bd22c63fed206cd950396"),
        (LIBRARY, "a9f4b8b5aea45553660c5b92f3df348359f0bdf93284b8bfa5107aad3c288afc"),
        (SCORES, "31fb1a819f264e174ff0bcdc8434e6c8237a80cc974937aa1d280703b6493996"),
        (SAM, "c2f27108f104c9f668dd108b1f0d128047a665c3b5bd8cf74efe25d1ee57e293"),
    ],
)
def test_a_wider_schema_moves_no_fingerprint(key: str, sealed: str):
    """A field that is added to the schema is not written while it is null, so sealed runs stay current.

    The specs of EfficientNet-Lite0 did not declare `crop_rounding` then.
    """
    instrument = PROJECT.instruments[key]
    content = content_of(key)
    if instrument.spec.loader == "efficientnet_lite0":
        content = with_field(content, ("preprocessing", "crop_rounding"), None)
    assert fingerprint(Spec.model_validate(content), instrument.identity.loader_version) == sealed
