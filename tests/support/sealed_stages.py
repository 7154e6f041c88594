"""What was sealed of the stages of `made_stages`, and whether it is whole."""

import json
from pathlib import Path

import polars as pl
from jsonschema import Draft202012Validator

from atlas_resources.instruments.texts.json_schemas import sha256_of
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import read_json
from atlas_resources.plates.run_contracts import RunManifest
from atlas_resources.runs.sealed import MANIFEST_NAME
from support.made_stages import QUESTIONS, schema_of


def sealed(dataset: Dataset) -> dict[tuple[str, str], list[RunManifest]]:
    """The manifests of sealed runs by plate and instrument."""
    found: dict[tuple[str, str], list[RunManifest]] = {}
    for path in dataset.plates_dir.glob(f"*/runs/run-*/{MANIFEST_NAME}"):
        manifest = read_json(path, RunManifest)
        found.setdefault((manifest.plate_id, manifest.instrument.key), []).append(manifest)
    return found


def require_whole_texts(texts: pl.DataFrame, manifests: dict[tuple[str, str], list[RunManifest]]) -> None:
    """Each stage's answer follows its schema, and its question holds the sealed answer of the stage before."""
    rows = {(row["plate_id"], row["form"]): row for row in texts.to_dicts()}
    assert len(rows) == texts.height == 5 * len(QUESTIONS)
    forms = list(QUESTIONS)
    for (plate_id, form), row in rows.items():
        assert (row["status"], row["finish_reason"], row["is_valid"], row["attempt"]) == ("done", "stop", True, 1)
        Draft202012Validator(schema_of(form)).validate(json.loads(row["text"]))
        before = forms[forms.index(form) - 1] if form != forms[0] else None
        earlier = rows[plate_id, before]["text"] if before else ""
        assert row["question_sha256"] == sha256_of(QUESTIONS[form].replace(f"{{{before}}}", earlier))
        (manifest,) = manifests[plate_id, row["instrument"]]
        assert [Path(file.path).name for file in manifest.inputs[1:]] == (["texts.parquet"] if before else [])
    assert len({row["text"] for row in rows.values() if row["form"] == "caption"}) > 1
