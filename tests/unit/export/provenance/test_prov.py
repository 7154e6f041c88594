"""PROV-JSON is read by the library `prov` as the same document; every node in it is declared, and leads to the scan."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import prov.model
import pytest
from support.fake_instruments import EMBEDDER, READER, fake_registry, fake_spec, reader_spec
from support.licensed import license_plates
from support.made_datasets import draw_scan
from support.made_results import GivenRows, GivenVectors, build_ledgers, measure, measure_groundwork
from support.made_withdrawals import withdrawn

from atlas_resources.export.provenance.prov import ENDS, PREFIXES, export_prov, prov_document
from atlas_resources.ledgers.parquet import ledger_path
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.intake.registration import register_scans
from atlas_resources.tables.ledgers import LINEAGE, PLATES, RUNS
from atlas_resources.tables.result_columns import PROBE

VECTORS = GivenVectors({f"plate-{number:03d}": (number, 1.0, 0.0) for number in range(1, 7)})
SCORE = {"label_index": 0, "label_id": "red", "label": "red", "score": 1.0}
NOWHERE = 'unicode náme – "quoted" 100% №1.png'


@pytest.fixture
def measured(dataset, fakes, tmp_path) -> Dataset:
    """Six plates, the last with a hostile file name; an embedder, which fails on plate-005, and a probe of it."""
    list(register_scans(dataset, [draw_scan(tmp_path / NOWHERE, (9, 9, 9))]))
    registry = fake_registry(fake_spec(EMBEDDER), reader_spec())
    measure_groundwork(dataset)
    vectors = GivenVectors({key: vector for key, vector in VECTORS.vectors.items() if key != "plate-005"})
    measure(dataset, registry, EMBEDDER, vectors)
    measure(dataset, registry, READER, GivenRows(PROBE, SCORE))
    build_ledgers(dataset, registry)
    return dataset


def exported(dataset: Dataset, path: Path, **choice: Any) -> dict[str, Any]:
    export_prov(dataset, path, **choice)
    return json.loads(path.read_bytes())


def read_by_prov(content: dict[str, Any]) -> prov.model.ProvDocument:
    document = prov.model.ProvDocument.deserialize(content=json.dumps(content), format="json")
    assert isinstance(document, prov.model.ProvDocument)
    return document


@pytest.mark.parametrize("plate_id", ["plate-001", "plate-005", "plate-006"])
def test_the_library_prov_reads_a_plate_and_writes_the_same_document(measured, tmp_path, plate_id):
    content = exported(measured, tmp_path / "out.json", plate_id=plate_id)
    document = read_by_prov(content)
    assert document == prov.model.ProvDocument.deserialize(content=document.serialize(format="json"), format="json")
    counts = {name: len(content.get(name, {})) for name in ("entity", "activity", "agent", *ENDS)}
    kinds = {
        "entity": prov.model.ProvEntity,
        "activity": prov.model.ProvActivity,
        "agent": prov.model.ProvAgent,
        "used": prov.model.ProvUsage,
        "wasGeneratedBy": prov.model.ProvGeneration,
        "wasDerivedFrom": prov.model.ProvDerivation,
        "wasAssociatedWith": prov.model.ProvAssociation,
        "hadMember": prov.model.ProvMembership,
    }
    assert {name: len(list(document.get_records(kind))) for name, kind in kinds.items()} == counts
    assert counts["activity"] == (2 if plate_id == "plate-005" else 3)


def test_every_node_of_a_relation_is_declared_as_what_the_relation_asks_for(measured, tmp_path):
    content = exported(measured, tmp_path / "out.json", plate_id="plate-001")
    declared = {"prov:activity": "activity", "prov:agent": "agent"}
    for relation in ENDS:
        for ends in content.get(relation, {}).values():
            for name, node in ends.items():
                assert node in content[declared.get(name, "entity")], (relation, name, node)
    assert content["prefix"] == PREFIXES


def test_each_file_is_generated_once_and_derived_from_the_scan(measured, tmp_path):
    content = exported(measured, tmp_path / "out.json", plate_id="plate-001")
    generated = [ends["prov:entity"] for ends in content["wasGeneratedBy"].values()]
    files = {node for node, facts in content["entity"].items() if facts["atlas:kind"] == "file"}
    assert sorted(generated) == sorted(files)
    source = f"sha256:{measured.plate('plate-001').source_sha256()}"
    derived = {
        ends["prov:generatedEntity"] for ends in content["wasDerivedFrom"].values() if ends["prov:usedEntity"] == source
    }
    assert derived == files


def test_a_run_holds_its_plates_and_the_results_that_it_read(measured, tmp_path):
    runs = pl.read_parquet(ledger_path(measured, RUNS))
    (run_id,) = set(runs.filter(instrument=READER)["run_id"])
    content = exported(measured, tmp_path / "out.json", run_id=run_id)
    (read,) = set(runs.filter(instrument=EMBEDDER)["run_id"])
    plates = [f"plate-00{number}" for number in (1, 2, 3, 4, 6)]
    assert set(content["activity"]) == {f"plate:{plate}/runs/{run}" for plate in plates for run in (run_id, read)}
    facts = content["activity"][f"plate:plate-001/runs/{run_id}"]
    assert facts["atlas:status"] == "complete"
    assert facts["prov:startTime"] <= facts["prov:endTime"]


def test_the_association_names_the_instrument_as_its_plan_and_the_code_as_agent(measured, tmp_path):
    content = exported(measured, tmp_path / "out.json", plate_id="plate-001")
    plans = {ends["prov:plan"] for ends in content["wasAssociatedWith"].values()}
    instruments = {node for node, facts in content["entity"].items() if facts["atlas:kind"] == "instrument"}
    assert plans == instruments
    for agent in content["agent"].values():
        assert agent["prov:type"] == {"$": "prov:SoftwareAgent", "type": "prov:QUALIFIED_NAME"}


def test_names_of_files_and_addresses_become_identifiers_without_odd_characters(measured):
    origin = {"relation": "wasDerivedFrom", "subject_kind": "source", "subject": "5" * 64, "object_kind": "origin"}
    edges = LINEAGE.frame([{**origin, "object": 'https://example.org/a b?c=ü#"x"'}])
    document = prov_document(edges, RUNS.frame([]), PLATES.frame([]))
    (identifier,) = [node for node in document["entity"] if node.startswith("atlas:")]
    assert identifier == "atlas:origin/https%3A%2F%2Fexample.org%2Fa%20b%3Fc%3D%C3%BC%23%22x%22"
    assert document["entity"][identifier]["prov:location"] == 'https://example.org/a b?c=ü#"x"'
    assert len(list(read_by_prov(document).get_records())) == 3


def test_a_file_in_the_dataset_and_an_unknown_plate_are_refused(measured, tmp_path):
    with pytest.raises(ValueError, match="expected a folder outside the dataset"):
        export_prov(measured, measured.root / "out.json", plate_id="plate-001")
    with pytest.raises(LookupError, match="no provenance of run run-1"):
        export_prov(measured, tmp_path / "out.json", run_id="run-1")


def rebuilt(dataset: Dataset) -> Dataset:
    build_ledgers(dataset, fake_registry(fake_spec(EMBEDDER), reader_spec()))
    return dataset


def test_a_withdrawn_run_and_what_has_read_it_do_not_leave(measured, tmp_path):
    (run_id,) = set(pl.read_parquet(ledger_path(measured, RUNS)).filter(instrument=EMBEDDER)["run_id"])
    withdrawn(measured, "run", run_id)
    done = export_prov(rebuilt(measured), tmp_path / "out.json", plate_id="plate-001")
    assert done.left_out == ["2 results of plates: the run, or one that it has read, is withdrawn"]
    assert set(json.loads((tmp_path / "out.json").read_bytes())["activity"]) == {"plate:plate-001/groundwork"}
    with pytest.raises(LookupError, match=r"nothing of run-.* may leave"):
        export_prov(measured, tmp_path / "run.json", run_id=run_id)


def test_a_withdrawn_plate_does_not_leave_with_a_run(measured, tmp_path):
    (run_id,) = set(pl.read_parquet(ledger_path(measured, RUNS)).filter(instrument=READER)["run_id"])
    withdrawn(measured, "plate", "plate-002")
    done = export_prov(rebuilt(measured), tmp_path / "out.json", run_id=run_id)
    assert done.left_out == ["1 plate with all rows: withdrawn"]
    assert "plate-002" not in (tmp_path / "out.json").read_text()


def test_for_commercial_use_terms_are_looked_at(measured, tmp_path):
    with pytest.raises(LookupError, match=r"Left out: 1 plate with all rows: its index states no licence"):
        export_prov(measured, tmp_path / "out.json", plate_id="plate-001", commercial=True)
    license_plates(measured, "CC0")
    whole = export_prov(rebuilt(measured), tmp_path / "all.json", plate_id="plate-001")
    assert export_prov(measured, tmp_path / "out.json", plate_id="plate-001", commercial=True) == whole
