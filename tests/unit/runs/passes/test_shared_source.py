"""One decode of a plate for all jobs that prepare from it: its time, its errors, and its memory."""

import gc
import weakref

import numpy as np
import pytest
from support.made_datasets import alter_source

from atlas_resources.plates.decode import SourceChanged, decode_source
from atlas_resources.plates.rasters import working
from atlas_resources.plates.rasters.working import raster_path, reduce
from atlas_resources.runs.passes import shared_source
from atlas_resources.runs.passes.shared_source import decoded_once, read_pixels, read_source
from atlas_resources.runs.stages import Stopwatch

DECODE_SECONDS = 12.0


class Decoder:
    """Counts decodes, each of which takes `DECODE_SECONDS` of its own clock."""

    def __init__(self):
        self.now = 0.0
        self.decoded: list[str] = []

    def __call__(self, plate):
        self.decoded.append(plate.id)
        self.now += DECODE_SECONDS
        return decode_source(plate)

    def stopwatch(self) -> Stopwatch:
        return Stopwatch(lambda: self.now)


@pytest.fixture
def decoder(monkeypatch):
    decoder = Decoder()
    monkeypatch.setattr(shared_source, "decode_source", decoder)
    return decoder


def test_readers_within_a_block_share_one_decode_and_outside_each_has_its_own(dataset, decoder):
    plate = dataset.plate("plate-001")
    with decoded_once(readers=2):
        first, second = (read_source(plate, Stopwatch()) for _ in range(2))
    assert first is second
    assert np.array_equal(np.asarray(first.image), np.asarray(decode_source(plate).image))
    assert read_source(plate, Stopwatch()) is not read_source(plate, Stopwatch())
    assert decoder.decoded == ["plate-001"] * 3


def test_each_reader_counts_an_equal_share_and_the_shares_sum_to_the_decode(dataset, decoder):
    stopwatches = [decoder.stopwatch() for _ in range(3)]
    with decoded_once(readers=3):
        for stopwatch in stopwatches:
            with stopwatch.stage("preprocess"):
                read_source(dataset.plate("plate-001"), stopwatch)
                decoder.now += 1.0
    assert [stopwatch.read().decode for stopwatch in stopwatches] == [4.0, 4.0, 4.0]
    assert [stopwatch.read().preprocess for stopwatch in stopwatches] == [1.0, 1.0, 1.0]


def test_a_reader_alone_counts_the_whole_decode(dataset, decoder):
    stopwatch = decoder.stopwatch()
    read_source(dataset.plate("plate-001"), stopwatch)
    assert stopwatch.read().decode == DECODE_SECONDS


def test_a_decode_that_failed_is_an_error_of_each_reader_and_is_not_tried_again(dataset, decoder):
    alter_source(dataset, "plate-001")
    traces = []
    with decoded_once(readers=3):
        for _ in range(3):
            with pytest.raises(SourceChanged, match="expected sha256") as caught:
                read_source(dataset.plate("plate-001"), Stopwatch())
            traces.append(len(caught.traceback))
    assert decoder.decoded == ["plate-001"]
    assert traces[1] == traces[2], "the error does not grow from reader to reader"


def test_another_plate_or_another_registered_digest_is_decoded_anew(dataset, decoder):
    plate = dataset.plate("plate-001")
    with decoded_once(readers=3):
        read_source(plate, Stopwatch())
        read_source(dataset.plate("plate-002"), Stopwatch())
        read_source(plate, Stopwatch())
        digest = plate.folder / "source.sha256"
        digest.chmod(0o644)
        digest.write_text("0" * 64 + digest.read_text()[64:])
        with pytest.raises(SourceChanged):
            read_source(plate, Stopwatch())
    assert decoder.decoded == ["plate-001", "plate-002", "plate-001", "plate-001"]


def test_the_pixels_are_freed_at_the_end_of_the_block(dataset):
    with decoded_once(readers=2):
        pixels = weakref.ref(read_source(dataset.plate("plate-001"), Stopwatch()).image)
        gc.collect()
        assert pixels() is not None
    assert pixels() is None, "freed without a collection"


@pytest.fixture
def small(monkeypatch):
    """A working raster that is smaller than the test's plates."""
    monkeypatch.setattr(working, "LONGER_SIDE_PX", {"source": None, "work_1024": 100})


@pytest.mark.usefixtures("small")
def test_a_working_raster_is_made_of_the_source_once_and_read_from_then_on(dataset, decoder):
    plate = dataset.plate("plate-001")
    made = read_pixels(plate, "work_1024", Stopwatch())
    assert max(made.size) == 100
    assert np.array_equal(np.asarray(made), np.asarray(reduce(decode_source(plate).image, "work_1024")))
    found = read_pixels(plate, "work_1024", Stopwatch())
    assert np.array_equal(np.asarray(found), np.asarray(made))
    assert decoder.decoded == ["plate-001"]


@pytest.mark.usefixtures("small")
def test_one_that_was_deleted_or_damaged_is_made_again(dataset, decoder):
    plate = dataset.plate("plate-001")
    made = read_pixels(plate, "work_1024", Stopwatch())
    path = raster_path(plate, "work_1024")
    path.write_bytes(path.read_bytes()[:-30])
    assert np.array_equal(np.asarray(read_pixels(plate, "work_1024", Stopwatch())), np.asarray(made))
    path.unlink()
    read_pixels(plate, "work_1024", Stopwatch())
    assert path.is_file()
    assert decoder.decoded == ["plate-001"] * 3


@pytest.mark.usefixtures("small")
def test_one_that_cannot_be_kept_is_used_all_the_same(dataset, decoder, monkeypatch):
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(working, "write_bytes_atomically", full)
    assert max(read_pixels(dataset.plate("plate-001"), "work_1024", Stopwatch()).size) == 100


@pytest.mark.usefixtures("small")
def test_a_source_that_cannot_be_decoded_has_no_working_raster(dataset):
    alter_source(dataset, "plate-001")
    with pytest.raises(SourceChanged):
        read_pixels(dataset.plate("plate-001"), "work_1024", Stopwatch())
    assert not dataset.rasters_dir.exists()


@pytest.mark.usefixtures("small")
def test_source_and_working_raster_of_one_pass_share_a_decode(dataset, decoder):
    plate = dataset.plate("plate-001")
    with decoded_once(readers=2):
        whole, reduced = (read_pixels(plate, raster, Stopwatch()) for raster in ("source", "work_1024"))
    assert max(whole.size) > max(reduced.size) == 100
    assert decoder.decoded == ["plate-001"]
