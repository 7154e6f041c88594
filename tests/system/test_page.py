"""The page opens from disk without a network, and does what it says: by mouse, by keys and by its address."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright
from support.browser import SCREENSHOTS, find_chromium
from support.made_page import FORMULA_TITLE, HOSTILE_TITLE, WITHOUT_VECTOR, Made, make_page
from support.made_page_plate import HOSTILE_TEXT, RUN
from support.page_visit import Visit, visit
from support.web_source import axe_source, install_packages

from atlas_resources.tags.selection import read_selection

CHROMIUM = find_chromium()
pytestmark = [pytest.mark.system, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH")]
PLATE = "plate-020"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM)
        yield started
        started.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("page") / "atlas page é"  # a name that addresses have to escape


@pytest.fixture(scope="module", autouse=True)
def made(folder: Path) -> Made:
    return make_page(folder, 435)


def saved(seen: Visit, button: str, to: Path) -> Path:
    """The file that a button saves."""
    with seen.page.expect_download() as download:
        seen.page.get_by_role("button", name=button, exact=True).click()
    path = to / download.value.suggested_filename
    download.value.save_as(path)
    return path


def keep(seen: Visit, name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    seen.page.screenshot(path=SCREENSHOTS / f"page-{name}.png")


def drag(seen: Visit, points: list[tuple[float, float]]) -> None:
    """Draws with the mouse through points, given as shares of the map."""
    box = seen.page.locator("#map").bounding_box()
    assert box
    first, *rest = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    seen.page.mouse.move(*first)
    seen.page.mouse.down()
    for point in rest:
        seen.page.mouse.move(*point, steps=4)
    seen.page.mouse.up()


def hover_a_plate(seen: Visit) -> tuple[float, float]:
    """Moves the mouse over the map until a plate is under it; where that is."""
    box = seen.page.locator("#map").bounding_box()
    assert box
    middle = box["y"] + box["height"] / 2
    for step in range(20):
        point = (box["x"] + box["width"] / 2 + 3 * step, middle + 3 * step)
        seen.page.mouse.move(*point)
        if seen.page.locator(".hover-card").count():
            return point
    raise AssertionError("no plate is under the mouse")


def open_by_search(seen: Visit, query: str) -> None:
    seen.page.get_by_role("combobox", name="Search").fill(query)
    seen.page.get_by_role("option").first.click()
    expect(seen.page.locator("aside.panel .section").first).to_be_visible()


def test_a_map_of_435_plates_has_pictures_and_is_clean(browser: Browser, folder: Path):
    with visit(browser, folder) as seen:
        seen.wait_for_pictures()
        expect(seen.page.get_by_role("heading", level=1)).to_have_text("Birds of America")
        seen.page.wait_for_timeout(100)
        keep(seen, "map")


def test_ten_thousand_plates_open_and_a_plate_is_found(browser: Browser, tmp_path: Path):
    make_page(tmp_path, 10_000, details=30)
    with visit(browser, tmp_path, "#map?colour=cluster") as seen:
        seen.wait_for_pictures()
        expect(seen.page.locator(".page-title")).to_contain_text("10,000 plates")
        keep(seen, "map-of-10000")
        open_by_search(seen, "plate-017")
        expect(seen.page.locator("aside.panel")).to_have_attribute("data-plate", "plate-017")
        seen.page.get_by_role("link", name="List").click()
        assert seen.page.locator("table.plates tbody tr").count() == 100


def test_another_space_and_arrangement_are_in_the_address_and_back_returns(browser: Browser, folder: Path):
    with visit(browser, folder) as seen:
        seen.page.get_by_label("Seen by").select_option(label="EfficientNet-Lite0")
        expect(seen.page.locator(".aside-label")).to_have_text(f"No vector in this space ({WITHOUT_VECTOR} plates)")
        expect(seen.page.locator(".explanation > p")).to_have_text(
            "Plates that lie near each other look alike to EfficientNet-Lite0."
        )
        seen.page.get_by_label("Arranged by").select_option(label="Timeline")
        expect(seen.page.locator(".axis-labels .year").first).to_have_text("1827")
        assert "layout=timeline" in seen.hash()
        seen.page.go_back()
        expect(seen.page.get_by_label("Arranged by")).to_have_value("umap")
        assert "space=efficientnet" in seen.hash()


def test_a_click_on_a_picture_opens_its_plate(browser: Browser, folder: Path):
    with visit(browser, folder, "#map?layout=grid") as seen:
        seen.wait_for_pictures()
        point = hover_a_plate(seen)
        title = seen.page.locator(".hover-card strong").inner_text()
        seen.page.mouse.click(*point)
        expect(seen.page.locator("aside.panel h2")).to_have_text(title)
        seen.page.keyboard.press("Escape")
        expect(seen.page.locator("aside.panel")).to_have_count(0)


def test_keys_walk_over_the_map_and_open_a_plate(browser: Browser, folder: Path):
    with visit(browser, folder, "#map?layout=grid") as seen:
        seen.page.locator("#map").focus()
        for key in ("ArrowRight", "ArrowRight", "ArrowDown", " "):
            seen.page.keyboard.press(key)
        expect(seen.page.locator(".selection-bar")).to_contain_text("1 plate selected")
        reached = seen.page.locator(".hover-card strong").inner_text()
        seen.page.keyboard.press("Enter")
        expect(seen.page.locator("aside.panel h2")).to_have_text(reached)
        seen.page.keyboard.press("Escape")
        expect(seen.page.locator("#map")).to_be_focused()


@pytest.mark.parametrize(("plate", "title"), [("plate-004", HOSTILE_TITLE), ("plate-005", FORMULA_TITLE)])
def test_hostile_texts_are_shown_as_text(browser: Browser, folder: Path, plate: str, title: str):
    with visit(browser, folder, f"#map?plate={plate}") as seen:
        expect(seen.page.locator("aside.panel h2")).to_have_text(title)
        expect(seen.page.locator(".read").first).to_have_text(HOSTILE_TEXT)
        expect(seen.page.locator(".facts dd").first).to_be_visible()
        assert seen.page.locator("#atlas script, #atlas [onerror], .panel b, .panel i").count() == 0
        seen.page.get_by_role("link", name="List").click()
        expect(seen.page.locator("td.title bdi", has_text=title)).to_be_visible()


def test_an_open_plate_shows_regions_neighbours_and_where_numbers_come_from(browser: Browser, folder: Path):
    with visit(browser, folder, f"#map?plate={PLATE}") as seen:
        panel = seen.page.locator("aside.panel")
        region = panel.get_by_role("button", name="Region seg-002, head")
        region.focus()
        expect(panel.locator(".region h4")).to_contain_text("Region seg-002")
        expect(panel.locator(".region .said")).to_contain_text("by a person Accepted by Ada <a>, 10 March 2026")
        assert panel.locator(".region .strip .plate-button").count() == 4
        panel.get_by_label("Drawn over it").select_option(label="Boxes by OWLv2 base (2)")
        expect(panel.locator("svg rect")).to_have_count(2)
        heads = panel.locator(".neighbours thead .column-name")
        expect(heads).to_have_text(
            ["All together", "DINOv2 base", "SigLIP 2 base", "CLIP ViT-B/32", "EfficientNet-Lite0"]
        )
        expect(panel).to_contain_text(
            "The models mostly disagree about which plates are like this one (0.62 of 1). Only"
        )
        expect(panel).to_contain_text("Outlier to CLIP ViT-B/32 (local outlier factor 3.10; 1 is usual)")
        panel.locator(".wrong summary").first.click()
        expect(panel.locator(".wrong li", has_text="Takes foxing for feathers").first).to_be_visible()
        panel.locator(".origin-of summary").first.click()
        expect(panel.locator(".origin-of").first).to_contain_text(RUN)
        keep(seen, "plate")


def test_sql_can_be_copied_without_a_clipboard(browser: Browser, folder: Path):
    with visit(browser, folder, f"#map?plate={PLATE}") as seen:
        seen.page.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
        seen.page.get_by_role("button", name="Copy SQL: SQL of Colours").click()
        field = seen.page.get_by_role("textbox", name="SQL of Colours")
        expect(field).to_have_value(f"SELECT * FROM colours WHERE plate_id = '{PLATE}'")
        assert field.evaluate("field => field.selectionEnd - field.selectionStart") > 0


def test_search_says_which_part_matched(browser: Browser, folder: Path):
    with visit(browser, folder) as seen:
        box = seen.page.get_by_role("combobox", name="Search")
        box.fill("havel")
        first = seen.page.get_by_role("option").first
        expect(first).to_contain_text("Text on the plate, read by a machine:")
        expect(first.locator("mark")).to_have_text("Havell")
        seen.page.get_by_role("button", name="Select all 290").click()
        expect(seen.page.locator(".selection-bar")).to_contain_text("290 plates selected")
        box.fill("no such plate")
        expect(seen.page.get_by_text("No plate matches.")).to_be_visible()


def test_a_lasso_selects_and_the_selection_is_saved_for_spreadsheets(browser: Browser, folder: Path, tmp_path: Path):
    with visit(browser, folder, "#map?layout=grid&space=dinov2_base") as seen:
        seen.wait_for_pictures()
        seen.page.get_by_role("button", name="Lasso").click()
        drag(seen, [(0, 0), (1, 0), (1, 0.16), (0, 0.16), (0, 0)])
        path = saved(seen, "Save as CSV", tmp_path)
        rows = list(csv.DictReader(path.read_text("utf-8-sig").splitlines()))
        assert [row["plate_id"] for row in rows[:2]] == ["plate-001", "plate-002"]
        assert len(rows) == int(seen.page.locator(".selection-bar strong").inner_text().split()[0])
        assert rows[4]["title"] == f"'{FORMULA_TITLE}"
        keep(seen, "lasso")


def test_shift_and_click_adds_a_plate_and_a_tag_file_is_one_that_tags_import_reads(
    browser: Browser, folder: Path, tmp_path: Path
):
    with visit(browser, folder, "#map?layout=grid&selected=plate-002") as seen:
        seen.wait_for_pictures()
        point = hover_a_plate(seen)
        seen.page.keyboard.down("Shift")
        seen.page.mouse.click(*point)
        seen.page.keyboard.up("Shift")
        expect(seen.page.locator(".selection-bar")).to_contain_text("2 plates selected")
        seen.page.get_by_role("button", name="Save as tags…").click()
        seen.page.get_by_label("Tag for 2 plates").fill("a\u200bb")
        seen.page.get_by_role("button", name="Save file").click()
        expect(seen.page.get_by_role("alert")).to_have_text("A tag is one line of printable characters.")
        seen.page.get_by_label("Tag for 2 plates").fill('coloured, "by hand"')
        path = saved(seen, "Save file", tmp_path)
        expect(seen.page.locator(".selection-bar")).to_contain_text(f"atlas tags import {path.name}")
    wanted = read_selection(path)
    assert len(wanted) == 2
    assert {(one.table, one.judgement, one.tag) for one in wanted} == {("plates", "tag", 'coloured, "by hand"')}
    assert wanted[0].plate_id == "plate-002"


def test_judgements_are_collected_into_a_file_that_tags_import_reads(browser: Browser, folder: Path, tmp_path: Path):
    with visit(browser, folder, f"#map?plate={PLATE}") as seen:
        panel = seen.page.locator("aside.panel")
        panel.get_by_role("button", name="Region seg-002, head").focus()
        panel.get_by_role("group", name="Your judgement of region seg-002").get_by_text("Reject").click()
        text = panel.get_by_role("group", name=f"Your judgement of text “{HOSTILE_TEXT[:40]}”")
        text.get_by_text("Correct…").click()
        panel.get_by_label("The right text").fill("=N° 12, “Co.”")
        panel.get_by_role("button", name="Keep").click()
        panel.locator(".judge-cluster summary").first.click()
        panel.locator(".judge-cluster").first.get_by_text("Accept", exact=True).click()
        expect(seen.page.locator(".selection-bar")).to_contain_text("3 judgements not saved yet")
        path = saved(seen, "Save file", tmp_path)
        expect(seen.page.locator(".selection-bar")).not_to_contain_text("not saved yet")
        assert panel.get_by_role("group", name="Your judgement of region seg-002").get_by_text("Reject").get_attribute(
            "aria-pressed"
        ) == "true"  # fmt: skip
    found = [
        (one.table, one.run_id, one.row_id, one.space, one.judgement, one.corrected) for one in read_selection(path)
    ]
    assert found == [
        ("segments", RUN, "seg-002", None, "rejected", None),
        ("texts", RUN, "text-001", None, "corrected", "=N° 12, “Co.”"),
        ("plate_spaces", None, None, "dinov2_base", "accepted", None),
    ]


def test_an_address_restores_view_plate_colours_selection_and_zoom(browser: Browser, folder: Path):
    address = "#map?space=siglip2_base&layout=pca&exact=1&colour=year&plate=plate-020"
    address += "&selected=plate-001,plate-003&at=3.00,0.1000,-0.1000"
    with visit(browser, folder, address) as seen:
        expect(seen.page.get_by_label("Coloured by")).to_have_value("year")
        expect(seen.page.locator("aside.panel")).to_have_attribute("data-plate", "plate-020")
        expect(seen.page.locator(".selection-bar")).to_contain_text("2 plates selected")
        seen.page.wait_for_timeout(600)
        before = seen.page.locator(".legend li").count()
        assert seen.hash() == address
        seen.page.get_by_role("button", name="All", exact=True).click()
        seen.wait_for_hash(lambda found: "at=" not in found)
        assert before == 0  # beside an open plate the legend is closed
    with visit(browser, folder, "#map?plate=no-such-plate&space=gone") as seen:
        assert seen.page.locator("aside.panel").count() == 0


def test_the_wheel_enlarges_and_the_address_follows(browser: Browser, folder: Path):
    with visit(browser, folder) as seen:
        seen.wait_for_pictures()
        seen.page.locator("#map").hover()
        seen.page.mouse.wheel(0, -600)
        seen.wait_for_hash(lambda found: "at=" in found)
        assert float(seen.hash().partition("at=")[2].split(",")[0]) > 1  # enlargement, 1 for all plates


def test_failures_and_agreement_name_what_they_are_of(browser: Browser, folder: Path):
    with visit(browser, folder, "#failures") as seen:
        expect(seen.page.locator("#failures tbody tr").first).to_contain_text("UnidentifiedImageError: <cannot>")
        expect(seen.page.locator("#failures")).to_contain_text("scans/broken.tif")
        seen.page.get_by_role("link", name="Agreement").click()
        cell = seen.page.locator(".matrix tbody tr").nth(0).locator("td").nth(1)
        expect(cell).to_have_text("0.61overlap 0.640.60 to 0.68")
        seen.page.get_by_role("link", name="About").click()
        expect(seen.page.locator("#about")).to_contain_text("3 plates are left out, since they were withdrawn.")
        expect(seen.page.locator("#about blockquote")).to_contain_text("made 14 March 2026, 09:26 UTC")


def test_a_plate_without_details_says_so_and_one_without_picture_too(browser: Browser, folder: Path):
    with visit(browser, folder, "#list?plate=plate-010") as seen:
        expect(seen.page.locator("aside.panel")).to_contain_text("its scan could not be read")


def test_without_webgl_the_list_is_shown(browser: Browser, folder: Path):
    with visit(browser, folder, "#about") as seen:
        seen.page.evaluate("HTMLCanvasElement.prototype.getContext = () => null")
        seen.page.get_by_role("link", name="Map").click()
        expect(seen.page.get_by_role("alert")).to_contain_text("WebGL2 is missing. The list shows the same plates.")
        assert seen.page.locator("table.plates tbody tr").count() == 100


def serious_faults(seen: Visit) -> dict[str, list[str]]:
    """What axe-core finds serious or critical: the rule, and the elements."""
    found = seen.page.evaluate("axe.run({resultTypes: ['violations']}).then(r => r.violations)")
    return {
        fault["id"]: [node["html"][:160] for node in fault["nodes"][:3]]
        for fault in found
        if fault["impact"] in ("serious", "critical")
    }


def test_nothing_serious_is_wrong_for_readers_with_disabilities(browser: Browser, folder: Path):
    if problem := install_packages():
        pytest.skip(problem)
    views = {
        "list": "#list?selected=plate-003",
        "map": "#map?colour=cluster",
        "failures": "#failures",
        "agreement": "#agreement",
        "about": "#about",
        "plate": f"#about?plate={PLATE}",
    }
    faults = {}
    with visit(browser, folder) as seen:
        seen.page.evaluate(axe_source())
        for name, hash_ in views.items():
            seen.page.evaluate("hash => { location.hash = hash }", hash_)
            expect(seen.page.locator("#section-provenance" if name == "plate" else f"#{name}")).to_be_visible()
            for scheme in ("light", "dark"):
                seen.page.emulate_media(color_scheme=scheme)
                if found := serious_faults(seen):
                    faults[name, scheme] = found
        seen.complaints.clear()  # axe tries what the policy forbids
        seen.page.evaluate("window.refused = []")
    assert faults == {}


def test_on_a_small_screen_a_plate_covers_the_page(browser: Browser, folder: Path):
    with visit(browser, folder, f"#map?plate={PLATE}", width=390, height=844, scheme="dark") as seen:
        expect(seen.page.locator("#section-colours")).to_be_visible()
        assert seen.page.locator("#map").is_hidden()
        wide = seen.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 390
        keep(seen, "plate-small-dark")
