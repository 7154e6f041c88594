"""`atlas.duckdb`: documented tables, fixed-size vectors, macros that agree with NumPy, a rebuild no reader notices."""

import hashlib
import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import pytest
from support.fake_instruments import fake_registry, fake_spec
from support.made_datasets import draw_scan
from support.made_results import TWO_SEGMENTS, GivenVectors, build_ledgers, measure, measure_groundwork

from atlas_resources.catalogue import build
from atlas_resources.catalogue.build import build_catalogue, connect
from atlas_resources.catalogue.changes.built_from import NAME
from atlas_resources.catalogue.macros.current_graphs import CURRENT_GRAPHS
from atlas_resources.ledgers.parquet import ledger_path
from atlas_resources.ledgers.terms import TABLES
from atlas_resources.plates.intake.registration import register_scans
from atlas_resources.tables.ledgers import LEDGERS, RUNS

VECTORS = {
    "plate-001": (3.0, 4.0, 0.0),
    "plate-002": (4.0, 3.0, 0.0),
    "plate-003": (0.0, 0.0, 2.0),
    "plate-004": (6.0, 8.0, 0.5),
    "plate-005": (-3.0, -4.0, 0.0),
    "plate-006": (1.0, 1.0, 1.0),
}


@pytest.fixture
def registry(fakes):
    return fake_registry(fake_spec("embedder"), fake_spec("segmenter"))


@pytest.fixture
def catalogued(dataset, registry):
    """The catalogue of five plates with groundwork, a given vector and two segments each."""
    measure_groundwork(dataset)
    measure(dataset, registry, "embedder", GivenVectors(VECTORS))
    measure(dataset, registry, "segmenter", TWO_SEGMENTS)
    build_ledgers(dataset, registry)
    build_catalogue(dataset, registry)
    return dataset


@pytest.fixture
def connection(catalogued):
    with connect(catalogued) as connection:
        yield connection


def add_a_sixth_plate(dataset, registry, folder: Path) -> None:
    list(register_scans(dataset, [draw_scan(folder / "sixth.png", (90, 20, 120))]))
    measure(dataset, registry, "embedder", GivenVectors(VECTORS))
    build_ledgers(dataset, registry)
    build_catalogue(dataset, registry)


class TestRebuild:
    def test_an_open_connection_keeps_its_rows_and_a_new_one_sees_the_new(
        self, catalogued, registry, connection, tmp_path
    ):
        assert connection.execute("SELECT count(*) FROM plates").fetchone() == (5,)
        add_a_sixth_plate(catalogued, registry, tmp_path)
        assert connection.execute("SELECT count(*) FROM plates").fetchone() == (5,)
        assert connection.execute("SELECT count(*) FROM nearest('plate-001', 'embedder', 10)").fetchone() == (4,)
        # DuckDB gives one process one instance per path; another process is how an analyst connects anew.
        assert count_in_another_process(catalogued.catalogue_path) == 6

    def test_a_build_leaves_no_other_file(self, catalogued, registry):
        before = sorted(path.name for path in catalogued.root.iterdir())
        build_catalogue(catalogued, registry)
        assert sorted(path.name for path in catalogued.root.iterdir()) == before

    def test_without_a_ledger_the_old_catalogue_is_kept(self, catalogued, registry):
        before = catalogued.catalogue_path.read_bytes()
        ledger_path(catalogued, RUNS).unlink()
        with pytest.raises(FileNotFoundError, match=r"no ledger yet of runs\. Build them: atlas run"):
            build_catalogue(catalogued, registry)
        assert catalogued.catalogue_path.read_bytes() == before
        assert [path.name for path in catalogued.root.iterdir() if path.name.startswith(".atlas")] == []

    def test_the_write_ahead_log_of_a_killed_session_does_not_reach_the_new_file(self, catalogued, registry):
        """DuckDB would apply the log to any file of the name, and then refuse to open it."""
        leave_a_write_ahead_log(catalogued.catalogue_path)
        build_catalogue(catalogued, registry)
        assert count_in_another_process(catalogued.catalogue_path) == 5
        assert list(catalogued.root.glob("*.wal")) == []

    @pytest.mark.parametrize("step", ["_fill", "_replace"])
    def test_a_catalogue_with_a_view_that_cannot_be_read_does_not_replace_the_old_one(
        self, catalogued, registry, monkeypatch, step
    ):
        """`histograms` exists while the view is made and is then dropped: only opening the file anew shows it."""

        def with_a_broken_view(connection):
            connection.execute("CREATE VIEW broken AS FROM histograms; DROP TABLE histograms")

        before = catalogued.catalogue_path.read_bytes()
        if step == "_fill":
            (catalogued.root / NAME).unlink()  # so that it is built whole
            monkeypatch.setattr(build, "_WITHOUT_ROWS", {})  # from a new catalogue without rows
        own = getattr(build, step)
        monkeypatch.setattr(build, step, lambda opened, *rest: (own(opened, *rest), with_a_broken_view(opened)))
        with pytest.raises(duckdb.Error, match="histograms"):
            build_catalogue(catalogued, registry)
        assert catalogued.catalogue_path.read_bytes() == before
        assert [path.name for path in catalogued.root.iterdir() if path.name.startswith(".atlas")] == []

    def test_the_file_is_in_the_storage_format_of_duckdb_1_2(self, connection):
        (tags,) = connection.execute("SELECT tags FROM duckdb_databases() WHERE NOT internal").fetchone()
        assert tags["storage_version"].startswith("v1.2.0")

    def test_a_reader_cannot_write(self, connection):
        with pytest.raises(duckdb.Error, match="read-only"):
            connection.execute("DELETE FROM plates")


def count_in_another_process(path: Path) -> int:
    code = (
        "import duckdb, sys; connection = duckdb.connect(sys.argv[1], read_only=True); "
        "print(connection.execute('SELECT count(*) FROM plates').fetchone()[0])"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    return int(done.stdout)


def leave_a_write_ahead_log(path: Path) -> None:
    """Writes to the catalogue in a process that ends without closing it, as a killed session does."""
    code = (
        "import duckdb, os, sys; connection = duckdb.connect(sys.argv[1]); "
        "connection.execute('CREATE TABLE notes AS SELECT 1 AS note'); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, path], check=True)
    assert path.with_name(f"{path.name}.wal").is_file()


class TestDocumentation:
    def test_every_table_has_a_comment(self, connection):
        comments = dict(connection.execute("SELECT table_name, comment FROM duckdb_tables()").fetchall())
        ledgers = {name: table.meaning for name, table in LEDGERS.items()}
        assert comments == {**ledgers, CURRENT_GRAPHS.name: CURRENT_GRAPHS.meaning}

    def test_every_column_of_every_table_and_view_has_a_comment(self, connection):
        without = connection.execute(
            "SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal AND coalesce(comment, '') = ''"
        ).fetchall()
        assert without == []

    def test_licence_has_one_spelling(self, connection):
        query = "SELECT table_name, column_name FROM duckdb_columns() WHERE column_name ILIKE '%license%'"
        assert connection.execute(query).fetchall() == []

    def test_a_views_column_means_what_it_means_in_the_ledger_it_is_taken_from(self, connection):
        comments = {
            (view, column): comment
            for view, column, comment in connection.execute(
                "SELECT table_name, column_name, comment FROM duckdb_columns() WHERE NOT internal"
            ).fetchall()
        }
        assert (
            comments["regions", "palette"] == comments["region_colours", "palette"] != comments["segments", "palette"]
        )
        assert (
            comments["regions", "hole_count"]
            == comments["segments", "hole_count"]
            != comments["region_outlines", "hole_count"]
        )
        assert comments["commercial_segments", "palette"] == comments["segments", "palette"]
        assert comments["detection_counts", "label"] == comments["detections", "label"] != comments["probes", "label"]

    def test_every_view_has_a_comment(self, connection):
        rows = connection.execute("SELECT view_name, comment FROM duckdb_views() WHERE NOT internal").fetchall()
        assert {name for name, _ in rows} == {
            *(f"commercial_{name}" for name in TABLES),
            "detection_counts",
            "detection_relations",
            "embeddings_embedder",
            "failures",
            "histogram_bins",
            "latest_reproductions",
            "plate_index",
            "regions",
            "rows_for_commercial_use",
            "rows_not_for_commercial_use",
            "plates_not_for_commercial_use",
            "seconds",
            "segment_set_flags",
            "servers",
            "title_conflicts",
            "captions",
            "keywords",
            "descriptions",
            "keyword_ranks",
            "stage_candidates",
            "plate_tags",
            "tagged_detections",
            "tagged_plate_spaces",
            "tagged_segments",
            "tagged_texts",
        }
        assert all(comment for _, comment in rows)

    def test_macros_have_a_comment(self, connection):
        rows = connection.execute(
            "SELECT function_name, comment FROM duckdb_functions() WHERE NOT internal ORDER BY ALL"
        ).fetchall()
        macros = [
            *("affected_by", "as_of", "clusters", "cosines", "delta_e", "did_you_mean", "duplicates"),
            *("ensemble_nearest", "hex_lab", "histogram_nearest", "lineage_of", "nearest", "nearest_regions"),
            *("nearest_tiles", "outliers", "text_contains", "text_nearest", "text_search", "why"),
        ]
        assert [name for name, _ in rows] == macros
        assert all(comment for _, comment in rows)


class TestViews:
    def test_vectors_have_a_fixed_size(self, connection):
        assert connection.execute(
            "SELECT DISTINCT typeof(vector), typeof(vector_unit) FROM embeddings_embedder"
        ).fetchall() == [("FLOAT[3]", "FLOAT[3]")]

    def test_the_raw_vector_is_raw_and_the_unit_one_has_length_1(self, connection):
        raw, unit, norm = connection.execute(
            "SELECT vector, vector_unit, l2_norm FROM embeddings_embedder WHERE plate_id = 'plate-001'"
        ).fetchone()
        assert raw == (3.0, 4.0, 0.0)
        assert norm == 5.0  # 3-4-5
        assert unit == pytest.approx((0.6, 0.8, 0.0))

    def test_only_current_rows_are_in_it(self, catalogued):
        changed = fake_registry(fake_spec("embedder", gain=2.0), fake_spec("segmenter"))
        build_ledgers(catalogued, changed)
        build_catalogue(catalogued, changed)
        with connect(catalogued) as connection:
            assert connection.execute("SELECT count(*) FROM embeddings_embedder").fetchone() == (0,)
            assert connection.execute("SELECT count(*) FROM embeddings").fetchone() == (5,)

    def test_a_vector_of_length_zero_does_not_break_the_view(self, dataset, registry):
        measure(dataset, registry, "embedder", GivenVectors({**VECTORS, "plate-002": (0.0, 0.0, 0.0)}))
        build_ledgers(dataset, registry)
        build_catalogue(dataset, registry)
        with connect(dataset) as connection:
            assert connection.execute("SELECT count(*) FROM embeddings_embedder").fetchone() == (5,)
            neighbours = [row[0] for row in connection.execute("FROM nearest('plate-001', 'embedder', 1)").fetchall()]
        assert neighbours == ["plate-004"]


class TestNearest:
    def test_ranking_and_cosine_are_numpys(self, connection):
        rows = connection.execute("FROM nearest('plate-001', 'embedder', 10)").fetchall()
        matrix = np.array([VECTORS[f"plate-00{number}"] for number in range(1, 6)])
        unit = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
        cosines = {f"plate-00{number + 1}": unit[0] @ unit[number] for number in range(1, 5)}
        assert [row[0] for row in rows] == sorted(cosines, key=lambda plate_id: -cosines[plate_id])
        assert [row[0] for row in rows] == ["plate-004", "plate-002", "plate-003", "plate-005"]
        for plate_id, _, cosine in rows:
            assert cosine == pytest.approx(cosines[plate_id], abs=1e-6)

    def test_by_hand(self, connection):
        assert connection.execute(
            "SELECT cosine FROM nearest('plate-001', 'embedder', 10) WHERE plate_id = 'plate-002'"
        ).fetchone() == (pytest.approx(24 / 25),)  # (3*4 + 4*3) / (5*5)

    def test_k_limits_the_rows_and_each_has_its_title(self, connection):
        rows = connection.execute("FROM nearest('plate-001', 'embedder', 2)").fetchall()
        assert [row[:2] for row in rows] == [("plate-004", "04-ochre"), ("plate-002", "02-green")]


def test_histogram_nearest_is_numpys_hellinger_distance(connection):
    histograms = dict(connection.execute("SELECT plate_id, lab FROM histograms").fetchall())
    shares = {plate_id: np.array(counts, dtype=np.float64) / sum(counts) for plate_id, counts in histograms.items()}
    expected = {
        plate_id: np.linalg.norm(np.sqrt(shares["plate-001"]) - np.sqrt(share)) / np.sqrt(2)  # Hellinger 1909
        for plate_id, share in shares.items()
        if plate_id != "plate-001"
    }
    rows = connection.execute("FROM histogram_nearest('plate-001', 10)").fetchall()
    assert [row[0] for row in rows] == sorted(expected, key=lambda plate_id: expected[plate_id])
    for plate_id, _, distance in rows:
        assert distance == pytest.approx(expected[plate_id], abs=1e-6)


class TestWhy:
    def test_the_digests_are_those_of_the_files_on_disk(self, catalogued, connection):
        cursor = connection.execute("FROM why('plate-003', 'embedder')")
        names = [column[0] for column in cursor.description]
        (row,) = [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]
        folder = catalogued.plate("plate-003").folder
        source = (folder / "source" / row["source_image"]).read_bytes()
        assert hashlib.sha256(source).hexdigest() == row["source_sha256"]
        assert hashlib.sha256((folder / row["output_path"]).read_bytes()).hexdigest() == row["output_sha256"]
        assert Path(row["output_path"]).parts[:2] == ("runs", row["run_id"])

    def test_it_names_model_preprocessing_and_code(self, registry, connection):
        identity = registry.instruments["embedder"].identity
        assert connection.execute(
            "SELECT model_id, model_sha, preprocess_tag, fingerprint, licence, device, dtype, parameters "
            "FROM why('plate-003', 'embedder')"
        ).fetchall() == [
            (
                "tests/embedder",
                identity.model_sha,
                identity.preprocess_tag,
                identity.fingerprint,
                "MIT",
                "cpu",
                "float32",
                "{}",
            )
        ]

    def test_it_is_one_row_of_the_newest_of_several_runs(self, catalogued, registry):
        measure(catalogued, registry, "embedder", GivenVectors(VECTORS), ["plate-003"], is_forced=True)
        build_ledgers(catalogued, registry)
        build_catalogue(catalogued, registry)
        with connect(catalogued) as connection:
            (run_id,) = connection.execute(
                "SELECT max(run_id) FROM embeddings WHERE plate_id = 'plate-003'"
            ).fetchone() or (None,)
            assert connection.execute("SELECT run_id FROM why('plate-003', 'embedder')").fetchall() == [(run_id,)]


def test_without_a_catalogue_connecting_says_how_to_build_it(dataset):
    with pytest.raises(FileNotFoundError, match="Build it: atlas run"):
        connect(dataset)
