"""Fake instruments: real specs, the project's own loading path, and simple arithmetic. They refuse magenta plates."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atlas_resources.files.contract import Contract
from atlas_resources.instruments.loader_table import LOADERS, LoaderEntry
from atlas_resources.instruments.prompts import read_prompts
from atlas_resources.instruments.registry import Registry
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models import loading as inference
from atlas_resources.models.protocols import Label, Mask

LOADED: list[str] = []
"""The keys of the loaded instruments, in order. Cleared for each test."""

EMBEDDER, SEGMENTER, READER = "fake_embedder", "fake_segmenter", "fake_reader"


class FakeParameters(Contract):
    """`gain` scales the results and so changes the fingerprint; `delay_seconds` is the time spent per plate."""

    gain: float = 1.0
    delay_seconds: float = 0.0


def _refuse_magenta(mean_rgb: np.ndarray) -> None:
    """The mean colour, 0..1. Raises ArithmeticError for a plate that is all magenta."""
    if mean_rgb[0] > 0.9 and mean_rgb[1] < 0.1 and mean_rgb[2] > 0.9:
        raise ArithmeticError("magenta cannot be measured")


class FakeEmbedder:
    """The mean of each channel, 0..1, times the gain: a vector of 3."""

    def __init__(self, parameters: FakeParameters):
        self.parameters = parameters

    def embed(self, batch: Any) -> np.ndarray:
        means = np.asarray(batch, dtype=np.float32).mean(axis=(2, 3), dtype=np.float64)
        for mean in means:
            _refuse_magenta(mean)
            time.sleep(self.parameters.delay_seconds)
        return (means * self.parameters.gain).astype(np.float32)


class FakeSegmenter:
    """Two masks: the left half is printed, the right half is paper."""

    def __init__(self, parameters: FakeParameters):
        self.parameters = parameters

    def segment(self, raster: np.ndarray) -> list[Mask]:
        _refuse_magenta(raster.reshape(-1, 3).mean(axis=0) / 255)
        time.sleep(self.parameters.delay_seconds)
        left = np.zeros(raster.shape[:2], dtype=bool)
        left[:, : raster.shape[1] // 2] = True
        return [Mask.encode(left, "printed"), Mask.encode(~left, "paper")]


class FakeReader:
    """Scores the three values of the embedder's vector: each value's share of their sum. It reads no pixels."""

    def __init__(self):
        self.labels = [Label(name, name) for name in ("red", "green", "blue")]

    def score(self, batch: Any) -> tuple[np.ndarray, np.ndarray]:
        vectors = np.asarray(batch, dtype=np.float32)
        return vectors, vectors / vectors.sum(axis=1, keepdims=True)


def load(spec: Spec, weights: object, device: str) -> FakeEmbedder | FakeSegmenter | FakeReader:
    LOADED.append(spec.key)
    parameters = FakeParameters.model_validate(spec.parameters)
    if spec.role == "probe":
        return FakeReader()
    return FakeEmbedder(parameters) if spec.role == "embedding" else FakeSegmenter(parameters)


def fake_spec(key: str, **parameters: float) -> Spec:
    """An admitted instrument; its role is in its key."""
    output = (
        {"kind": "vector", "dim": 3, "dtype": "float32", "pooled_feature": "global_average_pool"}
        if "embedder" in key
        else {"kind": "masks", "encoding": "coco_rle", "classes": ["printed", "paper"]}
    )
    return Spec.model_validate(
        {
            "key": key,
            "role": "embedding" if "embedder" in key else "segmentation",
            "title": f"Fake {key}",
            "description": "For the tests.",
            "model_id": f"tests/{key}",
            "loader": "fake",
            "weights": {"kind": "algorithm", "library": "numpy", "version": np.__version__},
            "licence": {"spdx": "MIT", "commercial_use": "yes", "source": "made here"},
            "output": output,
            "preprocessing": {
                "raster": "source",
                "colour_policy": "srgb8-v2",
                "backend": "pillow",
                "resize": {"mode": "longest_side", "size_px": 64},
                "interpolation": "box",
            },
            "numeric": {"dtype": "float32", "device": "cpu"},
            "failure_modes": [{"fact": "Refuses magenta.", "source": "its code"}],
            "parameters": parameters,
            "batch_size": 2,
        }
    )


def reader_spec(**changes: Any) -> Spec:
    """An admitted probe that reads the fake embedder's sealed vectors."""
    content = fake_spec(EMBEDDER).model_dump(mode="json", exclude={"preprocessing", "output", "parameters"})
    scores = {"kind": "scores", "labels": "imagenet_1k", "count": 3, "dtype": "float32", "calibration": "uncalibrated"}
    own = {"key": READER, "role": "probe", "loader": "fake_reader", "upstream": EMBEDDER, "output": scores}
    return Spec.model_validate({**content, **own, **changes})


def fake_registry(*specs: Spec) -> Registry:
    """A registry of only these instruments, all active."""
    by_key = {spec.key: spec for spec in specs}
    return Registry(Path(__file__).parent, by_key, frozenset(by_key), (), prompts=read_prompts())


def install(patch: pytest.MonkeyPatch) -> None:
    """Registers the family `fake`. Its device is always present, so that torch is not imported to look for it."""
    LOADED.clear()
    entry = LoaderEntry("support.fake_instruments", 1, frozenset({"embedding", "segmentation"}), FakeParameters)
    patch.setitem(LOADERS, "fake", entry)
    reader = LoaderEntry("support.fake_instruments", 1, frozenset({"probe"}), FakeParameters, reads="embedding")
    patch.setitem(LOADERS, "fake_reader", reader)
    patch.setattr(inference, "require_device", lambda spec: "cpu")
