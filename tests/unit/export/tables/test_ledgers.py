"""`atlas export` and the views for commercial use leave out what is not allowed, and name it with the reason."""

from pathlib import Path

import polars as pl
import pytest
from support.fake_instruments import fake_registry, fake_spec
from support.licensed import license_plates
from support.made_results import TWO_SEGMENTS, GivenVectors, build_ledgers, measure, measure_groundwork
from typer.testing import CliRunner

from atlas_assets.cli.exports.tables import export
from atlas_resources.catalogue.build import build_catalogue, connect
from atlas_resources.export.left_out import LeftOut, plates_left_out
from atlas_resources.export.tables.ledgers import export_ledgers
from atlas_resources.instruments.spec.spec import Licence
from atlas_resources.ledgers.parquet import ledger_path
from atlas_resources.tables.ledgers import LEDGERS, MODELS

VECTORS = GivenVectors({f"plate-00{number}": (3.0, 4.0, float(number)) for number in range(1, 6)})
NC = Licence(spdx="CC-BY-NC-4.0", commercial_use="no", source="made here")
UNKNOWN = Licence(spdx="unknown", commercial_use="unknown", source="made here")


def registry_with(free: Licence | None = None):
    """Two embedders, the second not for commercial use, and a segmenter whose terms are unknown."""
    specs = [fake_spec("embedder_free"), fake_spec("embedder_nc", gain=2.0), fake_spec("segmenter_unknown")]
    licences = [free or specs[0].licence, NC, UNKNOWN]
    return fake_registry(
        *(spec.model_copy(update={"licence": licence}) for spec, licence in zip(specs, licences, strict=True))
    )


@pytest.fixture
def ledgers(dataset, fakes):
    """Five plates in the public domain, measured by all three."""
    registry = registry_with()
    license_plates(dataset, "CC0")
    measure_groundwork(dataset)
    for key in ("embedder_free", "embedder_nc"):
        measure(dataset, registry, key, VECTORS)
    measure(dataset, registry, "segmenter_unknown", TWO_SEGMENTS)
    build_ledgers(dataset, registry)
    return dataset


def exported(folder: Path, name: str) -> pl.DataFrame:
    return pl.read_parquet(folder / f"{name}.parquet")


def test_all_ledgers_are_written_as_they_are(ledgers, tmp_path):
    done = export_ledgers(ledgers, tmp_path / "out")
    written, left_out = done.files, done.left_out
    assert left_out == []
    assert {file.path.stem: file.rows for file in written} == {
        name: pl.read_parquet(ledger_path(ledgers, table)).height for name, table in LEDGERS.items()
    }
    for name, table in LEDGERS.items():
        assert exported(tmp_path / "out", name).equals(pl.read_parquet(ledger_path(ledgers, table)))


def test_for_commercial_use_only_allowed_rows_are_written(ledgers, tmp_path):
    export_ledgers(ledgers, tmp_path, commercial=True)
    for name, rows in (("embeddings", 5), ("runs", 5), ("segments", 0)):
        table = exported(tmp_path, name)
        assert table.height == rows, name
        assert set(table["instrument"]) <= {"embedder_free"}, name


def test_lineage_for_commercial_use_is_of_allowed_runs_and_the_groundwork(ledgers, tmp_path):
    export_ledgers(ledgers, tmp_path, commercial=True)
    lineage = exported(tmp_path, "lineage")
    assert set(lineage["instrument"]) == {"embedder_free", "groundwork"}
    generated = lineage.filter(relation="wasGeneratedBy").group_by("instrument").len()
    assert dict(generated.iter_rows()) == {"embedder_free": 10, "groundwork": 15}  # of five plates, two and three files
    free = registry_with().instruments["embedder_free"].identity
    assert lineage.filter(subject_kind="instrument")["subject"].to_list() == [free.fingerprint]  # its edge to the model


def test_a_segment_set_needs_the_terms_of_its_own_run_and_of_its_foreground(dataset, fakes, tmp_path):
    """Three sets a plate, each a foreground too: only the two free ones, compared with each other, are exported."""
    specs = [fake_spec("segmenter_a"), fake_spec("segmenter_b", gain=2.0), fake_spec("segmenter_nc", gain=3.0)]
    registry = fake_registry(*specs[:2], specs[2].model_copy(update={"licence": NC}))
    license_plates(dataset, "CC0")
    for spec in specs:
        measure(dataset, registry, spec.key, TWO_SEGMENTS)
    build_ledgers(dataset, registry)
    export_ledgers(dataset, tmp_path / "all")
    export_ledgers(dataset, tmp_path / "free", commercial=True)
    assert exported(tmp_path / "all", "segment_sets").height == 5 * 3 * 2
    sets = exported(tmp_path / "free", "segment_sets").select("instrument", "foreground_instrument")
    assert sets.rows() == [("segmenter_a", "segmenter_b")] * 5 + [("segmenter_b", "segmenter_a")] * 5


def test_a_segment_set_without_a_foreground_goes_by_its_own_run(dataset, fakes, tmp_path):
    registry = fake_registry(fake_spec("segmenter_a"))
    license_plates(dataset, "CC0")
    measure(dataset, registry, "segmenter_a", TWO_SEGMENTS)
    build_ledgers(dataset, registry)
    export_ledgers(dataset, tmp_path / "free", commercial=True)
    assert exported(tmp_path / "free", "segment_sets")["foreground_instrument"].to_list() == [None] * 5


def test_what_describes_free_plates_and_models_stays_whole(ledgers, tmp_path):
    export_ledgers(ledgers, tmp_path, commercial=True)
    assert exported(tmp_path, "plates").height == exported(tmp_path, "histograms").height == 5
    assert exported(tmp_path, "models").height == 3


def test_what_is_left_out_is_named_with_the_reason(ledgers, tmp_path):
    left_out = export_ledgers(ledgers, tmp_path, commercial=True).left_out
    assert [one for one in left_out if one.table != "runs"] == [
        LeftOut("embeddings", "embedder_nc", 5, "its licence, CC-BY-NC-4.0, forbids commercial use"),
        LeftOut("segments", "segmenter_unknown", 10, "its licence, unknown, is not known to allow commercial use"),
    ]


def test_a_licence_corrected_later_holds_for_rows_sealed_before(ledgers, tmp_path):
    build_ledgers(ledgers, registry_with(free=NC))
    left_out = export_ledgers(ledgers, tmp_path, commercial=True).left_out
    assert exported(tmp_path, "embeddings").height == 0
    assert left_out[0] == LeftOut(
        "embeddings", "embedder_free", 5, "its licence, CC-BY-NC-4.0, forbids commercial use, as its spec says now"
    )


def test_the_views_give_the_same_rows_as_the_export(ledgers, tmp_path):
    for registry in (registry_with(), registry_with(free=UNKNOWN)):
        build_ledgers(ledgers, registry)
        build_catalogue(ledgers, registry)
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        left_out = export_ledgers(ledgers, folder, commercial=True).left_out
        with connect(ledgers) as connection:
            for name in ("embeddings", "segments", "probes"):
                query = f"SELECT count(*) FROM commercial_{name}"
                assert connection.execute(query).fetchone() == (exported(folder, name).height,)
            not_for = connection.execute("SELECT table_name, instrument, row_count FROM rows_not_for_commercial_use")
            assert sorted(not_for.fetchall()) == sorted(
                (one.table, one.instrument, one.rows) for one in left_out if one.table != "runs"
            )


def test_the_summary_view_counts_rows_per_run(ledgers):
    build_catalogue(ledgers, registry_with())
    with connect(ledgers) as connection:
        rows = connection.execute(
            "SELECT table_name, instrument, plate_id, licence, row_count, is_current FROM rows_for_commercial_use"
        ).fetchall()
    assert sorted(rows)[0] == ("embeddings", "embedder_free", "plate-001", "MIT", 1, True)
    assert len(rows) == 5


def test_a_folder_in_the_dataset_is_refused(ledgers):
    with pytest.raises(ValueError, match="expected a folder outside the dataset"):
        export_ledgers(ledgers, ledgers.root / "ledger")


def test_without_a_ledger_nothing_is_written(ledgers, tmp_path):
    ledger_path(ledgers, MODELS).unlink()
    with pytest.raises(
        FileNotFoundError, match=r"models\.parquet: expected a ledger, found none\. Build it: atlas run"
    ):
        export_ledgers(ledgers, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_prints_what_it_wrote_and_left_out(ledgers, tmp_path, monkeypatch):
    import typer

    app = typer.Typer()
    app.command()(export)
    monkeypatch.setenv("ATLAS_HOME", str(ledgers.root))
    result = CliRunner().invoke(app, [str(tmp_path / "out"), "--commercial"])
    assert result.exit_code == 0
    assert f"{tmp_path / 'out' / 'embeddings.parquet'}: 5 rows" in result.stdout
    assert (
        "left out 5 rows of embedder_nc in embeddings: its licence, CC-BY-NC-4.0, forbids commercial use"
        in result.stdout
    )


TERMS_OF_PLATES = {
    "plate-001": ("CC BY-NC 4.0", {}, "its licence, CC BY-NC 4.0, forbids commercial use"),
    "plate-002": (None, {}, "its index states no licence, and what is not stated is not for commercial use"),
    "plate-003": ("CC0", {"no_ai": "yes"}, "tagged no-AI (no_ai: yes)"),
    "plate-004": ("ask\nus", {}, "its licence, ask\nus, is not known to allow commercial use"),
}


@pytest.fixture
def mixed(ledgers):
    """Four plates that may not be used commercially, each for another reason; the fifth may, and has to be credited."""
    for plate_id, (licence, extra, _) in TERMS_OF_PLATES.items():
        license_plates(ledgers, licence, plate_id, **extra)
    license_plates(ledgers, "CC BY 4.0", "plate-005", credit_line="A museum")
    build_ledgers(ledgers, registry_with())
    return ledgers


def test_a_plates_licence_and_no_ai_tag_withhold_all_its_rows(mixed, tmp_path):
    export_ledgers(mixed, tmp_path, commercial=True)
    for path in tmp_path.glob("*.parquet"):
        rows = pl.read_parquet(path)
        if "plate_id" in rows.columns:
            assert set(rows["plate_id"].drop_nulls()) <= {"plate-005"}, path.name  # null: shared edges of lineage
            assert path.name == "lineage.parquet" or rows["plate_id"].null_count() == 0
    assert exported(tmp_path, "embeddings").height == exported(tmp_path, "plates").height == 1


def test_each_plate_that_is_left_out_is_named_with_the_reason(mixed, tmp_path):
    export_ledgers(mixed, tmp_path, commercial=True)
    assert {plate.plate_id: plate.reason for plate in plates_left_out(mixed)} == {
        plate_id: reason for plate_id, (_, _, reason) in TERMS_OF_PLATES.items()
    }
    lines = (tmp_path / "LICENCES.txt").read_text().splitlines()
    assert "Plates in this export (1)" in lines
    assert "Plates left out (4)" in lines
    assert any(
        line.startswith("plate-005: ") and line.endswith("licence: CC BY 4.0; credit: A museum") for line in lines
    )
    for plate_id, (_, _, reason) in TERMS_OF_PLATES.items():
        assert any(line.startswith(f"{plate_id}: ") and line.endswith(" ".join(reason.split())) for line in lines)


def test_an_export_of_everything_has_the_terms_of_each_plate(mixed, tmp_path):
    export_ledgers(mixed, tmp_path, commercial=True)
    export_ledgers(mixed, tmp_path)
    assert not (tmp_path / "LICENCES.txt").exists()
    terms = exported(tmp_path, "plates").select("commercial_use", "no_ai", "attribution").rows()
    assert terms == [
        ("no", None, None),
        ("unknown", None, None),
        ("yes", "no_ai: yes", None),
        ("unknown", None, None),
        ("yes", None, "A museum"),
    ]


def test_the_views_withhold_the_same_plates_and_say_why(mixed):
    build_catalogue(mixed, registry_with())
    with connect(mixed) as connection:
        allowed = connection.execute("SELECT plate_id FROM commercial_embeddings").fetchall()
        causes = connection.execute(
            "SELECT instrument, cause, row_count FROM rows_not_for_commercial_use WHERE table_name = 'embeddings'"
        ).fetchall()
        plates = connection.execute("SELECT plate_id FROM plates_not_for_commercial_use ORDER BY ALL").fetchall()
    assert allowed == [("plate-005",)]
    assert sorted(causes) == [
        ("embedder_free", "plate", 4),
        ("embedder_nc", "instrument", 1),
        ("embedder_nc", "plate", 4),
    ]
    assert plates == [(plate_id,) for plate_id in TERMS_OF_PLATES]


def test_the_command_says_loudly_which_plates_are_left_out(mixed, tmp_path, monkeypatch):
    import typer

    app = typer.Typer()
    app.command()(export)
    monkeypatch.setenv("ATLAS_HOME", str(mixed.root))
    output = CliRunner().invoke(app, [str(tmp_path / "out"), "--commercial"]).stdout
    assert "left out 1 plate with all rows: tagged no-AI (no_ai: yes)" in output
    assert f"{tmp_path / 'out' / 'LICENCES.txt'} names each plate that was left out" in output
