"""Mirador 4 opens an exported plate: the picture shows, and a region's outline is where the region is on it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, Route
from support.browser import find_chromium, keep_screenshot, open_page, pixels_of
from support.made_datasets import make_dataset
from support.made_results import build_ledgers, run_instrument
from support.made_tags import judged
from support.static_server import serve_folder

from atlas_resources.export.viewers.regions import export_regions, find_publishable
from atlas_resources.files.project import PROJECT_ROOT
from atlas_resources.instruments.registry import read_registry

VIEWERS = PROJECT_ROOT / "build" / "viewers"
MIRADOR = VIEWERS / "node_modules" / "mirador" / "dist" / "mirador.min.js"
pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not (VIEWERS / ".installed").is_file(), reason="no viewers in build/viewers: make viewers"),
]

SEGMENTER = "otsu_luma"
PARTS = (SEGMENTER, *(f"{SEGMENTER}_{part}" for part in ("kept", "palette", "polygons")))
# The ellipse that `draw_scan` draws on a plate of 400 by 300 pixels; x_max and y_max are exclusive.
ELLIPSE = (66, 60, 267, 241)
PAGE = """<!doctype html><meta charset="utf-8"><title>Mirador</title><body style="margin:0"><div id="viewer"></div>
<script src="mirador.min.js"></script><script>
Mirador.viewer({
  id: "viewer",
  window: {defaultSideBarPanel: "annotations", sideBarOpen: true, forceDrawAnnotations: true},
  workspaceControlPanel: {enabled: false},
  windows: [{manifestId: "%s"}],
});
</script>"""


@dataclass(frozen=True)
class Exported:
    """An exported plate with two regions or more, of which a person gave the largest a class: where it is served."""

    folder: Path
    url: str
    region: str


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Iterator[Exported]:
    folder = tmp_path_factory.mktemp("viewed")
    dataset, registry = make_dataset(folder, "green"), read_registry()
    for key in PARTS:
        assert run_instrument(dataset, registry, key) == ["complete"]
    segments = build_ledgers(dataset, registry)["segments"].sort("area_px", descending=True)
    bird = next(row for row in segments.iter_rows(named=True) if row["x_min"] == ELLIPSE[0])
    names = {name: bird[name] for name in ("plate_id", "run_id", "segment_id")}
    judged(dataset, {**names, "corrected": "<img src=x onerror=alert(1)> egg"}, by="Ada")
    build_ledgers(dataset, registry)
    with serve_folder(folder / "out") as url:
        written = list(export_regions(dataset, folder / "out", find_publishable(dataset, SEGMENTER), url))
        assert [plate.regions_count > 0 for plate in written] == [True]
        yield Exported(folder / "out", url, bird["segment_id"])


def box_of(wanted: np.ndarray) -> np.ndarray:
    """x_min, y_min, x_max, y_max of the true pixels, the last two exclusive."""
    rows, columns = np.nonzero(wanted)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])


def is_near(pixels: np.ndarray, colour: tuple[int, int, int], most: int) -> np.ndarray:
    """Where the pixels differ from a colour by at most so much in every channel: bool [h, w]."""
    return np.all(np.abs(pixels.astype(int) - colour) <= most, axis=2)


@pytest.fixture
def viewer(exported, tmp_path) -> Iterator[Page]:
    """Mirador, open on the exported manifest, from an origin of its own. Nothing but loopback is reached."""
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("no chromium, chromium-browser or google-chrome on the PATH")
    (tmp_path / "mirador.min.js").write_bytes(MIRADOR.read_bytes())
    (tmp_path / "index.html").write_text(PAGE % f"{exported.url}/plate-001/manifest.json", encoding="utf-8")
    refused: list[str] = []

    def guard(route: Route) -> None:
        if route.request.url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            route.continue_()
        else:
            refused.append(route.request.url)
            route.abort()

    with serve_folder(tmp_path) as address, open_page(chromium) as page:
        page.on("dialog", lambda dialog: refused.append(f"dialog: {dialog.message}"))
        page.route("**/*", guard)
        page.goto(f"{address}/index.html")
        page.locator(".openseadragon-canvas canvas").first.wait_for()
        page.get_by_text(exported.region, exact=True).first.wait_for()
        yield page
    assert refused == []


def test_the_region_is_exported_where_it_was_drawn(exported):
    page = json.loads((exported.folder / "plate-001" / "annotations.json").read_text())
    (found,) = [one for one in page["items"] if one["id"].endswith(f"#{exported.region}")]
    (box,) = [one["value"] for one in found["target"]["selector"] if one["type"] == "FragmentSelector"]
    x, y, width, height = (float(side) for side in box.removeprefix("xywh=").split(","))
    assert np.abs(np.array([x, y, x + width, y + height]) - ELLIPSE).max() <= 2


def test_the_picture_shows_and_the_outline_of_a_chosen_region_is_on_it(viewer, exported):
    viewer.wait_for_timeout(3000)  # the picture zooms in
    shown = viewer.locator(".mirador-osd-container, .openseadragon-container").first
    before = pixels_of(shown)
    picture = box_of(is_near(before, (40, 140, 60), 35))
    width, height = picture[2] - picture[0], picture[3] - picture[1]
    assert width > 100
    drawn = (ELLIPSE[2] - ELLIPSE[0]) / (ELLIPSE[3] - ELLIPSE[1])
    assert width / height == pytest.approx(drawn, rel=0.02)
    keep_screenshot(viewer, "mirador_opened")
    viewer.get_by_text(exported.region, exact=True).first.click()
    viewer.mouse.move(5, 5)
    viewer.wait_for_timeout(1500)
    keep_screenshot(viewer, "mirador_chosen")
    after = pixels_of(shown)
    is_outline = is_near(after, (255, 255, 0), 100) & ~is_near(before, (255, 255, 0), 100)
    assert np.count_nonzero(is_outline) > 200
    moved = box_of(is_near(after, (40, 140, 60), 35))  # choosing a region may move the picture
    assert np.abs(box_of(is_outline) - moved).max() <= 4


def test_words_about_a_region_are_shown_as_text_with_who_corrected_it(viewer, exported):
    panel = viewer.locator(".mirador-companion-window-left, .mirador-companion-area-left").first
    text = panel.inner_text()
    assert "machine_made: true" in text
    assert "corrected_by: Ada" in text
    assert "egg" in text
