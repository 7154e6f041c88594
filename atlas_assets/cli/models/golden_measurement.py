"""The golden test of a fast numeric mode: its cosine to float32 on golden plates, and the record in the spec."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import yaml

from atlas_assets.demo.plates import draw_demo_plates
from atlas_assets.roles.declared import preprocess_of
from atlas_resources.files.yaml_blocks import with_block
from atlas_resources.instruments.fast_modes import exact_twin, golden_subject, is_fast
from atlas_resources.instruments.spec.numeric import Golden
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.inputs import ModelInput
from atlas_resources.models.loading import load_model
from atlas_resources.models.memory import release_cached_memory
from atlas_resources.models.protocols import Embedder, Scorer
from atlas_resources.plates.decode import decode

DRAWN_COUNT = 24
"""One plate of each kind of subject in each colourway."""
DRAWN_SCALE = 0.25
"""Sides of 500 to 1000 px, larger than the inputs of the models."""


@dataclass(frozen=True)
class PlateCosine:
    """A golden plate, and the cosine between its vectors in the fast mode and in float32."""

    name: str
    cosine: float


def cosines(exact: np.ndarray, fast: np.ndarray) -> np.ndarray:
    """Cosine between corresponding rows of two [N, dim] arrays, float64 [N]; 0 where a row has length 0."""
    first, second = exact.astype(np.float64), fast.astype(np.float64)
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return np.divide((first * second).sum(axis=1), lengths, out=np.zeros(len(first)), where=lengths > 0)


def _vectors(spec: Spec, inputs: Sequence[ModelInput]) -> np.ndarray:
    """The embedding or the logits of each input, computed one by one: [N, dim]."""
    model = load_model(spec)
    if isinstance(model, Embedder):
        return np.concatenate([model.embed(tensor[None]) for tensor in inputs])
    if isinstance(model, Scorer):
        return np.concatenate([model.score(tensor[None])[0] for tensor in inputs])
    raise ValueError(f"{spec.key}: the golden test compares vectors or logits; {spec.role} gives neither")


def compare(spec: Spec, plates: Sequence[Path]) -> list[PlateCosine]:
    """Each plate's cosine between the spec's mode and float32, with the same weights on the same device.

    Raises:
        ValueError: the mode is not a fast one, or the instrument does not compute vectors or logits from pixels.
        ImageRefused: a plate cannot be decoded.
        WeightsMissing, WeightsMismatch, DeviceUnavailable: see `load_model`.
    """
    if not is_fast(spec.numeric):
        raise ValueError(f"{spec.key}: the golden test is for a mode faster than float32, found float32")
    if spec.upstream:
        raise ValueError(
            f"{spec.key}: the golden test is for instruments that read pixels, found one that reads {spec.upstream}"
        )
    preprocess = preprocess_of(spec)
    inputs = [preprocess(decode(path).image) for path in plates]
    exact = _vectors(exact_twin(spec), inputs)
    release_cached_memory()  # before the second model is loaded
    found = cosines(exact, _vectors(spec, inputs))
    return [PlateCosine(path.stem, float(cosine)) for path, cosine in zip(plates, found, strict=True)]


def measure_golden(spec: Spec, scans: Sequence[Path] = ()) -> tuple[Golden, list[PlateCosine]]:
    """Runs the test on the drawn plates, which are the same on every machine, and on further scans."""
    with TemporaryDirectory(prefix="atlas-golden-") as folder:
        drawn = draw_demo_plates(Path(folder), Path(folder) / "truth", DRAWN_COUNT, scale=DRAWN_SCALE, processes=1)
        found = compare(spec, [*(plate.path for plate in drawn), *scans])
    farthest = min(found, key=lambda plate: plate.cosine)
    figure = float(np.floor(farthest.cosine * 1e6) / 1e6)  # rounded down, so that it never reaches the bar by rounding
    golden = Golden(cosine_min=figure, farthest=farthest.name, plates=len(found), subject=golden_subject(spec))
    return golden, found


def record_golden(path: Path, golden: Golden) -> None:
    """Writes the result into a spec's file. Only the lines of `numeric` change."""
    text = path.read_text(encoding="utf-8")
    numeric = {**yaml.safe_load(text)["numeric"], "golden": golden.model_dump()}
    path.write_text(with_block(text, "numeric", numeric), encoding="utf-8")
