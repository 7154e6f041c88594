"""Reading other instruments' sealed results of the same plate."""

import io
from dataclasses import dataclass, replace

import polars as pl

from atlas_resources.instruments.instrument import Instrument
from atlas_resources.plates.contracts import FileDigest
from atlas_resources.plates.plate import Plate
from atlas_resources.plates.run_contracts import RunManifest
from atlas_resources.runs.sealed import find_done, read_output, result_file


class UpstreamMissing(LookupError):
    """The plate has no sealed result of the upstream instrument yet. This does not count as a failure of the plate."""


@dataclass(frozen=True)
class SealedResult:
    """A plate's sealed result, as another instrument reads it.

    Attributes:
        manifest: the manifest of the run that sealed it.
        file: its Parquet file; path relative to the plate's folder.
        rows: the rows of the file, in its order.
        vectors: the sealed vectors that are read besides, by an instrument that ranks keywords.
    """

    manifest: RunManifest
    file: FileDigest
    rows: pl.DataFrame
    vectors: "SealedResult | None" = None

    @property
    def files(self) -> tuple[FileDigest, ...]:
        """The files that are read, in the order in which the reader's manifest names them."""
        return (self.file, *(self.vectors.files if self.vectors else ()))


def require_read(plate: Plate, instrument: Instrument) -> SealedResult | None:
    """The sealed results that an instrument reads of a plate, as one; None if it reads pixels only.

    Raises:
        UpstreamMissing, DatasetBroken: see `require_sealed`.
    """
    if instrument.upstream is None:
        return None
    found = require_sealed(plate, instrument.upstream)
    return replace(found, vectors=require_sealed(plate, instrument.vectors)) if instrument.vectors else found


def require_sealed(plate: Plate, upstream: Instrument) -> SealedResult:
    """The plate's newest sealed result of an instrument's present version on its present source.

    Raises:
        UpstreamMissing: there is none. The message names the command that makes it.
        DatasetBroken: the file changed after it was sealed.
    """
    manifest = find_done(plate, upstream.identity)
    if manifest is None:
        make = f'atlas run \'tag:"atlas/instrument"="{upstream.key}"\' --plates {plate.id}'
        raise UpstreamMissing(
            f"{plate.id} has no sealed result of {upstream.key}, which this instrument reads. Fix: {make}"
        )
    file = result_file(plate, manifest)
    return SealedResult(manifest, file, pl.read_parquet(io.BytesIO(read_output(plate, manifest, file))))
