"""Whole mask generation beside the libraries' own generators, over the same seeded ViT-B, raster and grid.

Run `python -m benchmarks.mask_peers [segment_anything] [transformers] [--grid 8] [--rounds 2]`. Prints processor
seconds, by how much memory grew at most, whether the masks are equal, and of Atlas what encoder and decoder took.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from segment_anything import SamAutomaticMaskGenerator, sam_model_registry
from torch import nn
from transformers import SamConfig, SamImageProcessor, SamModel, pipeline

from atlas_resources.instruments.parameters.segmenting import SamParameters
from atlas_resources.instruments.registry import read_registry
from atlas_resources.models.loaders.segmenters.prompted.mask_generation import Decoded, MaskGenerator
from atlas_resources.models.loaders.segmenters.prompted.sam import HubSam
from atlas_resources.models.loaders.segmenters.prompted.segment_anything import SegmentAnything
from benchmarks.figures import ROUNDS, Figure

HEIGHT_PX, WIDTH_PX = 768, 1024
THRESHOLDS = {"pred_iou_thresh": 0.5, "stability_score_thresh": 0.5, "stability_score_offset": 0.002}
"""Of seeded weights: logits are near 0, and `seeded` puts ratings near 0.5, so that about half pass the first one."""
NMS = 1.0  # seeded masks fill the raster, and one of them would suppress all others; so every one is compared


def drawn_raster() -> np.ndarray:
    """uint8 [768, 1024, 3]: discs of several colours on noisy paper."""
    generator = np.random.default_rng(3)
    pixels = generator.integers(215, 240, (HEIGHT_PX, WIDTH_PX, 3)).astype(np.uint8)
    rows, columns = np.mgrid[:HEIGHT_PX, :WIDTH_PX]
    for y, x, radius in generator.integers((60, 60, 20), (700, 960, 140), (12, 3)).tolist():
        pixels[(rows - y) ** 2 + (columns - x) ** 2 < radius**2] = generator.integers(0, 200, 3)
    return pixels


def seeded(network: nn.Module) -> Any:
    """The network in evaluation mode. Its relative positions, which begin as zeros, are drawn; its ratings near 0.5."""
    decoder: Any = network.mask_decoder
    head = decoder.iou_prediction_head
    last = head.proj_out if hasattr(head, "proj_out") else head.layers[-1]  # as the two libraries call it
    nn.init.constant_(last.bias, 0.5)
    for name, values in network.named_parameters():
        if "rel_pos" in name:
            nn.init.normal_(values, std=0.02)
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


def measured(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """What the work returns, its processor seconds, and by how many MiB the process grew at most meanwhile."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from now on: proc_pid_clear_refs(5)
    before, started = _memory_mib("VmRSS"), time.process_time()
    result = work()
    return result, time.process_time() - started, _memory_mib("VmHWM") - before


def _memory_mib(field: str) -> float:
    """A figure of this process in /proc/self/status."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) / 1024


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


@dataclass(frozen=True)
class Pair:
    """Atlas's model over some weights, and a library's generator over the same, which returns its masks, best first."""

    model: Any
    peer: Callable[[], list[np.ndarray]]
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Round:
    """Processor seconds of both, of Atlas also by part, MiB by which memory grew, and masks that differ."""

    seconds: float
    parts: dict[str, float]
    growth_mib: float
    peer_seconds: float
    peer_growth_mib: float
    masks: int
    different_masks: int
    unequal_px: list[int]


def rounds_of(pair: Pair, rounds: int) -> Iterator[Round]:
    """Both generators over the drawn raster, in turn."""
    raster = drawn_raster()
    pair.model.embed(raster)  # what is made once in a process
    for _ in range(rounds):
        timed = Timed(pair.model)
        generator = MaskGenerator(timed, SamParameters.model_validate(pair.parameters))
        masks, seconds, growth = measured(lambda generator=generator: generator.segment(raster))
        theirs, of_peer, peer_growth = measured(pair.peer)
        unequal = [int(np.count_nonzero(one.pixels != other)) for one, other in zip(masks, theirs, strict=True)]
        different = len({mask.counts for mask in masks})
        yield Round(seconds, timed.seconds, growth, of_peer, peer_growth, len(masks), different, unequal)


def compare(name: str, pair: Pair, rounds: int) -> None:
    """Prints a row for Atlas and for the library, each of its fastest round, and whether the masks are equal."""
    found = list(rounds_of(pair, rounds))
    for one in found:
        print(f"{name}: {one.masks} masks, {one.different_masks} different ones; of those of the library,")
        print(f"{np.count_nonzero(one.unequal_px)} differ, by {max(one.unequal_px, default=0)} pixels at most")
    best, peer_seconds = min(found, key=lambda one: one.seconds), min(one.peer_seconds for one in found)
    parts = ", ".join(f"{part} {value:.1f}" for part, value in best.parts.items())
    rest = best.seconds - sum(best.parts.values())
    print("| generator | processor seconds | ratio | peak of memory |\n|---|---|---|---|")
    # Memory of the first round: afterwards, what was freed may still be the process's.
    row = f"{best.seconds:.1f}: {parts}, filters and run lengths {rest:.1f} | 1.00 | +{found[0].growth_mib:.0f} MiB"
    print(f"| Atlas | {row} |")
    row = f"{peer_seconds:.1f} | {peer_seconds / best.seconds:.2f} | +{found[0].peer_growth_mib:.0f} MiB"
    print(f"| the library's | {row} |", flush=True)


def figures(subject: str) -> Iterator[Figure]:
    """What `python -m benchmarks` measures: an 8 x 8 grid, seconds of the processor."""
    parameters = grid(8)
    for name, pair_of in PEERS.items():
        found = list(rounds_of(pair_of(parameters), ROUNDS))
        seconds, of_peer = tuple(one.seconds for one in found), tuple(one.peer_seconds for one in found)
        unequal = [px for one in found for px in one.unequal_px]
        differ, most = np.count_nonzero(unequal), max(unequal, default=0)
        why = f"{differ} of {len(unequal)} masks differ, by {most} pixels at most"
        why += "; two thirds of the time is the encoder, which is the same network"
        faster = tuple(1 / one for one in seconds)
        what, beside = "masks of a picture, ViT-B, pictures a second", f"{name}'s generator"
        yield Figure(subject, what, faster, "/s", beside, tuple(1 / one for one in of_peer), "at least", 1.5, why)
        for part in found[0].parts:
            yield Figure(subject, f"of that: {part}, beside {name}", tuple(one.parts[part] for one in found))


def of_authors(parameters: dict[str, Any]) -> Pair:
    """segment-anything."""
    own, other = (seeded_vit_b() for _ in range(2))
    peer = lambda: reference_of_authors(other, drawn_raster(), parameters)  # noqa: E731 - called in each round
    return Pair(SegmentAnything(own, "cpu"), peer, parameters)


def seeded_vit_b() -> Any:
    """The same each time."""
    torch.manual_seed(7)
    return seeded(sam_model_registry["vit_b"]())


def of_transformers(parameters: dict[str, Any]) -> Pair:
    """The pipeline of transformers, over its own layout of ViT-B."""
    torch.manual_seed(7)
    own = seeded(SamModel(SamConfig()))
    other = SamModel(SamConfig()).eval()
    other.load_state_dict(own.state_dict())
    steps = read_registry().require("sam_vit_base").preprocessing
    parameters = {**parameters, "crop_nms_order": "predicted_iou"}
    peer = lambda: reference_of_transformers(other, drawn_raster(), parameters)  # noqa: E731 - called in each round
    return Pair(HubSam(own, steps, "cpu"), peer, parameters)  # type: ignore[arg-type] # an admitted spec has declared steps


PEERS: dict[str, Callable[[dict[str, Any]], Pair]] = {"segment_anything": of_authors, "transformers": of_transformers}


def grid(points_per_side: int) -> dict[str, Any]:
    """Parameters of mask generation over a grid of points."""
    return {**THRESHOLDS, "points_per_side": points_per_side, "points_per_batch": 64, "box_nms_thresh": NMS}


def main() -> None:
    """Compares with one library or with both."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mask_peers", description=__doc__)
    parser.add_argument("peers", nargs="*", help=", ".join(PEERS))
    parser.add_argument("--grid", type=int, default=8, help="points per side")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    print(f"{torch.get_num_threads()} threads, {WIDTH_PX} x {HEIGHT_PX} px, {options.grid} points per side; processor")
    for name in options.peers or PEERS:
        compare(name, PEERS[name](grid(options.grid)), options.rounds)


if __name__ == "__main__":
    main()
