"""What exports say they have left out."""

from collections.abc import Iterable

from atlas_assets.cli.output import console


def say_left_out(sentences: Iterable[str]) -> None:
    """Prints what an export has not, and why, in yellow, a line each."""
    for sentence in sentences:
        console.print(f"left out {sentence}", style="yellow", markup=False, highlight=False, soft_wrap=True)
