"""Views of the stages have usable answers of current runs alone, and candidates have figures that follow from rows."""

import datetime
from typing import Any

import numpy as np
import pytest
from support.made_catalogue import made_catalogue

from atlas_assets.roles.text.keywords import keywords_of
from atlas_resources.catalogue._view import create, literal
from atlas_resources.catalogue.texts import stages
from atlas_resources.catalogue.texts.candidates import STAGE_CANDIDATES

PLATES = [{"plate_id": f"plate-00{number}", "title": f"Title {number}"} for number in (1, 2, 3)]
NOON = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)


def answer(plate: int, instrument: str, form: str, text: str, **columns: Any) -> dict[str, Any]:
    row = {"plate_id": f"plate-00{plate}", "instrument": instrument, "run_id": f"run-{instrument}", "form": form}
    made = {"text_id": "answer-0001", "text": text, "raw_text": text, "status": "done", "scope": "plate", "attempt": 1}
    of_model = {"machine_made": True, "model_id": f"org/{instrument}", "model_sha": "0" * 40, "licence": "MIT"}
    return {**row, **made, **of_model, "is_current": True, **columns}


def ranked(plate: int, number: int, word: str, **columns: Any) -> dict[str, Any]:
    row = answer(plate, "ranker", "ranking", word, text_id=f"keyword-{number:04d}", status=None, raw_text=None)
    return {**row, "cosine": 0.2, "rank": number, "rank_low": 1, "rank_high": number, "top_ratio": 0.5, **columns}


def run(plate: int, instrument: str, minute: int = 0, **columns: Any) -> dict[str, Any]:
    row = {"plate_id": f"plate-00{plate}", "instrument": instrument, "run_id": f"run-{instrument}", "role": "text"}
    sealed = NOON + datetime.timedelta(minutes=minute + plate)
    return {**row, "sealed_at": sealed, "is_current": True, "licence": "MIT", "commercial_use": "yes", **columns}


TEXTS = [
    answer(1, "asker", "caption", "a heron", prompt_set="plate_caption", prompt_version=1),
    answer(2, "asker", "caption", "cut", status="cut_off"),
    answer(3, "asker", "caption", "older", is_current=False),
    answer(3, "asker", "caption", "of a segment", scope="segment", segment_id="mask-0001"),
    answer(1, "asker", "caption", "a place", text_id="answer-0001-region-0001", raw_text=None),
    answer(1, "describer", "description", "{}", parsed_json='{"subject":"a heron"}', is_valid=True),
    answer(2, "describer", "description", "not json", status="invalid", is_valid=False),
    answer(1, "words", "keywords", "Heron, water; heron, an egg."),
    answer(1, "words_json", "keywords", "-", parsed_json='{"keywords":["heron","nest"]}', is_valid=True),
    answer(2, "words", "keywords", "owl"),
    answer(2, "words_json", "keywords", "-", parsed_json='{"keywords":["Owl"]}', is_valid=True),
    answer(3, "words", "keywords", "fish"),
    ranked(1, 2, "water"),
    ranked(1, 1, "heron", cosine=0.3),
    ranked(1, 3, "older", is_current=False),
]


@pytest.fixture(scope="module")
def connection():
    runs = [run(plate, key) for plate in (1, 2, 3) for key in ("asker", "describer", "words", "words_json", "ranker")]
    with made_catalogue(plates=PLATES, texts=TEXTS, runs=runs) as made:
        for view in (*stages.VIEWS, STAGE_CANDIDATES):
            create(made, view)
        yield made


def test_captions_are_the_usable_ones_of_whole_plates_with_their_origin(connection):
    rows = connection.sql("FROM captions").to_arrow_table().to_pylist()
    (row,) = rows
    assert (row["plate_id"], row["title"], row["text"]) == ("plate-001", "Title 1", "a heron")
    assert (row["model_id"], row["model_sha"], row["licence"]) == ("org/asker", "0" * 40, "MIT")
    assert (row["prompt_set"], row["prompt_version"], row["machine_made"]) == ("plate_caption", 1, True)


def test_descriptions_have_their_fields(connection):
    query = "SELECT plate_id, parsed_json ->> '$.subject' FROM descriptions"
    assert connection.execute(query).fetchall() == [("plate-001", "a heron")]


def test_keywords_are_a_row_each_and_once(connection):
    query = (
        "SELECT keyword, position FROM keywords WHERE plate_id = 'plate-001' AND instrument = '{}' ORDER BY position"
    )
    assert connection.execute(query.format("words")).fetchall() == [("Heron", 1), ("water", 2), ("an egg", 4)]
    assert connection.execute(query.format("words_json")).fetchall() == [("heron", 1), ("nest", 2)]


@pytest.mark.parametrize(
    ("text", "parsed_json"),
    [
        ("heron, a  white egret; owl.", None),
        ("- heron\n* egret\n2. owl\n3) ibis\r\n• auk", None),
        ("鷺、鶴，梟；雁", None),
        ("no. 5 plate,, ,\t tab\there ,. , ... ", None),
        ("it's \\ a 'quote', 100 % [x] {y}", None),
        ("", None),
        ("a\u00a0b, \u3000c\u3000", None),
        ("x", '{"keywords": ["heron", "an owl, asleep", 3, " ", null, ["in"], "two  spaces"]}'),
        ("x", '{"keywords": []}'),
        ("x", '{"other": ["heron"]}'),
        ("x", '{"keywords": "heron"}'),
    ],
)
def test_sql_takes_the_same_keywords_as_the_ranking_does(text: str, parsed_json: str | None, connection):
    json_text = "NULL::VARCHAR" if parsed_json is None else literal(parsed_json)
    query = (
        f"SELECT {stages.keyword_list('text', 'parsed')} FROM (SELECT {literal(text)} AS text, {json_text} AS parsed)"
    )
    ((found,),) = connection.execute(query).fetchall()
    assert found == keywords_of(text, parsed_json)


def test_ranks_are_the_current_ones_under_the_names_that_analysts_ask_for(connection):
    query = "SELECT keyword, score, rank, rank_low, rank_high FROM keyword_ranks ORDER BY rank"
    assert connection.execute(query).fetchall() == [
        ("heron", pytest.approx(0.3), 1, 1, 1),
        ("water", pytest.approx(0.2), 2, 1, 2),
    ]


def test_agreement_is_the_mean_jaccard_index_over_plates_that_both_did(connection):
    """By hand: {heron, water, an egg} and {heron, nest} share 1 of 4; {owl} and {owl} all; the third plate has one."""
    query = (
        "SELECT instrument, keyword_agreement, keyword_candidate_count FROM stage_candidates WHERE stage = 'keywords'"
    )
    assert sorted(connection.execute(query).fetchall()) == [("words", 0.625, 1), ("words_json", 0.625, 1)]


def test_other_stages_have_no_agreement_and_no_rate(connection):
    query = "SELECT keyword_agreement, images_per_second_1 FROM stage_candidates WHERE instrument = 'describer'"
    assert connection.execute(query).fetchall() == [(None, None)]


def test_valid_json_is_a_share_of_the_attempts(connection):
    query = (
        "SELECT instrument, valid_ratio FROM stage_candidates WHERE stage IN ('description', 'caption') ORDER BY ALL"
    )
    assert connection.execute(query).fetchall() == [("asker", None), ("describer", 0.5)]


def timed(plate: int, seconds: float, tokens: int, run_id: str = "run-timed", **columns: Any) -> dict[str, Any]:
    cost = {"answer_seconds": seconds, "output_token_count": tokens, "peak_memory_bytes": int(seconds * 100)}
    return answer(plate, "timed", "caption", "x", run_id=run_id, **cost, **columns)


def candidates(texts: list[dict[str, Any]], runs: list[dict[str, Any]], **more: Any) -> list[dict[str, Any]]:
    with made_catalogue(plates=PLATES, texts=texts, runs=runs, **more) as made:
        create(made, STAGE_CANDIDATES)
        return made.sql("FROM stage_candidates").to_arrow_table().to_pylist()


def test_latency_is_of_warm_answers_and_tokens_per_second_of_their_sums():
    """The first answer by time of sealing, 9 s on plate-003, is cold. Left are 1, 2, 3 and 4 s with 40 tokens."""
    texts = [
        timed(3, 9.0, 1),
        timed(1, 1.0, 10),
        timed(1, 2.0, 10, text_id="answer-0002"),
        timed(2, 3.0, 10, status="invalid", is_valid=False),
        timed(2, 4.0, 10, text_id="answer-0001-attempt-2", attempt=2),
    ]
    runs = [run(3, "timed", -10), run(1, "timed"), run(2, "timed")]
    (row,) = candidates(texts, runs)
    assert (row["plates_done"], row["warm_count"], row["peak_memory_bytes"]) == (3, 4, 900)
    seconds = [1.0, 2.0, 3.0, 4.0]
    assert row["latency_p50_seconds"] == pytest.approx(np.quantile(seconds, 0.5))
    assert row["latency_p95_seconds"] == pytest.approx(np.quantile(seconds, 0.95))
    assert row["output_token_mean"] == 10
    assert row["tokens_per_second"] == pytest.approx(40 / 10)
    assert (row["question_count"], row["usable_ratio"]) == (4, 1)


def test_the_cold_answer_of_a_run_is_known_even_if_another_run_replaced_its_plate():
    texts = [timed(1, 9.0, 1, is_current=False), timed(2, 1.0, 10), timed(1, 8.0, 1, "run-again")]
    runs = [
        run(1, "timed", -10, is_current=False), run(2, "timed"), run(1, "timed", 5, run_id="run-again"),
    ]  # fmt: skip
    (row,) = candidates(texts, runs)
    assert (row["warm_count"], row["latency_p50_seconds"]) == (1, 1.0)


def test_rates_are_of_the_newest_benchmark_of_the_present_version():
    def measured(minute: int, fingerprint: str, **rates: float | None) -> list[dict[str, Any]]:
        at = NOON + datetime.timedelta(minutes=minute)
        common = {"instrument": "timed", "fingerprint": fingerprint, "measured_at": at, "file": f"{minute}"}
        return [{**common, "concurrency": int(n[1:]), "images_per_second": rate} for n, rate in rates.items()]

    benchmarks = [
        *measured(0, "now", _1=0.5, _2=0.9, _4=1.0),
        *measured(1, "now", _1=2.0, _2=None, _8=6.0),
        *measured(2, "older", _1=99.0),
    ]
    models = [{"instrument": "timed", "fingerprint": "now", "title": "Timed", "device": "cpu"}]
    (row,) = candidates([timed(1, 1.0, 1)], [run(1, "timed")], benchmarks=benchmarks, models=models)
    rates = [row[f"images_per_second_{number}"] for number in (1, 2, 4, 8)]
    assert rates == [2.0, None, None, 6.0]
    assert (row["title"], row["device"]) == ("Timed", "cpu")
