"""`why` of every kind of row, `affected_by` and `lineage_of` over edges written by hand, and what they refuse."""

from typing import Any

import duckdb
import pytest
from support.made_catalogue import made_catalogue, vector_row

SOURCE, OTHER_SOURCE = "a" * 64, "b" * 64
WEIGHTS, PART, SET, PROMPT = "3" * 64, "34" * 32, "5" * 64, "6" * 64
EMBEDDER, SEGMENTER, READER = "e" * 64, "5e" * 32, "4ead" * 16
COMMIT, ENVIRONMENT = "c0" * 20, "e4" * 32
EMPTY = "0" * 64  # sha256 of two results without rows: the same bytes
Row = dict[str, Any]


def edge(relation: str, subject: tuple[str, ...], target: tuple[str, ...], **columns: Any) -> Row:
    """An edge of lineage; each end is kind, node and, unless it has none, digest."""
    (kind, node, *digest), (target_kind, target_node, *target_digest) = subject, target
    ends = {"subject_kind": kind, "subject": node, "subject_sha256": digest[0] if digest else None}
    ends |= {"object_kind": target_kind, "object": target_node, "object_sha256": (target_digest or [None])[0]}
    return {"relation": relation, **ends, **columns}


def run_edges(plate: str, run: str, key: str, sealed_file: tuple[str, str], **digests: str) -> list[Row]:
    """The edges of a run by an instrument of a fingerprint that reads a source and seals a file: name and digest."""
    (file, digest), fingerprint, source = sealed_file, digests["fingerprint"], digests["source"]
    node, of = ("run", f"{plate}/runs/{run}"), {"plate_id": plate, "run_id": run, "instrument": key}
    sealed, scan = ("file", f"{plate}/runs/{run}/{file}", digest), ("source", source, source)
    return [
        edge("used", node, scan, object_name="source/a.png", **of),
        edge("used", node, ("instrument", fingerprint, fingerprint), object_name=key, **of),
        edge("used", node, ("environment", ENVIRONMENT, ENVIRONMENT), object_name="cpu", **of),
        edge("wasAssociatedWith", node, ("code", COMMIT), **of),
        edge("wasGeneratedBy", sealed, node, **of),
        edge("wasDerivedFrom", sealed, scan, object_name="source/a.png", **of),
    ]


def instrument_edge(fingerprint: str, key: str, kind: str, digest: str, name: str | None) -> Row:
    subject = ("instrument", fingerprint, fingerprint)
    return edge("wasDerivedFrom", subject, (kind, digest, digest), object_name=name, instrument=key)


def read_edges(plate: str, run: str, key: str, file: str, digest: str) -> list[Row]:
    node, of = ("run", f"{plate}/runs/{run}"), {"plate_id": plate, "run_id": run, "instrument": key}
    return [edge("used", node, ("file", f"{plate}/{file}", digest), **of)]


def groundwork_edges(plate: str, source: str) -> list[Row]:
    node, of = ("run", f"{plate}/groundwork"), {"plate_id": plate, "instrument": "groundwork"}
    files = [("file", f"{plate}/derived/{name}.json", f"{name}!") for name in ("input_image", "input_color_histograms")]
    return [
        edge("used", node, ("source", source, source), **of),
        edge("used", node, ("instrument", "v2"), object_name="groundwork", **of),
        *(edge("wasGeneratedBy", file, node, **of) for file in files),
    ]


def run(plate: str, run_id: str, key: str, role: str, fingerprint: str, **columns: Any) -> Row:
    return {
        **{"plate_id": plate, "run_id": run_id, "instrument": key, "role": role, "fingerprint": fingerprint},
        **{"status": "complete", "is_current": True, "inputs": [], "outputs": [], **columns},
    }


def answer(key: str, **columns: Any) -> Row:
    return {"plate_id": "plate-001", "run_id": "run-3", "instrument": key, "is_current": True, **columns}


LINEAGE = [
    *run_edges("plate-001", "run-1", "embedder", ("embeddings.parquet", "f1"), fingerprint=EMBEDDER, source=SOURCE),
    *run_edges(
        "plate-002", "run-1", "embedder", ("embeddings.parquet", "f2"), fingerprint=EMBEDDER, source=OTHER_SOURCE
    ),
    *run_edges("plate-001", "run-2", "segmenter", ("segments.parquet", EMPTY), fingerprint=SEGMENTER, source=SOURCE),
    *run_edges(
        "plate-002", "run-2", "segmenter", ("segments.parquet", EMPTY), fingerprint=SEGMENTER, source=OTHER_SOURCE
    ),
    *run_edges("plate-001", "run-3", "reader", ("probe_scores.parquet", "f3"), fingerprint=READER, source=SOURCE),
    *read_edges("plate-001", "run-3", "reader", "runs/run-1/embeddings.parquet", "f1"),
    *read_edges("plate-002", "run-4", "keeper", "runs/run-2/segments.parquet", EMPTY),
    *groundwork_edges("plate-001", SOURCE),
    instrument_edge(EMBEDDER, "embedder", "weights_set", WEIGHTS, "1 of 2 files"),
    edge("hadMember", ("weights_set", WEIGHTS, WEIGHTS), ("weights", PART, PART), object_name="a.safetensors"),
    instrument_edge(READER, "reader", "weights", PART, "b.safetensors"),
    instrument_edge(READER, "reader", "prompt_set", SET, "medium v1"),
    edge("hadMember", ("prompt_set", SET, SET), ("prompt", PROMPT, PROMPT), object_name="engraving"),
]
RUNS = [
    run("plate-001", "run-1", "embedder", "embedding", EMBEDDER, inputs=[{"path": "source/a.png", "sha256": SOURCE}]),
    run("plate-002", "run-1", "embedder", "embedding", EMBEDDER, is_current=False),
    run("plate-001", "run-2", "segmenter", "segmentation", SEGMENTER),
    run("plate-002", "run-2", "segmenter", "segmentation", SEGMENTER),
    run("plate-001", "run-3", "reader", "probe", READER),
    run("plate-002", "run-4", "keeper", "pruning", "7" * 64, status="failed", is_current=False),
    run("plate-001", "run-5", "detector", "detection", "8" * 64),
]
ASKED = {"prompt_set": "medium", "prompt_version": 1, "prompt_id": "engraving", "prompt_sha256": PROMPT}
TABLES: dict[str, list[Row]] = {
    "runs": RUNS,
    "lineage": LINEAGE,
    "models": [{"instrument": key} for key in ("embedder", "segmenter", "reader", "keeper", "detector")],
    "plates": [
        {
            **{"plate_id": "plate-001", "source_sha256": SOURCE, "source_image": "a.png", "measure_version": "v2"},
            **{"measured_source_sha256": SOURCE, "input_image_sha256": "input_image!", "is_current": True},
            "groundwork_code_git_sha": COMMIT,
        },
        {"plate_id": "plate-002", "source_sha256": OTHER_SOURCE},
    ],
    "histograms": [
        {
            **{"plate_id": "plate-001", "source_sha256": SOURCE, "measure_version": "v2", "is_current": True},
            **{"file_sha256": "input_color_histograms!", "lab": [3, 0, 1]},
        }
    ],
    "embeddings": [
        vector_row("plate-001", (1, 2), run_id="run-1"),
        vector_row("plate-001", (1, 2), "tile", run_id="run-1", tile_id="2x2-r1c1"),
        vector_row("plate-002", (1, 2), run_id="run-1", is_current=False),
    ],
    "probes": [
        answer("reader", label_index=0, label_id="engraving", label="an engraving", **ASKED),
        answer("reader", label_index=1, label_id="photograph", label="a photograph"),
    ],
    "detections": [
        {"plate_id": "plate-001", "run_id": "run-5", "instrument": "detector", "detection_id": "box-0001"} | ASKED
    ],
    "segment_sets": [
        {"plate_id": "plate-001", "instrument": "segmenter", "run_id": "run-2", "foreground_run_id": None},
    ],
}


@pytest.fixture(scope="module")
def connection():
    with made_catalogue(**TABLES) as connection:
        yield connection


def rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[tuple]:
    return connection.execute(query).fetchall()


class TestWhyOfRows:
    @pytest.mark.parametrize(
        ("instrument", "row", "table"),
        [
            ("embedder", "plate", "embeddings"),
            ("embedder", "2x2-r1c1", "embeddings"),
            ("reader", "photograph", "probes"),
            ("detector", "box-0001", "detections"),
            ("groundwork", "paper_lab", "histograms"),
            ("groundwork", "lab/2", "histograms"),
            ("groundwork", "red/255", "histograms"),
            ("groundwork", "luminance_mean", "plates"),
        ],
    )
    def test_every_kind_of_row_has_one_answer(self, connection, instrument, row, table):
        query = f"SELECT table_name, row_id, row_count FROM why('plate-001', '{instrument}', row_key := '{row}')"
        assert rows(connection, query) == [(table, row, 1)]

    def test_without_a_row_all_rows_of_the_result_are_counted(self, connection):
        query = "SELECT row_id, row_count FROM why('plate-001', '{}')"
        assert rows(connection, query.format("embedder")) == [(None, 2)]
        assert rows(connection, query.format("segmenter")) == [(None, 0)]

    def test_the_groundwork_is_a_row_for_its_facts_and_one_for_its_counts(self, connection):
        query = "SELECT table_name, output_path, output_sha256 FROM why('plate-001', 'groundwork') ORDER BY ALL"
        assert rows(connection, query) == [
            ("histograms", "derived/input_color_histograms.json", "input_color_histograms!"),
            ("plates", "derived/input_image.json", "input_image!"),
        ]
        query = (
            "SELECT DISTINCT source_sha256, measure_version, code_git_sha, inputs FROM why('plate-001', 'groundwork')"
        )
        assert rows(connection, query) == [(SOURCE, "v2", COMMIT, [{"path": "source/a.png", "sha256": SOURCE}])]

    def test_a_plate_without_groundwork_has_no_row(self, connection):
        assert rows(connection, "FROM why('plate-002', 'groundwork')") == []
        assert rows(connection, "FROM why('plate-002', 'groundwork', row_key := 'nonsense')") == []

    def test_weights_files_are_those_of_the_instrument_and_of_its_set(self, connection):
        query = "SELECT weights_files FROM why('plate-001', '{}')"
        assert rows(connection, query.format("embedder")) == [([{"name": "a.safetensors", "sha256": PART}],)]
        assert rows(connection, query.format("reader")) == [([{"name": "b.safetensors", "sha256": PART}],)]
        assert rows(connection, query.format("segmenter")) == [(None,)]

    def test_prompts_are_the_set_of_a_result_and_the_text_of_a_row(self, connection):
        query = "SELECT prompt_sets, prompt FROM why('plate-001', 'reader'{})"
        sets = [{"name": "medium v1", "sha256": SET}]
        assert rows(connection, query.format("")) == [(sets, None)]
        assert rows(connection, query.format(", row_key := 'photograph'")) == [(sets, None)]
        prompt = {"set": "medium", "version": 1, "id": "engraving", "sha256": PROMPT}
        assert rows(connection, query.format(", row_key := 'engraving'")) == [(sets, prompt)]

    def test_rows_may_come_from_another_table(self, connection):
        query = """
            SELECT label_id, answer.prompt.id FROM probes, why(probes.plate_id, probes.instrument, row_key := label_id)
                AS answer ORDER BY ALL
        """
        assert rows(connection, query) == [("engraving", "engraving"), ("photograph", None)]


class TestAffectedBy:
    QUERY = "SELECT depth, relation, kind, plate_id, instrument, table_name, row_count FROM affected_by('{}')"
    EMBEDDED = (2, "used", "result", "plate-001", "reader", "probes", 2)

    def ask(self, connection, digest: str) -> list[tuple]:
        return rows(connection, self.QUERY.format(digest))

    def test_a_weights_file_reaches_every_instrument_that_has_it_and_what_reads_these(self, connection):
        """a.safetensors and b.safetensors are the same bytes: the reader has them itself, the embedder in its set."""
        assert self.ask(connection, PART) == [
            (2, "used", "result", "plate-001", "reader", "probes", 2),
            (3, "used", "result", "plate-001", "embedder", "embeddings", 2),
            (3, "used", "result", "plate-002", "embedder", "embeddings", 1),
        ]

    def test_a_source_reaches_everything_of_its_plate(self, connection):
        expected = [
            (1, "used", "groundwork", "plate-001", "groundwork", "histograms", 1),
            (1, "used", "groundwork", "plate-001", "groundwork", "plates", 1),
            (1, "used", "result", "plate-001", "embedder", "embeddings", 2),
            (1, "used", "result", "plate-001", "reader", "probes", 2),
            (1, "used", "result", "plate-001", "segmenter", "segments", 0),
            (2, "wasDerivedFrom", "comparison", "plate-001", "segmenter", "segment_sets", 1),
        ]
        assert self.ask(connection, SOURCE) == expected
        assert self.ask(connection, "plate-001") == expected
        assert self.ask(connection, SOURCE[:8]) == expected

    def test_a_prompt_reaches_the_results_of_its_set(self, connection):
        assert self.ask(connection, PROMPT) == [(3, "used", "result", "plate-001", "reader", "probes", 2)]

    def test_a_sealed_file_is_its_own_rows_and_those_read_from_it(self, connection):
        assert self.ask(connection, "f1") == [
            (0, "wasDerivedFrom", "result", "plate-001", "embedder", "embeddings", 2),
            (1, "used", "result", "plate-001", "reader", "probes", 2),
        ]
        assert self.ask(connection, "input_image!") == [
            (0, "wasDerivedFrom", "groundwork", "plate-001", "groundwork", "plates", 1)
        ]

    def test_a_run_is_its_rows_on_every_plate_and_those_read_from_them(self, connection):
        assert self.ask(connection, "run-1") == [
            (0, "wasGeneratedBy", "result", "plate-001", "embedder", "embeddings", 2),
            (0, "wasGeneratedBy", "result", "plate-002", "embedder", "embeddings", 1),
            (2, "used", "result", "plate-001", "reader", "probes", 2),
        ]

    def test_a_fingerprint_and_a_key_are_the_instrument(self, connection):
        by_fingerprint, by_key = self.ask(connection, READER), self.ask(connection, "reader")
        assert by_fingerprint == [(1, "used", "result", "plate-001", "reader", "probes", 2)]
        assert by_key == [(0, "wasGeneratedBy", "result", "plate-001", "reader", "probes", 2)]

    def test_a_failed_run_has_its_row_in_runs(self, connection):
        found = self.ask(connection, "plate-002/runs/run-2/segments.parquet")
        assert (1, "used", "failed_run", "plate-002", "keeper", "runs", 1) in found

    def test_equal_bytes_of_results_without_rows_are_both_asked_for_and_their_readers_are_not_mixed(self, connection):
        plates = {(row[0], row[3], row[4]) for row in self.ask(connection, EMPTY)}
        assert plates == {
            (0, "plate-001", "segmenter"),
            (0, "plate-002", "segmenter"),
            (1, "plate-001", "segmenter"),  # segment_sets
            (1, "plate-002", "keeper"),
        }
        query = "SELECT count(*) FROM lineage_of('run-4') WHERE subject LIKE 'plate-001%' OR object LIKE 'plate-001%'"
        assert rows(connection, query) == [(0,)]

    def test_a_commit_reaches_every_run_by_that_code(self, connection):
        found = rows(connection, f"SELECT DISTINCT relation, depth FROM affected_by('{COMMIT}') ORDER BY ALL")
        assert found == [("used", 3), ("wasAssociatedWith", 1), ("wasDerivedFrom", 2)]

    def test_rows_say_whether_they_are_current(self, connection):
        query = (
            f"SELECT plate_id, is_current FROM affected_by('{EMBEDDER}') WHERE table_name = 'embeddings' ORDER BY ALL"
        )
        assert rows(connection, query) == [("plate-001", True), ("plate-002", False)]

    def test_digests_may_come_from_another_table(self, connection):
        query = "SELECT p.plate_id, count(*) FROM plates AS p, affected_by(p.source_sha256) GROUP BY ALL ORDER BY ALL"
        assert rows(connection, query) == [("plate-001", 6), ("plate-002", 3)]


class TestLineageOf:
    def test_edges_lead_back_to_the_source_the_nearest_first(self, connection):
        query = """
            SELECT depth, relation, object_kind, coalesce(object_name, object)
            FROM lineage_of('plate-001/runs/run-3/probe_scores.parquet')
        """
        assert rows(connection, query) == [
            (1, "wasDerivedFrom", "source", "source/a.png"),
            (1, "wasGeneratedBy", "run", "plate-001/runs/run-3"),
            (2, "used", "instrument", "reader"),
            (2, "used", "source", "source/a.png"),
            (2, "used", "environment", "cpu"),
            (2, "used", "file", "plate-001/runs/run-1/embeddings.parquet"),
            (2, "wasAssociatedWith", "code", COMMIT),
            (3, "wasDerivedFrom", "weights", "b.safetensors"),
            (3, "wasDerivedFrom", "prompt_set", "medium v1"),
            (3, "wasDerivedFrom", "source", "source/a.png"),
            (3, "wasGeneratedBy", "run", "plate-001/runs/run-1"),
            (4, "hadMember", "prompt", "engraving"),
            (4, "used", "source", "source/a.png"),
            (4, "used", "environment", "cpu"),
            (4, "used", "instrument", "embedder"),
            (4, "wasAssociatedWith", "code", COMMIT),
            (5, "wasDerivedFrom", "weights_set", "1 of 2 files"),
            (6, "hadMember", "weights", "a.safetensors"),
        ]

    def test_a_plate_a_run_an_instrument_and_a_digest_are_asked_alike(self, connection):
        query = "SELECT count(DISTINCT subject) FROM lineage_of('{}') WHERE depth = 1"
        for digest, subjects in (("plate-001", 9), ("run-3", 2), ("reader", 3), ("f3", 1), (READER[:9], 1)):
            assert rows(connection, query.format(digest)) == [(subjects,)], digest


class TestRefusals:
    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (
                "affected_by('embeder')",
                "affected_by: no digest, run, plate or instrument 'embeder'. Did you mean embedder",
            ),
            ("affected_by(NULL)", "affected_by: no digest, run, plate or instrument NULL."),
            ("affected_by('plate-01')", "Did you mean plate-001, plate-002?"),
            ("affected_by('aaaa')", "'aaaa'. Give at least 8 digits of a digest. What there is: FROM lineage."),
            ("affected_by('9999999999')", "no digest, run, plate or instrument '9999999999'. What there is"),
            ("lineage_of('run-9')", "lineage_of: no digest, run, plate or instrument 'run-9'. Did you mean run-1,"),
            (
                "why('plate-001', 'embedder', row_key := 'tile')",
                "why: no row 'tile'. plate-001 has these of embedder: 2x2-r1c1, plate.",
            ),
            ("why('plate-001', 'reader', row_key := 'engravings')", "no row 'engravings'. Did you mean engraving?"),
            ("why('plate-001', 'segmenter', row_key := 'mask-0001')", "plate-001 has these of segmenter: none."),
            ("why('plate-001', 'groundwork', row_key := 'paperlab')", "no row 'paperlab'. Did you mean paper_lab,"),
            ("why('plate-001', 'groundwork', row_key := 'lab/3')", "no row 'lab/3'."),
            ("why('plate-001', 'groundwork', row_key := 'red/256')", "no row 'red/256'."),
            ("why('plate-001', 'ground_work')", "no instrument 'ground_work'. Did you mean groundwork? 5 instruments"),
        ],
    )
    def test_what_is_not_there_is_an_error_that_names_near_names(self, connection, call, message):
        with pytest.raises(duckdb.InvalidInputException) as error:
            connection.execute(f"FROM {call}").fetchall()
        assert message in str(error.value)

    def test_digits_that_begin_two_digests_are_refused_and_both_are_named(self):
        twins = [edge("used", ("run", n), ("source", f"12345678{n}", f"12345678{n}")) for n in ("a", "b")]
        with made_catalogue(lineage=twins) as connection:
            assert len(rows(connection, "FROM lineage_of('a')")) == 1
            with pytest.raises(duckdb.InvalidInputException) as error:
                connection.execute("FROM affected_by('12345678')").fetchall()
        expected = "affected_by: 12345678 begins 2 digests: 12345678a, 12345678b. Give more digits."
        assert expected in str(error.value)
