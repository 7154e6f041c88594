"""Composes one plate: sheet, subject, scenery, lettering, and the true mask of the subject."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops

from atlas_assets.demo.drawing.colourways import mix_pigments
from atlas_assets.demo.drawing.lettering import IMPRINT_PX, NUMBER_PX, TITLE_PX, Lettering, write_line
from atlas_assets.demo.drawing.paper import SHEETS, Sheet, cloud, lay_paper, pull_print
from atlas_assets.demo.drawing.pen import Pose
from atlas_assets.demo.drawing.press import Box, Layers, Part, Rgb, blank_layers, print_parts
from atlas_assets.demo.drawing.subjects.kinds import SUBJECTS

FULL_SIZE_PX = 3000
"""Longer side for which line widths and lettering are designed; other sizes scale."""

TILT_DEG = {"perched bird": 9, "butterfly": 24, "fish": 5, "flower": 7, "wading bird": 2, "shell": 4}
"""Greatest rotation to either side, by kind; subjects that stand on the ground stay nearly upright."""

PORTRAIT_CHANCE = {"perched bird": 0.6, "butterfly": 0.3, "fish": 0.1, "flower": 0.9, "wading bird": 0.8, "shell": 0.2}


@dataclass(frozen=True)
class Composition:
    """A finished plate, upright.

    Attributes:
        picture: RGB, sRGB: the print on its sheet.
        print_on_white: RGB, the print without the sheet.
        mask: mode "1", True on the subject and its ink.
        roles: L at half size: 0 off the subject, else 1 + the index of the pigment in `pigments`.
        pigments: role to pigment on white, 8-bit sRGB.
        paper: name of the sheet's tone.
    """

    picture: Image.Image
    print_on_white: Image.Image
    mask: Image.Image
    roles: Image.Image
    pigments: dict[str, Rgb]
    paper: str


def compose(
    kind: str, colourway: str, lettering: Lettering, rng: np.random.Generator, scale: float = 1.0
) -> Composition:
    """Draws one plate.

    Args:
        kind: a key of `SUBJECTS`.
        colourway: a key of `COLOURWAYS`.
        lettering: what is written on it.
        rng: determines everything else: sheet, pose, place, form.
        scale: 1 for sides of 2000 to 4000 px; smaller for trials.
    """
    sheet = choose_sheet(kind, rng, scale)
    unit_px = max(sheet.width_px, sheet.height_px) / FULL_SIZE_PX
    pigments = mix_pigments(colourway, rng)
    mottle = cloud((sheet.width_px // 2, sheet.height_px // 2), 60, 26.0, rng)
    layers = blank_layers(sheet.width_px, sheet.height_px, mottle, line_px=3.3 * unit_px)
    parts = SUBJECTS[kind](rng)
    print_parts(layers, parts, _choose_pose(parts, kind, sheet, rng), pigments)
    _write_lettering(layers, sheet, unit_px, lettering)
    slip_px = (int(rng.integers(-1, 3)), int(rng.integers(-1, 2)))
    print_on_white = pull_print(layers, unit_px, slip_px)
    picture = ImageChops.multiply(lay_paper(sheet, unit_px, rng), print_on_white)
    mask = layers.mask.point([0] * 128 + [255] * 128).convert("1")
    return Composition(picture, print_on_white, mask, layers.roles, pigments, sheet.tone)


def choose_sheet(kind: str, rng: np.random.Generator, scale: float) -> Sheet:
    """Chooses a sheet's tone, sides (multiples of 8 px, 2000 to 4000 px at scale 1) and plate mark."""
    tone = list(SHEETS)[int(rng.integers(len(SHEETS)))]
    longer = int(rng.integers(2640, 3441))
    shorter = max(2040, int(longer / (1.22 + 0.20 * rng.random())))
    long_px, short_px = (max(64, round(side * scale / 8) * 8) for side in (longer, shorter))
    is_portrait = rng.random() < PORTRAIT_CHANCE[kind]
    width_px, height_px = (short_px, long_px) if is_portrait else (long_px, short_px)
    inset = round((0.045 + 0.015 * rng.random()) * short_px)
    return Sheet(tone, width_px, height_px, (inset, inset, width_px - inset, height_px - inset))


def _choose_pose(parts: list[Part], kind: str, sheet: Sheet, rng: np.random.Generator) -> Pose:
    """Chooses a pose with every part inside the plate mark and above the title, off centre as far as space allows."""
    angle_deg = (rng.random() * 2 - 1) * TILT_DEG[kind]
    is_mirrored = bool(rng.random() < 0.5)
    points = Pose((0.0, 0.0), 1.0, angle_deg, is_mirrored).place(np.concatenate([part.outline for part in parts]))
    low, high = points.min(axis=0), points.max(axis=0)
    area = _drawing_area(sheet)
    room = np.array([area[2] - area[0], area[3] - area[1]], dtype=np.float64)
    scale_px = float((room / (high - low)).min()) * (0.86 + 0.13 * rng.random())
    slack = room - (high - low) * scale_px
    corner = np.array(area[:2]) + slack * (0.30 + 0.40 * rng.random(2))
    centre = corner - low * scale_px
    return Pose((float(centre[0]), float(centre[1])), scale_px, angle_deg, is_mirrored)


def _drawing_area(sheet: Sheet) -> Box:
    """The box the drawing may fill: within the plate mark, above the title."""
    x_min, y_min, x_max, y_max = sheet.mark_box
    side = min(sheet.width_px, sheet.height_px)
    return (
        x_min + round(0.04 * side),
        y_min + round(0.055 * side),
        x_max - round(0.04 * side),
        y_max - round(0.15 * side),
    )


def _write_lettering(layers: Layers, sheet: Sheet, unit_px: float, lettering: Lettering) -> None:
    """Writes the title below the drawing, the engraver's line in the left corner, and the number at the top right."""
    x_min, y_min, x_max, y_max = sheet.mark_box
    inner = 70 * unit_px
    for text, at_px, size, anchor in (
        (lettering.number, (x_max - inner, y_min + 75 * unit_px), NUMBER_PX, "rm"),
        (lettering.title, ((x_min + x_max) / 2, y_max - 140 * unit_px), TITLE_PX, "mm"),
        (lettering.imprint, (x_min + inner, y_max - 45 * unit_px), IMPRINT_PX, "lm"),
    ):
        write_line(layers.ink, text, at_px, size * unit_px, anchor)
