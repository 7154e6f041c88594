"""The asset `page`: downstream of the catalogue, made when asked for, with a picture of its plates."""

import datetime

import dagster as dg
from support.fake_instruments import EMBEDDER
from support.page_sql import read_library

from atlas_assets.automation.schedules.page import build_page_schedule
from atlas_assets.automation.settings import AutomationSettings, Nightly, read_settings
from atlas_assets.graph.published.page import PAGE_KEY
from atlas_assets.graph.published.preview import thumbnail_sheet
from atlas_assets.in_process.materializing import materialize
from atlas_assets.ui.encoding import MAX_PICTURE_BYTES, open_picture
from atlas_assets.ui.plots import thumbnail
from atlas_resources.page.making import make_page

ON = AutomationSettings.model_validate(
    {
        "nightly": Nightly(cron="30 3 * * *", timezone="Europe/Berlin"),
        "most_attempts": 3,
        "page": {"is_on": True, "cron": "10 6 * * *"},
    }
)
WHEN = datetime.datetime(2027, 3, 1, 6, 10, tzinfo=datetime.UTC)


def layers_of(graph, selection=None) -> list[tuple[str, bool]]:
    layers = materialize(graph.registry, graph.dataset, graph.instance, selection=selection)
    return [(layer.name, layer.is_success) for layer in layers]


def test_it_is_made_from_the_catalogue_if_it_is_named_and_not_with_all(graph):
    node = graph.definitions.resolve_asset_graph().get(PAGE_KEY)
    assert node.parent_keys == {dg.AssetKey("catalogue")}
    assert not node.is_partitioned
    assert ("page", True) not in layers_of(graph)
    assert layers_of(graph, f"@{EMBEDDER}")[-1] == ("ledgers", True)
    assert not graph.dataset.page_dir.exists()
    assert layers_of(graph, "@page") == [("page", True)]
    event = graph.instance.get_latest_materialization_event(PAGE_KEY)
    assert event
    assert event.asset_materialization
    metadata = event.asset_materialization.metadata
    assert (metadata["plates"].value, metadata["pictures_made_count"].value) == (5, 5)
    assert metadata["dagster/uri"].value == (graph.dataset.page_dir / "index.html").as_uri()
    assert str(metadata["preview"].value).startswith("![5 plates](data:image/jpeg;base64,")
    assert len(read_library(graph.dataset.page_dir).plates.plate_id) == 5


def test_a_page_for_commercial_use_stays_one(graph):
    layers_of(graph)
    make_page(graph.dataset, is_commercial=False)
    (graph.dataset.page_dir / ".atlas-page").write_bytes(b"for commercial use\n")
    assert layers_of(graph, "@page") == [("page", False)]  # no plate's index states a licence
    assert graph.dataset.page_dir.is_dir()


def test_the_schedule_is_off_as_packaged_and_asks_once_the_catalogue_is_newer(graph):
    packaged = graph.definitions.resolve_schedule_def("page_nightly")
    assert (read_settings().page.is_on, packaged.default_status) == (False, dg.DefaultScheduleStatus.STOPPED)
    schedule = build_page_schedule(ON)
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("10 6 * * *", "Europe/Berlin")

    def asked() -> int:
        resources = {"dataset": graph.definitions.resources["dataset"]}
        with dg.build_schedule_context(graph.instance, resources=resources, scheduled_execution_time=WHEN) as context:
            return len(schedule.evaluate_tick(context).run_requests or [])

    assert asked() == 0  # no catalogue
    layers_of(graph)
    assert asked() == 1
    make_page(graph.dataset)
    assert asked() == 0


def test_the_sheet_has_eight_thumbnails_a_row_and_fits_an_event(graph):
    from PIL import Image

    one = thumbnail(Image.new("RGB", (400, 300), (200, 30, 30)))
    sheet = thumbnail_sheet([one] * 9)
    assert sheet
    assert len(sheet) <= MAX_PICTURE_BYTES
    picture = open_picture(sheet)
    assert picture.size == (8 * 94 + 6, 2 * 94 + 6)  # eight cells of 88 px and gaps of 6 across, two down
    red, paper = picture.getpixel((6 + 44, 6 + 94 + 44)), picture.getpixel((6 + 94 + 44, 6 + 94 + 44))
    assert isinstance(red, tuple)
    assert isinstance(paper, tuple)
    assert red[0] - red[1] > 100 > max(paper) - min(paper)
    assert thumbnail_sheet([]) is None
