"""A library with a result of every kind, its page, and a page to change."""

import pytest
from support import fake_instruments
from support.made_library import build, make_library

from atlas_resources.catalogue.build import connect
from atlas_resources.page.making import make_page


@pytest.fixture(scope="session")
def _library(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        fake_instruments.install(patch)
        dataset, registry = make_library(tmp_path_factory.mktemp("library"))
        build(dataset, registry)
    return dataset


@pytest.fixture(scope="session")
def library(_library):
    """Twelve plates with a result of every kind. Nothing may be written to it."""
    return _library


@pytest.fixture(scope="session")
def page(library, tmp_path_factory):
    """The folder of its page."""
    return make_page(library, tmp_path_factory.mktemp("page") / "atlas").folder


@pytest.fixture
def catalogue(library):
    """Its catalogue, open."""
    with connect(library) as opened:
        yield opened
