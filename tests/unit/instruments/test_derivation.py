"""Which variants a change of mode asks for: predictable keys, only what differs, and what is downstream if asked."""

import re
from typing import Any

import pytest
from support.made_specs import PROJECT

from atlas_resources.instruments.spec.derivation import Mode, plan_variants
from atlas_resources.instruments.spec.numeric import Numeric

# Without those that the project ships.
SPECS = {key: spec for key, spec in PROJECT.specs.items() if spec.variant_of is None}
CLIP = "clip_vit_large_patch14"


def planned(*arguments: Any, **options: Any) -> dict[str, dict[str, Any]]:
    """The files by key, without the two names."""
    found = plan_variants(SPECS, *arguments, **options)
    return {one.key: one.model_dump(exclude_none=True, exclude={"key", "variant_of"}) for one in found}


@pytest.mark.parametrize(
    ("key", "mode", "made"),
    [
        (CLIP, Mode(device="cpu"), f"{CLIP}_cpu"),
        (CLIP, Mode(dtype="bfloat16"), f"{CLIP}_bf16"),
        (CLIP, Mode(device="cpu", dtype="bfloat16"), f"{CLIP}_cpu_bf16"),
        (CLIP, Mode("cpu", "float16", "inductor"), f"{CLIP}_cpu_fp16_compiled"),
        (CLIP, Mode(raster="work_1024"), f"{CLIP}_work_1024"),
        (CLIP, Mode(device="cpu", raster="work_2048"), f"{CLIP}_cpu_work_2048"),
        (CLIP, Mode(device="cuda", dtype="float16"), f"{CLIP}_fp16"),  # it is on a GPU already
        ("efficientnet_b0_imagenet1k_v1", Mode(device="cuda"), "efficientnet_b0_imagenet1k_v1_cuda"),
    ],
)
def test_the_key_says_what_differs(key: str, mode: Mode, made: str):
    (variant,) = plan_variants(SPECS, key, mode)
    assert (variant.key, variant.variant_of) == (made, key)


def test_a_key_may_be_given():
    assert list(planned(CLIP, Mode(device="cpu"), "clip_here")) == ["clip_here"]


def test_only_the_mode_is_written():
    assert planned(CLIP, Mode("cpu", "bfloat16")) == {
        f"{CLIP}_cpu_bf16": {"numeric": {"dtype": "bfloat16", "device": "cpu"}}
    }


def test_downstream_of_an_embedder_are_its_heads_and_the_segments_that_it_is_shown():
    on_cpu = {"dtype": "float32", "device": "cpu"}
    assert planned(CLIP, Mode(device="cpu"), with_downstream=True) == {
        f"{CLIP}_cpu": {"numeric": on_cpu},
        f"aesthetics_improved_{CLIP}_cpu": {"upstream": f"{CLIP}_cpu"},
        "aesthetics_v1_vit_large_patch14_cpu": {"upstream": f"{CLIP}_cpu"},
        f"{CLIP}_prompts_cpu": {"upstream": f"{CLIP}_cpu"},
        f"sam_vit_large_{CLIP}_cpu": {"numeric": on_cpu},
    }


def test_downstream_of_a_segmenter_all_follow_to_the_cpu():
    on_cpu, kept = {"dtype": "float32", "device": "cpu"}, {"upstream": "sam_vit_large_cpu_kept"}
    assert planned("sam_vit_large", Mode(device="cpu"), with_downstream=True) == {
        "sam_vit_large_cpu": {"numeric": on_cpu},
        "sam_vit_large_cpu_kept": {"upstream": "sam_vit_large_cpu"},
        "sam_vit_large_cpu_palette": kept,
        "sam_vit_large_cpu_polygons": kept,
        f"sam_vit_large_cpu_{CLIP}": {"numeric": on_cpu, **kept},
        "sam_vit_large_cpu_dinov2_large": {"numeric": on_cpu, **kept},
    }


def test_downstream_of_an_embedder_on_a_working_raster_are_its_heads_alone():
    """Segments are shown at the source's size, whatever the whole plate is seen in."""
    found = planned(CLIP, Mode(raster="work_1024"), with_downstream=True)
    name = f"{CLIP}_work_1024"
    assert found.pop(name) == {"raster": "work_1024"}
    assert set(found) == {
        f"{key}_work_1024"
        for key in (
            "aesthetics_improved_clip_vit_large_patch14",
            "aesthetics_v1_vit_large_patch14",
            f"{CLIP}_prompts",
        )
    }
    assert {one["upstream"] for one in found.values()} == {name}


def test_downstream_stays_in_float32():
    """The golden test compares what reads pixels, so nothing else could be admitted in a fast mode."""
    found = planned(CLIP, Mode(dtype="bfloat16"), with_downstream=True)
    assert [key for key, content in found.items() if "numeric" in content] == [f"{CLIP}_bf16"]
    assert f"sam_vit_large_{CLIP}_bf16" not in found  # it would be what it is


def test_heads_stay_on_the_cpu_if_the_embedder_moves_to_a_gpu():
    found = planned("efficientnet_lite0", Mode(device="cuda"), with_downstream=True)
    assert {key: content["numeric"]["device"] for key, content in found.items()} == dict.fromkeys(
        (f"{name}efficientnet_lite0_cuda" for name in ("", "otsu_luma_", "sam_vit_base_", "u2netp_")), "cuda"
    )


def test_a_variant_of_a_variant_is_one_of_the_first():
    (variant,) = plan_variants(PROJECT.specs, f"{CLIP}_cpu", Mode(dtype="bfloat16"))
    assert (variant.key, variant.variant_of) == (f"{CLIP}_cpu_bf16", CLIP)
    assert variant.numeric == Numeric(dtype="bfloat16", device="cpu")


def test_what_is_downstream_of_a_variant_follows_it():
    found = plan_variants(PROJECT.specs, f"{CLIP}_cpu", Mode(dtype="bfloat16"), with_downstream=True)
    assert [(one.key, one.variant_of, one.upstream) for one in found[1:]] == [
        ("aesthetics_v1_vit_large_patch14_cpu_bf16", "aesthetics_v1_vit_large_patch14", f"{CLIP}_cpu_bf16")
    ]


def test_what_is_downstream_is_added_to_a_variant_that_exists():
    found = plan_variants(PROJECT.specs, CLIP, Mode(device="cpu"), with_downstream=True)
    assert {f"{CLIP}_cpu", "aesthetics_v1_vit_large_patch14_cpu"} & {one.key for one in found} == set()
    assert f"{CLIP}_prompts_cpu" in {one.key for one in found}


def test_what_only_gpus_have_is_left_behind():
    numeric = Numeric(dtype="bfloat16", device="cuda", attention="flash_attention_2", device_index=1)
    assert Mode(device="cpu").applied_to(numeric) == Numeric(dtype="bfloat16", device="cpu")
    assert Mode(dtype="float16").applied_to(numeric).attention == "flash_attention_2"


def test_a_golden_figure_does_not_follow():
    (variant,) = plan_variants(PROJECT.specs, "efficientnet_lite0_bf16", Mode(dtype="float16"))
    assert variant.numeric == Numeric(dtype="float16", device="cpu")


@pytest.mark.parametrize(
    ("key", "mode", "name", "message"),
    [
        ("otsu_luma", Mode(device="cpu"), None, "otsu_luma is computed in float32 on the CPU already. Name another"),
        (
            "aesthetics_v1_vit_large_patch14",
            Mode(device="cpu"),
            None,
            f"it reads {CLIP}. To derive both: `atlas models derive {CLIP} --device cpu --with-downstream`",
        ),
        (CLIP, Mode(device="cpu"), None, f"{CLIP}_cpu exists already and is this variant of {CLIP}. --with-downstream"),
        (
            f"{CLIP}_cpu",
            Mode(device="cuda"),
            None,
            f"{CLIP}, of which {CLIP}_cpu is a variant, is computed in float32 on a GPU. Use it.",
        ),
        (CLIP, Mode(device="cpu"), "otsu_luma", "otsu_luma exists already and is another instrument. Give another"),
        (CLIP, Mode(device="cpu"), "Clip", "'Clip' is no key: string should match pattern"),
        ("wikiart_style", Mode(device="cpu"), None, "wikiart_style: numeric is not declared"),
    ],
)
def test_what_cannot_be_derived_says_why(key: str, mode: Mode, name: str | None, message: str):
    with pytest.raises(ValueError, match=re.escape(message)):
        plan_variants(PROJECT.specs, key, mode, name)
