"""The demonstration set on disk: the plates' files, index and truth, drawn where they are missing.

The set is a full table, kind of subject by colourway, so that neighbours mean something: a nearest neighbour by form
shares the kind, a nearest neighbour by colour shares the colourway.
"""

import io
import json
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Generator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from atlas_assets.demo.drawing.composition import compose
from atlas_assets.demo.plan import PlatePlan
from atlas_assets.demo.scans import MEDIA
from atlas_assets.demo.truth import state_truth


@dataclass(frozen=True)
class DrawnPlate:
    """One plate of the set, on disk. `is_new` says whether this call drew it or found it drawn."""

    plate_id: str
    plate_number: int
    kind: str
    colourway: str
    title: str
    slug: str
    medium: str
    path: Path
    mask_path: Path
    truth_path: Path
    is_new: bool


def draw_demo_plates(
    folder: Path,
    truth_folder: Path,
    count: int = 24,
    seed: int = 1827,
    on_plate: Callable[[DrawnPlate], None] | None = None,
    *,
    scale: float = 1.0,
    processes: int | None = None,
) -> list[DrawnPlate]:
    """Draws the demonstration plates, their index `data.json`, and the truth about each.

    Plates already drawn with this version, seed and scale are left alone. Every file appears whole or not at all.

    Args:
        folder: where the scans and the index go; made if need be.
        truth_folder: where `<plate-id>.mask.png` (1 bit, upright, white on the subject and its ink) and
            `<plate-id>.json` go; made if need be.
        count: number of plates; the first 24 are every kind in every colourway.
        seed: the same seed gives the same pixels.
        on_plate: called in this process after each plate, in the plates' order.
        scale: 1 for sides of 2000 to 4000 px; smaller for trials.
        processes: how many draw at once, by default one for each core. With 1 no process is started.
    """
    if count < 1 or scale <= 0:
        raise ValueError(f"Demonstration plates: expected count >= 1 and scale > 0, found {count} and {scale}.")
    folder.mkdir(parents=True, exist_ok=True)
    truth_folder.mkdir(parents=True, exist_ok=True)
    plans = [PlatePlan(number, seed, scale) for number in range(1, count + 1)]
    missing = [plan for plan in plans if not is_drawn(plan, folder, truth_folder)]
    plates = []
    with closing(_draw_missing(missing, folder, truth_folder, processes or os.cpu_count() or 1)) as drawn:
        for plan in plans:
            is_new = plan in missing
            if is_new:
                next(drawn)
            plates.append(_describe(plan, folder, truth_folder, is_new))
            if on_plate is not None:
                on_plate(plates[-1])
    _write_json(folder / "data.json", [_index_entry(plan) for plan in plans])
    return plates


def is_drawn(plan: PlatePlan, folder: Path, truth_folder: Path) -> bool:
    """Whether a plate's files are there and its truth says they are of this version, seed, scale and size."""
    truth_path, mask_path, path = _paths(plan, folder, truth_folder)
    if not (truth_path.is_file() and mask_path.is_file() and path.is_file()):
        return False
    try:
        truth = json.loads(truth_path.read_bytes())
    except ValueError:
        return False
    if not isinstance(truth, dict):
        return False
    return truth.get("drawn_by") == plan.marker and truth.get("file_size_bytes") == path.stat().st_size


def _draw_missing(
    plans: list[PlatePlan], folder: Path, truth_folder: Path, processes: int
) -> Generator[str, None, None]:
    """Plate ids in order, each once its files are written. Processes are spawned, as a threaded caller needs."""
    if min(processes, len(plans)) <= 1:
        for plan in plans:
            yield _draw_plate(plan, folder, truth_folder)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(processes, len(plans)), mp_context=context) as pool:
        yield from pool.map(_draw_plate, plans, [folder] * len(plans), [truth_folder] * len(plans))


def _draw_plate(plan: PlatePlan, folder: Path, truth_folder: Path) -> str:
    """Draws one plate; the truth is written last, for it says that the rest is there."""
    truth_path, mask_path, path = _paths(plan, folder, truth_folder)
    rng = np.random.default_rng(np.random.SeedSequence([plan.seed, plan.number]))
    composition = compose(plan.kind, plan.colourway, rng, plan.scale)
    scan = MEDIA[plan.medium][1](composition)
    buffer = io.BytesIO()
    composition.mask.save(buffer, format="PNG")
    _write_bytes(path, scan)
    _write_bytes(mask_path, buffer.getvalue())
    _write_json(truth_path, state_truth(plan, composition, scan))
    return plan.plate_id


def _paths(plan: PlatePlan, folder: Path, truth_folder: Path) -> tuple[Path, Path, Path]:
    """Where a plate's truth, mask and scan lie."""
    return (
        truth_folder / f"{plan.plate_id}.json",
        truth_folder / f"{plan.plate_id}.mask.png",
        folder / plan.file_name,
    )


def _describe(plan: PlatePlan, folder: Path, truth_folder: Path, is_new: bool) -> DrawnPlate:
    truth_path, mask_path, path = _paths(plan, folder, truth_folder)
    return DrawnPlate(
        plan.plate_id, plan.number, plan.kind, plan.colourway, plan.title, plan.slug, plan.medium,
        path, mask_path, truth_path, is_new,
    )  # fmt: skip


def _index_entry(plan: PlatePlan) -> dict[str, str | int]:
    """A plate's entry in the index, with the field names of the Audubon plates' `data.json`; no download."""
    return {"plate": plan.number, "name": plan.title, "slug": plan.slug, "fileName": plan.file_name}


def _write_json(path: Path, content: object) -> None:
    _write_bytes(path, (json.dumps(content, indent=2) + "\n").encode())


def _write_bytes(path: Path, content: bytes) -> None:
    """Writes beside, flushes, renames: a reader sees the old file or the new one."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
