"""Sensors over five plates."""

import pytest
from support.automated import Automation
from support.fake_instruments import SEGMENTER, fake_registry, fake_spec
from support.made_datasets import Graph, make_dataset


@pytest.fixture
def automation(graph):
    """Five good plates and one fake segmenter."""
    return Automation(graph, fake_registry(fake_spec(SEGMENTER)))


@pytest.fixture
def with_magenta(tmp_path, fakes, instance):
    """Five plates; plate-003 is magenta, which the fake segmenter refuses."""
    dataset = make_dataset(tmp_path, "red", "green", "magenta", "ochre", "teal")
    registry = fake_registry(fake_spec(SEGMENTER))
    return Automation(Graph(dataset, registry, instance), registry)
