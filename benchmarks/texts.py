"""How much of the lettering of real plates an instrument reads: titles of the index on the plates, and the time taken.

    python -m benchmarks.texts PLATES [--family birds_audubon] [--reader ppocr_v6_small]

PLATES has a manifest.csv with the columns file, family and title. Titles such as `Plate 13: Snow Bird` lose what is
before the colon, and what is in brackets. The numbers of `failure_modes` in the readers' specs are from here.
"""

import argparse
import csv
import re
import time
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from PIL import Image

from atlas_resources.catalogue.build import empty_catalogue
from atlas_resources.instruments.registry import Registry, read_registry
from atlas_resources.instruments.spec.output import TextOutput
from atlas_resources.models.loading import load_model
from atlas_resources.models.protocols import PageReader
from atlas_resources.tables.ledgers import LEDGERS

WELL_READ = 0.9
"""Similarity of a title from which at most a letter or two of it are wrong."""
CONFLICTS = "SELECT plate_id, title, similarity, text, is_other_better FROM title_conflicts ORDER BY plate_id"


def title_of(stated: str) -> str:
    """The title alone: without `Plate 13:` before it and `(Koehler plate)` after it."""
    return re.sub(r"^\w+ \d+: |\s*\(.*", "", stated)


def read_plates(folder: Path, family: str, reader: str, registry: Registry) -> Iterator[tuple[str, str, list, float]]:
    """Yields id, title, rows of `texts` and seconds of the processor for each plate of a family."""
    spec = registry.instruments[reader].spec
    model = load_model(spec)
    if not isinstance(model, PageReader) or not isinstance(spec.output, TextOutput):
        raise SystemExit(f"{reader}: expected a reader of whole plates")
    threshold = spec.output.score_threshold or 0.0
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as manifest:
        plates = [row for row in csv.DictReader(manifest) if row["family"] == family]
    for plate in plates:
        pixels = np.asarray(Image.open(folder / plate["file"]).convert("RGB"))
        started = time.process_time()
        lines = model.read_page(pixels)
        seconds = time.process_time() - started
        name = Path(plate["file"]).stem
        rows = [
            {
                **{"plate_id": name, "instrument": reader, "text_id": f"line-{number:04d}", "form": "transcription"},
                **{"text": line.text, "score": line.score, "is_current": True},
                "is_above_threshold": (line.score or 0.0) >= threshold,
            }
            for number, line in enumerate(lines, start=1)
        ]
        yield name, title_of(plate["title"]), rows, seconds


def conflicts(registry: Registry, titles: Mapping[str, str], texts: list[dict[str, Any]]) -> list[tuple]:
    """The rows of `title_conflicts`: plate, title, similarity, best line, whether another title is better."""
    given = {
        "plates": [{"plate_id": name, "title": title} for name, title in titles.items()],
        "texts": texts,
    }
    with empty_catalogue(registry) as connection:
        for name, rows in given.items():
            _fill(connection, name, rows)
        return connection.execute(CONFLICTS).fetchall()


def _fill(connection: duckdb.DuckDBPyConnection, name: str, rows: list[dict[str, Any]]) -> None:
    connection.register("given", LEDGERS[name].frame(rows).to_arrow())
    connection.execute(f"INSERT INTO {name} FROM given")
    connection.unregister("given")


def swapped_pairs_found(registry: Registry, titles: Mapping[str, str], texts: list[dict[str, Any]]) -> tuple[int, int]:
    """Swaps the titles of each plate and the next; returns in how many pairs both show up, and the number of pairs."""
    pairs, found = list(pairwise(titles)), 0
    for one, other in pairs:
        swapped = {**titles, one: titles[other], other: titles[one]}
        better = {row[0] for row in conflicts(registry, swapped, texts) if row[4]}
        found += {one, other} <= better
    return found, len(pairs)


def main() -> None:
    """Prints a line for each plate, then the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plates", type=Path)
    parser.add_argument("--family", default="birds_audubon")
    parser.add_argument("--reader", default="ppocr_v6_small")
    options = parser.parse_args()
    registry = read_registry()
    read = list(read_plates(options.plates, options.family, options.reader, registry))
    titles, texts = {name: title for name, title, _, _ in read}, [row for _, _, rows, _ in read for row in rows]
    rows = conflicts(registry, titles, texts)
    for name, title, similarity, text, is_other_better in rows:
        print(f"{name}  {title!r}: {similarity:.2f}, {text!r}{', another title is better' if is_other_better else ''}")
    swapped, pairs = swapped_pairs_found(registry, titles, texts)
    print(
        f"{len(read)} plates, {len(texts)} lines, {sum(row['is_above_threshold'] for row in texts)} above the threshold"
    )
    print(f"titles with a similarity of {WELL_READ} or more: {sum(row[2] >= WELL_READ for row in rows)}")
    print(f"titles of which nothing is read: {len(read) - sum(row[2] > 0 for row in rows)}")
    print(f"titles that fit another plate better, though none is swapped: {sum(row[4] for row in rows)}")
    print(f"swapped neighbours of which both show up: {swapped} of {pairs}")
    print(f"seconds of the processor per plate, median: {np.median([seconds for *_, seconds in read]):.2f}")


if __name__ == "__main__":
    main()
