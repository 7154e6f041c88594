"""What exports say they have left out, in yellow."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from atlas_assets.cli.output import console

if TYPE_CHECKING:
    from atlas_resources.export.left_out import LeftOut, LeftOutPlate, Withdrawn


def say_left_out(left_out: "Sequence[LeftOut]", plates: "Sequence[LeftOutPlate]") -> None:
    """Prints what an export for commercial use has not, and why: rows by the terms of models, and whole plates."""
    from atlas_resources.export.left_out import plate_sentences

    lines = [f"left out of {rows.table}: {rows.counted} of {rows.instrument}: {rows.reason}" for rows in left_out]
    say_lines([*lines, *(f"left out {line}" for line in plate_sentences(plates))])


def say_all_left_out(withdrawn: "Withdrawn", left_out: "Sequence[LeftOut]", plates: "Sequence[LeftOutPlate]") -> None:
    """Prints what is withdrawn, and then the same."""
    say_lines(f"left out {line}" for line in withdrawn.sentences)
    say_left_out(left_out, plates)


def say_lines(lines: Iterable[str]) -> None:
    """Prints each line in yellow, as it is."""
    for line in lines:
        console.print(line, style="yellow", markup=False, highlight=False, soft_wrap=True)
