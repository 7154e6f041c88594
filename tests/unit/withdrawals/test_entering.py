"""What a person may withdraw and restore, and what is refused with the way out."""

import getpass
import subprocess

import pytest
from support.fake_instruments import EMBEDDER, fake_registry, fake_spec
from support.made_results import GivenVectors, measure
from support.made_withdrawals import PERSON, restored, withdrawn

from atlas_resources.chains.person import Person, this_person
from atlas_resources.plates.dataset import Dataset
from atlas_resources.withdrawals.entering import Target, WithdrawalRefused, find_target, withdraw


@pytest.fixture
def registry(fakes):
    return fake_registry(fake_spec(EMBEDDER))


def test_a_target_is_found_by_its_own_name(dataset: Dataset, registry):
    measure(dataset, registry, EMBEDDER, GivenVectors({"plate-001": (1.0, 0.0, 0.0)}), ["plate-001"])
    (run,) = dataset.plate("plate-001").runs_folder.iterdir()
    source = dataset.plate("plate-002").source_sha256()
    assert find_target(dataset, registry, "plate-001") == Target("plate", "plate-001")
    assert find_target(dataset, registry, EMBEDDER) == Target("model", EMBEDDER)
    assert find_target(dataset, registry, f"model:{EMBEDDER}") == Target("model", EMBEDDER)
    assert find_target(dataset, registry, run.name) == Target("run", run.name)
    assert find_target(dataset, registry, source) == Target("source", source)
    weights = "ab" * 32
    assert find_target(dataset, registry, weights, {"weights": {weights}}) == Target("weights", weights)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("plate-01", "Did you mean plate-001"),
        ("f" * 64, "no such plate, instrument, run, weights or source"),
        ("run-20261121-100000Z-01234567", "no such"),
        ("plate:run-1", "'run-1': no such plate"),
        ("picture:plate-001", "expected one of model, weights, run, plate, source before the colon, found 'picture'"),
        ("../x", "no such"),
    ],
)
def test_an_unknown_target_is_refused(dataset, registry, text, error):
    with pytest.raises(WithdrawalRefused, match=error):
        find_target(dataset, registry, text)


def test_a_name_of_two_things_has_to_say_which(dataset, registry):
    with pytest.raises(WithdrawalRefused, match="Fix: name it as model:plate-001 or plate:plate-001"):
        find_target(dataset, registry, "plate-001", {"model": {"plate-001"}})


def test_what_is_withdrawn_is_not_withdrawn_again_until_it_is_restored(dataset):
    withdrawn(dataset, "plate", "plate-001")
    with pytest.raises(WithdrawalRefused, match="withdrawn already, by entry 1"):
        withdrawn(dataset, "plate", "plate-001")
    with pytest.raises(WithdrawalRefused, match="entry 2 is no withdrawal"):
        restored(dataset, 2)
    restored(dataset, 1)
    with pytest.raises(WithdrawalRefused, match="entry 1 was restored already"):
        restored(dataset, 1)
    assert withdrawn(dataset, "plate", "plate-001").content.number == 3


def test_a_reason_is_needed(dataset):
    with pytest.raises(WithdrawalRefused, match="--reason TEXT"):
        withdraw(dataset, Target("plate", "plate-001"), "rights", "  ", PERSON)


def test_the_person_is_named_or_gits_or_the_systems(monkeypatch, tmp_path):
    assert this_person("B. Person") == Person("B. Person", "option")
    for name, value in (("HOME", str(tmp_path)), ("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.chdir(tmp_path)
    assert this_person(None) == Person(getpass.getuser(), "system")
    subprocess.run(["git", "config", "--global", "user.name", "C. Person"], check=True)
    assert this_person(" ") == Person("C. Person", "git")
