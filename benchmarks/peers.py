"""From files to stored vectors, beside other programs over the same plates and the same seeded CLIP ViT-B/32.

Run `python -m benchmarks.peers [--plates 200] [--rounds 3] [--layouts]`. Prints images/s of each, in turn,
beside Atlas. The floors are the same work without Atlas: decoding alone, and the model alone over tensors in memory.
"""

import argparse
import os
import signal
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import polars as pl
import torch
from PIL import Image
from transformers import CLIPImageProcessorPil, pipeline

from atlas_assets.demo.plates import draw_demo_plates
from atlas_assets.roles.embedding import EmbeddingWork
from atlas_resources.files.read_ahead import ahead
from atlas_resources.instruments.instrument import Instrument
from atlas_resources.instruments.spec.numeric import Numeric
from atlas_resources.models.loading import load_model
from atlas_resources.models.preprocessing import build_preprocess
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.decode import decode
from atlas_resources.plates.intake.registration import register_scans
from atlas_resources.runs.execution import execute_run
from benchmarks.figures import Figure, in_turn
from benchmarks.seeded import seeded_instrument

KEY = "clip_vit_base_patch32"
BATCH = 32
WORKERS = 2
GOAL = 1.3
PIXELTABLE = Path("build/pixeltable/bin/python")
PIXELTABLE_MAIN = "from benchmarks.pixeltable_peer import main; main()"  # functions of a script cannot be in a column
Vectors = np.ndarray


class Pictures(torch.utils.data.Dataset):
    """Files as open_clip's transforms make tensors of them."""

    def __init__(self, paths: list[Path], transform: Callable[[Image.Image], torch.Tensor]):
        self.paths, self.transform = paths, transform

    def __len__(self) -> int:
        """Number of files."""
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        """float32 [3, 224, 224]."""
        return self.transform(Image.open(self.paths[index]))


def store(vectors: Vectors, folder: Path, paths: list[Path]) -> Vectors:
    """Writes vectors as one Parquet file, as peers' users do."""
    pl.DataFrame({"file": [path.name for path in paths], "vector": vectors}).write_parquet(folder / "vectors.parquet")
    return vectors


def with_pipeline(network: Any, folder: Path, paths: list[Path]) -> Vectors:
    """transformers' pipeline over the same network, at batch 32, and its projection."""
    side = {"height": 224, "width": 224}
    processor = CLIPImageProcessorPil(size={"shortest_edge": 224}, crop_size=side)
    extract = pipeline("image-feature-extraction", model=network, image_processor=processor, device="cpu", pool=False)
    with torch.inference_mode():
        found = extract([str(path) for path in paths], batch_size=BATCH, return_tensors=True)
    return store(np.concatenate([one.numpy() for one in found]), folder, paths)


def with_open_clip(tower: Any, workers: int, folder: Path, paths: list[Path]) -> Vectors:
    """The loop of open_clip's README, over a DataLoader with worker processes, as clip-retrieval's inference too."""
    transform: Any = open_clip.image_transform(224, is_train=False)
    loader = torch.utils.data.DataLoader(Pictures(paths, transform), batch_size=BATCH, num_workers=workers)
    with torch.inference_mode():
        found = [tower(batch).numpy() for batch in loader]
    return store(np.concatenate(found), folder, paths)


def open_clip_of(network: Any) -> Any:
    """open_clip's tower with the weights of transformers' one: names changed, q, k and v in one matrix."""
    tower = open_clip.create_model("ViT-B-32-quickgelu", pretrained=None).visual.eval()  # type: ignore[union-attr] # a CLIP has one
    given = {name.removeprefix("vision_model."): values for name, values in network.state_dict().items()}
    wanted = {
        "class_embedding": given["embeddings.class_embedding"],
        "positional_embedding": given["embeddings.position_embedding.weight"],
        "proj": given["visual_projection.weight"].T,
        "conv1.weight": given["embeddings.patch_embedding.weight"],
    }
    renamed = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj"}
    renamed["self_attn.out_proj"] = "attn.out_proj"
    for end in ("weight", "bias"):
        wanted[f"ln_pre.{end}"] = given[f"pre_layrnorm.{end}"]
        wanted[f"ln_post.{end}"] = given[f"post_layernorm.{end}"]
        for number in range(12):
            theirs, own = f"encoder.layers.{number}", f"transformer.resblocks.{number}"
            parts = [given[f"{theirs}.self_attn.{part}_proj.{end}"] for part in "qkv"]
            wanted[f"{own}.attn.in_proj_{end}"] = torch.cat(parts)
            wanted |= {f"{own}.{to}.{end}": given[f"{theirs}.{name}.{end}"] for name, to in renamed.items()}
    tower.load_state_dict(wanted)
    return tower


@contextmanager
def pixeltable(folder: Path, network: Any) -> Iterator[Callable[[], Vectors]]:
    """A process of Pixeltable, in its own environment, with the same network; a call makes a table of the files."""
    home = folder / "pixeltable"
    (folder / "paths.txt").write_text("".join(f"{path}\n" for path in sources(folder)), encoding="utf-8")
    network.save_pretrained(folder / "network")
    process = subprocess.Popen(
        [str(PIXELTABLE), "-c", PIXELTABLE_MAIN, str(folder), str(torch.get_num_threads())],
        env={**os.environ, "PIXELTABLE_HOME": str(home)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip

    def answer(word: str) -> None:
        assert process.stdout is not None
        if not any(line == f"{word}\n" for line in process.stdout):
            raise RuntimeError(f"Pixeltable ended with {process.wait()}")

    def measured() -> Vectors:
        assert process.stdin is not None
        process.stdin.write("again\n")
        process.stdin.flush()
        answer("done")
        return np.load(folder / "vectors.npy")

    try:
        answer("ready")
        yield measured
    finally:
        process.kill()
        process.wait()
        if (found := home / "pgdata" / "postmaster.pid").is_file():  # its database outlives it
            os.kill(int(found.read_text().split()[0]), signal.SIGTERM)


def sources(folder: Path) -> list[Path]:
    """The files of the plates that were registered in the folder."""
    dataset = Dataset(folder / "atlas")
    return [dataset.plate(plate_id).source_path() for plate_id in dataset.plate_ids()]


def with_atlas(instrument: Instrument, model: Any, dataset: Dataset) -> Vectors:
    """A sealed run: every plate with its manifest and digests, flushed to disk; its vectors read back."""
    work = EmbeddingWork(instrument.spec, lambda: model)
    outcomes = list(execute_run(dataset, instrument, dataset.plate_ids(), work, is_forced=True))
    assert all(outcome.status == "complete" for outcome in outcomes), [outcome.reason for outcome in outcomes]
    by_id = {}
    for outcome in outcomes:
        assert outcome.sealed is not None
        folder = dataset.plate(outcome.plate_id).folder / "runs" / outcome.sealed.run_id
        by_id[outcome.plate_id] = pl.read_parquet(folder / "embeddings.parquet")["vector"][0].to_numpy()
    return np.stack([by_id[plate_id] for plate_id in dataset.plate_ids()])


def decode_alone(instrument: Instrument, dataset: Dataset) -> int:
    """Decodes and preprocesses every plate on two threads."""
    preprocess = build_preprocess(instrument.spec.preprocessing)  # type: ignore[arg-type] # declared
    prepare = lambda plate_id: preprocess(decode(dataset.plate(plate_id).source_path()).image)  # noqa: E731 - one line, used once
    return sum(1 for _ in ahead(prepare, dataset.plate_ids(), 2 * WORKERS))


def model_alone(instrument: Instrument, model: Any, count: int) -> None:
    """The bare loop over tensors in memory, at the instrument's batch size."""
    batch = torch.rand(instrument.spec.batch_size, 3, 224, 224)
    for _ in range(0, count, len(batch)):
        model.embed(batch)


def taken(work: Callable[[], object]) -> tuple[float, float]:
    """Wall seconds, and processor seconds with those of ended worker processes."""
    before = os.times()
    work()
    after = os.times()
    return after.elapsed - before.elapsed, sum(after[:4]) - sum(before[:4])


def print_layouts(instrument: Instrument) -> None:
    """Processor ms an image, in the usual order of memory and channels last, with attention eager and fused."""
    model: Any = load_model(instrument.spec)
    batch = torch.rand(instrument.spec.batch_size, 3, 224, 224)
    expected = model.embed(batch)
    eager = instrument.spec.model_copy(update={"numeric": Numeric(dtype="float32", device="cpu", attention="eager")})
    other: Any = load_model(eager)
    last: Any = load_model(instrument.spec)
    last.network.to(memory_format=torch.channels_last)
    ways = {
        "fused attention (as run)": lambda: model.embed(batch),
        "eager attention": lambda: other.embed(batch),
        "channels last": lambda: last.embed(batch.to(memory_format=torch.channels_last)),
    }
    seconds = {name: [] for name in ways}
    for _ in range(5):
        for name, way in ways.items():
            seconds[name].append(taken(way)[1])
    print("| layout | processor ms an image, median | ratio | lowest cosine |\n|---|---|---|---|")
    least = statistics.median(seconds["fused attention (as run)"])
    for name, way in ways.items():
        found = way()
        cosines = (found * expected).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(expected, axis=1)
        median = statistics.median(seconds[name])
        print(f"| {name} | {1000 * median / len(batch):.1f} | {median / least:.2f} | {cosines.min():.7f} |")


ATLAS = "Atlas, a sealed run"
DECODING, MODEL = "decoding alone, two threads", "the model alone, tensors in memory"


def ways_of(count: int, folder: Path, instrument: Instrument, network: Any) -> dict[str, Callable[[], Any]]:
    """Each program over drawn plates, Atlas first, and the floors last."""
    dataset = Dataset(folder / "atlas")
    draw_demo_plates(dataset.staging_dir, folder / "truth", count)
    list(register_scans(dataset, [dataset.staging_dir]))
    paths = sources(folder)
    tower, model = open_clip_of(network), load_model(instrument.spec)
    return {
        ATLAS: lambda: with_atlas(instrument, model, dataset),
        "transformers' pipeline, batch 32": partial(with_pipeline, network, folder, paths),
        f"open_clip, DataLoader, {WORKERS} workers": partial(with_open_clip, tower, WORKERS, folder, paths),
        "open_clip, DataLoader in the process": partial(with_open_clip, tower, 0, folder, paths),
        DECODING: lambda: decode_alone(instrument, dataset),
        MODEL: lambda: model_alone(instrument, model, len(paths)),
    }


def all_ways(
    count: int, folder: Path, instrument: Instrument, network: Any, stack: ExitStack
) -> dict[str, Callable[[], Any]]:
    """As `ways_of`, with Pixeltable where it is installed, for as long as the stack is open."""
    ways = ways_of(count, folder, instrument, network)
    if PIXELTABLE.is_file():
        ways["Pixeltable's computed column, batch 32"] = stack.enter_context(pixeltable(folder, network))
    return ways


def figures(subject: str) -> Iterator[Figure]:
    """What `python -m benchmarks` measures, over 48 plates."""
    count = 48
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        instrument, network = seeded_instrument(KEY, Path(name), Numeric(dtype="float32", device="cpu"))
        ways = all_ways(count, Path(name), instrument, network, stack)
        rates = {way: tuple(count / one for one in seconds) for way, seconds in in_turn(ways).items()}
    slower = min((DECODING, MODEL), key=lambda floor: statistics.median(rates[floor]))
    why = "decoding and the model share two cores; `batch_run` has the loop that does both"
    yield Figure(subject, ATLAS, rates[ATLAS], "plates/s", slower, rates[slower], "at least", 0.95, why)
    why = "both spend most of it in the same decoder and the same products of matrices"
    for peer in sorted(rates.keys() - {ATLAS, DECODING, MODEL}):
        yield Figure(subject, ATLAS, rates[ATLAS], "plates/s", peer, rates[peer], "at least", GOAL, why)
    if not PIXELTABLE.is_file():
        why = "`make pixeltable` installs it"
        yield Figure(subject, ATLAS, (), "plates/s", "Pixeltable's computed column", (), "at least", GOAL, why)


def compare(count: int, rounds: int, ways: dict[str, Callable[[], Any]]) -> None:
    """Prints a row for each program."""
    vectors = {name: way() for name, way in ways.items() if "alone" not in name}  # the first time is not counted
    own = next(iter(vectors.values()))
    norms = np.linalg.norm(own, axis=1)
    seconds = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            seconds[name].append(taken(way))
    wall, processor = (
        {name: statistics.median(one[which] for one in times) for name, times in seconds.items()} for which in (0, 1)
    )
    print(f"{count} drawn plates, {KEY} with seeded weights, {torch.get_num_threads()} threads, {rounds} rounds\n")
    print("Every model is loaded before.\n")
    print("| program | images/s | its time to Atlas's | its processor time to Atlas's | lowest cosine to Atlas |")
    print("|---|---|---|---|---|")
    for name in ways:
        cosine = "-"
        if name in vectors:
            other = vectors[name]
            cosine = f"{((own * other).sum(1) / norms / np.linalg.norm(other, axis=1)).min():.6f}"
        ratios = f"{wall[name] / wall[ATLAS]:.2f} | {processor[name] / processor[ATLAS]:.2f}"
        print(f"| {name} | {count / wall[name]:.2f} | {ratios} | {cosine} |")
    print(f"\nGoal: {GOAL} for each program, and 0.95 for the slower of decoding and model alone.")


def main() -> None:
    """Draws plates, makes the weights, and compares."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--plates", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--layouts", action="store_true", help="compare memory layouts and attention instead")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        instrument, network = seeded_instrument(KEY, folder, Numeric(dtype="float32", device="cpu"))
        if options.layouts:
            print_layouts(instrument)
        else:
            with ExitStack() as stack:
                ways = all_ways(options.plates, folder, instrument, network, stack)
                compare(options.plates, options.rounds, ways)


if __name__ == "__main__":
    main()
