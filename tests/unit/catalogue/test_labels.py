"""Two classes of one name, such as ImageNet's two cranes, are never one row of a view."""

import pytest
from support.made_catalogue import made_catalogue

from atlas_resources.catalogue._view import create
from atlas_resources.catalogue.detections import COUNTS, RELATIONS
from atlas_resources.catalogue.views import instrument_views
from atlas_resources.instruments.registry import read_registry
from atlas_resources.models.protocols import Label, shown_names

PROBE = "efficientnet_lite0_imagenet"
LABELS = (
    *(("crane", "n02012849"), ("bittern, marsh hen", "n02009229"), ("crane", "n03126707")),
    *(("maillot", "n03710637"), ("maillot, tank suit", "n03710721")),
)
BOXES = (("crane", "7", 0), ("crane", "9", 50), ("crane", "9", 0), ("nest", None, 0))


@pytest.fixture
def connection():
    current = {"plate_id": "plate-001", "is_current": True}
    scores = [
        {**current, "instrument": PROBE, "label_index": index, "label": label, "label_id": label_id, "score": -index}
        for index, (label, label_id) in enumerate(LABELS)
    ]
    boxes = [
        {**current, "instrument": "detr", "detection_id": f"box-{number}", "label": label, "label_id": label_id}
        | {"score": 0.5, "x_min": left, "x_max": left + 10, "y_min": 0, "y_max": 10}
        for number, (label, label_id, left) in enumerate(BOXES)
    ]
    plates = [{"plate_id": "plate-001", "width": 100, "height": 100}]
    with made_catalogue(plates=plates, probes=scores, detections=boxes) as connection:
        (probe,) = [view for view in instrument_views(read_registry()) if view.name == f"probes_{PROBE}"]
        for view in (probe, COUNTS, RELATIONS):
            create(connection, view)
        yield connection


def test_a_probes_view_shows_the_id_of_a_label_that_another_class_has_too(connection):
    rows = connection.execute(f"SELECT rank, shown_label, label, label_id FROM probes_{PROBE} ORDER BY rank").fetchall()
    shown = (
        *("crane (n02012849)", "bittern", "crane (n03126707)"),
        *("maillot (n03710637)", "maillot (n03710721)"),
    )
    assert rows == [(rank, name, *label) for rank, (name, label) in enumerate(zip(shown, LABELS, strict=True), start=1)]
    assert list(shown) == shown_names([Label(label_id, name) for name, label_id in LABELS])


def test_boxes_are_counted_by_label_and_id(connection):
    query = "SELECT label, label_id, box_count FROM detection_counts ORDER BY ALL"
    assert connection.execute(query).fetchall() == [("crane", "7", 1), ("crane", "9", 2), ("nest", None, 1)]


def test_related_boxes_have_the_ids_of_their_labels(connection):
    rows = connection.execute(
        "SELECT label, label_id, other_label, other_label_id FROM detection_relations "
        "WHERE relation = 'overlaps' AND detection_id = 'box-0' ORDER BY ALL"
    ).fetchall()
    assert rows == [("crane", "7", "crane", "9"), ("crane", "7", "nest", None)]
