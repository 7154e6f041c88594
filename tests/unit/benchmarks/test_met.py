"""The benchmark of the Met's artworks on made sets in the hub's form, with figures by hand and by mteb itself."""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from support.fake_instruments import EMBEDDER, SEGMENTER, fake_registry, fake_spec
from support.made_specs import PROJECT

from benchmarks.met import __main__ as met
from benchmarks.met.data import DataMissing, find_parts, read_pictures, read_relevant
from benchmarks.met.evaluation import has_mteb, hit_rates, hit_rates_by_mteb, search
from benchmarks.met.published import CORPUS, PUBLISHED, QUERIES, TOLERANCE, verdict

RED, DARK_RED, ORANGE, BLUE, VIOLET, GREEN = (
    (200, 0, 0), (100, 0, 0), (200, 60, 0), (0, 0, 200), (60, 0, 200), (0, 200, 0),
)  # fmt: skip
"""By its mean colour dark red is as red (cosine 1); orange has 1 / sqrt(1 + 0.09) = 0.958 to red, as violet to blue."""
WORKS = {"q1": RED, "c1": ORANGE, "q2": BLUE, "c2": GREEN, "c3": VIOLET, "q3": GREEN, "c4": DARK_RED}
RELEVANT = {"q1": ["c1"], "q2": ["c3"], "q3": ["c4"]}
"""By hand, each query without itself: red finds dark red (1), then orange (0.958): rank 2. Blue finds violet first.
Green is in the corpus twice, as c2 too: one of them is left out, the other is the first of the rest; then orange
(0.287); then dark red among those at 0, the greater ids before it: q2, q1, c4. Rank 5."""


def png(colour: tuple[int, int, int]) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (224, 224), colour).save(content, "PNG")
    return content.getvalue()


def write_part(folder: Path, pictures: Mapping[str, tuple[int, int, int]], files: int = 1) -> None:
    """Parquet files as the hub's library writes pictures: a struct of bytes and a path."""
    folder.mkdir(parents=True)
    names = list(pictures)
    for number in range(files):
        some = names[number::files] if files > 1 else names
        image = [{"bytes": png(pictures[name]), "path": f"{name}.png"} for name in some]
        table = pa.table({"id": some, "image": image, "modality": ["image"] * len(some)})
        pq.write_table(table, folder / f"test-{number:05d}-of-{files:05d}.parquet")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "met"
    write_part(root / "corpus", WORKS, files=2)
    write_part(root / "query", {name: WORKS[name] for name in ("q1", "q2", "q3")})
    pairs = [(query, document) for query, documents in RELEVANT.items() for document in documents]
    (root / "qrels").mkdir()
    columns = {"query-id": [one for one, _ in pairs], "corpus-id": [one for _, one in pairs], "score": [1] * len(pairs)}
    pq.write_table(pa.table(columns), root / "qrels" / "test-00000-of-00001.parquet")
    return root


@pytest.fixture
def registry(fakes: list[str], monkeypatch: pytest.MonkeyPatch):
    found = fake_registry(fake_spec(EMBEDDER), fake_spec(SEGMENTER))
    monkeypatch.setattr(met, "read_registry", lambda: found)
    return found


def test_a_made_set_has_the_hit_rates_computed_by_hand(folder: Path, registry, capsys: pytest.CaptureFixture[str]):
    """The ranks are 2, 1 and 5: of three queries, one hits at 1, two at 3, all at 5."""
    assert met.main([EMBEDDER, str(folder), "--threads", "1"]) == 0
    out = capsys.readouterr().out
    assert f"{EMBEDDER}: 3 queries among 7 pictures" in out
    assert "| 1 | 0.33333 |\n| 3 | 0.66667 |\n| 5 | 1.00000 |\n" in out
    assert f"no figure is published for the revision that {EMBEDDER} pins" in out


def test_kept_vectors_are_used_again_and_only_for_the_same_file(
    folder: Path, registry, fakes: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    arguments = [EMBEDDER, str(folder), "--keep", str(tmp_path / "vectors")]
    assert met.main(arguments) == 0
    first = capsys.readouterr()
    kept = sorted((tmp_path / "vectors").rglob("*.npy"))
    assert len(kept) == 3
    assert np.linalg.norm(np.load(kept[0]), axis=1) == pytest.approx(1)
    assert met.main(arguments) == 0
    second = capsys.readouterr()
    assert second.out == first.out
    assert second.err.count("as kept") == 3
    write_part(folder / "other", {"q1": BLUE, "q2": BLUE, "q3": RED})
    (folder / "other" / "test-00000-of-00001.parquet").replace(folder / "query" / "test-00000-of-00001.parquet")
    assert met.main(arguments) == 0
    third = capsys.readouterr()
    assert third.err.count("as kept") == 2
    assert third.out != first.out


class TestFolder:
    def test_what_is_missing_is_named_with_the_command_that_fetches_it(self, tmp_path: Path):
        write_part(tmp_path / "corpus", {"c1": RED})
        with pytest.raises(DataMissing, match=r"expected queries/\*.parquet or query.*, found none.*hf download"):
            find_parts(tmp_path)

    def test_a_file_in_another_form_is_named(self, folder: Path):
        path = folder / "query" / "test-00000-of-00001.parquet"
        pq.write_table(pa.table({"id": ["q1"], "text": ["red"]}), path)
        with pytest.raises(DataMissing, match="expected a column image, found id, text"):
            list(read_pictures(path))
        with pytest.raises(DataMissing, match="expected a column query-id"):
            read_relevant(folder / "query")

    @pytest.mark.parametrize("name", [SEGMENTER, "no_such_encoder"])
    def test_only_encoders_can_be_asked(self, name: str, folder: Path, registry, capsys: pytest.CaptureFixture[str]):
        assert met.main([name, str(folder)]) == 1
        assert name in capsys.readouterr().out


def drawn() -> tuple[dict[str, dict[str, int]], dict[str, dict[str, float]], list[str]]:
    """Sixty queries that are in the corpus of 240, with two judged pictures each; some vectors are equal."""
    drawing = np.random.default_rng(11)
    queries = drawing.normal(size=(60, 8)).astype(np.float32)
    near = np.repeat(queries, 2, axis=0) + drawing.normal(scale=0.9, size=(120, 8)).astype(np.float32)
    near[:6] = np.repeat(queries[:3], 2, axis=0)  # as near as the query itself: which one is left out?
    corpus = np.concatenate([queries, near, drawing.normal(size=(60, 8)).astype(np.float32)])
    queries, corpus = (one / np.linalg.norm(one, axis=1, keepdims=True) for one in (queries, corpus))
    query_ids, corpus_ids = [f"q{n}" for n in range(60)], [f"d{n * 7 % 240:03d}" for n in range(240)]
    relevant = {f"q{n}": {corpus_ids[60 + 2 * n]: 1, corpus_ids[61 + 2 * n]: n % 2} for n in range(60)}
    return relevant, search(queries, query_ids, corpus, corpus_ids), corpus_ids


OF_MTEB = {1: 0.35, 3: 0.66667, 5: 0.78333, 10: 0.85}
"""Of `drawn`, by METI2IRetrieval of mteb 2.26.24 with pytrec_eval-terrier 0.5.11."""


def test_the_evaluation_gives_what_mteb_gave():
    relevant, results, _ = drawn()
    assert hit_rates(relevant, results) == OF_MTEB


@pytest.mark.skipif(not has_mteb(), reason="mteb, an optional package, is not installed")
def test_the_evaluation_gives_what_the_installed_mteb_gives():
    relevant, results, corpus_ids = drawn()
    assert hit_rates_by_mteb(relevant, results, corpus_ids) == OF_MTEB


def test_another_figure_of_mteb_is_an_error(folder: Path, registry, monkeypatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(met, "has_mteb", lambda: True)
    monkeypatch.setattr(met, "hit_rates_by_mteb", lambda *_: {1: 0.5})
    assert met.main([EMBEDDER, str(folder)]) == 1
    assert "OTHER figures for these rankings: {1: 0.5}" in capsys.readouterr().out


def test_queries_without_a_relevant_picture_do_not_count():
    results = {"q1": {"q1": 1.0, "c1": 0.9}, "q2": {"q2": 1.0, "c1": 0.8}, "q3": {"q3": 1.0, "c1": 0.8}}
    assert hit_rates({"q1": {"c1": 1}, "q2": {"c1": 0}}, results)[1] == 1.0


class TestPublished:
    WHOLE = QUERIES, CORPUS

    def test_each_figure_is_of_a_revision_that_an_instrument_pins(self):
        pins = {(one.identity.model_id, one.identity.model_sha) for one in PROJECT.instruments.values()}
        assert set(PUBLISHED) <= pins

    def test_the_tolerance_is_three_standard_errors(self):
        assert pytest.approx(3 * (0.43 * 0.57 / QUERIES) ** 0.5, abs=1e-4) == TOLERANCE

    @pytest.mark.parametrize(
        ("found", "said"),
        [(0.4289, ": within"), (0.4236, ": within"), (0.4350, ": NOT within"), (0.30, ": NOT within")],
    )
    def test_a_figure_is_within_the_tolerance_or_not(self, found: float, said: str):
        assert said in verdict("dinov2_large", found, 0.42852, self.WHOLE)

    def test_a_part_of_the_data_is_not_compared(self):
        assert "not comparable" in verdict("dinov2_large", 0.42852, 0.42852, (QUERIES, CORPUS - 1))
