"""Repeated texts are identical, have the same fields with other values, or are different; their cost is no part."""

import json
from typing import Any

import polars as pl
import pytest

from atlas_assets.reproduction.comparison import compare_rows
from atlas_assets.reproduction.verdicts import describe
from atlas_resources.instruments.fast_modes import EXACT_TOLERANCE, tolerance_of
from atlas_resources.instruments.spec.numeric import Numeric
from atlas_resources.plates.records.reproduction import ColumnDifference
from atlas_resources.tables.table import frame_of
from atlas_resources.tables.text_columns import ANSWER, TEXT


def answer(text: str, **more: Any) -> dict[str, Any]:
    return {"text_id": "answer-0001", "text": text, "raw_text": f"{text}</s>", "status": "done", **more}


def structured(**fields: str) -> dict[str, Any]:
    text = json.dumps(fields, sort_keys=True)
    return answer(text, parsed_json=text, is_valid=True)


def rows(row: dict[str, Any]) -> pl.DataFrame:
    return frame_of((*TEXT, *ANSWER), [row])


def compared(sealed: dict[str, Any], repeated: dict[str, Any]) -> list[ColumnDifference]:
    return list(compare_rows("text", rows(sealed), rows(repeated), EXACT_TOLERANCE).differences)


def test_the_same_text_is_identical_whatever_it_cost():
    quick, slow = (answer("a heron", answer_seconds=s, peak_memory_bytes=b) for s, b in ((0.5, 10), (9.0, 20)))
    assert compared(quick, slow) == []


def test_another_text_is_different():
    (found,) = compared(answer("a heron"), answer("an egret"))
    assert (found.column, found.measure, found.tolerance) == ("text", "unequal_rows", 0)


def test_the_same_fields_with_other_values_are_told_apart_from_other_fields():
    before = structured(subject="a heron", medium="engraving", confidence="high", composition="centred")
    (found,) = compared(
        before, structured(subject="an egret", medium="engraving", confidence="high", composition="centred")
    )
    assert (found.column, found.measure, found.largest, found.tolerance) == ("parsed_json", "field_ratio", 0.25, 0)
    assert describe(found) == "parsed_json: the same fields, share with other values 0.25 in answer-0001, at most 0"
    (found,) = compared(before, structured(subject="a heron"))
    assert (found.column, found.measure) == ("parsed_json", "unequal_rows")
    assert compared(before, before) == []


def test_an_instrument_may_allow_other_values():
    numeric = Numeric(dtype="float32", device="cpu", tolerance={"field_ratio": 0.5})
    before, after = structured(subject="a heron", medium="oil"), structured(subject="an egret", medium="oil")
    comparison = compare_rows("text", rows(before), rows(after), tolerance_of(numeric))
    assert len(comparison.differences) == 1
    assert comparison.beyond == ()


@pytest.mark.parametrize(("name", "other"), [("status", "cut_off"), ("finish_reason", "length"), ("attempt", 2)])
def test_what_became_of_an_answer_is_compared(name: str, other: Any):
    (found,) = compared(answer("a heron"), answer("a heron") | {name: other})
    assert found.column == name
