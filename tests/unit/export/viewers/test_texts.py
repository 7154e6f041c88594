"""Texts as Web Annotations: marked as a machine's, with their model, prompts, run, licence and place."""

import json
from typing import Any

import polars as pl
import pytest
from support.annotation_rules import faults

from atlas_resources.export.viewers.annotations import PlatePage
from atlas_resources.export.viewers.texts import LABELS, MOTIVATIONS, OUTLINE, is_published, text_pages, with_outlines
from atlas_resources.instruments.spec.output import TextOutput
from atlas_resources.tables.ledgers import MODELS
from atlas_resources.tables.results import INSTRUMENT_TABLES

PAGE = PlatePage("plate-001", "A ring", 90, 60, "https://example.org/plates/plate-001", "Public domain")
MARKUP = "<script>alert(1)</script>"
MODEL = {"machine_made": True, "licence": "Apache-2.0", "commercial_use": "yes", "run_id": "run-1"}
LINE = {
    **{**MODEL, "instrument": "ppocr_v6_small", "model_id": "PP-OCRv6_small", "model_sha": "rapidocr==3.10.0"},
    **{"text_id": "line-0001", "form": "transcription", "text": MARKUP, "score": 0.5},
    **{"quadrilateral": [10.0, 5.0, 50.0, 6.0, 49.5, 16.0, 9.5, 15.0]},
    **{"x_min": 9.5, "y_min": 5.0, "x_max": 50.0, "y_max": 16.0},
}
ANSWER = {
    **{**MODEL, "instrument": "qwen2_vl_2b", "model_id": "Qwen/Qwen2-VL-2B-Instruct", "model_sha": "895c3a4"},
    **{"text_id": "answer-0001", "form": "caption", "text": f"A ring {MARKUP}", "status": "done", "attempt": 1},
    **{"prompt_set": "plate_caption", "prompt_version": 1, "prompt_id": "caption", "raw_text": "A ring"},
}


def frame(*rows: dict[str, Any]) -> pl.DataFrame:
    return INSTRUMENT_TABLES["text"].frame([{"plate_id": PAGE.plate_id, **row} for row in rows])


def pages_of(*rows: dict[str, Any], outline: str | None = None) -> dict[str, dict[str, Any]]:
    found = text_pages(PAGE, frame(*rows).with_columns(pl.lit(outline, pl.String).alias(OUTLINE)))
    assert [fault for page in found.values() for fault in faults(page)] == []
    return found


def annotations(row: dict[str, Any], **changed: object) -> list[dict[str, Any]]:
    (page,) = pages_of({**row, **changed}).values()
    return page["items"]


class TestLine:
    def test_it_supplements_the_canvas_and_names_the_model_its_revision_run_and_licence(self):
        (found,) = annotations(LINE)
        assert found["motivation"] == "supplementing"
        name = "PP-OCRv6_small at rapidocr==3.10.0 (ppocr_v6_small); run run-1; licence Apache-2.0; machine-made"
        assert found["generator"] == {"type": "Software", "name": name}
        assert found["target"]["source"] == PAGE.canvas

    def test_the_text_is_plain_and_the_facts_say_that_a_machine_made_it_and_under_which_licence(self):
        ((text, facts),) = [found["body"] for found in annotations(LINE, language="eng")]
        assert text == {
            **{"type": "TextualBody", "purpose": "supplementing", "format": "text/plain"},
            **{"value": MARKUP, "language": "eng"},
        }
        assert "language" not in annotations(LINE)[0]["body"][0]
        lines = facts["value"].splitlines()
        for line in ("machine_made: True", "licence: Apache-2.0", "commercial_use: yes", "score: 0.5"):
            assert line in lines

    def test_its_place_is_a_polygon_and_a_box_in_pixels_of_the_canvas(self):
        svg, box = annotations(LINE)[0]["target"]["selector"]
        assert svg["value"] == (
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 90 60">'
            '<path fill-rule="evenodd" d="M10,5 L50,6 L49.5,16 L9.5,15 Z"/></svg>'
        )
        assert box["value"] == "xywh=9.5,5,40.5,11"


class TestAnswer:
    def test_a_caption_describes_the_whole_canvas_and_names_its_prompts(self):
        (found,) = annotations(ANSWER)
        assert (found["motivation"], found["target"]) == ("describing", PAGE.canvas)
        assert found["generator"]["name"] == (
            "Qwen/Qwen2-VL-2B-Instruct at 895c3a4 (qwen2_vl_2b); prompts plate_caption v1; run run-1; "
            "licence Apache-2.0; machine-made"
        )
        text, facts = found["body"]
        assert (text["format"], text["value"]) == ("text/plain", f"A ring {MARKUP}")
        assert {"machine_made: True", "prompt_set: plate_caption", "prompt_version: 1", "attempt: 1"} <= set(
            facts["value"].splitlines()
        )

    def test_each_keyword_is_a_tag(self):
        found = annotations(ANSWER, form="keywords", text=f"snow bunting, winter; {MARKUP}\n- Winter.")
        assert [one["motivation"] for one in found] == ["tagging"] * 3
        assert [one["body"][0]["value"] for one in found] == ["snow bunting", "winter", MARKUP]
        assert {one["body"][0]["purpose"] for one in found} == {"tagging"}
        assert [one["id"].partition("#")[2] for one in found] == [
            f"qwen2_vl_2b-answer-0001-keyword-0{number}" for number in (1, 2, 3)
        ]

    def test_a_structured_description_is_a_line_for_each_field(self):
        parsed = {"subject": MARKUP, "colours": ["red", "blue, pale"], "confidence": "low", "certain": None}
        (found,) = annotations(ANSWER, form="description", text="{...}", parsed_json=json.dumps(parsed))
        assert found["motivation"] == "describing"
        assert found["body"][0]["value"] == (
            f"subject: {MARKUP}\ncolours: red; blue, pale\nconfidence: low\ncertain: null"
        )

    def test_a_text_about_a_segment_is_on_its_polygons_and_its_box(self):
        box = {"x_min": 0.0, "y_min": 0.0, "x_max": 20.0, "y_max": 30.0}
        row = {**ANSWER, **box, "quadrilateral": [0.0, 0, 20, 0, 20, 30, 0, 30], "segment_id": "mask-0001"}
        ring = '{"type": "MultiPolygon", "coordinates": [[[[1, 1], [19, 1], [19, 29], [1, 1]]]]}'
        for outline, shape in (
            (ring, '<path fill-rule="evenodd" d="M1,1 L19,1 L19,29 Z"/>'),
            (None, '<path fill-rule="evenodd" d="M0,0 L20,0 L20,30 L0,30 Z"/>'),
        ):
            (found,) = pages_of(row, outline=outline)["answers.json"]["items"]
            svg, place = found["target"]["selector"]
            assert shape in svg["value"]
            assert place["value"] == "xywh=0,0,20,30"

    def test_what_was_read_and_what_was_written_are_pages_of_their_own_that_say_so(self):
        pages = pages_of(LINE, ANSWER)
        assert {name: page["label"]["en"] for name, page in pages.items()} == {
            name: [label] for name, label in LABELS.items()
        }
        assert all("by a machine" in label for label in LABELS.values())

    def test_every_form_of_text_has_a_motivation(self):
        """A ranking orders keywords that are tags already."""
        forms: Any = TextOutput.model_fields["form"].annotation
        assert set(MOTIVATIONS) == set(forms.__args__) - {"ranking"}


class TestPublished:
    def ids(self, *rows: dict[str, Any]) -> list[str]:
        numbered = [{**row, "text_id": row.get("text_id") or f"t-{number}"} for number, row in enumerate(rows)]
        return frame(*numbered).filter(is_published())["text_id"].to_list()

    @pytest.mark.parametrize(
        "changed",
        [{"status": "cut_off"}, {"status": "invalid"}, {"status": "empty"}, {"text": " \n"}],
        ids=lambda changed: next(iter(changed.values())).strip() or "blank",
    )
    def test_an_answer_that_is_not_usable_is_not_published(self, changed):
        assert self.ids({**ANSWER, **changed}) == []
        assert self.ids(ANSWER) == ["answer-0001"]

    def test_a_line_below_the_threshold_is_not_published_and_one_without_a_threshold_is(self):
        rows = [{**LINE, "text_id": f"line-{one}", "is_above_threshold": one} for one in (True, False, None)]
        assert self.ids(*rows) == ["line-True", "line-None"]

    def test_a_ranking_is_not_published(self):
        assert self.ids(ANSWER, {**ANSWER, "form": "ranking"}) == ["answer-0001"]

    def test_an_answer_whose_words_have_places_is_published_at_these_alone(self):
        whole = {**ANSWER, "form": "regions"}
        parts = [{**whole, "text_id": f"answer-0001-region-000{number}"} for number in (1, 2)]
        other = {**whole, "instrument": "other"}
        assert self.ids(whole, *parts, other) == ["answer-0001-region-0001", "answer-0001-region-0002", "answer-0001"]


def test_polygons_are_those_of_the_segments_that_were_shown():
    """Two segmenters have a segment of the same name; the describer reads the kept segments of the first."""
    reads = {"a_polygons": "a_kept", "a_said": "a_kept", "b_polygons": "b_kept", "b_said": "b_kept"}
    models = MODELS.frame([{"instrument": one, "upstream": other} for one, other in reads.items()])
    place = {"plate_id": "plate-001", "segment_id": "mask-0001"}
    outlines = INSTRUMENT_TABLES["outline"].frame(
        [{**place, "instrument": f"{one}_polygons", "multipolygon": f"of {one}"} for one in ("b", "a")]
    )
    texts = frame({**ANSWER, **place, "instrument": "a_said"}, {**ANSWER, "instrument": "a_said", "text_id": "whole"})
    found = with_outlines(texts, outlines, models)
    assert dict(found.select("text_id", OUTLINE).iter_rows()) == {"answer-0001": "of a", "whole": None}
