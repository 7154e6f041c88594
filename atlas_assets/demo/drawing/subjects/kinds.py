"""The kinds of subject: their names, and the function that draws each."""

from collections.abc import Callable

import numpy as np

from atlas_assets.demo.drawing.press import Part
from atlas_assets.demo.drawing.subjects.birds import draw_perched_bird, draw_wading_bird
from atlas_assets.demo.drawing.subjects.butterfly import draw_butterfly
from atlas_assets.demo.drawing.subjects.fish import draw_fish
from atlas_assets.demo.drawing.subjects.flower import draw_flower
from atlas_assets.demo.drawing.subjects.shell import draw_shell

SubjectDrawing = Callable[[np.random.Generator], list[Part]]

SUBJECTS: dict[str, SubjectDrawing] = {
    "perched bird": draw_perched_bird,
    "butterfly": draw_butterfly,
    "fish": draw_fish,
    "flower": draw_flower,
    "wading bird": draw_wading_bird,
    "shell": draw_shell,
}
"""Kind to drawing function, which returns parts back to front, scenery included, in subject units."""
