"""The check `library_is_whole`, and the job and schedules that run it."""

from typing import Any

import dagster as dg
import pytest
from support.verified import make_verified

from atlas_assets.automation.schedules.verification import VERIFY_JOB
from atlas_assets.definitions import build_definitions
from atlas_assets.graph.checks.verification import CHECK_NAME, verification_config


@pytest.fixture
def verified(tmp_path, fakes):
    dataset, registry = make_verified(tmp_path)
    return dataset, build_definitions(registry, dataset.root)


def evaluated(definitions: dg.Definitions, instance: dg.DagsterInstance, level: Any) -> dg.AssetCheckEvaluation:
    result = definitions.resolve_job_def(VERIFY_JOB).execute_in_process(
        instance=instance, run_config=verification_config(level), raise_on_error=True
    )
    (evaluation,) = result.get_asset_check_evaluations()
    return evaluation


def test_the_check_is_green_while_every_file_is_whole(verified, instance):
    evaluation = evaluated(verified[1], instance, "deep")
    assert (evaluation.check_name, evaluation.passed) == (CHECK_NAME, True)
    assert len(str(evaluation.metadata["state_of_the_library"].value)) == 64


def test_the_check_is_red_until_the_file_is_right_and_names_it(verified, instance):
    dataset, definitions = verified
    source = dataset.plate("plate-002").source_path()
    content = source.read_bytes()
    source.chmod(0o644)
    source.write_bytes(content + b"x")
    for _ in range(2):
        evaluation = evaluated(definitions, instance, "standard")
        assert not evaluation.passed
        assert evaluation.severity == dg.AssetCheckSeverity.ERROR
        assert "plates_structured/plate-002/source/" in str(evaluation.description)
    source.write_bytes(content)
    assert evaluated(definitions, instance, "standard").passed


def test_a_schema_is_verified_before_it_is_repaired(verified, instance):
    dataset, definitions = verified
    path = dataset.schemas_dir / "manifest.schema.json"
    path.write_bytes(path.read_bytes() + b" ")
    assert not evaluated(definitions, instance, "quick").passed


def test_the_schedules_are_off_and_ask_for_both_levels(verified):
    schedules = {one.name: one for one in verified[1].schedules or [] if one.name.startswith("verify_")}
    assert {one.default_status for one in schedules.values()} == {dg.DefaultScheduleStatus.STOPPED}
    assert schedules.keys() == {"verify_quick", "verify_deep"}


def test_an_unknown_level_names_those_that_there_are(verified, instance):
    with pytest.raises(dg.Failure, match="expected one of quick, standard, deep, found 'thorough'"):
        evaluated(verified[1], instance, "thorough")
