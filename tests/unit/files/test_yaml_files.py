"""A folder of YAML files becomes contracts, and problems by file and field."""

from pathlib import Path

from pydantic import Field

from atlas_resources.files.contract import Contract
from atlas_resources.files.yaml_files import FileProblem, read_folder, read_yaml


class Bird(Contract):
    """What the files here hold."""

    name: str
    wings: int = Field(default=2, ge=0)


def write(folder: Path, **texts: str) -> Path:
    for stem, text in texts.items():
        (folder / f"{stem}.yaml").write_text(text, encoding="utf-8")
    return folder


def test_a_file_becomes_its_contract(tmp_path: Path):
    write(tmp_path, heron="name: Heron\n")
    assert read_yaml(tmp_path / "heron.yaml", Bird) == Bird(name="Heron", wings=2)


def test_every_problem_of_a_file_is_reported(tmp_path: Path):
    write(tmp_path, heron="wings: -1\ncolour: blue\n")
    assert read_yaml(tmp_path / "heron.yaml", Bird) == [
        FileProblem("heron.yaml", "name", "nothing", "field required"),
        FileProblem("heron.yaml", "wings", "-1", "input should be greater than or equal to 0"),
        FileProblem("heron.yaml", "colour", "'blue'", "no field of this name"),
    ]


def test_a_problem_reads_as_one_line():
    problem = FileProblem("heron.yaml", "wings", "-1", "input should be greater than or equal to 0")
    assert str(problem) == "heron.yaml: wings: found -1, expected input should be greater than or equal to 0"


def test_a_missing_file_is_a_problem(tmp_path: Path):
    (problem,) = read_problems(tmp_path / "heron.yaml")
    assert str(problem) == "heron.yaml: (file): found No such file or directory, expected a file that can be read"


def test_a_repeated_key_is_a_problem(tmp_path: Path):
    (problem,) = read_problems(write(tmp_path, heron="name: Heron\nname: Egret\n") / "heron.yaml")
    assert problem.expected == "YAML with each key once"
    assert "repeated key 'name'" in problem.found


def read_problems(path: Path) -> list[FileProblem]:
    read = read_yaml(path, Bird)
    assert isinstance(read, list)
    return read


def test_a_folder_becomes_records_and_problems_by_stem(tmp_path: Path):
    write(tmp_path, heron="name: Heron", egret="name: Egret", ibis="name: 3", rail="name: [", notes="free text")
    write(tmp_path).joinpath("recorded.json").write_text("{}")
    (tmp_path / "older").mkdir()
    write(tmp_path / "older", auk="name: Auk")
    records, problems = read_folder(tmp_path, Bird, skip=("notes.yaml",))
    assert list(records.items()) == [("egret", Bird(name="Egret")), ("heron", Bird(name="Heron"))]
    assert list(problems) == ["ibis", "rail"]
    assert problems["ibis"] == [FileProblem("ibis.yaml", "name", "3", "input should be a valid string")]
    assert [problem.expected for problem in problems["rail"]] == ["YAML with each key once"]


def test_a_folder_that_does_not_exist_has_no_files(tmp_path: Path):
    assert read_folder(tmp_path / "missing", Bird) == ({}, {})
