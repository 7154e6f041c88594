"""The golden test of a fast numeric mode: how near it comes to float32 on golden plates, and its record in the spec.

What the figure decides is in `atlas_resources.instruments.fast_modes`.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import yaml

from atlas_assets.demo.plates import draw_demo_plates
from atlas_assets.roles.declared import declared_preprocessing
from atlas_resources.instruments.fast_modes import exact_twin, golden_subject, is_fast
from atlas_resources.instruments.spec.spec import Golden, Spec
from atlas_resources.models.loading import load_model
from atlas_resources.models.preprocessing import build_preprocess
from atlas_resources.models.protocols import Embedder, Scorer
from atlas_resources.plates.decode import decode

if TYPE_CHECKING:
    import torch

DRAWN_COUNT = 24  # each kind of subject in each colourway
DRAWN_SCALE = 0.25  # sides of 500 to 1000 px: more than the inputs of the models

Step = Callable[[str], None]


@dataclass(frozen=True)
class PlateCosine:
    """One golden plate, and the cosine of its fast vector to its float32 one."""

    name: str
    cosine: float


def cosines(exact: np.ndarray, fast: np.ndarray) -> np.ndarray:
    """Cosine of each row of one to that of the other, float64 [N] of [N, dim]; 0 where a row is of length 0."""
    first, second = exact.astype(np.float64), fast.astype(np.float64)
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return np.divide((first * second).sum(axis=1), lengths, out=np.zeros(len(first)), where=lengths > 0)


def _vectors(spec: Spec, inputs: "Sequence[torch.Tensor]") -> np.ndarray:
    """The embedding or the logits of each input, taken one by one: [N, dim]."""
    model = load_model(spec)
    if isinstance(model, Embedder):
        return np.concatenate([model.embed(tensor[None]) for tensor in inputs])
    if isinstance(model, Scorer):
        return np.concatenate([model.score(tensor[None])[0] for tensor in inputs])
    raise ValueError(f"{spec.key}: the golden test compares vectors or logits, and a {spec.role} gives neither")


def compare(spec: Spec, plates: Sequence[Path]) -> list[PlateCosine]:
    """Each plate's cosine between the spec's mode and float32, by the same weights on the same device.

    Raises:
        ValueError: the mode is not a fast one, or the instrument gives neither vectors nor logits of pixels.
        ImageRefused: a plate cannot be decoded.
        WeightsMissing, WeightsMismatch, DeviceUnavailable: see `inference.load_model`.
    """
    if not is_fast(spec.numeric):
        raise ValueError(f"{spec.key}: the golden test is of a mode faster than float32, found float32")
    if spec.upstream:
        raise ValueError(f"{spec.key}: reads {spec.upstream}, and the golden test is of what reads pixels")
    preprocess = build_preprocess(declared_preprocessing(spec))
    inputs = [preprocess(decode(path).image) for path in plates]
    found = cosines(_vectors(exact_twin(spec), inputs), _vectors(spec, inputs))
    return [PlateCosine(path.stem, float(cosine)) for path, cosine in zip(plates, found, strict=True)]


def measure_golden(spec: Spec, scans: Sequence[Path] = ()) -> tuple[Golden, list[PlateCosine]]:
    """The test on the drawn plates, the same on every machine, and on scans of one's own beside them."""
    with TemporaryDirectory(prefix="atlas-golden-") as folder:
        drawn = draw_demo_plates(Path(folder), Path(folder) / "truth", DRAWN_COUNT, scale=DRAWN_SCALE, processes=1)
        found = compare(spec, [*(plate.path for plate in drawn), *scans])
    farthest = min(found, key=lambda plate: plate.cosine)
    figure = float(np.floor(farthest.cosine * 1e6) / 1e6)  # never rounded up over the bar
    golden = Golden(cosine_min=figure, farthest=farthest.name, plates=len(found), subject=golden_subject(spec))
    return golden, found


def record_golden(path: Path, golden: Golden) -> None:
    """Writes the figure into a spec's file; every line but those of `numeric` stays as it is."""
    text = path.read_text(encoding="utf-8")
    numeric = {**yaml.safe_load(text)["numeric"], "golden": golden.model_dump()}
    block = yaml.safe_dump({"numeric": numeric}, sort_keys=False, allow_unicode=True)
    replaced, count = re.subn(r"^numeric:.*\n(?:[ \t].*\n)*", lambda _: block, text, count=1, flags=re.MULTILINE)
    if count != 1:
        raise ValueError(f"{path}: expected a line `numeric:`, found none")
    path.write_text(replaced, encoding="utf-8")
