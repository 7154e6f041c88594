"""Each thing that is not declared keeps an instrument an idea, by name; ideas and broken specs run nothing."""

from pathlib import Path

import dagster as dg
import pytest
from support.made_specs import (
    ADMITTED,
    PROJECT,
    FieldPath,
    content_of,
    copy_of_project,
    with_field,
    without_field,
    write_spec,
)

from atlas_assets.definitions import build_definitions
from atlas_assets.graph.instruments import asset_key
from atlas_resources.instruments.admission import is_admitted, missing_for_admission, status_of
from atlas_resources.instruments.instrument import identity
from atlas_resources.instruments.registry import Registry, read_registry, read_spec
from atlas_resources.instruments.spec.spec import Spec

HUB, LIBRARY = "clip_vit_base_patch32", "sam_vit_base"


def read(folder: Path, content: dict) -> Spec:
    spec = read_spec(write_spec(folder, content))
    assert isinstance(spec, Spec), spec
    return spec


RESULTS = {"embeddings", "segments", "probes", "detections", "texts", "regions"}


def test_these_instruments_of_the_project_are_admitted():
    assert {
        "aesthetics_improved_clip_vit_large_patch14",
        "aesthetics_v1_vit_base_patch32",
        "aesthetics_v1_vit_large_patch14",
        "aesthetics_v1_vit_large_patch14_cpu",
        "biomedclip",
        "clip_vit_base_patch32",
        "clip_vit_base_patch32_prompts",
        "clip_vit_huge_patch14_laion2b",
        "clip_vit_large_patch14",
        "clip_vit_large_patch14_cpu",
        "clip_vit_large_patch14_prompts",
        "convnext_small_imagenet1k_v1",
        "convnext_tiny_imagenet1k_v1",
        "detr_resnet50",
        "dinov2_base",
        "dinov2_base_518px",
        "dinov2_giant",
        "dinov2_large",
        "dinov2_large_cpu",
        "efficientnet_b0_imagenet1k_v1",
        "efficientnet_b4_imagenet1k_v1",
        "efficientnet_lite0",
        "efficientnet_lite0_imagenet",
        "efficientnet_lite0_work_1024",
        "efficientnet_lite0_tiles",
        "efficientnet_lite2",
        "efficientnet_lite2_imagenet",
        "mask2former_swin_large_ade",
        "mtcnn_faces",
        "grounding_dino_base",
        "otsu_luma",
        "otsu_luma_efficientnet_lite0",
        "otsu_luma_kept",
        "otsu_luma_palette",
        "otsu_luma_polygons",
        "ppocr_v6_small",
        "ppocr_v6_small_tiles",
        "resnet50_imagenet1k_v1",
        "resnet50_imagenet1k_v2",
        "sam_vit_base",
        *(f"sam_vit_base_{name}" for name in ("kept", "palette", "polygons", "efficientnet_lite0")),
        "sam_vit_base_tiles",
        "sam_vit_huge",
        "sam_vit_large",
        "sam_vit_large_cpu",
        *(
            f"sam_vit_large_{name}"
            for name in ("kept", "palette", "polygons", "clip_vit_large_patch14", "dinov2_large")
        ),
        "u2net",
        "u2net_onnx",
        *(f"u2netp{part}" for part in ("", "_kept", "_palette", "_polygons")),
        "u2netp_efficientnet_lite0",
        "u2netp_efficientnet_lite2",
        "siglip_so400m_patch14_384",
        "siglip_so400m_patch14_384_prompts",
        "tesseract",
        "trocr_base_printed",
        "trocr_large_printed",
        "vgg16_imagenet1k_v1",
    } == ADMITTED


def test_a_snapshots_configuration_is_pinned_or_declared(tmp_path: Path):
    """Of both kinds: dinov2_base declares its fields, detr_resnet50 pins the file."""
    expected = ["weights: neither the sha256 of config.json nor `configuration`"]
    undeclared = read(tmp_path, without_field(content_of("dinov2_base"), "configuration"))
    assert missing_for_admission(undeclared) == expected
    unpinned = with_field(content_of("detr_resnet50"), ("weights", "files", 1, "sha256"), None)
    assert missing_for_admission(read(tmp_path, unpinned)) == expected


def test_weights_without_a_reference_of_their_preprocessing_are_not_admitted(tmp_path: Path):
    unnamed = read(tmp_path, with_field(content_of(HUB), ("preprocessing", "reference"), None))
    (reason,) = missing_for_admission(unnamed)
    assert reason.startswith("preprocessing.reference: not declared, one of transformers_pillow, ")
    algorithm = read(tmp_path, with_field(content_of("otsu_luma"), ("preprocessing", "reference"), None))
    assert missing_for_admission(algorithm) == []


@pytest.mark.parametrize("key", sorted(PROJECT.specs))
def test_what_is_not_admitted_says_why(key: str):
    status = PROJECT.status(key)
    assert (status.name == "admitted") == (key in ADMITTED)
    assert bool(status.reasons) == (key not in ADMITTED)


def test_these_are_refused_for_the_code_they_need():
    refused = {key for key, spec in PROJECT.specs.items() if spec.refusal}
    assert refused == {
        "eva_clip_8b",
        "florence_2_base",
        "florence_2_large",
        "imagebind_huge",
        "perceptclip_memorability",
    }
    assert all("code from its repository" in PROJECT.status(key).reason for key in refused)
    assert {PROJECT.status(key).name for key in refused} == {"refused"}


def test_this_is_refused_for_its_golden_test():
    refused = {key for key, spec in PROJECT.specs.items() if PROJECT.status(key).name == "refused" and not spec.refusal}
    assert refused == {"efficientnet_lite0_bf16"}
    assert "bfloat16 gives cosine 0.99" in PROJECT.status("efficientnet_lite0_bf16").reason


def test_a_refusal_outweighs_a_complete_spec(tmp_path: Path):
    refusal = {"reason": "needs code from its repository", "source": "its card"}
    spec = read(tmp_path, content_of("otsu_luma") | {"refusal": refusal})
    assert (status_of(spec).name, status_of(spec).reason) == ("refused", "needs code from its repository")
    assert missing_for_admission(spec) == ["refused: needs code from its repository"]
    with pytest.raises(ValueError, match=r"otsu_luma is refused: needs code .* `atlas models show otsu_luma` says why"):
        identity(spec, 1)


def test_a_generative_model_waits_however_complete_it_is():
    assert "role: generative models come only after segmentation and embeddings are stable" in (
        PROJECT.status("sdxl_base").reasons
    )


def test_a_vector_does_not_depend_on_a_plates_neighbours(tmp_path: Path):
    spec = read(tmp_path, with_field(content_of(HUB), ("preprocessing", "pad"), "batch_right_bottom"))
    assert missing_for_admission(spec) == [
        "preprocessing: with pad batch_right_bottom, other plates of the batch would change a plate's result"
    ]


def test_preprocessing_is_fixed_or_the_models_own(tmp_path: Path):
    own = {"own_preprocessing": {"form": "dynamic", "description": "as it likes"}}
    assert missing_for_admission(read(tmp_path, content_of(HUB) | own)) == [
        "preprocessing: both `preprocessing` and `own_preprocessing` are declared"
    ]
    assert missing_for_admission(read(tmp_path, without_field(content_of(HUB), "preprocessing") | own)) == [
        "own_preprocessing: no loader computes it yet"
    ]


@pytest.mark.parametrize(
    ("key", "path", "value", "missing"),
    [
        (HUB, ("weights",), None, "weights: no pinned revision"),
        (HUB, ("weights", "revision"), None, "weights: no pinned revision"),
        (HUB, ("weights", "files", 0, "sha256"), None, "weights: no sha256 of model.safetensors"),
        (HUB, ("weights", "files"), [], "weights: no weight file"),
        (HUB, ("weights", "files"), [{"path": "config.json", "format": "json"}], "weights: no weight file"),
        (LIBRARY, ("weights", "files", 0, "sha256"), None, "weights: no sha256 of sam_vit_b_01ec64.pth"),
        (HUB, ("licence",), None, "licence: neither an SPDX id nor `unknown`"),
        (HUB, ("output",), None, "output: no contract"),
        (
            HUB,
            ("output",),
            {"kind": "masks", "encoding": "coco_rle", "classes": []},
            "output: 'masks' is not what the role 'embedding' gives",
        ),
        (HUB, ("preprocessing",), None, "preprocessing: not declared"),
        (HUB, ("numeric",), None, "numeric: dtype and device not declared"),
        (HUB, ("failure_modes",), [], "failure_modes: none known and sourced"),
        (HUB, ("loader",), None, "loader: none serves this family yet"),
    ],
)
def test_without_it_the_instrument_is_an_idea_for_exactly_that(
    key: str, path: FieldPath, value: object, missing: str, tmp_path: Path
):
    spec = read(tmp_path, with_field(content_of(key), path, value))
    assert missing_for_admission(spec) == [missing]
    assert not is_admitted(spec)
    with pytest.raises(ValueError, match=f"{key} is an idea, not an instrument: .* Complete model_specs/{key}.yaml"):
        identity(spec, 1)


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("weights", "weights: no pinned revision"),
        ("licence", "licence: neither an SPDX id nor `unknown`"),
        ("output", "output: no contract"),
        ("preprocessing", "preprocessing: not declared"),
        ("numeric", "numeric: dtype and device not declared"),
        ("failure_modes", "failure_modes: none known and sourced"),
    ],
)
def test_a_field_that_is_left_out_is_as_one_that_is_null(name: str, missing: str, tmp_path: Path):
    assert missing_for_admission(read(tmp_path, without_field(content_of("otsu_luma"), name))) == [missing]


def test_everything_that_is_missing_is_named_at_once(tmp_path: Path):
    content = without_field(content_of(HUB), "licence", "numeric", "failure_modes")
    assert missing_for_admission(read(tmp_path, with_field(content, ("weights", "revision"), None))) == [
        "weights: no pinned revision",
        "licence: neither an SPDX id nor `unknown`",
        "numeric: dtype and device not declared",
        "failure_modes: none known and sourced",
    ]


def test_unknown_terms_said_outright_are_admitted(tmp_path: Path):
    content = with_field(
        content_of(HUB), ("licence",), {"spdx": "unknown", "commercial_use": "unknown", "source": "none"}
    )
    assert is_admitted(read(tmp_path, content))


def test_a_configuration_file_needs_no_digest(tmp_path: Path):
    assert content_of(HUB)["weights"]["files"][1] == {"path": "config.json", "format": "json"}
    assert is_admitted(read(tmp_path, content_of(HUB)))


@pytest.fixture
def two_ideas_and_a_broken_spec(tmp_path: Path) -> Registry:
    folder = copy_of_project(tmp_path)
    write_spec(folder, without_field(content_of(HUB), "licence"))
    write_spec(folder, without_field(content_of(LIBRARY), "failure_modes"))
    write_spec(folder, with_field(content_of("dinov2_base"), ("output", "dim"), "many"))
    return read_registry(folder)


def keys_and_resources(definitions: dg.Definitions) -> tuple[set[str], set[str]]:
    keys = definitions.resolve_asset_graph().get_all_asset_keys()
    return {key.to_user_string() for key in keys}, set(definitions.resources or {})


def test_each_admitted_instrument_is_an_asset_and_a_resource(tmp_path: Path):
    keys, resources = keys_and_resources(build_definitions(PROJECT, tmp_path))
    assert {key for key in keys if key.split("/")[0] in RESULTS | {"broken_specs"}} == {
        asset_key(instrument).to_user_string() for instrument in PROJECT.instruments.values()
    }
    assert resources == {"dataset", *ADMITTED}


def test_ideas_are_neither_assets_nor_resources(two_ideas_and_a_broken_spec: Registry, tmp_path: Path):
    keys, resources = keys_and_resources(build_definitions(two_ideas_and_a_broken_spec, tmp_path))
    reading = {"aesthetics_v1_vit_base_patch32", "clip_vit_base_patch32_prompts"}
    reading |= {key for key, spec in PROJECT.specs.items() if spec.region and spec.region.segmenter == LIBRARY}
    runnable = ADMITTED - {HUB, LIBRARY, "dinov2_base"} - reading
    assert resources == {"dataset", *runnable}
    made = (key.partition("/") for key in keys if key.split("/")[0] in RESULTS)
    names = {rest.replace("/", "_") for _, _, rest in made}
    assert names == runnable


def test_a_broken_spec_is_shown_and_cannot_be_run(two_ideas_and_a_broken_spec: Registry, tmp_path: Path):
    graph = build_definitions(two_ideas_and_a_broken_spec, tmp_path).resolve_asset_graph()
    broken = graph.get(dg.AssetKey(["broken_specs", "dinov2_base"]))
    assert not broken.is_executable
    assert not broken.is_materializable
    assert "dinov2_base.yaml: output.vector.dim: found 'many', expected input should be a valid integer" in (
        broken.description or ""
    )


@pytest.mark.parametrize("stem", ["Upper", "two words", "dots.v2", "dash-ed", "größe", "roster2"])
def test_a_broken_spec_of_any_name_leaves_the_graph_whole(stem: str, tmp_path: Path):
    folder = copy_of_project(tmp_path)
    (folder / f"{stem}.yaml").write_text("key: [", encoding="utf-8")
    keys, _ = keys_and_resources(build_definitions(read_registry(folder), tmp_path))
    assert "embeddings/efficientnet_lite0" in keys
    assert len([key for key in keys if key.startswith("broken_specs/")]) == 1


def test_a_broken_roster_leaves_the_graph_whole(tmp_path: Path):
    folder = copy_of_project(tmp_path)
    (folder / "roster.yaml").write_text("activ: []", encoding="utf-8")
    keys, _ = keys_and_resources(build_definitions(read_registry(folder), tmp_path))
    assert {"broken_specs/roster", "embeddings/efficientnet_lite0"} <= keys
