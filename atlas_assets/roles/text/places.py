"""The place of a text on its plate, as columns."""

from typing import Any

from atlas_resources.models.protocols import TextLine


def place_columns(line: TextLine) -> dict[str, Any]:
    """The columns of a place: corners clockwise, and the box around them, source pixels."""
    (x_min, y_min), (x_max, y_max) = line.corners.min(axis=0).tolist(), line.corners.max(axis=0).tolist()
    box = {"x_min": x_min, "y_min": y_min, "x_max": x_max, "y_max": y_max}
    return {"quadrilateral": line.corners.flatten().tolist(), **box}
