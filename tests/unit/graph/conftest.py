"""A graph whose ledgers and catalogue are built, once for the tests of a module."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from support import fake_instruments
from support.fake_instruments import EMBEDDER, SEGMENTER, fake_registry, fake_spec
from support.made_datasets import LEDGER_ASSETS, Graph, make_dataset

from atlas_resources.files import digests
from atlas_resources.plates.dataset import Dataset


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    """Five plates, all measured, with every ledger and the catalogue built once. Tests only read it."""
    folder = tmp_path_factory.mktemp("built")
    with pytest.MonkeyPatch.context() as patch, dg.DagsterInstance.ephemeral() as instance:
        patch.setattr(digests, "memory_path", lambda: folder / "digests.json")
        fake_instruments.install(patch)
        dataset = make_dataset(folder, "red", "green", "blue", "ochre", "teal")
        graph = Graph(dataset, fake_registry(fake_spec(EMBEDDER), fake_spec(SEGMENTER)), instance)
        graph.materialize("plate/manifest", "plate/input_image", "plate/input_color_histograms")
        graph.materialize("embeddings/fake_embedder", "segments/fake_segmenter")
        assert graph.materialize(*LEDGER_ASSETS).success
        yield graph


@pytest.fixture
def made(built: Graph, tmp_path: Path, fakes: list[str], instance: dg.DagsterInstance) -> Graph:
    """A copy of the dataset, which a test may change, with a history of its own."""
    root = Path(shutil.copytree(built.dataset.root, tmp_path / "atlas"))
    return Graph(Dataset(root), built.registry, instance)
