"""Fixtures shared by the unit and system tests: a small drawn dataset, fake instruments, and the graph over both."""

import gc

import dagster as dg
import hypothesis
import pytest
from support import fake_instruments
from support.fake_instruments import EMBEDDER, SEGMENTER, fake_registry, fake_spec
from support.made_datasets import Graph, make_dataset
from support.slow_tests import leave_out, read_listed

from atlas_resources.files import digests

# A deadline would time the machine, which other work may slow down.
hypothesis.settings.register_profile("atlas", deadline=None)
hypothesis.settings.load_profile("atlas")


def pytest_addoption(parser):
    """`make test-all` gives it."""
    parser.addoption("--slow", action="store_true", help="also run the tests of tests/slow_tests.txt")


def pytest_collection_modifyitems(config, items):
    """A test that is named on the command line runs, slow or not."""
    if not config.getoption("--slow") and not any("::" in one or one.endswith(".py") for one in config.args):
        leave_out(items, read_listed())


def pytest_collection_finish():
    """What is imported by now stays: each collection of garbage, of which every run makes one, would walk over it."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure():
    """DuckDB's library counts its objects at the end of the process, and reports those that are not collected."""
    gc.unfreeze()


@pytest.fixture(autouse=True)
def digest_memory(tmp_path_factory, monkeypatch):
    """A separate file of remembered digests for each test, instead of the user's. Returns its path."""
    path = tmp_path_factory.mktemp("memory") / "digests.json"
    monkeypatch.setattr(digests, "memory_path", lambda: path)
    return path


@pytest.fixture
def dataset(tmp_path):
    """Five plates, plate-001 to plate-005: red, green, blue, ochre, teal."""
    return make_dataset(tmp_path, "red", "green", "blue", "ochre", "teal")


@pytest.fixture
def fakes(monkeypatch):
    """The fake instruments, whose loader family is `fake`. Returns the keys loaded so far."""
    fake_instruments.install(monkeypatch)
    return fake_instruments.LOADED


@pytest.fixture
def instance():
    """A Dagster instance in memory."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def graph(dataset, fakes, instance):
    """The whole graph over the five plates, with a fake embedder and a fake segmenter."""
    return Graph(dataset, fake_registry(fake_spec(EMBEDDER), fake_spec(SEGMENTER)), instance)
