"""The demonstration set as a whole: which plates there are, and their files, index and truth on disk.

The set is a full table, kind of subject by colourway, so that neighbours mean something: a nearest neighbour by form
shares the kind, a nearest neighbour by colour shares the colourway.
"""

import hashlib
import io
import json
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Generator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from atlas_assets.demo.colourways import COLOURWAYS
from atlas_assets.demo.composition import Composition, compose
from atlas_assets.demo.scans import MEDIA, as_seen
from atlas_assets.demo.subjects import SUBJECTS

DRAWING_VERSION = "1"
"""Raised whenever the pixels of any plate change; a plate of another version is drawn again."""

UNUSUAL_MEDIA = {
    3: "jpeg with sRGB profile",
    5: "jpeg, grayscale",
    8: "jpeg, CMYK",
    10: "jpeg, progressive",
    12: "png, 16-bit grayscale",
    15: "tiff",
    16: "webp",
    19: "png, transparent paper",
    23: "jpeg, EXIF orientation 6",
}
"""Plate number to medium, where it is not a plain JPEG."""


@dataclass(frozen=True)
class PlatePlan:
    """All that decides one plate's pixels, besides this package's version."""

    number: int
    seed: int
    scale: float

    @property
    def plate_id(self) -> str:
        return f"plate-{self.number:03d}"

    @property
    def kind(self) -> str:
        return list(SUBJECTS)[(self.number - 1) % len(SUBJECTS)]

    @property
    def colourway(self) -> str:
        """Moves on with each plate and once more with each round of kinds, so that every pair comes up."""
        step, kind_index = divmod(self.number - 1, len(SUBJECTS))
        return list(COLOURWAYS)[(step + kind_index) % len(COLOURWAYS)]

    @property
    def title(self) -> str:
        return f"{self.colourway} {self.kind}".title()

    @property
    def slug(self) -> str:
        return self.title.lower().replace(" ", "-")

    @property
    def medium(self) -> str:
        return UNUSUAL_MEDIA.get(self.number, "jpeg")

    @property
    def file_name(self) -> str:
        return f"plate-{self.number}-{self.slug}.{MEDIA[self.medium][0]}"


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


@dataclass(frozen=True)
class PaletteEntry:
    """One pigment of a subject.

    Attributes:
        role: what it colours, such as "primary".
        pigment_hex: as mixed, laid on white; 8-bit sRGB.
        srgb_hex: as printed: the mean of its pixels, shading, hatching and paper included; 8-bit sRGB.
        share: of the subject's area; the shares of a plate sum to 1.
    """

    role: str
    pigment_hex: str
    srgb_hex: str
    share: float


def draw_demo_plates(
    folder: Path,
    truth_folder: Path,
    count: int = 24,
    seed: int = 1827,
    on_plate: Callable[[DrawnPlate], None] | None = None,
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
    return truth.get("drawn_by") == _marker(plan) and truth.get("file_size_bytes") == path.stat().st_size


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
    _write_json(truth_path, _truth(plan, composition, scan))
    return plan.plate_id


def _truth(plan: PlatePlan, composition: Composition, scan: bytes) -> dict[str, object]:
    """What is known of a plate because it was drawn. Sizes are upright; colours are 8-bit sRGB."""
    return {
        "plate_id": plan.plate_id,
        "kind": plan.kind,
        "colourway": plan.colourway,
        "title": plan.title,
        "medium": plan.medium,
        "paper": composition.paper,
        "width": composition.picture.width,
        "height": composition.picture.height,
        "palette": [asdict(entry) for entry in measure_palette(composition, as_seen(composition, plan.medium))],
        "source_sha256": hashlib.sha256(scan).hexdigest(),
        "file_size_bytes": len(scan),
        "drawn_by": _marker(plan),
    }


def measure_palette(composition: Composition, seen: Image.Image) -> list[PaletteEntry]:
    """The subject's pigments as they appear in `seen` (RGB, upright, the composition's size), by falling share."""
    roles = np.asarray(composition.roles).ravel()
    counts = np.bincount(roles, minlength=len(composition.pigments) + 1)
    pixels = np.asarray(seen.reduce(2)).reshape(-1, 3)
    sums = np.stack([np.bincount(roles, weights=pixels[:, channel], minlength=len(counts)) for channel in range(3)], 1)
    palette: list[PaletteEntry] = []
    for number, (role, pigment) in enumerate(composition.pigments.items(), start=1):
        if counts[number]:
            printed = [int(value) for value in np.round(sums[number] / counts[number])]
            share = round(float(counts[number] / counts[1:].sum()), 6)
            palette.append(PaletteEntry(role, _hex(pigment), _hex(printed), share))
    return sorted(palette, key=lambda entry: -entry.share)


def _hex(colour: tuple[int, ...] | list[int]) -> str:
    return "#" + "".join(f"{channel:02x}" for channel in colour)


def _marker(plan: PlatePlan) -> dict[str, str | int | float]:
    return {"drawing_version": DRAWING_VERSION, "seed": plan.seed, "scale": plan.scale}


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
    """A plate's entry in the index, with the field names of the Audubon plates' own `data.json`; there is no download."""
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
