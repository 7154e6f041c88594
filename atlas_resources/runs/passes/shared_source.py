"""One decode of a plate for all jobs that prepare their input from it. Decoding itself belongs in `plates`.

So do working rasters: how they are made, kept and read.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from types import TracebackType

from PIL import Image

from atlas_resources.instruments.spec.input import Raster
from atlas_resources.plates.decode import DecodedImage, decode_source
from atlas_resources.plates.plate import Plate
from atlas_resources.plates.rasters.working import keep_raster, read_raster, reduce
from atlas_resources.runs.stages import Stopwatch


@dataclass(frozen=True)
class _Refused:
    """Why a source could not be decoded, and where that was raised."""

    error: Exception
    traceback: TracebackType | None


class _SharedSource:
    """The decoded source of one plate, or why it could not be decoded."""

    def __init__(self, readers: int):
        self._readers = readers
        self._key: tuple[Plate, str] | None = None
        self._found: DecodedImage | _Refused | None = None
        self._seconds_each = 0.0

    def read(self, plate: Plate, stopwatch: Stopwatch) -> DecodedImage:
        """The pixels, decoded at the first call. Raises what decoding raised. `decode` is the stopwatch's stage."""
        key = plate, plate.source_sha256()
        if self._found is None or self._key != key:
            self.release()
            before = stopwatch.read().decode
            self._key, self._found = key, _try_decode(plate)
            seconds = stopwatch.read().decode - before
            self._seconds_each = seconds / self._readers
            stopwatch.add("decode", -seconds)
        stopwatch.add("decode", self._seconds_each)
        if isinstance(self._found, _Refused):
            raise self._found.error.with_traceback(self._found.traceback)  # else it would grow by each job's frames
        return self._found

    def release(self) -> None:
        """Frees the pixels, and the frames of an error, which refer to the file's bytes."""
        self._key = self._found = None


def _try_decode(plate: Plate) -> DecodedImage | _Refused:
    try:
        return decode_source(plate)
    except Exception as error:  # noqa: BLE001 - raised for each job that asks for the pixels
        return _Refused(error, error.__traceback__)


_SHARED: ContextVar[_SharedSource | None] = ContextVar("_SHARED", default=None)


@contextmanager
def decoded_once(readers: int) -> Iterator[None]:
    """Within the block, this thread decodes a plate at its first `read_source` only. The pixels are freed at its end.

    Args:
        readers: how many jobs prepare their input within the block. Each counts an equal share of the decode's time.
    """
    shared = _SharedSource(readers)
    token = _SHARED.set(shared)
    try:
        yield
    finally:
        _SHARED.reset(token)
        shared.release()


def read_source(plate: Plate, stopwatch: Stopwatch) -> DecodedImage:
    """The plate's pixels and the facts of its source, whose bytes are compared with their registered digest.

    Jobs of one pass share the image and must not change it. The time counts as `decode`; of a shared decode, an equal
    share.

    Raises:
        ImageRefused, SourceChanged: as `decode_source`, for each job that asks.
        PlateUnknown, DatasetBroken: the plate's own files are missing or broken.
    """
    with stopwatch.stage("decode"):
        shared = _SHARED.get()
        return decode_source(plate) if shared is None else shared.read(plate, stopwatch)


def read_pixels(plate: Plate, raster: Raster, stopwatch: Stopwatch) -> Image.Image:
    """The plate's 8-bit sRGB pixels at the size of a raster, which jobs of one pass share and must not change.

    A working raster that is kept is read, and the source is neither decoded nor hashed; one that is not is made of the
    source and kept. The time counts as `decode`.

    Raises:
        ImageRefused, SourceChanged, PlateUnknown, DatasetBroken: as `read_source`.
    """
    if raster == "source":
        return read_source(plate, stopwatch).image
    with stopwatch.stage("decode"):
        kept = read_raster(plate, raster)
    if kept is not None:
        return kept
    source = read_source(plate, stopwatch).image
    with stopwatch.stage("decode"):
        made = reduce(source, raster)
        with suppress(OSError):  # on a full disk it is not kept; sealing reports that
            keep_raster(plate, raster, made)
    return made
