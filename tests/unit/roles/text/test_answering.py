"""Each question and attempt becomes a row; what is not usable is kept, marked, and read by nothing."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image
from support.made_answers import PROMPTS, Says, loads, pins_of, said, schema_prompt, text_registry, text_spec
from support.made_datasets import make_dataset
from support.made_results import build_ledgers, measure

from atlas_assets.graph.checks.ledgers import build_ledger_checks
from atlas_assets.roles.declared import ContractBroken
from atlas_assets.roles.text.answering import AnsweringWork
from atlas_assets.roles.text.earlier import NothingToFillIn
from atlas_assets.roles.text.verdicts import verdict_on
from atlas_assets.ui.texts import answers_card, text_table
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.instruments.texts.json_schemas import canonical, sha256_of
from atlas_resources.models.protocols import Question, TextLine
from atlas_resources.plates.dataset import Dataset
from atlas_resources.resources import DatasetResource
from atlas_resources.runs.stages import Stopwatch
from atlas_resources.runs.upstream import require_sealed

DESCRIBED = {
    "subject": "a heron",
    "medium": "engraving",
    "composition": "one bird at the centre",
    "colours": ["blue", "white"],
    "visible_text": ["Ardea"],
    "confidence": "high",
}


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Two plates of 400 x 300 and 300 x 420 px."""
    return make_dataset(tmp_path, "red", "green")


def measured(dataset: Dataset, spec: Spec, model: Says, upstream: Any = None) -> Any:
    work = AnsweringWork(spec, loads(model))
    work.load()
    (found,) = work.measure([work.prepare(dataset.plate("plate-001"), upstream, Stopwatch())])
    return found


def test_a_caption_is_a_row_that_says_how_it_came_about(dataset: Dataset):
    model = Says(said("a heron", image_grid=(1, 6, 10), prompt_token_count=7))
    found = measured(dataset, text_spec("captioner"), model)
    (row,) = found.rows.to_dicts()
    expected = {
        "text_id": "answer-0001", "machine_made": True, "form": "caption", "scope": "plate", "text": "a heron",
        "script": "Latn", "status": "done", "attempt": 1, "finish_reason": "stop", "raw_text": "a heron</s>",
        "parsed_json": None, "is_valid": None, "question_sha256": None, "prompt_set": None, "sent_width_px": 48,
        "sent_height_px": 36, "image_grid": [1, 6, 10], "prompt_token_count": 7, "output_token_count": 4,
        "answer_seconds": 0.5, "quadrilateral": None, "segment_id": None,
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected
    assert model.shown == [(300, 400, 3)]
    assert found.metrics["tokens_per_second"] == 8.0
    assert (found.metrics["answer_count"], found.metrics["first_answer"]) == (1, "a heron")


def test_each_prompt_is_asked_and_recorded(dataset: Dataset):
    spec = text_spec("asker", "answer", prompts=pins_of("plate_caption_v1", "plate_description_v1"))
    prompts = PROMPTS.asked(spec.prompts or [])
    model = Says(said("a heron"), said(json.dumps(DESCRIBED)), prompts=prompts)
    rows = measured(dataset, spec, model).rows
    assert [question.text for question in model.asked] == [prompt.text for prompt in prompts]
    assert rows.select("text_id", "prompt_set", "prompt_id", "question_sha256").rows() == [
        ("answer-0001", "plate_caption", "caption", sha256_of(prompts[0].text)),
        ("answer-0002", "plate_description", "description", sha256_of(prompts[1].text)),
    ]


def test_an_answer_at_the_limit_is_cut_off_and_not_short(dataset: Dataset):
    found = measured(dataset, text_spec("captioner"), Says(said("a heron on the", "length")))
    assert found.rows["status"].to_list() == ["cut_off"]
    assert found.rows["text"].to_list() == ["a heron on the"]
    assert (found.metrics["answer_count"], found.metrics["cut_off_count"]) == (0, 1)
    assert found.metrics["first_answer"] is None


def test_each_attempt_is_a_row_and_the_first_usable_one_ends_them(dataset: Dataset):
    prompt = schema_prompt()
    broken, right = f"```json\n{json.dumps(DESCRIBED)}\n```", json.dumps(DESCRIBED)
    model = Says(said(broken), said('{"subject": "a heron"}'), said(right), said("never"), prompts=[prompt])
    parameters = {"max_new_tokens": 8, "temperature": 0.7, "attempts": 5}
    found = measured(dataset, text_spec("asker", "description", parameters=parameters), model)
    assert found.rows.select("text_id", "attempt", "status", "is_valid", "parsed_json").rows() == [
        ("answer-0001", 1, "invalid", False, None),
        ("answer-0001-attempt-2", 2, "invalid", False, '{"subject":"a heron"}'),
        ("answer-0001-attempt-3", 3, "done", True, canonical(DESCRIBED)),
    ]
    assert found.rows["text"].to_list()[0] == broken  # nothing is repaired
    assert [question.attempt for question in model.asked] == [1, 2, 3]
    assert found.metrics["valid_ratio"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (json.dumps(DESCRIBED), "done"),
        (json.dumps({**DESCRIBED, "confidence": "certain"}), "invalid"),
        (json.dumps({**DESCRIBED, "artist": "Audubon"}), "invalid"),
        (json.dumps(DESCRIBED)[:-1], "invalid"),
        (json.dumps(DESCRIBED)[:-1] + ', "subject": "two herons"}', "invalid"),
        (f"[{json.dumps(DESCRIBED)}]", "invalid"),
        ('{"subject": NaN}', "invalid"),
        ("[" * 100_000, "invalid"),
        ("", "invalid"),
    ],
)
def test_only_an_object_that_follows_the_schema_is_valid(text: str, expected: str):
    found = verdict_on(said(text), Question(schema_prompt(), "?"), "description")
    assert (found.status, found.is_valid) == (expected, expected == "done")


def test_nothing_written_is_an_answer_only_where_there_may_be_nothing_to_read():
    assert verdict_on(said(" "), Question(), "caption").status == "empty"
    assert verdict_on(said(""), Question(), "transcription").status == "done"


def region(text: str, *corners: tuple[float, float]) -> TextLine:
    return TextLine(text, None, np.array(corners, np.float64))


HERON = region("a heron", (10, 20), (110, 20), (110, 220), (10, 220))


def test_regions_of_an_answer_are_rows_with_places(dataset: Dataset):
    model = Says(said("a heron\nreeds", regions=(HERON, region("reeds", (200, 0), (300, 10), (290, 90), (200, 80)))))
    found = measured(dataset, text_spec("finder", "regions"), model)
    assert found.rows.select("text_id", "text", "x_min", "y_min", "x_max", "y_max").rows() == [
        ("answer-0001", "a heron\nreeds", None, None, None, None),
        ("answer-0001-region-0001", "a heron", 10.0, 20.0, 110.0, 220.0),
        ("answer-0001-region-0002", "reeds", 200.0, 0.0, 300.0, 90.0),
    ]
    assert found.rows["raw_text"].to_list()[1:] == [None, None]
    assert found.metrics["region_count"] == 2


def test_a_region_without_a_finite_place_breaks_the_contract(dataset: Dataset):
    model = Says(said("x", regions=(region("x", (0, 0), (1, float("nan")), (1, 1), (0, 1)),)))
    with pytest.raises(ContractBroken, match="four finite corners"):
        measured(dataset, text_spec("finder", "regions"), model)


def keywords_spec(**changes: Any) -> Spec:
    prompts = pins_of("plate_keywords_v1")
    return text_spec("keywords", "keywords", upstream="captioner", prompts=prompts, **changes)


def sealed_caption(dataset: Dataset, *answers: Any) -> Any:
    registry = text_registry(text_spec("captioner"), keywords_spec())
    work = AnsweringWork(text_spec("captioner"), loads(Says(*answers)))
    assert measure(dataset, registry, "captioner", work, ["plate-001"]) == ["complete"]
    return require_sealed(dataset.plate("plate-001"), registry.instruments["captioner"])


def test_a_question_takes_in_the_sealed_answer_of_the_stage_before(dataset: Dataset):
    """Once: braces in a caption are the caption's own words."""
    sealed = sealed_caption(dataset, said("a heron\n{caption} {keywords}"))
    spec = keywords_spec()
    model = Says(said("heron, reeds"), prompts=PROMPTS.asked(spec.prompts or []))
    (row,) = measured(dataset, spec, model, sealed).rows.to_dicts()
    (prompt,) = model.prompts
    words = prompt.text.replace("{caption}", "a heron {caption} {keywords}")
    assert [question.text for question in model.asked] == [words]
    assert row["question_sha256"] == sha256_of(words)
    assert row["prompt_sha256"] == prompt.sha256 == sha256_of(prompt.text)


@pytest.mark.parametrize("caption", [said("a heron on", "length"), said("")])
def test_a_stage_fails_where_the_stage_before_has_no_usable_answer(dataset: Dataset, caption: Any):
    sealed = sealed_caption(dataset, caption)
    spec = keywords_spec()
    model = Says(said("heron"), prompts=PROMPTS.asked(spec.prompts or []))
    with pytest.raises(NothingToFillIn, match=r"plate-001: expected a usable text of captioner, found (cut_off|empty)"):
        measured(dataset, spec, model, sealed)
    assert model.asked == []


def test_answers_are_sound_rows_of_the_ledger(dataset: Dataset):
    spec = text_spec("finder", "regions")
    registry = text_registry(spec)
    model = Says(said("a heron", regions=(HERON,)))
    assert measure(dataset, registry, "finder", AnsweringWork(spec, loads(model))) == ["complete"] * 2
    rows = build_ledgers(dataset, registry)["texts"]
    assert rows.height == 4
    assert rows["machine_made"].all()
    checks = {
        check.check_specs and next(iter(check.check_specs)).name: check for check in build_ledger_checks(registry)
    }
    sound: Any = checks["texts_are_sound"]
    assert sound(DatasetResource(root=str(dataset.root))).passed


def test_free_text_is_shown_as_it_is():
    text = "![x](http://example.org/track.png) | <script>alert(1)</script>\n# heading"
    rows = pl.DataFrame(
        {
            "text_id": ["answer-0001"],
            "text": [text],
            "score": [None],
            "is_above_threshold": [None],
            "status": ["cut_off"],
        }
    )
    table = text_table(rows)
    assert len(table.splitlines()) == 3
    assert r"!\[x\](http" in table
    assert r"\<script\>" in table
    assert table.endswith("| cut_off |")


def test_the_preview_shows_the_answer_beside_the_plate():
    plate = Image.new("RGB", (400, 300), (200, 180, 150))
    short, long = (answers_card(plate, [("answer-0001", "heron " * count)]) for count in (1, 40))
    pictures = [np.asarray(Image.open(io.BytesIO(card)).convert("L")) for card in (short, long)]
    assert pictures[0].shape == pictures[1].shape
    ink = [int((picture[:, 410:] < 120).sum()) for picture in pictures]
    assert 0 < ink[0] < ink[1]


def test_a_model_that_answers_nothing_is_refused(dataset: Dataset):
    work = AnsweringWork(text_spec("captioner"), loads(object()))
    with pytest.raises(ContractBroken, match="expected a Describer, found object"):
        work.load()
