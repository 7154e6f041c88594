"""`atlas withdraw`, `restore` and `withdrawals`, and what `atlas run` says of what is withdrawn."""

import json

import dagster as dg
import pytest
from support.fake_instruments import EMBEDDER, SEGMENTER, fake_registry, fake_spec
from support.made_results import GivenVectors, build_ledgers, measure
from support.made_withdrawals import withdrawn
from typer.testing import CliRunner

from atlas_assets.cli.app import app
from atlas_assets.in_process.materializing import materialize
from atlas_resources.instruments import registry as registry_module
from atlas_resources.withdrawals.log import read_log


@pytest.fixture
def registry(fakes, dataset, monkeypatch):
    found = fake_registry(fake_spec(EMBEDDER), fake_spec(SEGMENTER))
    monkeypatch.setattr(registry_module, "read_registry", lambda *folders: found)
    monkeypatch.setenv("ATLAS_HOME", str(dataset.root))
    return found


def atlas(*arguments: str, answer: str = "") -> tuple[int, str]:
    result = CliRunner().invoke(app, list(arguments), input=answer)
    return result.exit_code, result.output


def test_it_shows_what_it_touches_and_asks(dataset, registry):
    measure(dataset, registry, EMBEDDER, GivenVectors({"plate-001": (1.0, 0.0, 0.0)}), ["plate-001"])
    build_ledgers(dataset, registry)
    arguments = ("withdraw", "plate-001", "--category", "rights", "--reason", "taken [red]down", "--by", "A. Person")
    code, output = atlas(*arguments, answer="n\n")
    assert code == 1
    assert "withdraws plate plate-001, by A. Person (as stated):" in output
    assert "plates: plate-001" in output
    assert f"sealed results: 1 of {EMBEDDER}, on 1 plate" in output
    assert "rows in the ledgers: 1 of embeddings, 1 of runs" in output
    assert read_log(dataset.root) == ()
    code, output = atlas(*arguments, answer="y\n")
    assert code == 0
    assert "atlas run @ledgers" in output
    (entry,) = read_log(dataset.root)
    assert (entry.content.person, entry.content.reason) == ("A. Person", "taken [red]down")


def test_scripts_are_not_asked_and_a_list_shows_every_entry(dataset, registry):
    assert atlas("withdraw", EMBEDDER, "--category", "error", "--reason", "wrong [b]weights", "--yes")[0] == 0
    assert atlas("restore", "1", "--reason", "they were right", "--by", "B. Person", "--yes")[0] == 0
    code, output = atlas("withdrawals")
    assert code == 0
    first, second = output.splitlines()
    assert first.startswith("1  ")
    assert f"withdraws model {EMBEDDER} (error): wrong [b]weights - " in first
    assert f"restores entry 1, model {EMBEDDER} (error): they were right - B. Person" in second
    assert [one["kind"] for one in json.loads(atlas("withdrawals", "--json")[1])] == ["withdraw", "restore"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("withdraw", "plate-9", "--category", "rights", "--reason", "x", "--yes"), "no such plate"),
        (("withdraw", "plate-001", "--category", "rights", "--reason", " ", "--yes"), "a reason is needed"),
        (("restore", "3", "--reason", "x", "--yes"), "entry 3 is no withdrawal"),
    ],
)
def test_what_means_nothing_is_refused(dataset, registry, arguments, error):
    code, output = atlas(*arguments)
    assert code == 1
    assert error in output
    assert read_log(dataset.root) == ()


def test_a_broken_log_is_named_with_the_file(dataset, registry):
    withdrawn(dataset, "plate", "plate-001")
    path = next((dataset.root / "withdrawals").glob("000001-*.json"))
    path.write_text(path.read_text().replace("taken down", "taken over"))
    for command in (("withdrawals",), ("restore", "1", "--reason", "x", "--yes")):
        code, output = atlas(*command)
        assert code == 1
        assert path.name in output


def test_a_run_leaves_out_withdrawn_plates_and_fails_if_one_is_named(dataset, registry):
    withdrawn(dataset, "plate", "plate-001", "taken down by its owner")
    with dg.DagsterInstance.ephemeral() as instance:
        with pytest.raises(ValueError, match=r"entry 1 \(rights\): taken down by its owner"):
            list(materialize(registry, dataset, instance, plate_ids=["plate-001", "plate-002"]))
        layers = list(materialize(registry, dataset, instance, selection=f'key:"segments/{SEGMENTER}"'))
    assert [layer.is_success for layer in layers] == [True]
    assert not dataset.plate("plate-001").runs_folder.exists()
    assert dataset.plate("plate-002").runs_folder.exists()


def test_a_run_of_a_withdrawn_instrument_fails_with_the_reason_and_makes_the_rest(dataset, registry):
    withdrawn(dataset, "model", EMBEDDER, "its licence was revoked")
    with dg.DagsterInstance.ephemeral() as instance:
        selection = f'key:"segments/{SEGMENTER}" or key:"embeddings/{EMBEDDER}"'
        layers = {layer.name: layer for layer in materialize(registry, dataset, instance, selection=selection)}
    assert layers["instruments"].is_success
    assert not layers["withdrawn"].is_success
    assert "entry 1 (rights): its licence was revoked" in layers["withdrawn"].failures[0]
