"""Prints parts: watercolour wash, engraved hatching, outlines, and the true mask of the subject."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from atlas_assets.demo.drawing.pen import Points, Pose

Rgb = tuple[int, int, int]
Box = tuple[int, int, int, int]

GRID_PX = 4
"""Boxes are aligned to this many pixels, so that layers at half and quarter size align with full size."""


@dataclass(frozen=True)
class Line:
    """An open engraved line in subject units; `weight` 1 is the width of a usual outline."""

    points: Points
    weight: float = 0.6


@dataclass(frozen=True)
class Part:
    """One piece of a drawing; it covers what was printed before it.

    Attributes:
        outline: closed outline, shape (n, 2), subject units.
        pigment: role in the palette, such as "primary".
        lines: engraved lines, clipped to the part.
        within: closed outline of a larger part that clips this one (a body, for a belly patch), or None.
        hatch: strength of the shading lines, 0 (none) to 1.
        hatch_angle_deg: angle of the shading lines on the page.
        roundness: depth of the modelling, 0 (flat) to 1.
        contour: weight of the outline; 0 draws none.
        is_subject: whether it is in the true mask.
    """

    outline: Points
    pigment: str
    lines: tuple[Line, ...] = ()
    within: Points | None = None
    hatch: float = 0.5
    hatch_angle_deg: float = 38.0
    roundness: float = 0.6
    contour: float = 1.0
    is_subject: bool = True


@dataclass(frozen=True)
class Layers:
    """What is printed so far on one page.

    Attributes:
        wash: RGB at half size, white where there is no colour.
        ink: L at full size, 255 where there is no ink.
        mask: L at full size, 255 on the subject.
        roles: L at half size; 0 is no subject, else 1 + the index of the pigment's role.
        mottle: L at half size, around 128: unevenness of the pigment.
        line_px: width of an outline of weight 1.
    """

    wash: Image.Image
    ink: Image.Image
    mask: Image.Image
    roles: Image.Image
    mottle: Image.Image
    line_px: float


def blank_layers(width_px: int, height_px: int, mottle: Image.Image, line_px: float) -> Layers:
    """Layers of an empty page; `mottle` is L at half size."""
    half = mottle.size
    return Layers(
        wash=Image.new("RGB", half, (255, 255, 255)),
        ink=Image.new("L", (width_px, height_px), 255),
        mask=Image.new("L", (width_px, height_px), 0),
        roles=Image.new("L", half, 0),
        mottle=mottle,
        line_px=line_px,
    )


def print_parts(layers: Layers, parts: Iterable[Part], pose: Pose, pigments: Mapping[str, Rgb]) -> None:
    """Prints parts in order onto the layers, later ones over earlier ones.

    Args:
        pigments: 8-bit sRGB of each role; the order of its keys numbers the roles.
    """
    role_numbers = {role: number for number, role in enumerate(pigments, start=1)}
    for part in parts:
        box = _box_of(pose.place(part.outline), layers, margin_px=3 * layers.line_px)
        if box is not None:
            _print_part(layers, part, pose, box, pigment=pigments[part.pigment], role_number=role_numbers[part.pigment])


def _print_part(layers: Layers, part: Part, pose: Pose, box: Box, *, pigment: Rgb, role_number: int) -> None:
    """Prints one part inside its box: colour, then ink, then mask."""
    outline = _shifted(pose.place(part.outline), box)
    shape = _filled(outline, box)
    if part.within is not None:
        shape = ImageChops.darker(shape, _filled(_shifted(pose.place(part.within), box), box))
    light = _modelling(shape, part.roundness)
    half_box: Box = (box[0] // 2, box[1] // 2, box[2] // 2, box[3] // 2)
    half_shape = shape.reduce(2)
    layers.wash.paste(_wash_colour(light, layers.mottle.crop(half_box), pigment), half_box, half_shape)
    layers.roles.paste(role_number if part.is_subject else 0, half_box, half_shape.point([0] * 128 + [255] * 128))
    ink = _hatching(light, shape.size, part, layers.line_px)
    _draw_lines(ink, [(_shifted(pose.place(line.points), box), line.weight) for line in part.lines], layers.line_px)
    if part.within is not None and part.contour > 0:
        _draw_contour(ink, outline, part.contour, layers.line_px)
    layers.ink.paste(ink, box, shape)
    layers.mask.paste(255 if part.is_subject else 0, box, shape)
    if part.within is not None:
        _draw_contour(layers.ink, pose.place(part.within), 1.0, layers.line_px)
    if part.within is None and part.contour > 0:
        _draw_contour(layers.ink, pose.place(part.outline), part.contour, layers.line_px)
        if part.is_subject:
            _draw_contour(layers.mask, pose.place(part.outline), part.contour, layers.line_px, tone=255)


def _box_of(outline_px: Points, layers: Layers, margin_px: float) -> Box | None:
    """The part's box on the page, aligned to the grid, or None if it is off the page."""
    width_px, height_px = layers.ink.size
    low = np.floor((outline_px.min(axis=0) - margin_px) / GRID_PX) * GRID_PX
    high = np.ceil((outline_px.max(axis=0) + margin_px) / GRID_PX) * GRID_PX
    x_min, y_min = max(0, int(low[0])), max(0, int(low[1]))
    x_max, y_max = min(width_px, int(high[0])), min(height_px, int(high[1]))
    return (x_min, y_min, x_max, y_max) if x_max > x_min and y_max > y_min else None


def _shifted(points_px: Points, box: Box) -> Points:
    return points_px - np.array([[box[0], box[1]]], dtype=np.float64)


def _filled(outline_px: Points, box: Box) -> Image.Image:
    """L image of the box, 255 inside the outline."""
    shape = Image.new("L", (box[2] - box[0], box[3] - box[1]), 0)
    ImageDraw.Draw(shape).polygon(_corners(outline_px), fill=255)
    return shape


def _corners(points_px: Points) -> list[tuple[float, float]]:
    """Points for Pillow, rounded to 1/8 px so that the last bit of a cosine cannot change a pixel."""
    rounded = np.round(points_px * 8) / 8
    return [(float(x), float(y)) for x, y in rounded]


def _modelling(shape: Image.Image, roundness: float) -> Image.Image:
    """Light on a rounded form lit from the upper left: L at quarter size, 255 in full light, lower in shadow.

    Approximated from the silhouette: blurred and shifted, it darkens towards the edges that face away from the light.
    """
    small = shape.reduce(GRID_PX)
    radius = 0.5 + 0.20 * roundness * min(small.size)
    room = int(3 * radius) + 1
    soft = ImageOps.expand(small, border=room, fill=0).filter(ImageFilter.GaussianBlur(radius))
    reach = room + 0.75 * radius
    shifted = soft.transform(small.size, Image.Transform.AFFINE, (1, 0, reach, 0, 1, reach), Image.Resampling.BILINEAR)
    gain = 0.35 + 0.65 * roundness
    return shifted.point([round(255 - gain * (255 - min(255, level * 1.12))) for level in range(256)])


def _wash_colour(light: Image.Image, mottle: Image.Image, pigment: Rgb) -> Image.Image:
    """The watercolour of a part at half size: darker and cooler in shadow, paler in light."""
    level = ImageChops.add(light.resize(mottle.size, Image.Resampling.BILINEAR), mottle, scale=1, offset=-128)
    shadow = (pigment[0] * 0.50, pigment[1] * 0.50, pigment[2] * 0.58)
    thin = tuple(0.80 * channel + 0.20 * white for channel, white in zip(pigment, (255, 250, 236), strict=True))
    stops = [0.0, 0.62, 1.0]
    channels = []
    for dark, middle, bright in zip(shadow, pigment, thin, strict=True):
        ramp = np.interp(np.arange(256) / 255, stops, [dark, middle, bright])
        channels.append(level.point([round(float(value)) for value in ramp]))
    return Image.merge("RGB", channels)


def _hatching(light: Image.Image, size: tuple[int, int], part: Part, line_px: float) -> Image.Image:
    """Engraved shading: curved lines, thicker where the form is dark. L at full size, 255 is blank."""
    if part.hatch <= 0:
        return Image.new("L", size, 255)
    tone = np.asarray(light.resize(size, Image.Resampling.BILINEAR), dtype=np.float32)
    angle = math.radians(part.hatch_angle_deg)
    across_x = np.arange(size[0], dtype=np.float32) * np.float32(-math.sin(angle))
    across_y = np.arange(size[1], dtype=np.float32) * np.float32(math.cos(angle))
    period = np.float32(3.6 * line_px)
    phase = (across_y[:, None] + across_x[None, :]) / period + tone * np.float32(0.012)
    distance = np.abs(phase - np.floor(phase) - np.float32(0.5)) * np.float32(2.0)
    darkness = (np.float32(236.0) - tone) * np.float32(part.hatch / 236.0)
    blank = (distance - darkness) * np.float32(255.0) * period * np.float32(0.5) / np.float32(1.2) + np.float32(80.0)
    return Image.fromarray(np.clip(blank, 0, 255).astype(np.uint8))


def _draw_lines(ink: Image.Image, lines: Iterable[tuple[Points, float]], line_px: float) -> None:
    """Draws open lines in black on an L image; points are in its pixels."""
    draw = ImageDraw.Draw(ink)
    for points_px, weight in lines:
        draw.line(_corners(points_px), fill=0, width=max(1, round(weight * line_px)))


def _draw_contour(ink: Image.Image, outline_px: Points, weight: float, line_px: float, tone: int = 0) -> None:
    """Draws a closed outline that is thicker on the side away from the light, as engraved lines are."""
    width = max(1, round(weight * line_px * 0.8))
    closed = np.concatenate([outline_px, outline_px[:1]])
    draw = ImageDraw.Draw(ink)
    for shift in (0.0, 0.5 * weight * line_px):
        draw.line(_corners(closed + shift), fill=tone, width=width, joint="curve")
