"""Keywords of one instrument are ranked by the sealed vector of another: values by formula, rows with their origin."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image
from support.made_answers import PROMPTS, Says, loads, pins_of, said, text_registry, text_spec
from support.made_datasets import make_dataset
from support.made_results import GivenVectors, build_ledgers
from support.made_specs import project_spec

from atlas_assets.reproduction.repetition import Models, Repetition
from atlas_assets.reproduction.sealed_runs import find_run
from atlas_assets.roles.declared import ContractBroken
from atlas_assets.roles.text.keywords import MOST_KEYWORDS, keywords_of
from atlas_assets.roles.text.ranking import RankingWork
from atlas_assets.roles.works import build_work
from atlas_assets.ui.instrument import result_metadata
from atlas_assets.ui.texts import RankedKeyword, ranking_card, ranking_table
from atlas_resources.instruments.prompts import AskedPrompt
from atlas_resources.instruments.registry import Registry
from atlas_resources.instruments.spec.ranking import RankingSettings
from atlas_resources.instruments.spec.spec import PromptPin, Spec
from atlas_resources.instruments.texts.rankings import ranking_fields
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.run_contracts import RunManifest
from atlas_resources.runs.execution import execute_run
from atlas_resources.verification.soundness import unsound_result

VECTORS, PROBE = "clip_vit_base_patch32", "clip_vit_base_patch32_prompts"
TEMPLATES = PROMPTS.asked([PromptPin.model_validate(pin) for pin in pins_of("keyword_templates_v1")])
PLATES = ("plate-001", "plate-002")


class Letters:
    """A text tower of four dimensions: how often a, e, i and o are in the text, and one more of each."""

    def __init__(self, templates: Sequence[AskedPrompt] = TEMPLATES):
        self.templates = templates
        self.embedded: list[list[str]] = []

    def embed_text(self, texts: list[str]) -> np.ndarray:
        self.embedded.append(texts)
        return np.array([[text.count(letter) + 1 for letter in "aeio"] for text in texts], np.float32)


def ranking_spec(**settings: Any) -> Spec:
    pins = [PromptPin.model_validate(pin) for pin in pins_of("keyword_templates_v1")]
    fields = ranking_fields(project_spec(PROBE), RankingSettings(**{"draws": 50, **settings}), pins)
    return project_spec(PROBE).model_copy(update={**fields, "key": "made_ranking", "upstream": "made_keywords"})


KEYWORDS = text_spec("made_keywords", "keywords")
REGISTRY = text_registry(project_spec(VECTORS), KEYWORDS, ranking_spec())
VECTOR = {"plate-001": [1.0, 5.0, 1.0, 1.0], "plate-002": [9.0, 1.0, 1.0, 1.0]}


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return make_dataset(tmp_path, "red", "green")


def run(dataset: Dataset, key: str, model: Any, plates: Sequence[str] = PLATES, registry: Registry = REGISTRY) -> Any:
    instrument = registry.instruments[key]
    work = model if isinstance(model, GivenVectors) else build_work(instrument, loads(model))
    return list(execute_run(dataset, instrument, plates, work))


def measured(dataset: Dataset, answer: str = "heron, egret, owl", tower: Any = None) -> dict[str, RunManifest]:
    """The sealed runs of plate-001, by instrument."""
    first = [
        *run(dataset, VECTORS, GivenVectors(VECTOR))[:1],
        *run(dataset, "made_keywords", Says(said(answer)))[:1],
        *run(dataset, "made_ranking", tower or Letters())[:1],
    ]
    assert [outcome.status for outcome in first] == ["complete"] * 3, [outcome.reason for outcome in first]
    return {outcome.sealed.instrument.key: outcome.sealed for outcome in first}


def rows_of(dataset: Dataset, manifest: RunManifest) -> pl.DataFrame:
    return pl.read_parquet(dataset.plate("plate-001").runs_folder / manifest.run_id / "texts.parquet")


def cosine_by_formula(keyword: str) -> float:
    """Mean over the templates of the cosine, in NumPy."""
    texts = [template.text.format(keyword) for template in TEMPLATES]
    words = np.array([[text.count(letter) + 1.0 for letter in "aeio"] for text in texts])
    vector = np.array(VECTOR["plate-001"])
    return float(np.mean(words @ vector / np.linalg.norm(words, axis=1) / np.linalg.norm(vector)))


def test_a_keywords_cosine_is_the_mean_over_the_templates_and_ranks_follow(dataset: Dataset):
    rows = rows_of(dataset, measured(dataset)["made_ranking"])
    expected = {word: cosine_by_formula(word) for word in ("heron", "egret", "owl")}
    assert rows["text"].to_list() == ["heron", "egret", "owl"]
    assert rows["text_id"].to_list() == ["keyword-0001", "keyword-0002", "keyword-0003"]
    np.testing.assert_allclose(rows["cosine"], [*expected.values()], rtol=1e-6)
    by_rank = sorted(expected, key=lambda word: -expected[word])
    assert rows.sort("rank")["text"].to_list() == by_rank
    assert by_rank[0] == "egret"  # the vector is mostly e


def test_every_row_says_that_a_machine_made_it_and_from_what(dataset: Dataset):
    found = rows_of(dataset, measured(dataset)["made_ranking"]).to_dicts()
    for row in found:
        assert (row["machine_made"], row["form"], row["scope"]) == (True, "ranking", "plate")
        assert (row["prompt_set"], row["prompt_version"]) == ("keyword_templates", 1)
        assert row["ranked_text_id"] == "answer-0001"
        assert 1 <= row["rank_low"] <= row["rank_high"] <= 3
        assert 0 <= row["top_ratio"] <= 1
        assert -1 <= row["rank_agreement"] <= 1
        assert row["score"] is None


def test_the_manifest_names_both_results_by_digest_and_so_does_the_lineage(dataset: Dataset):
    sealed = measured(dataset)
    expected = [
        (f"runs/{sealed['made_keywords'].run_id}/texts.parquet", "made_keywords"),
        (f"runs/{sealed[VECTORS].run_id}/embeddings.parquet", VECTORS),
    ]
    assert [file.path for file in sealed["made_ranking"].inputs[1:]] == [path for path, _ in expected]
    for file, (_, key) in zip(sealed["made_ranking"].inputs[1:], expected, strict=True):
        assert file.sha256 in {output.sha256 for output in sealed[key].outputs}
    build_ledgers(dataset, REGISTRY)
    lineage = pl.read_parquet(dataset.ledger_dir / "lineage.parquet").filter(
        pl.col("relation") == "used",
        pl.col("subject") == f"plate-001/runs/{sealed['made_ranking'].run_id}",
        pl.col("object_kind") == "file",
    )
    assert set(lineage["object"]) == {f"plate-001/{path}" for path, _ in expected}


def test_a_word_is_embedded_once_and_alone_whatever_else_a_plate_has(dataset: Dataset):
    tower = Letters()
    measured(dataset, "heron, owl, Heron", tower)
    assert tower.embedded == [[template.text.format(word) for template in TEMPLATES] for word in ("heron", "owl")]


def test_without_either_result_the_plate_waits_and_has_not_failed(dataset: Dataset):
    (outcome,) = run(dataset, "made_ranking", Letters(), ["plate-001"])
    assert "plate-001 has no sealed result of made_keywords" in outcome.reason
    run(dataset, "made_keywords", Says(said("heron")), ["plate-001"])
    (outcome,) = run(dataset, "made_ranking", Letters(), ["plate-001"])
    assert f"plate-001 has no sealed result of {VECTORS}" in outcome.reason
    assert outcome.sealed is None


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (said("heron, owl", "length"), "expected usable keywords of made_keywords, found none"),
        (said(" ,; "), "expected usable keywords of made_keywords, found none"),
    ],
)
def test_a_plate_without_usable_keywords_fails_and_says_why(dataset: Dataset, answer: Any, reason: str):
    run(dataset, VECTORS, GivenVectors(VECTOR))
    run(dataset, "made_keywords", Says(answer))
    outcomes = run(dataset, "made_ranking", Letters())
    assert all(reason in outcome.reason for outcome in outcomes)


def test_a_model_that_embeds_no_text_is_refused():
    with pytest.raises(ContractBroken, match="expected a text tower with templates, found Says"):
        RankingWork(ranking_spec(), loads(Says())).load()


def test_other_vectors_make_the_ranking_stale_and_the_keywords_not(dataset: Dataset):
    measured(dataset)
    numeric = project_spec(VECTORS).numeric
    assert numeric
    other = project_spec(VECTORS).model_copy(update={"numeric": numeric.model_copy(update={"attention": "eager"})})
    changed = text_registry(other, KEYWORDS, ranking_spec())
    build_ledgers(dataset, changed)
    states = pl.read_parquet(dataset.ledger_dir / "completeness.parquet").filter(pl.col("plate_id") == "plate-001")
    by_key = {row["instrument"]: row for row in states.iter_rows(named=True)}
    assert {key: by_key[key]["state"] for key in ("made_keywords", VECTORS, "made_ranking")} == {
        "made_keywords": "done",
        VECTORS: "stale",
        "made_ranking": "waiting",
    }
    assert by_key["made_ranking"]["reason"] == f"embeddings/{VECTORS} is not done"
    assert f"version of {VECTORS}" in by_key["made_ranking"]["what_changed"]


def test_a_ranking_is_repeated_from_both_results_that_its_manifest_names(dataset: Dataset):
    sealed = measured(dataset)["made_ranking"]
    repetition = Repetition(dataset, find_run(dataset, sealed.run_id), PROMPTS, Models(lambda spec, prompts: Letters()))
    assert [plate.verdict for plate in repetition.plates()] == ["identical", "identical"]


def test_the_sealed_rows_are_sound_and_a_rank_without_its_cosine_is_not(dataset: Dataset):
    sealed = measured(dataset)["made_ranking"]
    assert list(unsound_result(dataset.plate("plate-001"), sealed, {})) == []
    from atlas_resources.tables.ledgers import PLATES as TABLE
    from atlas_resources.tables.soundness import unsound_texts

    rows = rows_of(dataset, sealed).with_columns(cosine=pl.lit(None, pl.Float32))
    assert len(list(unsound_texts(rows, TABLE.frame([])))) == 3


def test_the_ui_shows_the_keywords_by_rank_and_escapes_them(dataset: Dataset):
    sealed = measured(dataset, "egret, ![x](http://example.org/a.png)")["made_ranking"]
    metadata = result_metadata(dataset.plate("plate-001"), sealed, is_reused=False)
    table = metadata["keywords"].text
    assert table.splitlines()[2].startswith("| 1 | ")
    assert "![x]" not in table
    assert r"!\[x\](http://example.org/a.png)" in table
    assert metadata["keyword_count"] == 2
    assert "lines" not in metadata


def test_a_preview_shows_at_most_sixteen_keywords_with_or_without_a_plate():
    many = [RankedKeyword(f"keyword {number}", 0.3, number, number, number + 1) for number in range(1, 31)]
    for image in (Image.new("RGB", (300, 200), "red"), None):
        picture = Image.open(io.BytesIO(ranking_card(image, many)))
        assert picture.height >= 17 * 16
    rows = pl.DataFrame(
        {"text_id": ["b", "a"], "text": ["two", "one"], "cosine": [0.1, 0.2], "rank": [2, 1], "rank_low": [1, 1],
         "rank_high": [2, 2], "top_ratio": [0.5, 1.0]}
    )  # fmt: skip
    assert ranking_table(rows).splitlines()[2:] == [
        "| 1 | one | 0.200 | 1 to 2 | 100% |",
        "| 2 | two | 0.100 | 1 to 2 | 50% |",
    ]


@pytest.mark.parametrize(
    ("text", "parsed_json", "expected"),
    [
        ("heron, a  white egret; owl.", None, ["heron", "a white egret", "owl"]),
        ("- heron\n* egret\n2. owl\n3) ibis", None, ["heron", "egret", "owl", "ibis"]),
        ("Heron, heron, HERON, owl", None, ["Heron", "owl"]),
        ("鷺、鶴，梟", None, ["鷺", "鶴", "梟"]),
        ("no. 5 plate", None, ["no. 5 plate"]),
        ("", None, []),
        ("ignored, too", '{"keywords": ["heron", "an owl, asleep", 3, " "]}', ["heron", "an owl, asleep"]),
        ("ignored", '{"other": ["heron"]}', []),
        ("ignored", '{"keywords": "heron"}', []),
    ],
)
def test_keywords_are_taken_as_they_were_written(text: str, parsed_json: str | None, expected: list[str]):
    assert keywords_of(text, parsed_json) == expected


def test_more_keywords_than_are_ranked_are_counted(dataset: Dataset):
    many = ", ".join(f"word {number}" for number in range(MOST_KEYWORDS + 3))
    sealed = measured(dataset, many)["made_ranking"]
    assert rows_of(dataset, sealed).height == MOST_KEYWORDS
    metadata = result_metadata(dataset.plate("plate-001"), sealed, is_reused=False)
    assert metadata["keyword_left_out_count"] == 3
