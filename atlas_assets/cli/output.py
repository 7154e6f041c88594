"""How the `atlas` command speaks, results on standard output, what went wrong on standard error; on which dataset."""

from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from atlas_resources.plates.dataset import Dataset

console = Console()


def open_dataset() -> "Dataset":
    """The dataset in ATLAS_HOME, with its folders in place."""
    from atlas_resources.plates.dataset import Dataset, dataset_root

    dataset = Dataset(dataset_root())
    dataset.ensure()
    return dataset


def fail(message: str) -> typer.Exit:
    """Says what is wrong on standard error; raise what it returns."""
    Console(stderr=True).print(message, style="red", markup=False, highlight=False, soft_wrap=True)
    return typer.Exit(1)


def cell(value: object, width: int = 80) -> str:
    """A value as a table shows it: floats to six digits, long text cut, brackets as they are."""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return escape(text if len(text) <= width else f"{text[: width - 3]}...")
