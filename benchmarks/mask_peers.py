"""Whole mask generation beside the libraries' own generators, over the same seeded ViT-B, raster and grid.

Run `python -m benchmarks.mask_peers [segment_anything] [transformers] [--grid 8]`. Prints processor seconds, the most
memory, whether the
masks are equal, and, of Atlas, the share of encoder, decoder and the rest.
"""

import argparse
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image
from segment_anything import SamAutomaticMaskGenerator, sam_model_registry
from transformers import SamConfig, SamImageProcessor, SamModel, pipeline

from atlas_resources.instruments.parameters.segmenting import SamParameters
from atlas_resources.instruments.registry import read_registry
from atlas_resources.models.loaders.segmenters.prompted.mask_generation import Decoded, MaskGenerator
from atlas_resources.models.loaders.segmenters.prompted.sam import HubSam
from atlas_resources.models.loaders.segmenters.prompted.segment_anything import SegmentAnything
from atlas_resources.models.protocols import Mask

HEIGHT_PX, WIDTH_PX = 768, 1024
THRESHOLDS = {"pred_iou_thresh": 0.05, "stability_score_thresh": 0.5, "stability_score_offset": 0.002}
"""Of seeded weights, whose ratings are near 0 and whose logits are near 0: about half of the masks pass the first one."""
NMS = 0.7


def drawn_raster() -> np.ndarray:
    """uint8 [768, 1024, 3]: discs of several colours on noisy paper."""
    generator = np.random.default_rng(3)
    pixels = generator.integers(215, 240, (HEIGHT_PX, WIDTH_PX, 3)).astype(np.uint8)
    rows, columns = np.mgrid[:HEIGHT_PX, :WIDTH_PX]
    for y, x, radius in generator.integers((60, 60, 20), (700, 960, 140), (12, 3)).tolist():
        pixels[(rows - y) ** 2 + (columns - x) ** 2 < radius**2] = generator.integers(0, 200, 3)
    return pixels


def seeded(network: torch.nn.Module) -> Any:
    """The network in evaluation mode, its relative positions drawn too: they begin as zeros."""
    for name, values in network.named_parameters():
        if "rel_pos" in name:
            torch.nn.init.normal_(values, std=0.02)
    return network.eval()


class Timed:
    """A model of the generator that counts the processor seconds of its verbs."""

    def __init__(self, model: Any):
        self.model, self.side_px, self.point_dtype = model, model.side_px, model.point_dtype
        self.points_at_once = model.points_at_once
        self.seconds = {"encoder": 0.0, "decoder": 0.0}

    def embed(self, raster: np.ndarray) -> Any:
        """As the model's."""
        return self._timed("encoder", lambda: self.model.embed(raster))

    def decode(self, embedding: Any, points: np.ndarray) -> Decoded:
        """As the model's; drawing counts too."""
        decoded = self._timed("decoder", lambda: self.model.decode(embedding, points))
        draw = lambda wanted: self._timed("decoder", lambda: decoded.draw(wanted))  # noqa: E731 - a closure of one line
        return Decoded(decoded.predicted_iou, draw)

    def _timed(self, part: str, work: Callable[[], Any]) -> Any:
        started = time.process_time()
        result = work()
        self.seconds[part] += time.process_time() - started
        return result


def used() -> tuple[float, float]:
    """Processor seconds and the most memory of this process so far, in MiB."""
    return time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def reference_of_authors(network: Any, raster: np.ndarray, parameters: dict[str, Any]) -> list[np.ndarray]:
    """Masks of SamAutomaticMaskGenerator, best first."""
    generator = SamAutomaticMaskGenerator(network, **parameters)
    return [record["segmentation"] for record in generator.generate(raster)]


def reference_of_transformers(network: Any, raster: np.ndarray, parameters: dict[str, Any]) -> list[np.ndarray]:
    """Masks of the mask-generation pipeline, best first."""
    generate = pipeline("mask-generation", model=network, image_processor=SamImageProcessor(), device="cpu")
    found = generate(
        Image.fromarray(raster),
        points_per_crop=parameters["points_per_side"],
        points_per_batch=parameters["points_per_batch"],
        crops_nms_thresh=NMS,
        **THRESHOLDS,
    )
    return [np.asarray(mask) for mask in found["masks"]]


def compare(name: str, model: Any, peer: Callable[[], list[np.ndarray]], parameters: dict[str, Any]) -> None:
    """Atlas first, since the most memory only grows. Prints one row each, and whether the masks are equal."""
    raster, timed = drawn_raster(), Timed(model)
    generator = MaskGenerator(timed, SamParameters.model_validate(parameters))
    model.embed(raster)  # what is made once in a process
    at_start = used()
    masks: list[Mask] = generator.segment(raster)
    at_own = used()
    theirs = peer()
    at_peer = used()
    seconds, of_peer = at_own[0] - at_start[0], at_peer[0] - at_own[0]
    rest = seconds - sum(timed.seconds.values())
    parts = ", ".join(f"{part} {value:.1f}" for part, value in (*timed.seconds.items(), ("rest", rest)))
    are_equal = len(masks) == len(theirs) and all(
        np.array_equal(mask.pixels, other) for mask, other in zip(masks, theirs, strict=True)
    )
    print(f"{name}: {len(masks)} masks, {'equal' if are_equal else 'NOT EQUAL'} to the {len(theirs)} of the library")
    print(f"| Atlas | {seconds:.1f} s: {parts} | 1.00 | {at_own[1]:.0f} MiB |")
    print(f"| the library's generator | {of_peer:.1f} s | {of_peer / seconds:.2f} | {at_peer[1]:.0f} MiB |", flush=True)


def of_authors(parameters: dict[str, Any]) -> None:
    """segment-anything."""
    own, other = (seeded_vit_b() for _ in range(2))
    compare(
        "segment-anything",
        SegmentAnything(own, "cpu"),
        lambda: reference_of_authors(other, drawn_raster(), parameters),
        parameters,
    )


def seeded_vit_b() -> Any:
    """The same each time."""
    torch.manual_seed(7)
    return seeded(sam_model_registry["vit_b"]())


def of_transformers(parameters: dict[str, Any]) -> None:
    """The pipeline of transformers, over its own layout of ViT-B."""
    torch.manual_seed(7)
    own = seeded(SamModel(SamConfig()))
    other = SamModel(SamConfig()).eval()
    other.load_state_dict(own.state_dict())
    steps = read_registry().require("sam_vit_base").preprocessing
    parameters = {**parameters, "crop_nms_order": "predicted_iou"}
    compare(
        "transformers",
        HubSam(own, steps, "cpu"),  # type: ignore[arg-type] # an admitted spec has declared steps
        lambda: reference_of_transformers(other, drawn_raster(), parameters),
        parameters,
    )


def main() -> None:
    """Compares with one library or with both."""
    peers = {"segment_anything": of_authors, "transformers": of_transformers}
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mask_peers", description=__doc__)
    parser.add_argument("peers", nargs="*", help=", ".join(peers))
    parser.add_argument("--grid", type=int, default=8, help="points per side")
    options = parser.parse_args()
    print(f"{torch.get_num_threads()} threads, {WIDTH_PX} x {HEIGHT_PX} px, {options.grid} points per side; processor")
    for name in options.peers or peers:
        peers[name]({**THRESHOLDS, "points_per_side": options.grid, "points_per_batch": 64, "box_nms_thresh": NMS})


if __name__ == "__main__":
    main()
