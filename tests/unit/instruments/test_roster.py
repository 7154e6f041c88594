"""`roster.yaml`: what is active is admitted, sets name instruments that are there, and the least one can disagree."""

from pathlib import Path

import pytest
import yaml
from support.made_specs import PROJECT, copy_of_project

from atlas_resources.instruments.registry import read_registry
from atlas_resources.instruments.roster import ROSTER_NAME


def problems_with(folder: Path, **sets: dict) -> list[str]:
    content = {"active": [], "sets": {name: {"description": "a set"} | one for name, one in sets.items()}}
    (folder / ROSTER_NAME).write_text(yaml.safe_dump(content), encoding="utf-8")
    return [str(problem) for problem in read_registry(folder).problems]


def test_the_project_ships_four_sets():
    assert list(PROJECT.roster.sets) == ["offline", "minimum", "minimum_cpu", "full"]
    assert [spec.key for spec in PROJECT.named_set("full")] == sorted(PROJECT.specs)
    inactive = {
        *("efficientnet_lite0_tiles", "efficientnet_lite2_imagenet", "ppocr_v6_small_tiles"),
        *("otsu_luma_polygons", "u2netp_palette", "u2netp_polygons", "efficientnet_lite0_work_1024"),
    }
    assert {spec.key for spec in PROJECT.named_set("offline")} == PROJECT.active | inactive


def test_the_least_set_has_embeddings_that_can_disagree_masks_and_weak_axes():
    chosen = PROJECT.named_set("minimum")
    assert {spec.objective for spec in chosen if spec.role == "embedding"} == {
        "contrastive_image_text",
        "self_supervised",
    }
    assert [spec.role for spec in chosen].count("segmentation") == 1
    assert [spec.role for spec in chosen].count("probe") == 2
    assert PROJECT.roster.sets["minimum"].min_embedding_objectives == 2


def test_the_least_set_has_a_twin_of_the_same_models_that_needs_no_gpu():
    chosen, twins = PROJECT.named_set("minimum"), PROJECT.named_set("minimum_cpu")
    assert {spec.variant_of or spec.key for spec in twins} == {spec.key for spec in chosen}
    devices = {spec.key: spec.numeric and spec.numeric.device for spec in twins}
    assert devices == {spec.key: "cpu" if spec.key in PROJECT.instruments else None for spec in twins}
    read = {spec.upstream for spec in twins} - {None}
    assert read <= set(devices)
    assert [spec.key for spec in twins if spec.key in PROJECT.instruments] == [
        "aesthetics_v1_vit_large_patch14_cpu",
        "clip_vit_large_patch14_cpu",
        "dinov2_large_cpu",
        "sam_vit_large_cpu",
    ]


def test_a_set_of_embeddings_that_were_trained_alike_is_told(tmp_path: Path):
    lines = problems_with(
        copy_of_project(tmp_path),
        pair={"instruments": ["dinov2_base", "dinov2_large", "otsu_luma"], "min_embedding_objectives": 2},
    )
    assert lines == [
        "roster.yaml: sets.pair.instruments: found self_supervised, expected embeddings of 2 different objectives"
    ]


def test_a_set_that_names_no_instrument_is_told(tmp_path: Path):
    lines = problems_with(copy_of_project(tmp_path), pair={"instruments": ["otsu_luma", "dinov3"]})
    assert lines == [
        "roster.yaml: sets.pair.instruments: found 'dinov3', expected an instrument of this folder",
    ]


def test_a_set_is_not_at_fault_for_a_spec_that_cannot_be_read(tmp_path: Path):
    folder = copy_of_project(tmp_path)
    (folder / "dinov2_large.yaml").write_text("key: [", encoding="utf-8")
    registry = read_registry(folder)
    assert {problem.file for problem in registry.problems} == {"dinov2_large.yaml", "dinov2_large_cpu.yaml"}
    assert "dinov2_large" not in {spec.key for spec in registry.named_set("minimum")}


@pytest.mark.parametrize(
    ("broken", "left"),
    [
        ("dinov2_large", {"kept", "palette", "polygons", "clip_vit_large_patch14"}),
        ("sam_vit_large", set()),
    ],
)
def test_a_plan_of_regions_is_not_at_fault_either(broken: str, left: set[str], tmp_path: Path):
    folder = copy_of_project(tmp_path)
    (folder / f"{broken}.yaml").write_text("key: [", encoding="utf-8")
    registry = read_registry(folder)
    assert {problem.file for problem in registry.problems} == {f"{broken}.yaml", f"{broken}_cpu.yaml"}
    derived = [spec.region for spec in registry.specs.values() if spec.region]
    assert {region.part for region in derived if region.segmenter == "sam_vit_large"} == left


def test_a_set_that_is_not_there_is_met_with_those_that_are():
    with pytest.raises(KeyError, match=r"no set 'all' in .*roster\.yaml; it names offline, .*, full\."):
        PROJECT.named_set("all")
