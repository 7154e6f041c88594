"""The demonstration set on disk: scans, their index and the truth about each plate, drawn where missing.

The set is a full table of kinds of subject by colourways, so that neighbours mean something: a nearest neighbour by
form shares the kind, a nearest neighbour by colour shares the colourway.
"""

import io
import json
import multiprocessing
import os
from collections.abc import Callable, Generator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from atlas_assets.demo.drawing.composition import compose
from atlas_assets.demo.plan import PlatePlan
from atlas_assets.demo.scans import MEDIA
from atlas_assets.demo.truth import state_truth
from atlas_resources.files.durable import write_bytes_atomically


@dataclass(frozen=True)
class DemoPlate:
    """One plate of the set and its files.

    Attributes:
        path: the scan.
        mask_path: PNG of 1 bit, upright: white on the subject and its ink.
        truth_path: JSON, written last: if it is there, the other two are complete.
        is_new: whether this call drew the plate; otherwise it was there.
    """

    plan: PlatePlan
    path: Path
    mask_path: Path
    truth_path: Path
    is_new: bool = False

    @property
    def plate_id(self) -> str:
        """The id of the plate once registered."""
        return self.plan.plate_id


def draw_demo_plates(
    folder: Path,
    truth_folder: Path,
    count: int = 24,
    seed: int = 1827,
    on_plate: Callable[[DemoPlate], None] | None = None,
    *,
    scale: float = 1.0,
    processes: int | None = None,
) -> list[DemoPlate]:
    """Draws the demonstration plates, their index `data.json`, and the truth about each.

    Plates that were already drawn with this version, seed and scale are kept. Every file appears whole or not at all.

    Args:
        folder: for the scans and the index.
        truth_folder: for `<plate-id>.mask.png` and `<plate-id>.json`.
        count: number of plates; the first 24 are every kind in every colourway.
        seed: the same seed gives the same pixels.
        on_plate: called in this process after each plate, in the plates' order.
        scale: 1 for sides of 2000 to 4000 px; smaller for trials.
        processes: how many processes draw, by default one per core. With 1, none is started.
    """
    if count < 1 or scale <= 0:
        raise ValueError(f"Demonstration plates: expected count >= 1 and scale > 0, found {count} and {scale}.")
    plans = [PlatePlan(number, seed, scale) for number in range(1, count + 1)]
    wanted = [_placed(plan, folder, truth_folder) for plan in plans]
    missing = [plate for plate in wanted if not is_drawn(plate)]
    plates = []
    with closing(_draw_missing(missing, processes or os.cpu_count() or 1)) as drawn:
        for plate in wanted:
            plates.append(next(drawn) if plate in missing else plate)
            if on_plate is not None:
                on_plate(plates[-1])
    _write_json(folder / "data.json", [_index_entry(plan) for plan in plans])
    return plates


def is_drawn(plate: DemoPlate) -> bool:
    """Whether a plate's files are there and its truth has this version, seed, scale and file size."""
    if not (plate.truth_path.is_file() and plate.mask_path.is_file() and plate.path.is_file()):
        return False
    truth = _read_truth(plate.truth_path)
    return truth.get("drawn_by") == plate.plan.marker and truth.get("file_size_bytes") == plate.path.stat().st_size


def is_drawn_otherwise(truth_folder: Path, count: int = 24, seed: int = 1827, *, scale: float) -> bool:
    """Whether plates were drawn there by another version, seed or scale. Registered, they are never replaced."""
    plans = [PlatePlan(number, seed, scale) for number in range(1, count + 1)]
    found = [(_read_truth(truth_folder / f"{plan.plate_id}.json").get("drawn_by"), plan.marker) for plan in plans]
    return any(drawn_by not in (None, marker) for drawn_by, marker in found)


def _read_truth(path: Path) -> dict[str, Any]:
    """The truth about a plate; empty if there is none, or none that can be read."""
    try:
        truth = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return truth if isinstance(truth, dict) else {}


def _placed(plan: PlatePlan, folder: Path, truth_folder: Path) -> DemoPlate:
    truth_path, mask_path = truth_folder / f"{plan.plate_id}.json", truth_folder / f"{plan.plate_id}.mask.png"
    return DemoPlate(plan, folder / plan.file_name, mask_path, truth_path)


def _draw_missing(plates: list[DemoPlate], processes: int) -> Generator[DemoPlate, None, None]:
    """The plates in order, each once its files are written. Processes are spawned, since a fork copies held locks."""
    if min(processes, len(plates)) <= 1:
        yield from map(_draw, plates)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(processes, len(plates)), mp_context=context) as pool:
        yield from pool.map(_draw, plates)


def _draw(plate: DemoPlate) -> DemoPlate:
    plan = plate.plan
    rng = np.random.default_rng(np.random.SeedSequence([plan.seed, plan.number]))
    composition = compose(plan.kind, plan.colourway, plan.lettering, rng, plan.scale)
    scan = MEDIA[plan.medium][1](composition)
    mask = io.BytesIO()
    composition.mask.save(mask, format="PNG")
    write_bytes_atomically(plate.path, scan)
    write_bytes_atomically(plate.mask_path, mask.getvalue())
    _write_json(plate.truth_path, state_truth(plan, composition, scan))
    return replace(plate, is_new=True)


def _index_entry(plan: PlatePlan) -> dict[str, str | int]:
    """A plate's entry in the index, with the field names of the Audubon plates' `data.json`, without a download.

    The drawings are made by this code alone and are free for any use.
    """
    return {"plate": plan.number, "name": plan.title, "slug": plan.slug, "fileName": plan.file_name, "license": "CC0"}


def _write_json(path: Path, content: object) -> None:
    write_bytes_atomically(path, (json.dumps(content, indent=2) + "\n").encode())
