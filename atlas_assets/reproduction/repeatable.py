"""Whether one plate of a sealed run can be repeated by this code: its fingerprint, source and upstream result."""

import hashlib
import io
import re
from dataclasses import dataclass, replace

import polars as pl

from atlas_assets.reproduction.sealed_runs import NotRepeatable
from atlas_resources.instruments.instrument import InstrumentIdentity, fingerprint, preprocess_tag
from atlas_resources.instruments.loader_table import LOADERS
from atlas_resources.instruments.spec.pins import model_sha, weights_sha256
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.plates.contracts import FileDigest
from atlas_resources.plates.json_files import DatasetBroken, read_whole
from atlas_resources.plates.plate import Plate
from atlas_resources.plates.run_contracts import CodeVersion, RunManifest
from atlas_resources.runs.sealed import read_manifest
from atlas_resources.runs.upstream import SealedResult
from atlas_resources.tables.results import FILE_OF_ROLE

UPSTREAM_PATH = re.compile(r"runs/(run-\d{8}-\d{6}Z-[0-9a-f]{8})/([a-z_]+\.parquet)")


@dataclass(frozen=True)
class Repeatable:
    """A plate's sealed result, and all that is needed to measure it again.

    Attributes:
        plate: the plate.
        manifest: of the sealed run.
        upstream: the sealed result that the run read, by its digest; None for an instrument that reads pixels.
    """

    plate: Plate
    manifest: RunManifest
    upstream: SealedResult | None


def require_repeatable(plate: Plate, run_id: str, spec: Spec) -> Repeatable:
    """The plate's part of a run, once all that the run read was compared with the digests it recorded.

    Args:
        plate: the plate.
        run_id: the run.
        spec: the spec that the run recorded.

    Raises:
        NotRepeatable: a file is missing or was altered, or this code gives the instrument another fingerprint.
    """
    try:
        manifest = read_manifest(plate, run_id)
        upstream = _read_results(plate, manifest, spec) if spec.upstream else None
        _require_source(plate, manifest)
    except (OSError, LookupError, DatasetBroken) as error:
        raise NotRepeatable(str(error)) from error
    vectors = upstream and upstream.vectors
    read = (one and one.manifest.instrument for one in (upstream, vectors))
    if reason := why_other_fingerprint(spec, manifest.instrument, *read):
        raise NotRepeatable(f"{reason}. {code_that_can(manifest.code)}")
    return Repeatable(plate, manifest, upstream)


def _require_source(plate: Plate, manifest: RunManifest) -> None:
    registered = plate.source_sha256()
    if registered != manifest.source_sha256:
        raise NotRepeatable(
            f"the run measured another source: expected sha256 {manifest.source_sha256}, registered is {registered}"
        )
    if change := plate.source_change():
        raise NotRepeatable(f"{change}. Fix: restore the registered file from a copy")


def _read_results(plate: Plate, manifest: RunManifest, spec: Spec) -> SealedResult:
    """The results that the manifest names among its inputs, as one, not the plate's present ones."""
    results = []
    for file in manifest.inputs[1:]:
        if match := UPSTREAM_PATH.fullmatch(file.path):
            sealed = read_manifest(plate, match[1])
            if match[2] == FILE_OF_ROLE[sealed.instrument.role]:
                results.append(SealedResult(sealed, file, _read_rows(plate, file)))
    if len(results) != len(spec.reads):
        found = ", ".join(file.path for file in manifest.inputs) or "none"
        raise NotRepeatable(
            f"its manifest names {len(results) or 'no'} result{'s' if len(results) > 1 else ''} of another instrument "
            f"among its inputs, found {found}"
        )
    return replace(results[0], vectors=results[1]) if spec.ranking else results[0]


def _read_rows(plate: Plate, file: FileDigest) -> pl.DataFrame:
    path = plate.folder / file.path
    content = read_whole(path)
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256:
        raise NotRepeatable(
            f"{path}, which the run read, has changed: expected sha256 {file.sha256}, found {found}. "
            "Fix: restore it from a copy"
        )
    return pl.read_parquet(io.BytesIO(content))


def why_other_fingerprint(
    spec: Spec,
    sealed: InstrumentIdentity,
    upstream: InstrumentIdentity | None,
    vectors: InstrumentIdentity | None = None,
) -> str | None:
    """Which part of the fingerprint is another with this code; None if the fingerprint is that of the sealed run.

    Args:
        spec: as the run recorded it.
        sealed: the identity that the run recorded.
        upstream: the identity of the instrument whose sealed result the run read.
        vectors: that of the embedding whose sealed vectors it read besides.
    """
    entry = LOADERS.get(spec.loader or "")
    if entry is None:
        return f"loader: this code has none that is named {spec.loader!r}"
    if fingerprint(spec, entry.version, upstream, vectors) == sealed.fingerprint:
        return None
    is_version_alone = fingerprint(spec, sealed.loader_version, upstream, vectors) == sealed.fingerprint
    pairs = {
        f"version of the loader {spec.loader}": (sealed.loader_version, entry.version),
        "loader": (sealed.loader, spec.loader),
        "model revision": (sealed.model_sha, model_sha(spec)),
        "digest of the weights": (sealed.weights_sha256, weights_sha256(spec)),
        "preprocessing": (sealed.preprocess_tag, preprocess_tag(spec)),
    }
    parts = [f"{name} is {new}, sealed with {old}" for name, (old, new) in pairs.items() if old != new]
    if is_version_alone:
        parts = parts[:1]
    elif not parts or (len(parts) == 1 and sealed.loader_version != entry.version):
        parts.append("the recorded spec, or what this code takes from it into the fingerprint, is not as sealed")
    return f"this code gives the instrument another fingerprint: {'; '.join(parts)}"


def code_that_can(code: CodeVersion) -> str:
    """Which code can repeat a run that this code cannot, in a sentence."""
    if code.git_sha is None:
        return f"The run was sealed by version {code.project} outside a git checkout: no commit is recorded"
    changed = ", which had changes that were not committed" if code.is_dirty else ""
    return (
        f"The code that sealed it is at commit {code.git_sha}{changed}. "
        f"Fix: git worktree add ../atlas-{code.git_sha[:8]} {code.git_sha}, and repeat it there"
    )
