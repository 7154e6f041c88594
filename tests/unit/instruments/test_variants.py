"""A variant is a file that refers to another instrument, has all that it leaves out, and a fingerprint of its own."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from support.made_specs import PROJECT, content_of, copy_of_project, with_field, write_spec

from atlas_resources.files.project import SPECS_FOLDER
from atlas_resources.instruments.instrument import fingerprint
from atlas_resources.instruments.registry import Registry, read_registry
from atlas_resources.instruments.spec.pins import weights_sha256
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.instruments.spec.variant import Variant

BASE, HEAD = "clip_vit_large_patch14", "aesthetics_v1_vit_large_patch14"
ON_CPU = {"dtype": "float32", "device": "cpu"}


def variant(key: str, of: str, **fields: Any) -> dict[str, Any]:
    return {"key": key, "variant_of": of, **fields}


def read(folder: Path, *files: dict[str, Any]) -> Registry:
    for content in files:
        write_spec(folder, content)
    return read_registry(folder)


def problems(registry: Registry) -> list[str]:
    return [str(problem) for problem in registry.problems]


def test_what_a_variant_leaves_out_is_as_in_the_instrument_it_names():
    base, found = PROJECT.specs[BASE], PROJECT.specs[f"{BASE}_cpu"]
    own = {"key", "title", "description", "numeric", "variant_of"}
    assert {name for name in Spec.model_fields if getattr(found, name) != getattr(base, name)} == own
    assert found.numeric is not None
    assert (found.numeric.device, found.variant_of) == ("cpu", BASE)
    assert found.title == "CLIP ViT-L/14 image embedding, computed in float32 on the CPU"


def test_its_fingerprint_is_that_of_the_same_spec_written_in_full(tmp_path: Path):
    """The mode is part of it; which file had the rest is not."""
    written = with_field(content_of(BASE), ("numeric",), ON_CPU) | {"key": "written"}
    full = read(tmp_path, written).instruments["written"]
    found = PROJECT.instruments[f"{BASE}_cpu"]
    assert found.identity.fingerprint == full.identity.fingerprint
    assert found.identity.fingerprint != PROJECT.instruments[BASE].identity.fingerprint


def test_a_heads_fingerprint_covers_the_variant_that_it_reads():
    found, base = PROJECT.instruments[f"{HEAD}_cpu"], PROJECT.instruments[HEAD]
    assert found.upstream is PROJECT.instruments[f"{BASE}_cpu"]
    assert found.identity.fingerprint != base.identity.fingerprint


def test_it_follows_a_change_of_the_instrument_that_it_names(tmp_path: Path):
    folder = copy_of_project(tmp_path)
    write_spec(folder, with_field(content_of(BASE), ("weights", "files", 0, "sha256"), "0" * 64))
    found = read_registry(folder).specs[f"{BASE}_cpu"]
    assert weights_sha256(found) == "0" * 64
    assert fingerprint(found, 1) != fingerprint(PROJECT.specs[f"{BASE}_cpu"], 1)


def test_its_weights_are_those_of_the_instrument_that_it_names():
    assert PROJECT.specs[f"{BASE}_cpu"].weights == PROJECT.specs[BASE].weights


def test_a_project_of_ones_own_can_vary_a_packaged_instrument(tmp_path: Path):
    write_spec(tmp_path, variant("sam_here", "sam_vit_huge", numeric=ON_CPU))
    registry = read_registry(SPECS_FOLDER, tmp_path)
    assert registry.problems == ()
    assert registry.instruments["sam_here"].spec.variant_of == "sam_vit_huge"
    assert registry.variants_of("sam_vit_huge") == [registry.specs["sam_here"]]
    assert registry.path_of("sam_here") == tmp_path / "sam_here.yaml"


@pytest.mark.parametrize(
    ("base", "fields", "line"),
    [
        (
            "dinov9",
            {"numeric": ON_CPU},
            "made.yaml: variant_of: found 'dinov9', expected the key of an instrument",
        ),
        (
            f"{BASE}_cpu",
            {"numeric": ON_CPU},
            f"made.yaml: variant_of: found '{BASE}_cpu', itself a variant, expected an instrument that is none, such "
            f"as '{BASE}'",
        ),
        (
            BASE,
            {"numeric": {"dtype": "float32", "device": "cuda"}},
            "made.yaml: (file): found nothing that changes a result, expected `numeric`, `raster` or `upstream` other "
            f"than those of {BASE}",
        ),
        (
            BASE,
            {"upstream": "otsu_luma"},
            f"made.yaml: upstream: found 'otsu_luma', expected none: {BASE} reads pixels",
        ),
        (
            BASE,
            {"preprocessing": None},
            "made.yaml: preprocessing: found None, expected no field of this name",
        ),
        (
            BASE,
            {"numeric": ON_CPU, "batch_size": 0},
            "made.yaml: batch_size: found 0, expected input should be greater than 0",
        ),
        (
            HEAD,
            {"upstream": "otsu_luma"},
            "made.yaml: upstream: found 'otsu_luma', segmentation, expected an instrument of role 'embedding'",
        ),
        (
            "u2netp",
            {"numeric": {"dtype": "float32", "device": "cuda"}},
            "made.yaml: numeric: found float32 on cuda, expected float32 on cpu, as onnx computes",
        ),
        (
            "sam_vit_large",
            {"numeric": {"dtype": "float32", "device": "cuda", "compile": "inductor"}},
            "made.yaml: numeric.compile: found 'inductor', expected null: the network of segment_anything is not "
            "called in one piece",
        ),
        (
            "sam_vit_large_kept",
            {"upstream": "sam_vit_large_cpu"},
            "made.yaml: key: found 'made', expected sam_vit_large_cpu_kept",
        ),
        (
            "sam_vit_large_dinov2_large",
            {"numeric": ON_CPU},
            "made.yaml: key: found 'made', expected a key that begins with sam_vit_large_",
        ),
    ],
)
def test_what_is_wrong_with_a_variant_costs_only_the_variant(
    base: str, fields: dict[str, Any], line: str, tmp_path: Path
):
    registry = read(copy_of_project(tmp_path), variant("made", base, **fields))
    assert problems(registry) == [line]
    assert set(PROJECT.specs) <= set(registry.specs)
    assert set(PROJECT.instruments) <= set(registry.instruments)


def test_a_variant_of_a_file_that_cannot_be_read_says_so(tmp_path: Path):
    folder = copy_of_project(tmp_path)
    (folder / "dinov2_large.yaml").write_text("key: [", encoding="utf-8")
    lines = problems(read_registry(folder))
    assert lines[1:] == [
        "dinov2_large_cpu.yaml: variant_of: found 'dinov2_large', which could not be read, expected an instrument "
        "whose spec is sound"
    ]


def test_an_idea_has_variants_that_are_ideas_for_the_same_reason(tmp_path: Path):
    registry = read(copy_of_project(tmp_path), variant("made", "sam_vit_base_hub", numeric=ON_CPU))
    assert registry.status("made") == registry.status("sam_vit_base_hub")


def test_what_is_derived_from_a_segmenter_has_variants_too(tmp_path: Path):
    registry = read(
        copy_of_project(tmp_path),
        variant("sam_vit_large_cpu_kept", "sam_vit_large_kept", upstream="sam_vit_large_cpu"),
        variant(
            "sam_vit_large_cpu_dinov2_large",
            "sam_vit_large_dinov2_large",
            upstream="sam_vit_large_cpu_kept",
            numeric=ON_CPU,
        ),
    )
    assert registry.problems == ()
    shown = registry.instruments["sam_vit_large_cpu_dinov2_large"]
    assert shown.spec.region is not None
    assert (shown.spec.region.segmenter, shown.spec.region.part) == ("sam_vit_large_cpu", "dinov2_large")
    kept = registry.instruments["sam_vit_large_cpu_kept"]
    assert (shown.upstream, kept.upstream) == (kept, registry.instruments["sam_vit_large_cpu"])


def test_a_region_plan_may_name_variants(tmp_path: Path):
    folder = copy_of_project(tmp_path)
    plan = yaml.safe_load((folder / "regions" / "sam_vit_large.yaml").read_text(encoding="utf-8"))
    plan["embeddings"] = [{**shown, "embedder": f"{shown['embedder']}_cpu"} for shown in plan["embeddings"]]
    (folder / "regions" / "sam_vit_large_cpu.yaml").write_text(yaml.safe_dump(plan), encoding="utf-8")
    registry = read_registry(folder)
    assert registry.problems == ()
    made = registry.specs["sam_vit_large_cpu_dinov2_large_cpu"]
    assert (made.upstream, made.variant_of) == ("sam_vit_large_cpu_kept", None)
    assert made.numeric == PROJECT.specs["dinov2_large_cpu"].numeric


def test_a_variant_is_a_small_file():
    """A copy of the file would not follow when the first one is corrected."""
    written = [path for path in SPECS_FOLDER.glob("*.yaml") if PROJECT.specs.get(path.stem)]
    variants = [path for path in written if PROJECT.specs[path.stem].variant_of]
    assert len(variants) == 13
    for path in variants:
        assert set(yaml.safe_load(path.read_text(encoding="utf-8"))) <= set(Variant.model_fields)


def test_a_variant_on_a_working_raster_has_a_fingerprint_and_a_tag_of_its_own(tmp_path: Path):
    folder = copy_of_project(tmp_path)
    registry = read(folder, variant("smaller", BASE, raster="work_1024"))
    found, base = registry.instruments["smaller"], registry.instruments[BASE]
    assert found.spec.preprocessing is not None
    assert base.spec.preprocessing is not None
    assert found.spec.preprocessing.raster == "work_1024"
    assert found.spec.preprocessing.model_copy(update={"raster": "source"}) == base.spec.preprocessing
    assert found.identity.fingerprint != base.identity.fingerprint
    assert found.identity.preprocess_tag.startswith("work_1024.")
    assert found.spec.title.endswith("computed from the raster work_1024")


@pytest.mark.parametrize("base", ["otsu_luma", "detr_resnet50", "efficientnet_lite0_tiles", "ppocr_v6_small"])
def test_only_what_sees_a_whole_plate_may_read_a_working_raster(base: str, tmp_path: Path):
    """Boxes, masks, tiles and lines are in the source's pixels."""
    registry = read(copy_of_project(tmp_path), variant("smaller", base, raster="work_1024"))
    assert "smaller" not in registry.instruments
    reasons = registry.status("smaller").reasons if "smaller" in registry.specs else problems(registry)
    assert any("raster" in reason for reason in reasons)


def test_a_variant_on_the_raster_that_its_instrument_reads_differs_in_nothing(tmp_path: Path):
    registry = read(copy_of_project(tmp_path), variant("smaller", BASE, raster="source"))
    assert "nothing that changes a result" in problems(registry)[0]
