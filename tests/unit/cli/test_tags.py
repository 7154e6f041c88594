"""`atlas tags add`, `import` and `list`."""

import json

import pytest
from typer.testing import CliRunner

from atlas_assets.cli.app import app
from atlas_resources.tags.log import LOG


@pytest.fixture(autouse=True)
def home(dataset, monkeypatch):
    monkeypatch.setenv("ATLAS_HOME", str(dataset.root))


def atlas(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["tags", *arguments])
    return result.exit_code, result.output


def test_a_tag_is_entered_with_its_person_and_listed_as_it_is(dataset):
    code, output = atlas("add", "plate-001", "--tag", "hand [b]coloured", "--note", "in\x1b[31mk", "--by", "A. Person")
    assert code == 0
    assert output.startswith("entry 1: 1 judgement by A. Person\n")
    assert "atlas run @ledgers" in output
    (line,) = atlas("list")[1].splitlines()
    assert line.startswith("1  ")
    assert line.endswith("UTC  plate-001: tag hand [b]coloured (in [31mk) - A. Person")
    (one,) = json.loads(atlas("list", "--json")[1])
    assert (one["person"], one["tag"], one["note"]) == ("A. Person", "hand [b]coloured", "in\x1b[31mk")


def test_the_list_has_what_stands_and_with_all_what_was_said_before(dataset):
    atlas("add", "plate-001", "--tag", "torn", "--by", "A. Person")
    atlas("add", "plate-002", "--tag", "torn", "--by", "A. Person")
    assert atlas("add", "plate-001", "--tag", "torn", "--retract", "--by", "A. Person")[0] == 0
    assert len(atlas("list")[1].splitlines()) == 1
    assert len(atlas("list", "--all")[1].splitlines()) == 3
    assert "nobody judged anything" in atlas("list", "plate-003")[1]


def test_a_selection_is_entered_whole_or_not_at_all(dataset, tmp_path):
    file = tmp_path / "marks.csv"
    file.write_text("plate_id,tag\nplate-001,torn\nplate-2,torn\n")
    code, output = atlas("import", str(file))
    assert code == 1
    assert f"{file}, line 3: no plate 'plate-2'" in output
    assert LOG.read(dataset.root) == ()
    file.write_text("plate_id,tag\nplate-001,torn\nplate-002,torn\n")
    assert atlas("import", str(file), "--by", "A. Person")[0] == 0
    (entry,) = LOG.read(dataset.root)
    assert [one.plate_id for one in entry.content.judgements] == ["plate-001", "plate-002"]
    file.write_text("plate_id,tag\nplate-001,torn\nplate-003,torn\n")
    assert "entry 2: 1 judgement by A. Person, 1 stood already" in atlas("import", str(file), "--by", "A. Person")[1]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("add", "plate-001"), "expected what you judge, found nothing"),
        (("add", "plate-001", "--text", "line-0001", "--accept", "--reject"), "expected one of --accept"),
        (("add", "plate-001", "--accept"), "a plate takes a tag"),
        (("add", "plate-001", "--text", "line-0001", "--accept"), "there are no texts of plate-001 in the ledgers"),
        (("add", "plate-001", "--tag", "x", "--by", "y" * 201), "person: String should have at most 200 characters"),
    ],
)
def test_what_means_nothing_is_refused(dataset, arguments, error):
    code, output = atlas(*arguments)
    assert code == 1
    assert error in output
    assert LOG.read(dataset.root) == ()


def test_a_broken_log_is_named_with_the_file(dataset):
    atlas("add", "plate-001", "--tag", "torn")
    (path,) = LOG.paths(dataset.root)
    path.write_text(path.read_text().replace("torn", "worn"))
    for command in (("list",), ("add", "plate-002", "--tag", "torn")):
        code, output = atlas(*command)
        assert code == 1
        assert path.name in output
