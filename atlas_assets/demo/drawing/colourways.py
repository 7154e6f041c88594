"""The pigments of the demonstration plates: four colourways for every kind of subject, and the scenery's colours."""

import numpy as np

from atlas_assets.demo.drawing.press import Rgb

COLOURWAYS: dict[str, dict[str, Rgb]] = {
    "scarlet": {
        "primary": (178, 56, 42), "secondary": (112, 60, 50), "light": (208, 168, 128), "dark": (58, 50, 54),
        "accent": (216, 154, 58), "horn": (120, 98, 70), "foliage": (84, 110, 62), "glint": (250, 248, 240),
    },
    "azure": {
        "primary": (54, 100, 154), "secondary": (44, 66, 108), "light": (198, 168, 134), "dark": (44, 46, 60),
        "accent": (198, 108, 58), "horn": (98, 92, 88), "foliage": (78, 108, 84), "glint": (250, 248, 240),
    },
    "golden": {
        "primary": (202, 144, 40), "secondary": (132, 88, 38), "light": (214, 178, 116), "dark": (62, 52, 42),
        "accent": (150, 58, 46), "horn": (112, 84, 54), "foliage": (104, 112, 56), "glint": (250, 248, 240),
    },
    "emerald": {
        "primary": (62, 118, 72), "secondary": (42, 82, 78), "light": (190, 176, 122), "dark": (44, 52, 50),
        "accent": (188, 70, 84), "horn": (104, 96, 64), "foliage": (92, 118, 66), "glint": (250, 248, 240),
    },
}  # fmt: skip
"""Colourway to role to pigment on white, 8-bit sRGB; chosen by eye after hand-coloured plates."""

SCENERY: dict[str, Rgb] = {
    "bark": (142, 114, 84), "leaf": (116, 134, 80), "berry": (66, 70, 112), "water": (178, 196, 194),
    "ground": (196, 178, 142),
}  # fmt: skip
"""Role to pigment of everything but the subject."""


def mix_pigments(colourway: str, rng: np.random.Generator, spread: int = 7) -> dict[str, Rgb]:
    """The pigments of one plate: its colourway's and the scenery's, each channel varied by at most `spread` levels."""
    mixed = {}
    for role, (red, green, blue) in {**COLOURWAYS[colourway], **SCENERY}.items():
        off = rng.integers(-spread, spread + 1, size=3)
        mixed[role] = (
            int(min(255, red + off[0])),
            int(min(255, green + off[1])),
            int(min(255, blue + off[2])),
        )
    return mixed
