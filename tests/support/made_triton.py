"""A tiny network in a model repository of Triton: in NumPy for its Python backend, in torch as the reference."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from atlas_resources.instruments.admission import missing_for_admission
from atlas_resources.instruments.registry import read_spec
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.weights import weights_folder
from atlas_resources.plates.run_contracts import ServerRecord
from support.made_specs import write_spec
from support.made_weights import use_caches

KEY, MODEL, VERSION, DIM, SIDE_PX = "museum_encoder", "plate_encoder", 3, 5, 32
SERVER_VERSION = "2.51.0"
"""Of the tritonserver in nvidia-pytriton 0.7.0, by its own word at /v2."""
CONFIG = f"""\
# The tiny encoder of the tests.
name: "{MODEL}"
backend: "python"
max_batch_size: 4
input [{{ name: "pixels" data_type: TYPE_FP32 dims: [3, {SIDE_PX}, {SIDE_PX}] }}]
output [{{ name: "vectors" data_type: TYPE_FP32 dims: [{DIM}] }}]
instance_group [{{ kind: KIND_CPU count: 1 }}]
version_policy {{ specific {{ versions: [{VERSION}] }} }}
"""
CODE = '''\
"""The network in NumPy: a convolution of 4 x 4 px without overlap, ReLU, the mean over the image, a linear layer."""

from pathlib import Path

import numpy as np
import triton_python_backend_utils as triton


class TritonPythonModel:
    def initialize(self, args):
        folder = Path(args["model_repository"]) / args["model_version"]
        self.weights = np.load(folder / "weights.npz")

    def execute(self, requests):
        return [self.answer(triton.get_input_tensor_by_name(one, "pixels").as_numpy()) for one in requests]

    def answer(self, pixels):
        if (pixels[:, 1].mean(axis=(1, 2)) < 0.1).any():
            return triton.InferenceResponse(error=triton.TritonError("magenta is refused"))
        count, channels, height, width = pixels.shape
        patches = pixels.reshape(count, channels, height // 4, 4, width // 4, 4)
        maps = np.einsum("nchiwj,ocij->nohw", patches, self.weights["kernels"])
        maps += self.weights["offsets"][:, None, None]
        pooled = np.maximum(maps, 0).mean(axis=(2, 3))
        vectors = pooled @ self.weights["linear"].T + self.weights["bias"]
        return triton.InferenceResponse([triton.Tensor("vectors", vectors.astype(np.float32))])
'''


def network() -> torch.nn.Sequential:
    """The network in torch, drawn from a seed: float32 [N, 3, 32, 32] to float32 [N, 5]."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return torch.nn.Sequential(
            torch.nn.Conv2d(3, 4, kernel_size=4, stride=4),
            torch.nn.ReLU(),
            torch.nn.AdaptiveAvgPool2d(1),
            torch.nn.Flatten(),
            torch.nn.Linear(4, DIM),
        ).eval()


@torch.inference_mode()
def reference(pixels: np.ndarray) -> np.ndarray:
    """What the network in torch gives, float32 [N, 5]."""
    return network()(torch.from_numpy(np.array(pixels))).numpy()


def write_repository(folder: Path) -> None:
    """Writes the model's files into an empty folder."""
    weights = dict(network().named_parameters())
    version = folder / MODEL / str(VERSION)
    version.mkdir(parents=True)
    (folder / MODEL / "config.pbtxt").write_text(CONFIG, encoding="utf-8")
    (version / "model.py").write_text(CODE, encoding="utf-8")
    names = {"kernels": "0.weight", "offsets": "0.bias", "linear": "4.weight", "bias": "4.bias"}
    with (version / "weights.npz").open("wb") as file:
        np.savez(file, allow_pickle=False, **{name: weights[one].detach().numpy() for name, one in names.items()})


def triton_content(**changes: Any) -> dict[str, Any]:
    """The content of the spec's YAML file, without digests."""
    paths = [f"{MODEL}/config.pbtxt", f"{MODEL}/{VERSION}/model.py", f"{MODEL}/{VERSION}/weights.npz"]
    return {
        "key": KEY,
        "role": "embedding",
        "title": "Encoder of the museum",
        "description": "For the tests.",
        "model_id": "museum/plate-encoder",
        "loader": "triton",
        "weights": {
            "kind": "repository",
            "repository": "museum/encoders",
            "model": MODEL,
            "version": VERSION,
            "files": [{"path": path, "format": "served"} for path in paths],
        },
        "licence": {"spdx": "MIT", "commercial_use": "yes", "source": "made here"},
        "output": {"kind": "vector", "dim": DIM, "dtype": "float32", "pooled_feature": "global_average_pool"},
        "preprocessing": {
            "raster": "source",
            "colour_policy": "srgb8-v2",
            "backend": "pillow",
            "resize": {"mode": "exact", "size_px": SIDE_PX},
            "interpolation": "bicubic",
            "reference": "own",
        },
        "numeric": {"dtype": "float32", "device": "cpu"},
        "served": {"program": "triton", "version": SERVER_VERSION},
        "failure_modes": [{"fact": "Refuses magenta.", "source": "its code"}],
        "parameters": {"input": "pixels", "output": "vectors"},
        "batch_size": 2,
        **changes,
    }


def pinned_spec(folder: Path, patch: pytest.MonkeyPatch, **changes: Any) -> Spec:
    """Writes the repository where its spec expects it, and the spec with its digests; reads that again."""
    use_caches(patch, folder)
    content = triton_content(**changes)
    place = weights_folder(Spec.model_validate(content).weights)  # type: ignore[arg-type] # it has weights
    if not place.exists():
        write_repository(place)
    for file in content["weights"]["files"]:
        file["sha256"] = hashlib.sha256((place / file["path"]).read_bytes()).hexdigest()
    spec = read_spec(write_spec(folder / "model_specs", content))
    assert isinstance(spec, Spec), spec
    assert missing_for_admission(spec) == []
    return spec


def record_of(spec: Spec, endpoint: str, **changes: Any) -> ServerRecord:
    """The record of a server that was started for the spec."""
    assert spec.served
    assert spec.weights
    return ServerRecord.model_validate(
        {
            "program": "triton",
            "version": spec.served.version,
            "flags": {},
            "dtype": "float32",
            "device": "cpu",
            "command": ["tritonserver"],
            "endpoint": endpoint,
            "model_name": MODEL,
            "model_id": spec.model_id,
            "files": {file.path: file.sha256 for file in spec.weights.files if file.sha256},  # type: ignore[union-attr] # files
            "host": "here",
            "process_id": 1,
            "started_at": datetime(2026, 1, 1, tzinfo=UTC),
            "attested_by": None,
            "honoured": {},
            **changes,
        }
    )
