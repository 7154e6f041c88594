"""Ledgers `plates`, `histograms` and `groundwork_failures`: all that was measured, of which source, and what failed."""

import json
import struct
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from PIL import Image
from skimage.color import lab2rgb
from support.fake_instruments import fake_registry
from support.made_datasets import alter_source
from support.made_results import build_ledgers, measure_groundwork
from support.made_scans import SRGB_ICC, encoded, write_png
from support.rewritten import rewrite_json

from atlas_assets.roles.works import make_groundwork
from atlas_resources.catalogue.build import build_catalogue, connect
from atlas_resources.files.contract import FileContract
from atlas_resources.files.digests import sha256_of
from atlas_resources.ledgers.freshness import why_behind
from atlas_resources.ledgers.plates import build_groundwork_failures, build_histograms, build_plates
from atlas_resources.plates.contracts import ColorHistograms, ColourPolicy, InputImage, JpegFacts, LabHistogram
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.groundwork import MEASURE_VERSION
from atlas_resources.plates.intake.registration import register_scans
from atlas_resources.tables.groundwork import COLOUR_POLICY, HISTOGRAMS, JPEG
from atlas_resources.tables.ledgers import PLATES

# Fields of the two files whose column has another name.
RENAMED = {"source_sha256": "measured_source_sha256"}
PARTS = {"lab": {"lab", "lab_bins", "lab_l_range", "lab_a_range", "lab_b_range"}}
PARTS["paper"] = {"paper_threshold", "paper_ratio", "paper_lab", "paper_srgb_hex"}
PARTS["paper"] |= {"foreground_ratio", "foreground_lab", "foreground_srgb_hex"}

# `input_image.json` and the counts of a histogram as version 1 wrote them: without the fields of version 2.
VERSION_1 = "1.srgb8-v1"
YOUNGER_POLICY_FIELDS = ("page_number", "extremes")
YOUNGER_PAPER_FIELDS = ("paper_srgb_hex", "foreground_srgb_hex")


OF_THE_FILE = FileContract.model_fields.keys()


def without_own(written: dict) -> dict:
    """The content without the fields that describe the file."""
    return {name: value for name, value in written.items() if name not in OF_THE_FILE}


def measured_file(dataset: Dataset, plate_id: str, name: str) -> Path:
    return dataset.plate(plate_id).derived_path(f"{name}.json")


def edit(path: Path, **fields: object) -> None:
    rewrite_json(path, **fields)


def age(dataset: Dataset, plate_id: str) -> None:
    """Makes the plate's files those of version 1, of a 16-bit scan."""
    path = measured_file(dataset, plate_id, "input_image")
    policy = json.loads(path.read_text())["colour_policy"]
    policy = {name: value for name, value in policy.items() if name not in YOUNGER_POLICY_FIELDS}
    policy |= {"name": "srgb8-v1", "bit_depth": "16_to_8_high_byte"}
    edit(path, measure_version=VERSION_1, colour_policy=policy)
    path = measured_file(dataset, plate_id, "input_color_histograms")
    paper = json.loads(path.read_text())["paper"]
    paper = {name: value for name, value in paper.items() if name not in YOUNGER_PAPER_FIELDS}
    edit(path, measure_version=VERSION_1, paper=paper)
    measured_file(dataset, plate_id, "groundwork").unlink()


@pytest.fixture
def measured(dataset: Dataset) -> Dataset:
    """Five plates with groundwork."""
    measure_groundwork(dataset)
    return dataset


def test_every_measured_field_is_a_column():
    """A new field of the two files must be in SQL too."""
    columns = set(PLATES.schema.names())
    assert {RENAMED.get(name, name) for name in InputImage.model_fields.keys() - OF_THE_FILE} <= columns
    parts = {part for name in ColorHistograms.model_fields.keys() - OF_THE_FILE for part in PARTS.get(name, {name})}
    assert parts <= set(HISTOGRAMS.schema.names())
    assert {"lab", *(f"lab_{name}" for name in LabHistogram.model_fields if name != "counts")} == PARTS["lab"]
    assert [field.name for field in COLOUR_POLICY.fields] == list(ColourPolicy.model_fields)
    assert [field.name for field in JPEG.fields] == list(JpegFacts.model_fields)


def test_every_value_of_the_files_is_in_the_ledgers(tmp_path):
    scan = tmp_path / "scan.jpg"
    noise = write_png(tmp_path / "a.png", (8, 8), 8, 2, [bytes(range(y, y + 24)) for y in range(8)])

    scan.write_bytes(
        encoded(Image.open(noise), "JPEG", icc_profile=SRGB_ICC, exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0")
    )
    dataset = Dataset(tmp_path / "atlas")
    list(register_scans(dataset, [scan]))
    measure_groundwork(dataset)
    (row,) = build_plates(dataset).collect().to_dicts()
    written: dict = json.loads(measured_file(dataset, "plate-001", "input_image").read_text())
    assert {name: row[str(RENAMED.get(name, name))] for name in written.keys() - OF_THE_FILE} == without_own(written)
    assert row["jpeg"]["subsampling"] == "4:2:0"
    assert row["colour_policy"]["icc_profile"] == "converted"
    (row,) = build_histograms(dataset).collect().to_dicts()
    written = json.loads(measured_file(dataset, "plate-001", "input_color_histograms").read_text())
    lab, paper = written.pop("lab"), written.pop("paper")
    assert {name: row[name] for name in written.keys() - OF_THE_FILE} == without_own(written)
    assert (row["lab"], row["lab_bins"], row["lab_a_range"]) == (lab["counts"], lab["bins"], lab["a_range"])
    assert {name: row[name] for name in paper if name != "threshold"} == {
        k: paper[k] for k in paper if k != "threshold"
    }


def test_the_paper_is_named_as_a_colour_of_its_own(measured):
    """Of the drawn plates, the dominant colour may be the subject's; paper_srgb_hex is that of paper_lab."""
    for row in build_histograms(measured).collect().iter_rows(named=True):
        for side in ("paper", "foreground"):
            expected = (lab2rgb(row[f"{side}_lab"]).clip(0, 1) * 255).round().astype(int)
            assert row[f"{side}_srgb_hex"] == "#" + "".join(f"{channel:02x}" for channel in expected)


def test_centres_of_the_lab_bins_follow_in_sql(measured, fakes):
    """The mean Lab of a plate from bin centres is that from its pixels, to half a bin: 2.5 in L, 8 in a, 4 in b."""
    registry = fake_registry()
    build_ledgers(measured, registry)
    build_catalogue(measured, registry)
    query = """
        WITH boxes AS (
            SELECT plate_id, lab_bins, lab_l_range, pixel_count, unnest(lab) AS n,
                   (generate_subscripts(lab, 1) - 1) // (lab_bins[2] * lab_bins[3]) AS l
            FROM histograms
        )
        SELECT plate_id, sum(n * (lab_l_range[1] + (l + 0.5) * (lab_l_range[2] - lab_l_range[1]) / lab_bins[1]))
               / any_value(pixel_count) AS lightness
        FROM boxes GROUP BY plate_id ORDER BY plate_id
    """
    with connect(measured) as connection:
        found = dict(connection.execute(query).fetchall())
        assert connection.execute(
            "SELECT colour_policy.name, colour_policy.extremes FROM plates LIMIT 1"
        ).fetchall() == [("srgb8-v2", "8_bit_srgb")]
    for row in build_histograms(measured).collect().iter_rows(named=True):
        split = row["paper_ratio"] * row["paper_lab"][0] + row["foreground_ratio"] * row["foreground_lab"][0]
        assert found[row["plate_id"]] == pytest.approx(split, abs=2.5)


class TestIsCurrent:
    def test_it_is_true_after_measuring_and_null_before(self, dataset):
        assert build_plates(dataset).collect()["is_current"].to_list() == [None] * 5
        measure_groundwork(dataset)
        assert build_plates(dataset).collect()["is_current"].all()
        assert build_histograms(dataset).collect()["is_current"].to_list() == [True] * 5

    @pytest.mark.parametrize("registered_anew", [False, True])
    def test_it_is_false_once_the_source_changed(self, measured, fakes, registered_anew):
        registry = fake_registry()
        build_ledgers(measured, registry)
        build_catalogue(measured, registry)
        assert why_behind(measured, registry) == ""
        alter_source(measured, "plate-002")
        if registered_anew:
            plate = measured.plate("plate-002")
            path = plate.source_path()
            (plate.folder / "source.sha256").write_text(f"{sha256_of(path)}  source/{path.name}\n")
        assert "facts of 1 plates are no longer of the present source or version: plate-002" in why_behind(
            measured, registry
        )
        for rows in (build_plates(measured).collect(), build_histograms(measured).collect()):
            assert rows.filter(~pl.col("is_current"))["plate_id"].to_list() == ["plate-002"]
        build_ledgers(measured, registry)
        build_catalogue(measured, registry)
        assert why_behind(measured, registry) == ""
        with connect(measured) as connection:
            asked = connection.execute("FROM histogram_nearest('plate-001', 9)").fetchall()
        assert {plate_id for plate_id, *_ in asked} == {"plate-003", "plate-004", "plate-005"}

    def test_files_of_an_earlier_version_are_kept_and_marked(self, measured, fakes):
        age(measured, "plate-003")
        plates, histograms = build_plates(measured).collect(), build_histograms(measured).collect()
        for rows in (plates, histograms):
            row = rows.row(by_predicate=pl.col("plate_id") == "plate-003", named=True)
            assert (row["is_current"], row["measure_version"]) == (False, VERSION_1)
            assert rows["is_current"].sum() == 4
        old = plates.row(by_predicate=pl.col("plate_id") == "plate-003", named=True)
        assert old["colour_policy"]["bit_depth"] == "16_to_8_high_byte"
        assert (old["groundwork_sha256"], old["groundwork_decode_seconds"]) == (None, None)
        assert build_groundwork_failures(measured).collect().height == 0
        assert [plate.status for plate in make_groundwork(measured, ["plate-003"])] == ["complete"]
        assert build_plates(measured).collect()["is_current"].all()

    def test_facts_of_a_source_that_is_gone_name_it(self, measured):
        before = measured.plate("plate-002").source_sha256()
        alter_source(measured, "plate-002")
        plate = measured.plate("plate-002")
        path = plate.source_path()
        (plate.folder / "source.sha256").write_text(f"{sha256_of(path)}  source/{path.name}\n")
        row = build_plates(measured).collect().row(1, named=True)
        assert (row["source_sha256"], row["measured_source_sha256"]) == (sha256_of(path), before)


class TestCost:
    def test_seconds_memory_and_code_are_in_the_plates_ledger(self, dataset):
        started = datetime.now(UTC)
        measure_groundwork(dataset)
        rows = build_plates(dataset).collect()
        assert (rows["groundwork_decode_seconds"] > 0).all()
        assert (rows["groundwork_measure_seconds"] > 0).all()
        elapsed = (datetime.now(UTC) - started).total_seconds()
        spent = rows.select(pl.sum_horizontal("groundwork_decode_seconds", "groundwork_measure_seconds").sum()).item()
        assert spent < elapsed
        assert (rows["groundwork_peak_memory_bytes"] > 50_000_000).all(), "a Python process with NumPy needs more"
        assert all(started <= at <= datetime.now(UTC) for at in rows["groundwork_measured_at"])

    def test_the_measured_files_are_the_same_from_run_to_run(self, measured):
        names = ("input_image", "input_color_histograms")
        before = [measured_file(measured, "plate-001", name).read_bytes() for name in names]
        list(make_groundwork(measured, ["plate-001"], is_forced=True))
        assert [measured_file(measured, "plate-001", name).read_bytes() for name in names] == before

    def test_a_cost_of_other_facts_is_not_shown(self, measured):
        edit(measured_file(measured, "plate-001", "groundwork"), measure_version=VERSION_1)
        row = build_plates(measured).collect().row(0, named=True)
        assert row["groundwork_decode_seconds"] is None
        assert row["is_current"]


class TestFailures:
    def test_a_failure_is_kept_with_its_reason_and_attempts(self, dataset):
        alter_source(dataset, "plate-004")
        for _ in range(2):
            list(make_groundwork(dataset, dataset.plate_ids()))
        (row,) = build_groundwork_failures(dataset).collect().to_dicts()
        assert (row["plate_id"], row["attempts"], row["error_type"]) == ("plate-004", 2, "SourceChanged")
        assert (row["measure_version"], row["is_current"]) == (MEASURE_VERSION, True)
        assert "expected sha256" in row["message"]
        assert row["failed_at"] < datetime.now(UTC)

    def test_a_failure_of_an_earlier_version_is_not_current(self, dataset):
        alter_source(dataset, "plate-004")
        list(make_groundwork(dataset, ["plate-004"]))
        edit(measured_file(dataset, "plate-004", "groundwork_failure"), measure_version=VERSION_1)
        assert build_groundwork_failures(dataset).collect()["is_current"].to_list() == [False]

    @pytest.mark.parametrize("name", ["input_image", "input_color_histograms", "groundwork"])
    def test_a_broken_file_costs_its_own_row_and_is_named(self, measured, fakes, name):
        registry = fake_registry()
        path = measured_file(measured, "plate-002", name)
        path.write_bytes(path.read_bytes()[:-40])
        build_ledgers(measured, registry)
        build_catalogue(measured, registry)
        assert why_behind(measured, registry) == ""
        (row,) = build_groundwork_failures(measured).collect().to_dicts()
        assert (row["plate_id"], row["error_type"], row["attempts"]) == ("plate-002", "DatasetBroken", None)
        assert f"{path}: is not a valid" in row["message"]
        assert "Fix: delete it" in row["message"]
        assert build_plates(measured).collect().height == 5


def test_a_16_bit_scan_counts_its_own_white(tmp_path):
    """One sample of four is at 65535; two more round to 255."""
    scan = write_png(tmp_path / "a.png", (4, 1), 16, 0, [struct.pack(">4H", 65535, 65500, 65410, 300)])
    dataset = Dataset(tmp_path / "atlas")
    list(register_scans(dataset, [scan]))
    measure_groundwork(dataset)
    (row,) = build_plates(dataset).collect().to_dicts()
    assert (row["white_ratio"], row["clipped_high_ratio"], row["black_ratio"]) == (0.25, 0.25, 0.25)
    assert row["background_ratio"] == 0.75
    assert row["colour_policy"]["extremes"] == "16_bit_samples"


def test_the_page_of_a_plate_is_measured(tmp_path):
    """Of a TIFF of a black and a white page, the second."""
    black, white = Image.new("L", (2, 2), 0), Image.new("L", (2, 2), 255)
    (scan := tmp_path / "a.tif").write_bytes(encoded(black, "TIFF", save_all=True, append_images=[white]))
    dataset = Dataset(tmp_path / "atlas")
    list(register_scans(dataset, [scan]))
    edit(dataset.plate("plate-001").manifest_path, source_page=2)
    measure_groundwork(dataset)
    (row,) = build_plates(dataset).collect().to_dicts()
    assert row["white_ratio"] == 1
    assert (row["colour_policy"]["page"], row["colour_policy"]["page_number"]) == ("later_of_several", 2)
