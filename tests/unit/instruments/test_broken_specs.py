"""What is wrong in a spec is said as file, field, found and expected; the other specs still load."""

from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from support.made_specs import (
    ADMITTED,
    PROJECT,
    WRITTEN,
    WRONG,
    FieldPath,
    content_of,
    copy_of_project,
    paths_of,
    project_spec,
    with_field,
    without_field,
    write_spec,
)

from atlas_resources.files.yaml_files import FileProblem
from atlas_resources.instruments.loader_table import LOADERS
from atlas_resources.instruments.registry import read_registry, read_spec
from atlas_resources.instruments.roster import ROSTER_NAME
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.instruments.spec.weights import RepositoryWeights

WEIGHTS = {"hub", "library", "git", "wheel", "system", "algorithm"}
OUTPUTS = {"vector", "scores", "masks", "boxes", "text", "image"}
UNION_TAGS = WEIGHTS | OUTPUTS  # pydantic names the variant in the location

# The first spec of the project that has a field stands for it.
SPEC_WITH_FIELD: dict[FieldPath, str] = {}
for key in WRITTEN:
    content = content_of(key)
    for path in paths_of(content):
        variant = (content[path[0]]["kind"],) if path[0] in {"weights", "output"} and content[path[0]] else ()
        SPEC_WITH_FIELD.setdefault((*variant, "|", *path), key)
del SPEC_WITH_FIELD["|", "configuration"]  # WRONG is a mapping, as a configuration is
del SPEC_WITH_FIELD["|", "served", "flags"]  # likewise


def problems_of(path: Path) -> list[FileProblem]:
    read = read_spec(path)
    assert isinstance(read, list), f"{path.name} was read without a problem"
    return read


def parts_of(field: str) -> list[str]:
    first, *inner = (part for part in field.split(".") if part != "list[int]")  # pydantic's name of a union's member
    return [first, *(inner[1:] if first in {"weights", "output"} and inner[:1] and inner[0] in UNION_TAGS else inner)]


def fields_of(model: type[BaseModel]) -> set[tuple[str, str]]:
    """(model, field) of a model and of every model in its fields' types."""
    found = set()
    for name, field in model.model_fields.items():
        found.add((model.__name__, name))
        for inner in models_in(field.annotation):
            found |= fields_of(inner)
    return found


def models_in(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in models_in(argument)]


def declared_fields(value: object) -> set[tuple[str, str]]:
    """(model, field) of everything a read spec gives a value to."""
    if isinstance(value, BaseModel):
        own = {(type(value).__name__, name) for name in value.model_fields_set}
        return own.union(*(declared_fields(getattr(value, name)) for name in value.model_fields_set))
    if isinstance(value, list | tuple):
        return set().union(*(declared_fields(item) for item in value))
    return set()


def test_the_project_has_every_kind_of_weights_and_output():
    assert {case[0] for case in SPEC_WITH_FIELD if case[0] != "|"} == UNION_TAGS


# No spec of the project wants them yet.
DECLARED_BY_NONE = {
    ("Numeric", name)
    for name in ("attention", "matmul_precision", "compile", "device_index", "device_map", "tolerance")
}
DECLARED_BY_NONE |= {("Served", name) for name in ("endpoint", "model_name", "attested_by")}
DECLARED_BY_NONE |= {(output, "labels_sha256") for output in ("ScoresOutput", "BoxesOutput", "MasksOutput")}
DECLARED_BY_NONE |= {("RepositoryWeights", name) for name in RepositoryWeights.model_fields}


def test_the_cases_below_cover_every_field_of_the_schema():
    declared = set().union(*(declared_fields(spec) for spec in PROJECT.specs.values()))
    assert declared | DECLARED_BY_NONE == fields_of(Spec)
    assert not declared & DECLARED_BY_NONE


@pytest.mark.parametrize("case", SPEC_WITH_FIELD, ids=lambda case: ".".join(map(str, case)))
def test_a_wrong_value_is_told_by_its_field(case: FieldPath, tmp_path: Path):
    key, path = SPEC_WITH_FIELD[case], case[case.index("|") + 1 :]
    problems = problems_of(write_spec(tmp_path, with_field(content_of(key), path, WRONG), key))
    assert {problem.file for problem in problems} == {f"{key}.yaml"}
    told = list(path[:-1] if path[-1] == "kind" else path)  # a wrong kind is told by its holder
    named = ".".join(map(str, told)).split(".")  # a key of `configuration` has dots of its own
    assert any(parts_of(problem.field)[: len(named)] == named for problem in problems)
    for problem in problems:
        assert problem.found
        assert problem.expected
    if path[-1] == "kind":
        assert "'kind'" in problems[0].expected


@pytest.mark.parametrize(
    "name", [name for name, field in Spec.model_fields.items() if field.is_required()], ids=lambda name: name
)
def test_a_missing_field_is_told_by_its_name(name: str, tmp_path: Path):
    (problem,) = problems_of(write_spec(tmp_path, without_field(content_of("otsu_luma"), name), "otsu_luma"))
    assert str(problem) == f"otsu_luma.yaml: {name}: found nothing, expected field required"


@pytest.mark.parametrize(
    ("key", "path", "value", "line"),
    [
        (
            "clip_vit_base_patch32",
            ("weights", "revision"),
            "main",
            "weights.hub.revision: found 'main', expected string should match pattern '^[0-9a-f]{40}$'",
        ),
        (
            "clip_vit_base_patch32",
            ("weights", "files", 0, "sha256"),
            "abc",
            "weights.hub.files.0.sha256: found 'abc', expected string should match pattern '^[0-9a-f]{64}$'",
        ),
        (
            "clip_vit_base_patch32",
            ("output", "dim"),
            0,
            "output.vector.dim: found 0, expected input should be greater than 0",
        ),
        (
            "sam_vit_base",
            ("weights", "version"),
            1.0,  # as YAML reads 1.0 without quotes
            "weights.library.version: found 1.0, expected input should be a valid string",
        ),
        (
            "otsu_luma",
            ("licence", "commercial_use"),
            True,  # as YAML 1.1 reads yes without quotes
            "licence.commercial_use: found True, expected input should be 'yes', 'no' or 'unknown'",
        ),
        (
            "dinov2_base",
            ("output", "pooled_feature"),
            "attention_pool",
            "output.pooled_feature: found 'attention_pool', expected cls_token for dinov2",
        ),
        (
            "otsu_luma",
            ("preprocessing", "interpolation"),
            "hamming",
            "preprocessing.interpolation: found 'hamming', expected input should be 'nearest', 'bilinear', 'bicubic', "
            "'lanczos' or 'box'",
        ),
        (
            "dinov2_base",
            ("preprocessing", "std", 1),
            0,
            "preprocessing.std.1: found 0, expected input should be greater than 0",
        ),
        (
            "dinov2_base",
            ("preprocessing", "mean", 2),
            float("nan"),
            "preprocessing.mean.2: found nan, expected input should be a finite number",
        ),
        ("otsu_luma", ("titel",), "x", "titel: found 'x', expected no field of this name"),
        (
            "otsu_luma",
            ("loader",),
            "otsu",
            f"loader: found 'otsu', expected one of {', '.join(sorted(LOADERS))}",
        ),
        (
            "otsu_luma",
            ("role",),
            "embedding",
            "role: found 'embedding', expected segmentation for otsu_luma",
        ),
        (
            "otsu_luma",
            ("parameters", "threshold"),
            7,
            "parameters.threshold: found 7, expected no field of this name",
        ),
        (
            "sam_vit_base",
            ("parameters", "points_per_side"),
            "32",
            "parameters.points_per_side: found '32', expected input should be a valid integer",
        ),
        (
            "sam_vit_base",
            ("parameters", "pred_iou_thresh"),
            1.5,
            "parameters.pred_iou_thresh: found 1.5, expected input should be less than or equal to 1",
        ),
        (
            "otsu_luma",
            ("parameters", "min_area_ratio"),
            float("nan"),
            "parameters.min_area_ratio: found nan, expected input should be less than 1",
        ),
        ("otsu_luma", ("key",), "otsu", "key: found 'otsu', expected the file's stem, 'otsu_luma'"),
    ],
)
def test_the_line_names_file_field_found_and_expected(
    key: str, path: FieldPath, value: object, line: str, tmp_path: Path
):
    (problem,) = problems_of(write_spec(tmp_path, with_field(content_of(key), path, value), key))
    assert str(problem) == f"{key}.yaml: {line}"


def test_a_parameter_that_is_missing_is_told(tmp_path: Path):
    (problem,) = problems_of(
        write_spec(tmp_path, with_field(content_of("otsu_luma"), ("parameters",), {"max_regions": 3}))
    )
    assert str(problem) == "otsu_luma.yaml: parameters.min_area_ratio: found nothing, expected field required"


def test_a_mean_without_its_deviation_is_refused(tmp_path: Path):
    (problem,) = problems_of(
        write_spec(tmp_path, with_field(content_of("dinov2_base"), ("preprocessing", "std"), None))
    )
    assert problem.field == "preprocessing"
    assert "mean and std are declared together or not at all" in problem.expected


def test_a_crop_larger_than_the_resized_side_is_refused(tmp_path: Path):
    """It would be measured with a black border."""
    (problem,) = problems_of(
        write_spec(tmp_path, with_field(content_of("efficientnet_lite0"), ("preprocessing", "crop_px"), 320))
    )
    assert problem.field == "preprocessing"
    assert "crop_px is at most resize.size_px, found 320 of 256" in problem.expected


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("key: a\nkey: b\n", "repeated key 'key'"),
        ("weights: {kind: hub, kind: library}", "repeated key 'kind'"),
        ("? [a]\n: 1\n", "a key that is a list or mapping"),
        ("key: [", "expected node content"),
        ("key: !!python/object/apply:os.system ['false']", "could not determine a constructor"),
        ("title: 2024-13-45", "month must be in 1..12"),  # PyYAML lets datetime's own error through
        ("title: \x07", "control characters are not allowed"),
        ("batch_size: " + "9" * 5000, "a number of 5,000 characters; the limit is 64"),
        ("batch_size: 1" + ":59" * 9000, "a number of 27,001 characters; the limit is 64"),  # base 60 of YAML 1.1
    ],
)
def test_what_is_not_yaml_with_each_key_once_is_told(text: str, found: str, tmp_path: Path):
    path = tmp_path / "odd.yaml"
    path.write_text(text, encoding="utf-8")
    (problem,) = problems_of(path)
    assert (problem.file, problem.field, problem.expected) == ("odd.yaml", "(file)", "YAML with each key once")
    assert found in problem.found


@pytest.mark.parametrize("text", ["", "just words", "- a\n- list\n", "42"])
def test_what_is_not_a_mapping_is_told(text: str, tmp_path: Path):
    path = tmp_path / "odd.yaml"
    path.write_text(text, encoding="utf-8")
    (problem,) = problems_of(path)
    assert (problem.field, problem.expected[:45]) == ("(file)", "input should be a valid dictionary or instanc")


def test_bytes_that_are_not_utf_8_are_told(tmp_path: Path):
    path = tmp_path / "odd.yaml"
    path.write_bytes(b"title: \xff\xfe")
    (problem,) = problems_of(path)
    assert "can't decode byte 0xff" in problem.found


def test_a_folder_named_as_a_spec_is_told(tmp_path: Path):
    (tmp_path / "odd.yaml").mkdir()
    (problem,) = read_registry(tmp_path).problems
    assert str(problem) == "odd.yaml: (file): found Is a directory, expected a file that can be read"


def test_every_problem_of_a_file_is_told_at_once(tmp_path: Path):
    content = with_field(with_field(content_of("otsu_luma"), ("role",), "guess"), ("batch_size",), 0)
    assert [problem.field for problem in problems_of(write_spec(tmp_path, content))] == ["role", "batch_size"]


def test_the_others_still_load(tmp_path: Path):
    folder = copy_of_project(tmp_path)
    write_spec(folder, with_field(content_of("dinov2_base"), ("output", "dim"), "many"))
    (folder / "half.yaml").write_text("key: half", encoding="utf-8")
    registry = read_registry(folder)
    assert sorted(registry.specs) == sorted(set(PROJECT.specs) - {"dinov2_base"})
    assert {problem.file for problem in registry.problems} == {"dinov2_base.yaml", "half.yaml"}
    assert registry.active == PROJECT.active


@pytest.mark.parametrize("named", ["clip", "otsu_luma "])
def test_a_roster_that_names_no_instrument_is_told(named: str, tmp_path: Path):
    folder = copy_of_project(tmp_path)
    (folder / ROSTER_NAME).write_text(f"active: [otsu_luma, '{named}']\n", encoding="utf-8")
    registry = read_registry(folder)
    assert [str(problem) for problem in registry.problems] == [
        f"roster.yaml: active: found {named!r}, expected an admitted instrument"
    ]
    assert sorted(registry.specs) == sorted(PROJECT.specs)


@pytest.mark.parametrize(
    ("pairs", "found", "expected"),
    [
        ("[[dinov2_base, otsu_luma]]", "'otsu_luma'", "the key of an admitted instrument that embeds whole plates"),
        ("[[dinov2_base, gone]]", "'gone'", "the key of an admitted instrument that embeds whole plates"),
        ("[[dinov2_base]]", "['dinov2_base']", "two different encoders, each pair once"),
    ],
)
def test_a_pair_that_cannot_be_compared_is_told(pairs: str, found: str, expected: str, tmp_path: Path):
    folder = copy_of_project(tmp_path)
    (folder / ROSTER_NAME).write_text(f"active: [otsu_luma]\ncompare: {pairs}\n", encoding="utf-8")
    registry = read_registry(folder)
    assert [str(problem) for problem in registry.problems] == [
        f"roster.yaml: compare.0: found {found}, expected {expected}"
    ]
    assert registry.pairs == []
    assert registry.active == {"otsu_luma"}


def test_a_roster_that_names_an_idea_is_told(tmp_path: Path):
    folder = copy_of_project(tmp_path)
    write_spec(folder, without_field(content_of("otsu_luma"), "licence"))
    reading = [key for key in PROJECT.roster.active if key.startswith("otsu_luma")]  # what it derives is no better off
    assert [str(problem) for problem in read_registry(folder).problems] == [
        f"roster.yaml: active: found {key!r}, expected an admitted instrument" for key in reading
    ]


def test_without_a_roster_every_admitted_instrument_is_active(tmp_path: Path):
    folder = copy_of_project(tmp_path)
    (folder / ROSTER_NAME).unlink()
    write_spec(folder, without_field(content_of("otsu_luma"), "licence"))
    of_otsu = {"otsu_luma", *(f"otsu_luma_{name}" for name in ("kept", "palette", "polygons", "efficientnet_lite0"))}
    assert read_registry(folder).active == ADMITTED - of_otsu


def test_a_name_nearly_right_is_met_with_the_right_one():
    with pytest.raises(
        KeyError, match=r"no instrument 'otsu_lumma' in .*model_specs\. Did you mean otsu_luma or otsu_luma_"
    ):
        PROJECT.require("otsu_lumma")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4) | st.integers(), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=st.sampled_from(sorted(SPEC_WITH_FIELD, key=str)), value=VALUES)
def test_any_value_of_any_field_is_either_read_or_told_by_its_file_and_field(
    case: FieldPath, value: Any, tmp_path: Path
):
    key, path = SPEC_WITH_FIELD[case], case[case.index("|") + 1 :]
    read = read_spec(write_spec(tmp_path, with_field(content_of(key), path, value), key))
    if isinstance(read, Spec):
        return
    assert all(problem.file == f"{key}.yaml" and problem.found and problem.expected for problem in read)
    holder = str(path[0])
    assert all(problem.field.split(".")[0] == holder for problem in read)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet="key: []{}-&*!?|>'\"\n#,0xb_129T.e<", max_size=60))
def test_no_text_makes_reading_raise(text: str, tmp_path: Path):
    (tmp_path / "odd.yaml").write_text(text, encoding="utf-8")
    assert read_registry(tmp_path).problems


@pytest.mark.parametrize("key", WRITTEN)
def test_a_spec_that_is_written_reads_back_the_same(key: str, tmp_path: Path):
    assert read_spec(write_spec(tmp_path, project_spec(key).model_dump(mode="json"))) == project_spec(key)
