"""How often an ImageNet probe names the bird on a plate: `python -m benchmarks.imagenet_on_plates FOLDER [KEY]`.

The folder has scans and a `manifest.csv` with the columns `file` and `expected_imagenet`; rows without an expected
class are skipped. A label matches if the expected class is one of its names in ImageNet. KEY is the probe, by default
`efficientnet_lite0_imagenet`.
"""

import csv
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from atlas_resources.instruments.registry import read_registry
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loading import load_model
from atlas_resources.models.preprocessing import build_preprocess
from atlas_resources.models.protocols import Scorer
from atlas_resources.plates.decode import decode

INSTRUMENT = "efficientnet_lite0_imagenet"
TOP = 5


@dataclass(frozen=True)
class Verdict:
    """One plate: the class it shows, the probe's five best labels with scores, and the rank of the expected class.

    Attributes:
        rank: 1 for the best score; None when no label has the expected name.
    """

    file: str
    expected: str
    best: list[tuple[str, float]]
    rank: int | None


def read_expected(folder: Path) -> list[tuple[str, str]]:
    """File and expected class of every row that has one. Raises FileNotFoundError without a manifest."""
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [(row["file"], row["expected_imagenet"]) for row in rows if row["expected_imagenet"]]


def names_of(label: str) -> set[str]:
    """The names of a label: "junco, snowbird" has two."""
    return {name.strip().casefold() for name in label.split(",")}


def judge(file: str, expected: str, labels: list[str], scores: np.ndarray) -> Verdict:
    """Compares one plate's scores, float32 [labels], with the class it shows."""
    order = np.argsort(-scores, kind="stable")
    ranks = (rank for rank, index in enumerate(order, start=1) if expected.casefold() in names_of(labels[index]))
    best = [(labels[index], float(scores[index])) for index in order[:TOP]]
    return Verdict(file, expected, best, next(ranks, None))


def verdicts(folder: Path, spec: Spec) -> Iterator[Verdict]:
    """Each plate's verdict, in the manifest's order."""
    model = load_model(spec)
    if not isinstance(model, Scorer) or spec.preprocessing is None:
        raise TypeError(f"{spec.key}: expected a probe with declared preprocessing, found {type(model).__name__}")
    preprocess = build_preprocess(spec.preprocessing)
    labels = [label.name for label in model.labels]
    for batch in batched(read_expected(folder), spec.batch_size):
        pixels = torch.stack([preprocess(decode(folder / file).image) for file, _ in batch])
        _, scores = model.score(pixels)
        for (file, expected), plate_scores in zip(batch, scores, strict=True):
            yield judge(file, expected, labels, plate_scores)


def batched(rows: Iterable[tuple[str, str]], size: int) -> Iterator[list[tuple[str, str]]]:
    """Lists of at most `size` rows."""
    remaining = iter(rows)
    while batch := list(islice(remaining, size)):
        yield batch


def named_within(found: list[Verdict], places: int) -> int:
    """Number of plates whose expected class is among the best `places`."""
    return sum(verdict.rank is not None and verdict.rank <= places for verdict in found)


def main(arguments: list[str]) -> int:
    """Prints the table and both accuracies; returns the exit status."""
    if len(arguments) not in {1, 2} or not (Path(arguments[0]) / "manifest.csv").is_file():
        print("usage: python -m benchmarks.imagenet_on_plates FOLDER [KEY]  (manifest.csv: file, expected_imagenet)")
        return 2
    spec = read_registry().require(*(arguments[1:] or [INSTRUMENT]))
    found = []
    print(f"{'expected':24}{'rank':>5}  {'best':32}{'score':>7}  file")
    for verdict in verdicts(Path(arguments[0]), spec):
        found.append(verdict)
        name, score = verdict.best[0]
        rank = "-" if verdict.rank is None else str(verdict.rank)
        print(f"{verdict.expected[:23]:24}{rank:>5}  {name[:31]:32}{score:7.3f}  {verdict.file}")
    if not found:
        print("no row has an expected_imagenet")
        return 1
    for places in (1, TOP):
        count = named_within(found, places)
        print(f"top-{places}: {count} of {len(found)} ({count / len(found):.0%})")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
