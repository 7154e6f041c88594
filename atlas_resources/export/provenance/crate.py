"""Export of one sealed run as a Process Run Crate: what was measured from what, by which model, as an RO-Crate.

https://w3id.org/ro/wfrun/process/0.5, the profile of Workflow Run RO-Crate for runs of a tool, on RO-Crate 1.1.
"""

import io
import json
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atlas_resources.export._destination import require_outside
from atlas_resources.export.provenance.crate_entities import (
    CRATE_VERSION,
    EXTRA_TERMS,
    action,
    atlas_software,
    file_facts,
    instrument_software,
    left_input,
    licence,
    parameters,
    profile,
)
from atlas_resources.export.provenance.runs import Leaving, LeavingRun, RunOfPlate
from atlas_resources.files.digests import sha256_of
from atlas_resources.files.durable import make_folder, sync_folder
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import DatasetBroken
from atlas_resources.runs.sealed import MANIFEST_NAME, read_output

if TYPE_CHECKING:
    from rocrate.rocrate import ROCrate

SPEC_NAME = "instrument.json"


@dataclass(frozen=True)
class WrittenCrate:
    """A crate that was written: its plates and files, and what it has not, a line each."""

    plates_count: int
    files_count: int
    left_out: list[str]


def export_crate(
    dataset: Dataset,
    path: Path,
    run_id: str,
    *,
    by: str,
    ran_by: str | None = None,
    commercial: bool = False,
    with_scans: bool = False,
) -> WrittenCrate:
    """Writes a run over its plates as a crate: what it sealed, as files, and what it was made from, as metadata.

    Args:
        dataset: the dataset.
        path: the folder, outside the dataset, which is missing or empty; or a file that ends with `.zip`.
        run_id: the run.
        by: who exports.
        ran_by: who ran it, which no file of the run records.
        commercial: leave out results that are not known to allow commercial use.
        with_scans: copy the scans into the crate too. Otherwise they are named by their digests.

    Raises:
        DatasetBroken: a file is missing, or changed since it was sealed or registered.
        FileExistsError: the folder is not empty, or the file exists.
        LookupError: there is no such run, or nothing of it may leave.
        ValueError: the path is inside the dataset, or the ledgers are behind the withdrawals or tags.
    """
    require_outside(dataset, path)
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        raise FileExistsError(f"{path}: expected no file and no folder with files, found one. Fix: give another path")
    run = Leaving(dataset, commercial=commercial).find(run_id)
    if not run.plates:
        raise LookupError(f"{run_id}: nothing of it may leave. Left out: {'; '.join(run.sentences)}")
    crate = build_crate(dataset, run, by=by, ran_by=ran_by, with_scans=with_scans)
    _write(crate, path)
    return WrittenCrate(len(run.plates), sum(one.type == "File" for one in crate.data_entities), run.sentences)


def build_crate(
    dataset: Dataset, run: LeavingRun, *, by: str, ran_by: str | None = None, with_scans: bool = False
) -> "ROCrate":
    """The crate of a run, in memory. Files are read when it is written, after their digests were compared here."""
    from rocrate.model import ContextEntity
    from rocrate.rocrate import ROCrate

    def add(properties: dict[str, Any]) -> Any:
        """Adds what is no file, by the properties of JSON-LD."""
        rest = {name: value for name, value in properties.items() if name != "@id"}
        return crate.add(ContextEntity(crate, properties["@id"], properties=rest))

    crate = ROCrate(version=CRATE_VERSION)
    crate.metadata.extra_terms.update(EXTRA_TERMS)
    first = run.plates[0].manifest
    title = run.config.spec.get("title") or first.instrument.key
    crate.name = f"{title}: {run.run_id}"
    gone = " ".join(f"Left out: {line}." for line in run.sentences) or "No plate of the run was left out."
    crate.description = (
        f"What the instrument {first.instrument.key} sealed of {len(run.plates)} plates in one run of Atlas. {gone}"
    )
    crate.datePublished = max(one.manifest.sealed_at for one in run.plates)
    crate.license = add(licence(first.instrument.licence, is_spdx=True))
    crate.root_dataset["author"] = add({"@id": "#exporter", "@type": "Person", "name": by})
    crate.root_dataset["conformsTo"] = add(profile())
    engine, packages = atlas_software(first)
    engine["softwareRequirements"] = [add(one) for one in packages]
    spec = _add_bytes(crate, SPEC_NAME, (json.dumps(run.config.spec, indent=1) + "\n").encode())
    software = add({**instrument_software(first, run.config), "softwareRequirements": add(engine), "subjectOf": spec})
    agent = {"agent": add({"@id": "#agent", "@type": "Person", "name": ran_by})} if ran_by else {}
    given = [add(one) for one in parameters(run.config)]
    actions = []
    for one in run.plates:
        inputs, results = _add_inputs(crate, dataset, one, with_scans), _add_results(crate, dataset, one)
        made = add({**action(one), **agent})
        made["instrument"], made["object"], made["result"] = software, [*inputs, *given], results
        actions.append(made)
    crate.root_dataset["mentions"] = actions
    return crate


def _add_bytes(crate: "ROCrate", name: str, content: bytes) -> Any:
    facts = file_facts(name, None, len(content))
    return crate.add_file(io.BytesIO(content), name, properties=facts)


def _add_inputs(crate: "ROCrate", dataset: Dataset, one: RunOfPlate, with_scans: bool) -> list[Any]:
    """The scan and the sealed results that the run has read of a plate; the scan itself if it is asked for."""
    from rocrate.model import DataEntity

    plate = dataset.plate(one.plate.plate_id)
    found = []
    for file in one.manifest.inputs:
        is_scan = file.path.startswith("source/")
        facts = left_input(one, file)
        if is_scan and with_scans:
            path = plate.folder / file.path
            if not path.is_file() or sha256_of(path) != file.sha256:
                raise DatasetBroken(path, f"expected the scan that was measured, of sha256 {file.sha256}")
            name = f"{plate.id}/{path.name}"
            own = {key: value for key, value in facts.items() if key != "@id"}
            found.append(crate.add_file(path, name, properties={**own, **_licence_of(crate, one)}))
        else:
            rest = {key: value for key, value in facts.items() if key != "@id"}
            extra = _licence_of(crate, one) if is_scan else {}
            found.append(crate.add(DataEntity(crate, facts["@id"], properties={**rest, **extra})))
    return found


def _licence_of(crate: "ROCrate", one: RunOfPlate) -> dict[str, Any]:
    from rocrate.model import ContextEntity

    if not one.plate.license:
        return {}
    stated = licence(one.plate.license, is_spdx=False)
    rest = {key: value for key, value in stated.items() if key != "@id"}
    return {"license": crate.add(ContextEntity(crate, stated["@id"], properties=rest))}


def _add_results(crate: "ROCrate", dataset: Dataset, one: RunOfPlate) -> list[Any]:
    """The files that the run sealed of a plate, and its manifest."""
    plate, folder = dataset.plate(one.plate.plate_id), one.plate.plate_id
    found = []
    for file in one.manifest.outputs:
        read_output(plate, one.manifest, file)  # raises if it is not the file that was sealed
        facts = file_facts(file.path, file.sha256, file.size_bytes)
        found.append(crate.add_file(plate.folder / file.path, f"{folder}/{Path(file.path).name}", properties=facts))
    sealed = plate.runs_folder / one.manifest.run_id / MANIFEST_NAME
    facts = file_facts(MANIFEST_NAME, sha256_of(sealed), sealed.stat().st_size)
    return [*found, crate.add_file(sealed, f"{folder}/{MANIFEST_NAME}", properties=facts)]


def _write(crate: "ROCrate", path: Path) -> None:
    """Writes beside, and renames, so that a crate is there whole or not at all."""
    make_folder(path.parent)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        if path.suffix == ".zip":
            partial = partial.with_suffix(".zip")
            crate.write_zip(partial)
        else:
            crate.write(partial)
            if path.is_dir():
                path.rmdir()
        os.replace(partial, path)
    finally:
        if partial.is_dir():
            shutil.rmtree(partial)
        else:
            partial.unlink(missing_ok=True)
    sync_folder(path.parent)
