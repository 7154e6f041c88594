"""The speed of a numeric mode compared with float32, with the same weights: `python -m benchmarks.numeric_modes`.

`atlas models golden KEY` measures its accuracy.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import torch

from atlas_assets.roles.declared import declared_preprocessing
from atlas_resources.instruments.fast_modes import exact_twin, mode_name
from atlas_resources.instruments.registry import read_registry
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loading import load_model
from atlas_resources.models.protocols import Embedder, Scorer

ROUNDS = 25


def build_step(spec: Spec) -> Callable[[torch.Tensor], object]:
    """The verb of the loaded model, not warmed up."""
    model = load_model(spec)
    if isinstance(model, Embedder):
        return model.embed
    if isinstance(model, Scorer):
        return model.score
    raise TypeError(f"{spec.key}: expected an embedding or a probe, found a {spec.role}")


def input_side_px(spec: Spec) -> int:
    """Side of the model's square input. Raises ValueError for a spec without one."""
    steps = declared_preprocessing(spec)
    side = steps.crop_px or (steps.resize and steps.resize.mode == "exact" and steps.resize.size_px)
    if not side:
        raise ValueError(f"{spec.key}: its input has no fixed side")
    return side


def seconds(step: Callable[[torch.Tensor], object], batch: torch.Tensor) -> float:
    """Wall time of one call; the result is on the CPU when it returns, so a GPU has finished."""
    started = time.perf_counter()
    step(batch)
    return time.perf_counter() - started


def main(arguments: list[str]) -> int:
    """Prints the medians of both modes and their ratio; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.numeric_modes", description=__doc__)
    parser.add_argument("key", nargs="?", default="efficientnet_lite0_bf16", help="an instrument in a fast mode")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 8])
    options = parser.parse_args(arguments)
    fast = read_registry().require(options.key)
    specs = {"float32": exact_twin(fast), mode_name(fast.numeric): fast}
    steps = {name: build_step(spec) for name, spec in specs.items()}
    print(f"{fast.key}, {torch.get_num_threads()} threads, medians of {ROUNDS} rounds, alternating\n")
    print("| batch size | mode | ms per image | ratio to float32 |\n|---|---|---|---|")
    for size in options.batch_sizes:
        side = input_side_px(fast)
        batch = torch.rand(size, 3, side, side, generator=torch.Generator().manual_seed(0))
        rounds = [{name: seconds(step, batch) for name, step in steps.items()} for _ in range(ROUNDS + 1)][1:]
        medians = {name: statistics.median(taken[name] for taken in rounds) for name in steps}
        for name, median in medians.items():
            print(f"| {size} | {name} | {1000 * median / size:.1f} | {median / medians['float32']:.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
