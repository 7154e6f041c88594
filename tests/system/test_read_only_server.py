"""Headless Chromium on a read-only web server: 5 of 435 plates in red, a plate's picture, an instrument's pins.

Screenshots are saved in `build/screenshots/`. Every request that would change something is refused.
"""

import json
import math
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect
from support.browser import count_green, count_red, find_chromium, keep_screenshot, open_page, pixels_of
from support.made_datasets import COLOURS, alter_source, draw_scan
from support.processes import descendants, listening_addresses
from support.served import LOCATION, Server, web_server

from atlas_assets.in_process.instance import open_instance
from atlas_assets.in_process.materializing import materialize
from atlas_resources.files.project import SETTINGS_FOLDER
from atlas_resources.instruments.registry import read_registry
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.intake.registration import register_scans

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

PLATES = 435
BAD = ["plate-017", "plate-101", "plate-230", "plate-301", "plate-402"]
PICTURED, PICTURED_COLOUR = "plate-003", (40, 70, 180)  # the third of COLOURS: blue
MANIFESTS = "/assets/plate/manifest?view=partitions"
SEGMENTS = "/assets/segments/otsu_luma?view=partitions"
RESOURCE = "/locations/__repository__@atlas/resources"


def draw_library(dataset: Dataset) -> None:
    """Registers 435 small, different plates, and alters the bad ones."""
    folder = dataset.root.parent / "scans"
    names = list(COLOURS)
    for number in range(PLATES):
        red, green, blue = COLOURS[names[number % len(names)]]
        tint = number // len(names)
        draw_scan(folder / f"{number:03d}.png", (red, green + tint, blue), (80 + number % 7, 60))
    assert [one.status for one in register_scans(dataset, [folder])] == ["registered"] * PLATES
    for plate_id in BAD:
        alter_source(dataset, plate_id)


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    """The web server, after every plate was compared with its registered digest and one was segmented."""
    dataset, registry = Dataset(tmp_path_factory.mktemp("browsed") / "atlas"), read_registry()
    draw_library(dataset)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATLAS_HOME", str(dataset.root))
        patch.setenv("DAGSTER_HOME", str(dataset.root.parent / "dagster"))
        with open_instance(dataset) as instance:
            (manifests,) = materialize(registry, dataset, instance, selection='key:"plate/manifest"')
            one = materialize(registry, dataset, instance, selection='key:"segments/otsu_luma"', plate_ids=[PICTURED])
            assert [layer.is_success for layer in one] == [True]
        assert (manifests.is_success, manifests.materialized_count) == (False, PLATES - len(BAD))
        with web_server(dataset, SETTINGS_FOLDER / "workspace.yaml", "--read-only") as server:
            yield server


@pytest.fixture(scope="module")
def page(server) -> Iterator[Page]:
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("no chromium, chromium-browser or google-chrome on the PATH")
    with open_page(chromium) as page:
        yield page


def rows(page: Page) -> Locator:
    """The visible lines of the partitions page, each with a plate's name and a dot."""
    return page.locator("[data-tooltip^=plate-]").locator("..")


def test_the_partitions_page_counts_the_failed_and_the_materialised(server, page):
    page.goto(server.url + MANIFESTS)
    for text in ("435 Partitions Selected", "Failed (5)", "Materialized (430)", "Missing (0)"):
        expect(page.get_by_text(text, exact=True)).to_be_visible()


def test_exactly_the_bad_plates_are_red(server, page):
    page.goto(server.url + MANIFESTS)
    for text in ("Materialized (430)", "Materializing (0)", "Missing (0)"):
        page.get_by_text(text, exact=True).click()
    expect(page.get_by_text("5 Partitions Selected", exact=True)).to_be_visible()
    expect(rows(page)).to_have_count(5)
    assert [row.locator("span").inner_text() for row in rows(page).all()] == BAD
    for row in rows(page).all():
        pixels = pixels_of(row)
        assert count_red(pixels) > 40
        assert count_green(pixels) == 0


def test_a_bad_plate_is_distinguished_from_its_good_neighbours(server, page):
    page.goto(server.url + MANIFESTS)
    seen = {}
    for plate_id in ("plate-016", "plate-017", "plate-018"):
        pixels = pixels_of(rows(page).filter(has_text=plate_id))
        seen[plate_id] = (count_red(pixels) > 40, count_green(pixels) > 40)
    assert seen == {"plate-016": (False, True), "plate-017": (True, False), "plate-018": (False, True)}
    keep_screenshot(page, "partitions")


def test_a_bad_plate_shows_that_its_run_failed_and_the_run_shows_why(server, page):
    page.goto(f"{server.url}{MANIFESTS}&partition=plate-101")
    expect(page.get_by_text("failed, and did not materialize this asset.")).to_be_visible()
    page.get_by_text("View logs", exact=True).click()
    expect(page.get_by_text("5 of 435 plates failed").first).to_be_visible()
    keep_screenshot(page, "failed_run")


def test_a_plates_picture_is_shown_in_its_events_metadata(server, page):
    page.goto(f"{server.url}{SEGMENTS}&partition={PICTURED}")
    glance = page.locator("img[src^='data:image/']").first
    expect(glance).to_be_visible()
    assert glance.evaluate("image => image.naturalWidth") > 50
    near = (abs(pixels_of(glance).astype(int) - PICTURED_COLOUR) < 40).all(axis=-1)
    assert 0.15 < near.mean() < math.pi * 3 / 40, (
        "an ellipse of 1/2 by 3/5 of the plate, less ink lines and its outline"
    )
    keep_screenshot(page, "metadata")


def test_the_whole_picture_opens_from_the_metadata(server, page):
    page.goto(f"{server.url}{SEGMENTS}&partition={PICTURED}")
    page.get_by_text("[Show Markdown]").first.click()
    picture = page.get_by_role("dialog").locator("img")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.naturalWidth") == 320
    keep_screenshot(page, "picture")


@pytest.mark.parametrize("key", ["dinov2_base", "efficientnet_lite0"])
def test_the_resource_page_shows_the_revision_and_the_digest(server, page, key):
    identity = read_registry().instruments[key].identity
    page.goto(f"{server.url}{RESOURCE}/{key}")
    for value in (identity.model_sha, str(identity.weights_sha256), identity.licence):
        expect(page.get_by_text(f'"{value}"', exact=True)).to_be_visible()
    keep_screenshot(page, f"resource_{key}")


def json_post(url: str, body: object) -> urllib.request.Request:
    headers = {"Content-Type": "application/json"}
    return urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")  # noqa: S310 - loopback


def test_nothing_is_reachable_from_other_machines(server):
    """Neither the web server nor the code server that it started."""
    assert listening_addresses(descendants(os.getpid())) == {"127.0.0.1"}


START = "mutation($selector: SensorSelector!) { startSensor(sensorSelector: $selector) { __typename } }"


class TestReadOnly:
    def test_a_mutation_is_refused(self, server):
        answer = server.ask(START, selector={**LOCATION, "sensorName": "fill_missing"})
        assert answer["startSensor"]["__typename"] == "UnauthorizedError"

    def test_a_mutation_over_get_is_refused(self, server):
        """A link in an email could send one, because Dagster also executes mutations over GET."""
        variables = json.dumps({"selector": {**LOCATION, "sensorName": "fill_missing"}})
        query = urllib.parse.urlencode({"query": START, "variables": variables})
        with urllib.request.urlopen(f"{server.url}/graphql?{query}", timeout=60) as response:  # noqa: S310 - loopback
            answer = json.load(response)
        assert answer["data"]["startSensor"]["__typename"] == "UnauthorizedError"

    def test_events_from_outside_a_run_are_refused(self, server):
        request = json_post(f"{server.url}/report_asset_materialization/catalogue", {})
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(request, timeout=60)  # noqa: S310 - loopback

    def test_the_ui_offers_no_materialisation(self, server, page):
        page.goto(server.url + SEGMENTS)
        expect(page.get_by_role("button", name="Materialize").first).to_be_disabled()
