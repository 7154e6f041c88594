"""The truth about a drawn plate: kind, size, lettering, pigments and their shares."""

import hashlib
from dataclasses import asdict, dataclass

import numpy as np
from PIL import Image

from atlas_assets.demo.drawing.composition import Composition
from atlas_assets.demo.plan import PlatePlan
from atlas_assets.demo.scans import as_seen


@dataclass(frozen=True)
class PaletteEntry:
    """One pigment of a subject.

    Attributes:
        role: what the pigment colours, such as "primary".
        pigment_hex: the pigment on white; 8-bit sRGB.
        srgb_hex: the mean of its printed pixels, including shading, hatching and paper; 8-bit sRGB.
        share: of the subject's area; the shares of a plate sum to 1.
    """

    role: str
    pigment_hex: str
    srgb_hex: str
    share: float


def state_truth(plan: PlatePlan, composition: Composition, scan: bytes) -> dict[str, object]:
    """The content of a plate's truth file. Sizes are upright; colours are 8-bit sRGB."""
    return {
        "plate_id": plan.plate_id,
        "kind": plan.kind,
        "colourway": plan.colourway,
        "title": plan.title,
        "lettering": list(plan.lettering.lines),
        "medium": plan.medium,
        "paper": composition.paper,
        "width": composition.picture.width,
        "height": composition.picture.height,
        "palette": [asdict(entry) for entry in measure_palette(composition, as_seen(composition, plan.medium))],
        "source_sha256": hashlib.sha256(scan).hexdigest(),
        "file_size_bytes": len(scan),
        "drawn_by": plan.marker,
    }


def measure_palette(composition: Composition, seen: Image.Image) -> list[PaletteEntry]:
    """The subject's pigments as they appear in `seen` (RGB, upright, the composition's size), largest share first."""
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
