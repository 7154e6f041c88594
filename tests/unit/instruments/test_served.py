"""What a spec declares of the program that serves its model, and what may not be declared."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from support.made_specs import PROJECT, copy_of_project, project_spec, write_spec

from atlas_resources.instruments.admission import missing_of_itself
from atlas_resources.instruments.instrument import Instrument, fingerprint
from atlas_resources.instruments.registry import read_registry
from atlas_resources.instruments.spec.numeric import pinned_modes
from atlas_resources.instruments.spec.served import Served
from atlas_resources.instruments.texts.stage_plans import StagePlan, derive_stages

BASE, SERVED = "qwen2_vl_2b", "qwen2_vl_2b_vllm"
THEIRS = {"endpoint": "https://gpu.example", "model_name": "qwen", "attested_by": "the computing centre"}


def declared(**changes: Any) -> Served:
    return Served.model_validate({"program": "vllm", "version": "0.33.0", **changes})


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"trust-remote-code": True}, "code from a model's repository is never run"),
        ({"trust_remote_code": True}, "code from a model's repository is never run"),
        ({"api-key": "secret"}, "a key is written nowhere"),
        ({"host": "0.0.0.0"}, "`atlas models serve` sets it"),  # noqa: S104 - refused
        ({"served-model-name": "other"}, "`atlas models serve` sets it"),
        ({"dtype": "float16"}, "`numeric` states it"),
        ({"chat-template": "x"}, "the pinned files and `parameters` state it"),
        ({"allowed-local-media-path": "/"}, "reads none from disk"),
        ({"enforce-eager": False}, "leave a flag out instead"),
        ({"--seed": 0}, "String should match pattern"),
    ],
)
def test_a_flag_that_would_undo_a_pin_is_refused(flags: dict[str, Any], words: str):
    with pytest.raises(ValidationError, match=words):
        declared(flags=flags)


def test_a_flag_that_is_refused_is_told_by_its_file(tmp_path: Path):
    folder = copy_of_project(tmp_path)
    write_spec(
        folder,
        {
            "key": "made", "variant_of": BASE, "loader": "openai_chat",
            "served": {"program": "vllm", "version": "0.33.0", "flags": {"trust-remote-code": True}},
        },
    )  # fmt: skip
    (problem,) = read_registry(folder).problems
    assert str(problem).startswith("made.yaml: served.flags: found")


@pytest.mark.parametrize(
    "changes",
    [
        {"endpoint": "https://gpu.example"},
        {**THEIRS, "attested_by": None},
        {**THEIRS, "endpoint": "https://me:secret@gpu.example"},
        {**THEIRS, "endpoint": "https://gpu.example/v1"},
        {**THEIRS, "endpoint": "gpu.example"},
    ],
)
def test_a_server_of_somebody_else_is_declared_whole_and_without_secrets(changes: dict[str, Any]):
    with pytest.raises(ValidationError):
        declared(**changes)
    assert declared(**THEIRS).endpoint == "https://gpu.example"


def test_a_served_variant_states_its_parameters_whole():
    found, base = project_spec(SERVED), project_spec(BASE)
    assert found.weights == base.weights
    assert found.numeric == base.numeric
    assert found.own_preprocessing == base.own_preprocessing
    assert (found.loader, found.served and found.served.program) == ("openai_chat", "vllm")
    assert "max_new_tokens" in found.parameters
    assert fingerprint(found, 1) != fingerprint(base, 1)


def test_a_served_variant_has_a_title_that_says_so(tmp_path: Path):
    parameters = {"max_new_tokens": 10, "max_pixels": 3136}
    served = {"program": "lmdeploy", "version": "0.18.0"}
    made = {"key": "made", "variant_of": BASE, "loader": "openai_chat", "served": served, "parameters": parameters}
    folder = copy_of_project(tmp_path)
    write_spec(folder, made)
    registry = read_registry(folder)
    assert registry.problems == ()
    assert registry.specs["made"].title == "Qwen2-VL 2B, visual question answering, computed by lmdeploy 0.18.0"
    assert registry.specs["made"].parameters == parameters


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"loader": "openai_chat", "parameters": {"max_new_tokens": 10, "max_pixels": 3136}},
            "made.yaml: served: found null, expected the program that serves the model",
        ),
        (
            {"served": {"program": "vllm", "version": "0.33.0"}},
            "made.yaml: served: found stated, expected null: chat loads the model",
        ),
        (
            {"loader": "openai_chat", "served": {"program": "vllm", "version": "0.33.0"}},
            "made.yaml: parameters.image_backend: found 'pil', expected no field of this name",
        ),
    ],
)
def test_a_loader_that_asks_a_server_and_the_server_are_declared_together(
    changes: dict[str, Any], line: str, tmp_path: Path
):
    folder = copy_of_project(tmp_path)
    if "parameters" not in changes and "loader" in changes:
        changes = {**changes, "parameters": {"max_new_tokens": 10, "max_pixels": 3136, "image_backend": "pil"}}
    write_spec(folder, {"key": "made", "variant_of": BASE, **changes})
    assert line in [str(problem) for problem in read_registry(folder).problems]


def test_every_file_that_a_server_reads_needs_a_digest():
    missing = missing_of_itself(project_spec(SERVED))
    assert any(reason.startswith("weights: no sha256 of config.json") for reason in missing)


def test_a_run_that_asks_a_server_needs_no_gpu_and_has_no_switches_of_torch():
    spec, base = project_spec(SERVED), project_spec(BASE)
    identity = PROJECT.instruments["otsu_luma"].identity
    assert Instrument(base, identity).is_gpu
    assert not Instrument(spec, identity).is_gpu
    assert pinned_modes(spec.numeric)  # of a run on that device
    in_process = spec.model_copy(update={"served": None})
    assert fingerprint(spec, 1) != fingerprint(in_process, 1)


def test_the_stages_of_a_plan_keep_the_server_of_their_instrument():
    spec = project_spec(SERVED)
    stages = [
        {"form": "caption", "instrument": SERVED},
        {"form": "keywords", "instrument": SERVED, "parameters": {"max_new_tokens": 20}},
    ]
    made = derive_stages("made", StagePlan.model_validate({"title": "Made", "stages": stages}), {SERVED: spec})
    assert [one.key for one in made] == ["made_caption", "made_keywords"]
    assert all(one.served == spec.served and one.loader == "openai_chat" for one in made)
    assert made[1].parameters == {**spec.parameters, "max_new_tokens": 20}
