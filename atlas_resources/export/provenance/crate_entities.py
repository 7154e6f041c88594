"""The entities of a crate as JSON-LD: an instrument, Atlas itself, parameters, files and what was done. Pure."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

from atlas_resources.export._licences import spdx_address
from atlas_resources.export.provenance.runs import RunOfPlate
from atlas_resources.files.contract import FileDigest
from atlas_resources.plates.rights.uris import rights_uri
from atlas_resources.plates.run_contracts import RunConfig, RunManifest

CRATE_VERSION = "1.1"  # which the profile stands on
PROCESS_RUN_CRATE = "https://w3id.org/ro/wfrun/process/0.5"
EXTRA_TERMS = {"sha256": "http://schema.org/sha256"}
"""Terms that the context of RO-Crate 1.1 has not."""
FORMATS = {
    ".parquet": "application/vnd.apache.parquet",
    ".json": "application/json",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".webp": "image/webp",
}

Properties = dict[str, Any]


def profile() -> Properties:
    """The profile that the crate follows."""
    return {"@id": PROCESS_RUN_CRATE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"}


def licence(text: str, *, is_spdx: bool) -> Properties:
    """A licence, by its address if it has one. Models state SPDX ids, the indexes of scans words."""
    address = spdx_address(text) if is_spdx else rights_uri(text)
    address = address or (text if text.startswith(("http://", "https://")) else None)
    own = address or f"#licence-{quote(text, safe='')}"
    return {"@id": own, "@type": "CreativeWork", "name": text, "description": f"Licence, as stated: {text}"}


def instrument_software(manifest: RunManifest, config: RunConfig) -> Properties:
    """The instrument that measured: model, revision, digest of the weights, and fingerprint."""
    identity = manifest.instrument
    facts = {
        "fingerprint": identity.fingerprint,
        "weights_sha256": identity.weights_sha256,
        "preprocessing": identity.preprocess_tag,
        "loader": f"{identity.loader} v{identity.loader_version}",
    }
    return {
        "@id": f"urn:atlas:instrument:{identity.fingerprint}",
        "@type": "SoftwareApplication",
        "name": config.spec.get("title") or identity.key,
        "alternateName": identity.key,
        "description": config.spec.get("description") or f"Instrument {identity.key}",
        "applicationCategory": identity.role,
        "identifier": f"{identity.model_id}@{identity.model_sha}",
        "softwareVersion": identity.model_sha,
        "license": identity.licence,
        "additionalProperty": [f"{name}: {value}" for name, value in facts.items() if value is not None],
    }


def atlas_software(manifest: RunManifest) -> tuple[Properties, list[Properties]]:
    """Atlas at the commit that ran, with the machine as it recorded it; and the libraries that can change numbers."""
    code, environment = manifest.code, manifest.environment
    changed = " with changes" if code.is_dirty else ""
    commit = f", commit {code.git_sha}{changed}" if code.git_sha else ""
    device = [environment.device, environment.dtype, environment.cpu]
    device += [f"{environment.threads} threads" if environment.threads else None]
    if environment.accelerator:
        device += [environment.accelerator.name, f"driver {environment.accelerator.driver}"]
    packages = [
        {"@id": f"urn:atlas:package:{name}:{version}", "@type": "SoftwareApplication", "name": name,
         "softwareVersion": version}
        for name, version in sorted({"python": environment.python, **environment.packages}.items())
    ]  # fmt: skip
    engine: Properties = {
        "@id": f"urn:atlas:code:{code.git_sha or code.project}",
        "@type": "SoftwareApplication",
        "name": "Atlas",
        "softwareVersion": f"{code.project}{commit}",
        "operatingSystem": environment.os,
        "processorRequirements": ", ".join(one for one in device if one),
    }
    return engine, packages


def parameters(config: RunConfig) -> list[Properties]:
    """What the run was asked with: the spec's parameters, its numeric mode, and the batch."""
    given = {**(config.spec.get("parameters") or {}), **(config.spec.get("numeric") or {})}
    given |= {"batch_size": config.batch_size, "forced": config.forced}
    return [
        {"@id": f"#parameter-{quote(name)}", "@type": "PropertyValue", "name": name, "value": _plain(value)}
        for name, value in sorted(given.items())
        if value is not None
    ]


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool) else str(value)


def action(one: RunOfPlate) -> Properties:
    """What was done to a plate, when, and how it ended."""
    manifest, plate = one.manifest, one.plate
    is_complete = manifest.status == "complete"
    outcome = "CompletedActionStatus" if is_complete else "FailedActionStatus"
    made: Properties = {
        "@id": f"#{plate.plate_id}",
        "@type": "CreateAction",
        "name": f"{manifest.instrument.key} on {plate.plate_id}",
        "description": f"{manifest.instrument.model_id} measures {plate.title} ({plate.plate_id}) in {manifest.run_id}",
        "startTime": manifest.started_at.isoformat(timespec="milliseconds"),
        "endTime": manifest.sealed_at.isoformat(timespec="milliseconds"),
        "actionStatus": f"http://schema.org/{outcome}",
        "identifier": [f"atlas:{manifest.run_id}"],
    }
    if manifest.dagster_run_id:
        made["identifier"].append(f"dagster:{manifest.dagster_run_id}")
    if manifest.error:
        made["error"] = f"{manifest.error.stage}: {manifest.error.type}: {manifest.error.message}"
    return made


def left_input(one: RunOfPlate, file: FileDigest) -> Properties:
    """A file that was read and is not in the crate: by its name in PROV-JSON, with digest and address if known."""
    own = f"urn:atlas:plate:{one.plate.plate_id}/{quote(file.path)}"
    facts = {"@id": own, "@type": "File", **file_facts(file.path, file.sha256, file.size_bytes)}
    origin = one.plate.origin.url if one.plate.origin else one.plate.download_url
    if file.path.startswith("source/"):
        facts["description"] = f"Scan of {one.plate.title}"
        facts |= {"contentUrl": origin} if origin else {}
    return facts


def file_facts(path: str, sha256: str | None, size_bytes: int) -> Properties:
    """Name, format, size and digest of a file."""
    name = Path(path).name
    facts = {"name": name, "encodingFormat": FORMATS.get(Path(name).suffix.lower()), "contentSize": str(size_bytes)}
    return {key: value for key, value in {**facts, "sha256": sha256}.items() if value is not None}
