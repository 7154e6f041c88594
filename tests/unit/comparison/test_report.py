"""`atlas compare`: two encoders over given vectors, whose figures are computed by hand."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.fake_instruments import EMBEDDER, SEGMENTER, fake_registry, fake_spec
from support.made_datasets import make_dataset
from support.made_results import build_ledgers, measure_groundwork, run_instrument
from support.made_spaces import MadeSpaces, drawn_vectors, plate_names
from typer.testing import CliRunner, Result

from atlas_assets.cli import app as cli
from atlas_assets.comparison.label_free import cropped, darker, grey, recover_originals, rotated
from atlas_assets.comparison.labels import LabelsRefused, read_labels
from atlas_assets.comparison.page import page_of
from atlas_assets.comparison.pairs import NotComparable, read_pair
from atlas_assets.comparison.report import Comparison, compare_encoders
from atlas_assets.comparison.retrieval import retrieve
from atlas_assets.comparison.sections import sections_of
from atlas_resources.instruments.registry import Registry
from atlas_resources.plates.dataset import Dataset

pytestmark = pytest.mark.usefixtures("fakes")

FORTY = drawn_vectors(40, 8, seed=1)
CIRCLE = {n: (math.cos(a), math.sin(a)) for n, a in zip(plate_names(5), np.deg2rad([0, 10, 30, 60, 100]), strict=True)}
LABELS = dict(zip(plate_names(5), "ababc", strict=True))
BY_LABEL = dict(zip(plate_names(5), [(1, 0), (0, 1), (1, 0), (0, 1), (-1, 0)], strict=True))
OTHER = "other_embedder"


def compared(made: MadeSpaces, labels: Mapping[str, str] | None = None) -> Comparison:
    pair = read_pair(made.dataset, made.registry, ("old_embedder", "new_embedder"))
    return compare_encoders(made.dataset, made.registry, pair, labels, 5)


def two(root: Path, old: Mapping, new: Mapping) -> MadeSpaces:
    return MadeSpaces(root, {"new_embedder": new, "old_embedder": old})


class TestAgreement:
    def test_equal_vectors_agree_wholly_and_no_plate_moved(self, tmp_path: Path):
        found = compared(two(tmp_path, FORTY, FORTY))
        assert [row["measure"] for row in found.agreement] == ["neighbours_5", "neighbours_10", "neighbours_20", "cka"]
        assert [row["calibrated"] for row in found.agreement] == pytest.approx([1, 1, 1, 1])
        assert found.moved == ()

    def test_the_ledger_says_the_same_as_what_is_computed(self, tmp_path: Path):
        made = two(tmp_path, FORTY, drawn_vectors(40, 16, seed=2))
        before = compared(made)
        rows = made.build("neighbours", "agreement")["agreement"].to_dicts()
        after = compared(made)
        assert [row["value"] for row in after.agreement] == [row["value"] for row in before.agreement]
        assert all(row in rows for row in after.agreement)

    def test_two_plates_that_changed_places_moved_most(self, tmp_path: Path):
        swapped = {**FORTY, "plate-007": FORTY["plate-031"], "plate-031": FORTY["plate-007"]}
        found = compared(two(tmp_path, FORTY, swapped))
        assert {one.plate_id for one in found.moved[:2]} == {"plate-007", "plate-031"}
        assert found.moved[0].shared_count < found.moved[2].shared_count
        near = found.moved[0]
        assert (near.k, len(near.first), len(near.second)) == (10, 5, 5)

    def test_only_plates_of_both_are_compared(self, tmp_path: Path):
        fewer = {name: FORTY[name] for name in plate_names(30)}
        found = compared(two(tmp_path, FORTY, fewer))
        assert (found.plate_count, found.first.plates, found.second.plates) == (30, 40, 30)
        assert found.agreement[0]["value"] == 1

    def test_few_plates_have_no_agreement_and_the_report_says_so(self, tmp_path: Path):
        found = compared(two(tmp_path, CIRCLE, CIRCLE))
        assert found.agreement == ()
        assert any("at least 8 are needed" in note for one in sections_of(found) for note in one.notes)


class TestRetrieval:
    def test_figures_by_hand(self, tmp_path: Path):
        """On the circle the ranks are 2, 3, 3, 3 (see test_retrieval): recall@1 is 0 and mAP (1/2 + 3 * 1/3) / 4."""
        found = compared(two(tmp_path, CIRCLE, BY_LABEL), LABELS).retrieval
        assert found is not None
        assert (found.labelled, found.left_out, found.queries) == (5, 0, 4)
        first, fifth = found.recalls
        assert (first.first.value, first.second.value, first.chance) == (0, 1, 0.25)
        assert (fifth.first.value, fifth.second.value, fifth.chance) == (1, 1, 1)
        assert (found.first.value, found.second.value, found.gain.value) == pytest.approx((0.375, 1, 0.625))
        assert (first.test.only_first, first.test.only_second, first.test.p_value) == (0, 4, 2 * 0.5**4)

    def test_labels_are_drawn_whole(self, tmp_path: Path):
        """Two labels of two plates each, one found wholly and one not: draws of a label give 0, 1/2 or 1."""
        vectors = [(1, 0), (0, 1), (0, 1), (1, 0)]
        labels = dict(zip(plate_names(4), "aabb", strict=True))
        old = dict(zip(plate_names(4), [(1, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)], strict=True))
        new = {name: (*vector, 0) for name, vector in zip(plate_names(4), vectors, strict=True)}
        found = retrieve(pair_of(two(tmp_path, old, new)), labels)
        first = found.recalls[0].by_label
        assert found.labels == 2
        assert (first.first.value, first.first.low, first.first.high) == (0.5, 0, 1)
        assert (first.second.value, first.second.low, first.second.high) == (0, 0, 0)
        assert (first.gain.value, first.gain.low, first.gain.high) == (-0.5, -1, 0)

    def test_the_report_says_both_intervals_and_that_few_labels_are_few(self, tmp_path: Path):
        (shown,) = [one for one in sections_of(compared(two(tmp_path, CIRCLE, BY_LABEL), LABELS)) if "recall@1" in
                    [row[0] for row in one.rows]]  # fmt: skip
        assert [row[0] for row in shown.rows] == [
            "recall@1",
            "recall@1, by label",
            "recall@5",
            "recall@5, by label",
            "mean average precision",
            "mean average precision, by label",
        ]
        assert any("fewer than 30 labels" in note for note in shown.notes)

    def test_labelled_plates_without_both_vectors_are_counted(self, tmp_path: Path):
        fewer = {name: CIRCLE[name] for name in plate_names(4)}
        found = retrieve(pair_of(two(tmp_path, CIRCLE, fewer)), LABELS)
        assert (found.labelled, found.left_out, found.queries) == (4, 1, 4)

    def test_labels_that_no_two_plates_share_are_refused(self, tmp_path: Path):
        with pytest.raises(ValueError, match=r"expected two plates of a label.*none among 2 plates"):
            retrieve(pair_of(two(tmp_path, CIRCLE, CIRCLE)), {"plate-001": "a", "plate-002": "b"})


def pair_of(made: MadeSpaces):
    return read_pair(made.dataset, made.registry, ("old_embedder", "new_embedder"))


class TestRefusals:
    def test_an_instrument_without_vectors_is_named_with_the_command(self, tmp_path: Path):
        made = two(tmp_path, {}, FORTY)
        with pytest.raises(
            NotComparable, match=r"current vector of old_embedder\. Fix: atlas run 'key:\"embeddings/old"
        ):
            pair_of(made)

    def test_no_plate_in_common_names_both_commands(self, tmp_path: Path):
        one, other = ({name: CIRCLE[name]} for name in plate_names(2))
        with pytest.raises(NotComparable, match="have 0 plates in common"):
            pair_of(two(tmp_path, one, other))

    def test_an_instrument_beside_itself(self, tmp_path: Path):
        made = two(tmp_path, FORTY, FORTY)
        with pytest.raises(ValueError, match="found old_embedder twice"):
            read_pair(made.dataset, made.registry, ("old_embedder", "old_embedder"))

    def test_an_instrument_that_is_not_active_can_be_compared(self, tmp_path: Path):
        made = two(tmp_path, FORTY, FORTY)
        made.registry = replace(made.registry, active=frozenset({"old_embedder"}))
        assert compared(made).second.key == "new_embedder"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("plate,label\nplate-001,a\n", "expected a column plate_id, found plate, label"),
        ("plate_id,label\nplate-009,a\n", "line 2: no plate 'plate-009'"),
        ("plate_id,label\nplate-001\n", "line 2: expected a label of plate-001"),
        ("plate_id,label\nplate-001,a\nplate-001,b\n", "line 3: expected one row of plate-001"),
        ("plate_id,label\n", "expected a row for each plate"),
        ("", "expected a column plate_id, found nothing"),
    ],
)
def test_labels_that_cannot_be_used_are_refused(dataset: Dataset, tmp_path: Path, text: str, message: str):
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(LabelsRefused, match=message):
        read_labels(tmp_path / "labels.csv", dataset)


def test_the_cost_is_of_spec_and_runs(tmp_path: Path):
    """0.5 s a plate, as the made runs say; three float32 numbers are 12 bytes."""
    found = compared(two(tmp_path, drawn_vectors(9, 3, 1), drawn_vectors(9, 3, 2))).first
    assert (found.dim, found.vector_bytes, found.seconds_per_plate, found.licence) == (3, 12, 0.5, "MIT")
    assert (found.weight_numbers, found.weights_bytes) == (0, 0)  # an algorithm


def test_the_page_escapes_what_people_wrote_and_asks_for_nothing(tmp_path: Path):
    made = two(tmp_path, FORTY, drawn_vectors(40, 8, seed=3))
    found = replace(compared(made), titles=dict.fromkeys(plate_names(40), "<script>alert('1')</script>"))
    page = page_of(made.dataset, found, sections_of(found))
    assert "<script" not in page
    assert "&lt;script&gt;alert(&#x27;1&#x27;)" in page
    assert "default-src &#x27;none&#x27;" in page
    assert "http" not in page.replace('http-equiv="Content', "")


class TestAlterations:
    PICTURE = Image.fromarray(np.arange(10 * 20 * 3, dtype=np.uint8).reshape(10, 20, 3) % 251)

    def test_by_hand(self):
        pixels = np.asarray(self.PICTURE)
        assert (np.asarray(rotated(self.PICTURE)) == np.rot90(pixels)).all()
        assert (np.asarray(cropped(self.PICTURE)) == pixels[2:8, 4:16]).all()
        assert np.ptp(np.asarray(grey(self.PICTURE)), axis=2).max() == 0
        assert (np.asarray(darker(self.PICTURE)) == np.rint(255 * (pixels / 255) ** 1.8)).all()


@pytest.fixture
def registry() -> Registry:
    return fake_registry(fake_spec(EMBEDDER), fake_spec(OTHER, gain=2.0), fake_spec(SEGMENTER))


@pytest.fixture
def library(tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """Nine plates, measured by two encoders of the mean colour."""
    dataset = make_dataset(tmp_path, "red", "green", "blue", "ochre", "teal", "brown", "rose", "plum", "gold")
    measure_groundwork(dataset)
    for key in (EMBEDDER, OTHER):
        run_instrument(dataset, registry, key)
    build_ledgers(dataset, registry)
    monkeypatch.setenv("ATLAS_HOME", str(dataset.root))
    monkeypatch.setattr(cli.console, "_width", 300)
    monkeypatch.setattr("atlas_resources.instruments.registry.read_registry", lambda: registry)
    return dataset


def test_the_mean_colour_survives_a_turn_but_not_the_loss_of_colour(library: Dataset, registry: Registry):
    """Grey plates all point to white: at most one finds itself. A turned plate keeps its mean."""
    pair = read_pair(library, registry, (EMBEDDER, OTHER))
    found = {one.alteration.split()[0]: one for one in recover_originals(library, registry, pair, 6)}
    assert list(found) == ["grey", "rotated", "cropped", "gamma", "JPEG"]
    assert (found["rotated"].first.count, found["rotated"].first.of) == (6, 6)
    assert found["grey"].first.count <= 1
    assert found["grey"].test.p_value == 1  # both encoders find the same: a gain turns no vector


def compare(*arguments: object) -> Result:
    result = CliRunner().invoke(cli.app, ["compare", *(str(argument) for argument in arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_the_command_prints_tables_writes_a_page_and_leaves_the_dataset_alone(library: Dataset, tmp_path: Path):
    (tmp_path / "labels.csv").write_text("plate_id,label\nplate-001,warm\nplate-004,warm\nplate-003,cold\n")
    before = {path: path.stat().st_mtime_ns for path in library.root.rglob("*")}
    page = tmp_path / "report.html"
    result = compare(EMBEDDER, OTHER, "--labels", tmp_path / "labels.csv", "--label-free", 2, "--html", page)
    assert result.exit_code == 0
    for text in (
        "Agreement over 9 plates",
        "debiased CKA",
        "recall@1",
        "among 3 labelled plates (queries: 2, labels: 1)",
        "grey",
        "MIT",
        "moved most",
    ):
        assert text in result.output, text
    assert f"written: {page}" in result.output
    assert page.read_text().startswith("<!doctype html>")
    assert {path: path.stat().st_mtime_ns for path in library.root.rglob("*")} == before


def test_a_page_is_not_written_over_a_scan_or_into_the_dataset(library: Dataset, tmp_path: Path):
    for path in (tmp_path / "scans" / "01-red.png", library.root / "report.html"):
        result = compare(EMBEDDER, OTHER, "--html", path)
        assert result.exit_code == 1
        assert "--html: expected a file" in result.output


@pytest.mark.parametrize("name", [SEGMENTER, "no_such_encoder"])
def test_only_encoders_of_whole_plates_can_be_compared(library: Dataset, name: str):
    result = compare(EMBEDDER, name)
    assert result.exit_code == 1
    assert name in result.output
