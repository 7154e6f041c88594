"""Mask generation: the cost of embedding, decoder and filters, and the memory of a thousand masks.

Run `python -m benchmarks.masks`. ViT-B has seeded weights, so times are real and masks are not.
"""

import resource
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from segment_anything import sam_model_registry

from atlas_assets.roles.segmentation import SegmentationWork, WorkingRaster
from atlas_resources.instruments.parameters.segmenting import SamParameters
from atlas_resources.instruments.registry import read_registry
from atlas_resources.models.loaders.segmenters.prompted.mask_generation import Decoded, MaskGenerator, enlarged
from atlas_resources.models.loaders.segmenters.prompted.point_prompts import fitted_size, point_grid
from atlas_resources.models.loaders.segmenters.prompted.segment_anything import SegmentAnything
from atlas_resources.models.protocols import Mask

HEIGHT_PX, WIDTH_PX = 3072, 4096
LOGITS_PX = 256  # side of the output of SAM's decoder
POINTS_PER_SIDE = 19  # three masks per point: 1,083
ROUNDS = 3
KEPT = {"points_per_batch": 64, "pred_iou_thresh": 0.88, "stability_score_thresh": 0.9, "box_nms_thresh": 0.7}


class Discs:
    """A model that costs nothing: three discs around each point, no two alike."""

    side_px = 1024
    point_dtype: type[np.floating] = np.float64
    points_at_once: int | None = None

    def embed(self, raster: np.ndarray) -> None:
        """The raster is not used."""

    def decode(self, embedding: None, points: np.ndarray) -> Decoded:
        """Logits of 8 within a disc and -8 outside it, 256 x 256."""
        rows, columns = torch.meshgrid(*[torch.arange(LOGITS_PX) + 0.5] * 2, indexing="ij")
        x, y = torch.from_numpy(points * (LOGITS_PX / self.side_px)).float().T[..., None, None, None]
        radius = torch.tensor([6.0, 10.0, 16.0])[None, :, None, None]
        inside = (rows - y) ** 2 + (columns - x) ** 2 <= radius**2
        logits = inside.float() * 16 - 8
        return Decoded(torch.full((len(points), 3), 0.95), lambda is_wanted: logits[is_wanted])


def seconds(work: Callable[[], object]) -> float:
    """Median processor seconds of some rounds, all threads together, so that other processes do not count."""
    times = []
    for _ in range(ROUNDS):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return statistics.median(times)


def peak_mib() -> float:
    """The peak resident memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def time_vit_b() -> None:
    """Times embedding, decoder and enlarging of the real architecture separately."""
    torch.manual_seed(7)
    model = SegmentAnything(sam_model_registry["vit_b"]().eval(), "cpu")
    raster = np.random.default_rng(0).integers(0, 255, (768, 1024, 3), dtype=np.uint8)
    points = point_grid(8) * (1024, 768)
    with torch.inference_mode():
        embedding = model.embed(raster)
        parts = np.array_split(points, 8)
        every = torch.ones(len(parts[0]), 3, dtype=torch.bool)
        logits = model.decode(embedding, parts[0]).draw(every)

        def decode(is_drawn: bool) -> None:
            for some in parts:
                decoded = model.decode(embedding, some)
                if is_drawn:
                    decoded.draw(every)

        print(f"ViT-B, seeded, {torch.get_num_threads()} threads, medians of {ROUNDS}, processor seconds")
        print(f"image embedding                       {seconds(lambda: model.embed(raster)):8.3f} s")
        print(f"decoder, 64 points, no mask drawn     {seconds(lambda: decode(False)):8.3f} s")
        print(f"decoder, 64 points, 192 masks         {seconds(lambda: decode(True)):8.3f} s")
        for height, width in ((768, 1024), (HEIGHT_PX, WIDTH_PX)):
            some, fitted = logits[:4], fitted_size(height, width, 1024)
            each = seconds(lambda some=some, fitted=fitted, to=(height, width): enlarged(some, 1024, fitted, to)) / 4
            print(f"enlarging one mask to {width:4} x {height:4}     {each:8.4f} s")


def hold_a_thousand() -> None:
    """Generates and measures over a thousand masks of a raster of 12.6 Mpx; prints the growth of the process."""
    pixels = np.random.default_rng(0).integers(0, 255, (HEIGHT_PX // 8, WIDTH_PX // 8, 3), dtype=np.uint8)
    raster = np.asarray(Image.fromarray(pixels).resize((WIDTH_PX, HEIGHT_PX)))
    generator = MaskGenerator(Discs(), SamParameters(points_per_side=POINTS_PER_SIDE, **KEPT))  # type: ignore[arg-type]
    before, started = peak_mib(), time.process_time()
    masks = generator.segment(raster)
    generated, at_generated = peak_mib() - before, time.process_time() - started

    class Given:
        def segment(self, raster: np.ndarray) -> list[Mask]:
            return masks

    spec = read_registry().require("sam_vit_base")
    work = SegmentationWork(spec, Given)
    work.load()
    started = time.process_time()
    (measured,) = work.measure([WorkingRaster(raster, WIDTH_PX, HEIGHT_PX)])
    bool_mib = len(masks) * raster[..., 0].size / 2**20
    print(f"{len(masks)} masks of {WIDTH_PX} x {HEIGHT_PX}; as bool rasters {bool_mib:.0f} MiB")
    print(f"as run lengths                        {sum(len(mask.counts) for mask in masks) / 2**20:8.2f} MiB")
    print(f"generated                             {at_generated:8.1f} s, peak +{generated:.0f} MiB")
    print(
        f"measured, stored and drawn            {time.process_time() - started:8.1f} s, "
        f"peak +{peak_mib() - before:.0f} MiB, {measured.rows.height} rows"
    )


if __name__ == "__main__":
    parts = {"memory": hold_a_thousand, "vit_b": time_vit_b}
    for name in sys.argv[1:] or parts:
        parts[name]()
