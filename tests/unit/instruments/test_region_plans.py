"""`model_specs/regions/`: what a plan derives, what is wrong with one, and what a derived instrument is bound by."""

import pytest
import yaml
from support.fake_instruments import EMBEDDER, SEGMENTER, fake_spec
from support.fake_regions import KEPT, VECTORS, plan, project_methods, region_registry, write_plan
from support.made_specs import content_of, copy_of_project, write_spec

from atlas_resources.instruments.region_plans import derive
from atlas_resources.instruments.registry import read_registry
from atlas_resources.instruments.spec.spec import Licence


def test_the_projects_plan_derives_four_admitted_instruments():
    registry = read_registry()
    derived = {key: one.spec.upstream for key, one in registry.instruments.items() if one.spec.region}
    assert derived.items() >= {
        ("otsu_luma_kept", "otsu_luma"),
        ("otsu_luma_palette", "otsu_luma_kept"),
        ("otsu_luma_polygons", "otsu_luma_kept"),
        ("otsu_luma_efficientnet_lite0", "otsu_luma_kept"),
    }


def test_an_embedder_that_is_shown_segments_keeps_its_own_pins():
    registry = read_registry()
    alone, derived = (registry.specs[key] for key in ("efficientnet_lite0", "otsu_luma_efficientnet_lite0"))
    assert (derived.weights, derived.preprocessing, derived.output) == (
        alone.weights,
        alone.preprocessing,
        alone.output,
    )
    identity = registry.instruments[derived.key].identity
    assert identity.weights_sha256 == registry.instruments[alone.key].identity.weights_sha256
    assert identity.preprocess_tag.startswith("square.pad0.08.#808080.shortest_side256")


@pytest.mark.parametrize(
    ("segmenter", "embedder", "expected"),
    [("yes", "no", "no"), ("no", "yes", "no"), ("unknown", "yes", "unknown"), ("yes", "yes", "yes")],
)
def test_the_narrower_licence_of_both_instruments_holds(fakes, segmenter: str, embedder: str, expected: str):
    terms = [
        Licence.model_validate({"spdx": f"LicenseRef-{number}", "commercial_use": use, "source": "here"})
        for number, use in enumerate((segmenter, embedder))
    ]
    masks, vectors = (
        fake_spec(key).model_copy(update={"licence": licence})
        for key, licence in zip((SEGMENTER, EMBEDDER), terms, strict=True)
    )
    from support.fake_instruments import fake_registry

    registry = fake_registry(masks, vectors, *derive(plan(), masks, project_methods(), {EMBEDDER: vectors}))
    assert registry.instruments[VECTORS].identity.commercial_use == expected
    licences = registry.instruments[VECTORS].identity.licence.split(" AND ")
    assert set(licences) == {"LicenseRef-0", "LicenseRef-1", "BSD-2-Clause"}
    assert registry.instruments[KEPT].identity.commercial_use == segmenter


def test_two_crops_for_one_embedder_have_names_of_their_own():
    given = plan().model_dump()
    given["embeddings"].append({**given["embeddings"][0], "name": "as_scanned"})
    registry = region_registry(type(plan()).model_validate(given))
    assert {f"{SEGMENTER}_{EMBEDDER}", f"{SEGMENTER}_as_scanned"} <= set(registry.specs)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            {"kept": {"top_k": 0}},
            "regions/otsu_luma.yaml: kept.top_k: found 0, expected input should be greater than 0",
        ),
        ({"kept": {}, "embeddings": 3}, "regions/otsu_luma.yaml: embeddings: found 3"),
        ({}, "regions/otsu_luma.yaml: kept: found nothing"),
        (
            {"kept": {}, "embeddings": [{"embedder": "otsu_luma", "crop": plan().embeddings[0].crop.model_dump()}]},
            "regions/otsu_luma.yaml: embeddings.0.embedder: found 'otsu_luma', expected an instrument of role",
        ),
        (
            {
                "kept": {},
                "embeddings": [
                    {"embedder": "efficientnet_lite0", "crop": plan().embeddings[0].crop.model_dump(), "name": "kept"}
                ],
            },
            "regions/otsu_luma.yaml: (file): found 'otsu_luma_kept', expected a key that no other instrument has",
        ),
    ],
)
def test_what_is_wrong_is_named_by_file_and_field(tmp_path, content: dict, problem: str):
    folder = copy_of_project(tmp_path)
    write_plan(folder, "otsu_luma", yaml.safe_dump(content))
    registry = read_registry(folder)
    assert any(str(found).startswith(problem) for found in registry.problems), registry.problems
    assert "otsu_luma" in registry.specs


def test_a_plan_of_no_segmenter_is_no_instrument(tmp_path):
    folder = copy_of_project(tmp_path)
    write_plan(folder, "efficientnet_lite0", "kept: {}")
    (problem,) = read_registry(folder).problems
    assert (problem.file, problem.found) == ("regions/efficientnet_lite0.yaml", "'efficientnet_lite0'")
    assert problem.expected == "an instrument of role 'segmentation'"


def test_what_is_derived_from_an_idea_is_an_idea(tmp_path):
    folder = copy_of_project(tmp_path)
    write_spec(folder, content_of("otsu_luma") | {"numeric": None})
    status = read_registry(folder).status("otsu_luma_kept")
    assert status.name == "idea"
    assert "otsu_luma is not admitted" in status.reason
