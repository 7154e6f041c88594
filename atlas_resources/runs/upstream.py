"""What an instrument reads that measures another instrument's sealed result of the same plate.

Which instrument that is, its spec declares; when the result is there, is read from disk.
"""

import hashlib
import io
from dataclasses import dataclass

import polars as pl

from atlas_resources.instruments.instrument_identity import InstrumentIdentity
from atlas_resources.plates.contracts import FileDigest, RunManifest
from atlas_resources.plates.dataset import Dataset
from atlas_resources.runs.sealed import find_done
from atlas_resources.tables.results import FILE_OF_ROLE


class UpstreamMissing(LookupError):
    """The plate has no sealed result of the instrument that is to be read. No failure of the plate: it waits."""


@dataclass(frozen=True)
class SealedResult:
    """A plate's sealed result, as another instrument reads it.

    Attributes:
        manifest: of the run that sealed it.
        file: its Parquet file; path relative to the plate's folder.
        rows: what the file holds, in the table's order; see `result_tables`.
    """

    manifest: RunManifest
    file: FileDigest
    rows: pl.DataFrame


def require_sealed(dataset: Dataset, plate_id: str, upstream: InstrumentIdentity) -> SealedResult:
    """The plate's newest sealed result of an instrument's present version on its present source.

    Raises:
        UpstreamMissing: there is none; the message names the command that makes it.
        ValueError: the file's bytes are not those that were sealed.
    """
    manifest = find_done(dataset, plate_id, upstream)
    if manifest is None:
        make = f'atlas run \'tag:"atlas/instrument"="{upstream.key}"\' --plates {plate_id}'
        raise UpstreamMissing(f"{plate_id} has no sealed result of {upstream.key}, which is read here. First: {make}")
    path = f"runs/{manifest.run_id}/{FILE_OF_ROLE[upstream.role]}"
    file = next(output for output in manifest.outputs if output.path == path)
    content = (dataset.plate(plate_id).folder / path).read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256:
        raise ValueError(
            f"{dataset.plate(plate_id).folder / path}: expected the sealed sha256 {file.sha256}, found {found}. Restore "
            f"it, or measure {plate_id} with {upstream.key} again, `force` set in the run's configuration."
        )
    return SealedResult(manifest, file, pl.read_parquet(io.BytesIO(content)))
