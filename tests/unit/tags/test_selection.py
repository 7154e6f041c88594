"""Selections are read from CSV and JSON, whole or not at all, and what is wrong is named with its line."""

import json

import pytest

from atlas_resources.tags.log import TagRefused
from atlas_resources.tags.selection import Wanted, read_selection, wanted_of


@pytest.fixture
def file(tmp_path):
    def write(text: str, name: str = "marks.csv"):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name

    return write


def test_a_list_of_plates_with_a_tag(file):
    path = file("\ufeffplate_id,tag\nplate-001,hand-coloured\n\nplate-002, torn \n")
    assert read_selection(path) == [
        Wanted("plate-001", "plates", "tag", tag="hand-coloured", where=f"{path}, line 2"),
        Wanted("plate-002", "plates", "tag", tag="torn", where=f"{path}, line 4"),
    ]


def test_rows_are_named_by_their_ids_or_by_table_and_row(file):
    text = 'plate_id,text_id,table,row_id,space,judgement,corrected,note\np1,line-0001,,,,corrected,"Snow, Bunting",\n'
    first, second, third = read_selection(
        file(f"{text}p1,,segments,mask-0001,,rejected,,a stain\np1,,,,clip,accepted,,\n")
    )
    assert (first.table, first.row_id, first.corrected) == ("texts", "line-0001", "Snow, Bunting")
    assert (second.table, second.row_id, second.judgement, second.note) == (
        "segments",
        "mask-0001",
        "rejected",
        "a stain",
    )
    assert (third.table, third.space, third.judgement) == ("plate_spaces", "clip", "accepted")


def test_json_is_a_list_or_one_under_judgements(file):
    rows = [
        {"plate_id": "p1", "tag": "torn", "note": None},
        {"plate_id": "p1", "space": "clip", "cluster": 3, "corrected": "none"},
    ]
    bare = read_selection(file(json.dumps(rows), "marks.json"))
    assert [(one.tag, one.cluster, one.judgement) for one in bare] == [("torn", None, "tag"), (None, 3, "corrected")]
    kept = read_selection(file(json.dumps({"judgements": rows}), "marks.json"))
    assert kept == bare


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("plate_id,tga\np1,torn\n", r"line 2: 'tga' is no column.*Did you mean tag\?"),
        ("plate_id,tag\np1,torn\np2\n", "line 3: expected 2 cells, found 1"),
        ("plate_id,tag\np1,torn\n,torn\n", "line 3: plate_id: expected a plate, found none"),
        ("plate_id,tag\np1,\n", "line 2: tag: expected a word, found none"),
        ("plate_id,tag\n", "expected at least one row"),
        ("plate_id,tag,tag\np1,a,b\n", "line 1: a column is named twice"),
        ('plate_id,tag\np1,"torn\n', "line 2: "),
        ("plate_id,text_id,judgement\np1,line-0001,acepted\n", r"'acepted' is no judgement.*Did you mean accepted\?"),
        ("plate_id,text_id,judgement\np1,line-0001,corrected\n", "line 2: corrected: expected a value"),
        (
            "plate_id,text_id,segment_id,judgement\np1,a,b,accepted\n",
            "expected one row, found segment_id 'b' and text_id 'a'",
        ),
        ("plate_id,row_id,tag\np1,mask-0001,torn\n", "row_id: expected none for plates, found 'mask-0001'"),
        ("plate_id,text_id,row_id,judgement\np1,a,b,accepted\n", "expected one row, found text_id 'a' and row_id 'b'"),
        ("plate_id,text_id,table,judgement\np1,a,segments,accepted\n", "table: expected texts, which has text_id 'a'"),
        ("plate_id,judgement\np1,accepted\n", "a plate takes a tag"),
        ("plate_id,table,judgement\np1,texts,accepted\n", "row_id: expected the id of a row of texts, found none"),
        ("plate_id,space,corrected\np1,clip,blue\n", "expected the number of a cluster, or none, found 'blue'"),
        (f"plate_id,tag\np1,{'x' * 101}\n", "tag: expected at most 100 printable"),
        ("plate_id,tag\np1,a\x1b[31m\n", "printable characters"),
    ],
)
def test_what_means_nothing_is_named_with_its_line(file, text, error):
    with pytest.raises(TagRefused, match=error):
        read_selection(file(text))


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[{", r"marks\.json, line 1: "),
        ("{}", "expected a list of objects"),
        ("[1]", "object 1: expected an object, found int"),
        ('[{"plate_id": "p1", "tag": ["a"]}]', "object 1: tag: expected text or a number, found list"),
        ('[{"plate_id": "p1", "tag": true}]', "object 1: tag: expected text or a number, found bool"),
    ],
)
def test_json_that_means_nothing_is_named_with_its_object(file, text, error):
    with pytest.raises(TagRefused, match=error):
        read_selection(file(text, "marks.json"))


def test_other_files_and_bytes_are_refused(file, tmp_path):
    with pytest.raises(TagRefused, match=r"ends with \.csv or \.json"):
        read_selection(file("plate_id,tag", "marks.xlsx"))
    with pytest.raises(TagRefused, match="cannot be read"):
        read_selection(tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes(b"plate_id,tag\np1,caf\xe9\n")
    with pytest.raises(TagRefused, match="expected UTF-8, found byte 0xe9"):
        read_selection(tmp_path / "latin.csv")


def test_a_correction_needs_no_word_for_it():
    assert wanted_of({"plate_id": "p1", "text_id": "line-0001", "corrected": "Bunting"}).judgement == "corrected"
