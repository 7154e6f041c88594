"""A served run is repeated by a server of the same pins, whichever start answers; without one, the command is named."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support import fake_server
from support.fake_server import Behaviour
from support.made_answers import pins_of, text_registry
from support.made_datasets import make_dataset
from support.made_describers import made_qwen2_vl
from support.made_reproductions import repeat, run_of
from support.made_results import run_instrument
from support.made_servers import attested, record_of, served_spec

from atlas_resources.instruments.registry import Registry
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.servers.records import remove_record, write_record
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.records.reproduction import Reproduction

KEY = "tiny_theirs"


@pytest.fixture
def behaviour() -> Behaviour:
    return Behaviour()


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behaviour: Behaviour) -> Iterator[Spec]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    made = made_qwen2_vl(tmp_path / "hub", monkeypatch)
    with fake_server.fake_server(behaviour) as address:
        content = served_spec(made.spec, attested(address), retries=0).model_dump(mode="json")
        yield Spec.model_validate({**content, "key": KEY, "prompts": pins_of("plate_description_v1")})


@pytest.fixture
def registry(spec: Spec) -> Registry:
    return text_registry(spec)


@pytest.fixture
def sealed(registry: Registry, spec: Spec, tmp_path: Path) -> Dataset:
    """Two plates, described by a server of somebody else."""
    begin(spec)
    dataset = make_dataset(tmp_path, "red", "green")
    assert run_instrument(dataset, registry, KEY) == ["complete"] * 2
    return dataset


def begin(spec: Spec, **changes) -> None:
    """Records the server, as if it had been probed now."""
    assert spec.served is not None
    facts = {"process_id": None, "files": {}, "attested_by": "the computing centre", **changes}
    write_record(KEY, record_of(spec, str(spec.served.endpoint), **facts))


def verdicts(result: Reproduction) -> list[str]:
    return [plate.verdict for plate in result.plates]


def test_the_same_server_answers_the_same(sealed: Dataset):
    assert verdicts(repeat(sealed, run_of(sealed, KEY))) == ["identical"] * 2


def test_another_start_of_the_server_answers_the_same_and_is_no_change(sealed: Dataset, spec: Spec):
    begin(spec, notes=["probed again"])
    result = repeat(sealed, run_of(sealed, KEY))
    assert verdicts(result) == ["identical"] * 2
    assert [change.name for change in result.changes if change.name.startswith("server")] == []


def test_a_server_that_honours_less_by_now_is_named_as_a_change(sealed: Dataset, spec: Spec):
    begin(spec, honoured={"json_schema": True, "seed": False})
    changes = {change.name: (change.sealed, change.present) for change in repeat(sealed, run_of(sealed, KEY)).changes}
    assert changes["server.honoured.seed"] == ("True", "False")


def test_other_values_of_the_same_fields_are_within_the_tolerance_of_fields_or_different(
    sealed: Dataset, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(fake_server, "LEAST_WORD", "another")
    result = repeat(sealed, run_of(sealed, KEY))
    assert verdicts(result) == ["different"] * 2
    measures = {difference.measure for plate in result.plates for difference in plate.differences}
    assert "field_ratio" in measures


def test_without_a_server_the_command_is_named(sealed: Dataset):
    remove_record(KEY)
    result = repeat(sealed, run_of(sealed, KEY))
    assert verdicts(result) == ["not_repeatable"] * 2
    assert f"Fix: `atlas models probe {KEY}`" in str(result.plates[0].reason)
