"""What an embedding knows beyond colour: `python -m benchmarks.retrieval [--plates FOLDER] [--instruments KEY ...]`.

Each task but one asks without colour; the colour histograms of the groundwork stand in the same table. A detail in
colour is there to tell what colour alone does for it. By default the plates are those in `../shared/plates`; a
`manifest.csv` with the columns `file` and `expected_imagenet` among them adds the task of land against water birds.
"""

import argparse
import csv
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from atlas_assets.roles.declared import declared_preprocessing
from atlas_assets.roles.embedding import prepare_parts
from atlas_resources.instruments.registry import read_registry
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.measures.colour.census import count_colours
from atlas_resources.measures.colour.lab import lab_histogram
from atlas_resources.models.devices import DeviceUnavailable
from atlas_resources.models.loading import load_model
from atlas_resources.models.preprocessing import build_preprocess
from atlas_resources.models.protocols import Embedder
from atlas_resources.models.weights import WeightsMismatch, WeightsMissing
from atlas_resources.plates.decode import ImageRefused, decode
from atlas_resources.plates.intake.scan_plan import list_scans

HISTOGRAMS = "colour histograms"
DETAIL_RATIO = 0.25
"""Side of a detail over the plate's shorter side: smaller than a tile of 2 by 2, as large as one of 4 by 4."""
DETAIL_TRIES = 16
CROP_RATIO = 0.6

# ImageNet's birds under WordNet's `aquatic bird`, of those that the test plates show, and the others.
WATER = {"drake", "american coot", "pelican", "red-backed sandpiper", "little blue heron", "dowitcher", "limpkin",
         "albatross", "flamingo"}  # fmt: skip
LAND = {"junco", "bald eagle", "hummingbird", "kite", "quail", "robin", "black grouse", "ptarmigan", "magpie"}

Encode = Callable[[Image.Image], np.ndarray]


@dataclass(frozen=True)
class Encoder:
    """Turns pictures into unit vectors [parts, dim]: `plate` gives the whole picture first, `query` only the whole."""

    plate: Encode
    query: Encode


def grey(image: Image.Image) -> Image.Image:
    """The picture without its colour: Pillow's luma in all three channels."""
    return image.convert("L").convert("RGB")


def _box_anywhere(image: Image.Image, width: int, height: int, rng: np.random.Generator) -> Image.Image:
    left, top = int(rng.integers(0, image.width - width + 1)), int(rng.integers(0, image.height - height + 1))
    return image.crop((left, top, left + width, top + height))


def crop(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A random part of the picture with the same proportions, CROP_RATIO of each side."""
    width, height = (int(side * CROP_RATIO) for side in image.size)
    return _box_anywhere(image, width, height, rng)


def detail(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A small square of the picture: of DETAIL_TRIES random ones that with most contrast, so that it is not blank."""
    side = int(min(image.size) * DETAIL_RATIO)
    tries = [_box_anywhere(image, side, side, rng) for _ in range(DETAIL_TRIES)]
    return max(tries, key=lambda part: float(np.asarray(part.convert("L")).std()))


# Each turns a plate into a query, whose answer is that plate. The random numbers are seeded by the plate's number.
QUERIES: Mapping[str, Callable[[Image.Image, np.random.Generator], Image.Image]] = {
    "grey": lambda image, rng: grey(image),
    "mirrored, grey": lambda image, rng: grey(ImageOps.mirror(image)),
    "a crop, grey": lambda image, rng: grey(crop(image, rng)),
    "a detail": detail,
    "a detail, grey": lambda image, rng: grey(detail(image, rng)),
}


@dataclass(frozen=True)
class Plate:
    """A scan, and the ImageNet class it shows, if that is known."""

    path: Path
    expected: str = ""


@dataclass(frozen=True)
class Encoded:
    """Plates and queries as unit vectors.

    Attributes:
        parts: a plate's vectors, float [parts, dim], the whole plate first.
        queries: the vector of each query by name, float [dim].
    """

    parts: np.ndarray
    queries: dict[str, np.ndarray]


def read_plates(folder: Path) -> list[Plate]:
    """The scans of a folder and its subfolders, by path, with their expected classes if it has a manifest."""
    expected = {}
    if (folder / "manifest.csv").is_file():
        with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
            expected = {row["file"]: row.get("expected_imagenet") or "" for row in csv.DictReader(file)}
    return [Plate(path, expected.get(path.relative_to(folder).as_posix(), "")) for path in list_scans(folder)]


def encode_histogram(image: Image.Image) -> np.ndarray:
    """Roots of the Lab histogram's shares, [1, bins]: a unit vector whose products order as Hellinger distances."""
    counts = np.array(lab_histogram(count_colours(np.asarray(image))).counts, dtype=np.float64)
    return np.sqrt(counts / counts.sum())[None]


class NotMeasured(ValueError):
    """An instrument that the benchmark cannot use."""


def read_admitted(names: Sequence[str]) -> list[Spec]:
    """The embeddings of these names. Raises NotMeasured if one is unknown, not admitted, or gives no vector."""
    registry = read_registry()
    specs = []
    for name in names:
        try:
            spec = registry.require(name)
        except KeyError as error:
            raise NotMeasured(str(error.args[0])) from None
        status = registry.status(spec.key)
        if spec.role != "embedding" or spec.preprocessing is None or status.name != "admitted":
            raise NotMeasured(
                f"{spec.key}: expected an admitted embedding, found {spec.role}, {status.name} {status.reason}"
            )
        specs.append(spec)
    return specs


def build_encoder(spec: Spec) -> Encoder:
    """An instrument with the project's loader and preprocessing, and with tiles of plates if it declares them."""
    model = load_model(spec)
    if not isinstance(model, Embedder):
        raise NotMeasured(f"{spec.key}: expected an embedder, found {type(model).__name__}")
    preprocess = build_preprocess(declared_preprocessing(spec))

    def encode(cut: Spec, image: Image.Image) -> np.ndarray:
        inputs = prepare_parts(cut, image, preprocess).inputs
        batches = (inputs[start : start + spec.batch_size] for start in range(0, len(inputs), spec.batch_size))
        vectors = np.concatenate([model.embed(torch.stack(batch)) for batch in batches]).astype(np.float64)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    return Encoder(partial(encode, spec), partial(encode, spec.model_copy(update={"tiles": None})))


def encode_plates(plates: Sequence[Plate], encoders: Mapping[str, Encoder]) -> Iterator[dict[str, Encoded]]:
    """Each plate and its queries, by encoder. One plate is in memory at a time."""
    for number, plate in enumerate(plates):
        image = decode(plate.path).image
        pictures = {name: make(image, np.random.default_rng(number)) for name, make in QUERIES.items()}
        yield {
            key: Encoded(encoder.plate(image), {name: encoder.query(picture)[0] for name, picture in pictures.items()})
            for key, encoder in encoders.items()
        }


def similarities(queries: np.ndarray, plates: Sequence[np.ndarray]) -> np.ndarray:
    """Cosine of each query, [Q, dim], to the nearest part of each plate, [parts, dim]: [Q, plates]."""
    return np.stack([(queries @ parts.T).max(axis=1) for parts in plates], axis=1)


def top_1(queries: np.ndarray, plates: Sequence[np.ndarray]) -> float:
    """Share of the queries whose own plate, of the same number, is nearer than every other."""
    scores = similarities(queries, plates)
    own = np.diag(scores).copy()
    np.fill_diagonal(scores, -np.inf)
    return float((own > scores.max(axis=1)).mean())


def agreement(vectors: np.ndarray, groups: Sequence[str]) -> float:
    """Share of the plates, [N, dim], whose nearest other plate is in the same group."""
    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -np.inf)
    return float(
        np.mean([groups[nearest] == group for nearest, group in zip(scores.argmax(axis=1), groups, strict=True)])
    )


def group_of(expected: str) -> str:
    """water or land, by the ImageNet class; empty for any other."""
    name = expected.casefold()
    return "water" if name in WATER else "land" if name in LAND else ""


def chance_of_agreement(groups: Sequence[str]) -> float:
    """The expected agreement of a random neighbour."""
    count = len(groups)
    return sum((groups.count(group) - 1) / (count - 1) for group in groups) / count


def build_table(
    plates: Sequence[Plate], encoded: Sequence[dict[str, Encoded]]
) -> list[tuple[str, float, dict[str, float]]]:
    """Each task with its figure by chance and for each encoder."""
    keys = list(encoded[0])
    found = {key: [plate[key] for plate in encoded] for key in keys}
    rows = []
    for name in QUERIES:
        scores = {
            key: top_1(np.stack([plate.queries[name] for plate in plates_of]), [plate.parts for plate in plates_of])
            for key, plates_of in found.items()
        }
        rows.append((f"{name}: finds its plate", 1 / len(plates), scores))
    grouped = [(number, group) for number, plate in enumerate(plates) if (group := group_of(plate.expected))]
    if len({group for _, group in grouped}) == 2:
        numbers, groups = zip(*grouped, strict=True)
        scores = {
            key: agreement(np.stack([plates_of[number].parts[0] for number in numbers]), groups)
            for key, plates_of in found.items()
        }
        rows.append(
            (f"land or water bird, {len(groups)} plates: nearest is the same", chance_of_agreement(groups), scores)
        )
    return rows


def main(arguments: list[str]) -> int:
    """Prints the table; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.retrieval", description=__doc__)
    parser.add_argument("--plates", type=Path, required=True, help="a folder of scans")
    parser.add_argument("--instruments", nargs="+", default=["efficientnet_lite0", "efficientnet_lite0_tiles"])
    options = parser.parse_args(arguments)
    plates = read_plates(options.plates) if options.plates.is_dir() else []
    if len(plates) < 2:
        print(f"{options.plates}: expected at least two scans, found {len(plates)}. Name a folder: --plates FOLDER")
        return 1
    try:
        instruments = {spec.key: build_encoder(spec) for spec in read_admitted(options.instruments)}
        encoders = {HISTOGRAMS: Encoder(encode_histogram, encode_histogram), **instruments}
        rows = build_table(plates, list(encode_plates(plates, encoders)))
    except (ImageRefused, WeightsMissing, WeightsMismatch, DeviceUnavailable, NotMeasured) as error:
        print(error)
        return 1
    print(f"{len(plates)} plates of {options.plates}\n")
    print(f"| task | chance | {' | '.join(encoders)} |")
    print(f"|{'---|' * (len(encoders) + 2)}")
    for task, chance, scores in rows:
        print(f"| {task} | {chance:.2f} | {' | '.join(f'{scores[key]:.2f}' for key in encoders)} |")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
