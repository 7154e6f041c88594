"""A model that is spread over places gives the answers of one that is not; what does not fit is refused by name.

On the CPU: parts on disk are read for each call. Maps over CUDA devices need several, and are not tried here.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.made_describers import CAPTIONERS, CHATS, MadeDescriber

from atlas_resources.instruments.spec.numeric import Numeric
from atlas_resources.models.devices import DeviceUnavailable
from atlas_resources.models.loading import load_model
from atlas_resources.models.protocols import Question

DESCRIBERS = {**CHATS, **CAPTIONERS}
PIXELS = np.random.default_rng(7).integers(0, 255, (90, 140, 3), dtype=np.uint8)
ASKED = [Question(text="what bird is it")]


def loaded(made: MadeDescriber, places: Mapping[str, str] | None, dtype: str = "float32") -> Any:
    numeric = made.spec.numeric
    assert numeric is not None
    update = {"numeric": numeric.model_copy(update={"device_map": places, "dtype": dtype}), "prompts": None}
    return load_model(made.spec.model_copy(update=update))


def parts_of(model: Any) -> list[str]:
    """Paths of the parts of the network's parts, which together have every weight of its layers."""
    return [
        f"{name}.{inner}" if inner else name
        for name, part in model.writer.network.named_children()
        for inner in ([inner for inner, _ in part.named_children()] or [""])
    ]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", DESCRIBERS)
def test_a_spread_model_gives_the_same_tokens(name: str, dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made = DESCRIBERS[name](tmp_path, monkeypatch)
    whole = loaded(made, None, dtype)
    (expected,) = whole.describe(PIXELS, ASKED)
    for kinds in (("disk", "disk"), ("cpu", "disk")):
        places = {part: kinds[number % 2] for number, part in enumerate(parts_of(whole))}
        spread = loaded(made, places, dtype)
        (found,) = spread.describe(PIXELS, ASKED)
        assert found.raw_text == expected.raw_text
        assert places.items() <= spread.device_map.items()
        assert not any(str(place).startswith("cuda") for place in spread.device_map.values())
    assert whole.device_map is None


def test_weights_on_disk_are_not_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    model = loaded(CHATS["Qwen2-VL"](tmp_path, monkeypatch), {"model": "disk", "lm_head": "disk"})
    model.describe(PIXELS, ASKED)
    assert {str(weight.device) for weight in model.writer.network.parameters()} == {"meta"}


@pytest.mark.parametrize(
    ("places", "problem"),
    [
        ({"model": "cpu"}, "expected a place for lm_head"),
        ({"": "cpu", "tail": "cpu"}, "the network has no tail"),
        ({"model": "disk", "lm_head": "cpu"}, "model cannot be on disk as a whole, as model.image_newline is used"),
    ],
)
def test_a_map_that_does_not_fit_the_network_is_refused(
    places: dict[str, str], problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    made = CHATS["LLaVA-NeXT"](tmp_path, monkeypatch)
    with pytest.raises(ValueError, match=problem):
        loaded(made, places)


def test_without_accelerate_the_fix_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made = CHATS["Qwen2-VL"](tmp_path, monkeypatch)
    monkeypatch.setitem(__import__("sys").modules, "accelerate", None)
    with pytest.raises(DeviceUnavailable, match=r"pip install 'atlas-plates\[spread\]'"):
        loaded(made, {"": "cpu"})


@pytest.mark.parametrize(
    ("mode", "problem"),
    [
        ({"device": "cuda", "device_map": {"": "cpu"}}, "expected the index of a CUDA device at least"),
        ({"device": "cpu", "device_map": {"": 0}}, "expected `cpu` and `disk` only"),
        ({"device": "cpu", "device_map": "auto"}, "`auto` fills CUDA devices"),
        ({"device": "cpu", "device_map": {}}, "found none"),
        ({"device": "cuda", "device_map": "auto", "device_index": 1}, "neither device_index nor compile"),
        ({"device": "cuda", "device_map": {"": -1}}, "greater than or equal to 0"),
        ({"device": "cuda", "device_map": {"": "tape"}}, "'cpu' or 'disk'"),
    ],
)
def test_a_map_that_would_compute_elsewhere_than_declared_is_refused(mode: dict[str, Any], problem: str):
    with pytest.raises(ValueError, match=problem):
        Numeric.model_validate({"dtype": "float32", **mode})
