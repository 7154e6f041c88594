"""What commands share: the console for results, errors on standard error, the dataset, problems of specs."""

from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from atlas_resources.instruments.registry import Registry
    from atlas_resources.plates.dataset import Dataset

console = Console(emoji=False)  # a file named :smile:.png is shown by its name


def open_dataset() -> "Dataset":
    """The dataset in ATLAS_HOME; its folders are made if needed, `schemas/` by what registers or measures plates."""
    from atlas_resources.plates.dataset import Dataset, dataset_root

    dataset = Dataset(dataset_root())
    dataset.make_folders()
    return dataset


def fail(message: str) -> typer.Exit:
    """Prints an error on standard error and returns the exception to raise, for exit code 1."""
    Console(stderr=True, emoji=False).print(message, style="red", markup=False, highlight=False, soft_wrap=True)
    return typer.Exit(1)


def print_problems(registry: "Registry") -> bool:
    """Prints what is wrong in the roster and the specs. Returns whether the roster is wrong: nothing is active then."""
    from atlas_resources.instruments.roster import ROSTER_NAME, is_roster_wrong

    for problem in registry.problems:
        console.print(str(problem), style="red", markup=False, soft_wrap=True)
    is_wrong = is_roster_wrong(registry.problems)
    if is_wrong:
        message = f"no instrument is active until {ROSTER_NAME} is right; `atlas models show KEY` says why"
        console.print(message, style="red", markup=False, soft_wrap=True)
    return is_wrong


def warn(message: str) -> None:
    """Prints a warning on standard error."""
    Console(stderr=True, emoji=False).print(message, style="yellow", markup=False, highlight=False, soft_wrap=True)


def counted(count: int, one: str) -> str:
    """A number with its noun: `1 plate`, `2 plates`, `2 lines of text`.

    Args:
        count: the number.
        one: the noun for one thing, whose first word takes the s.
    """
    noun, space, rest = one.partition(" ")
    return f"{count} {noun}{'' if count == 1 else 's'}{space}{rest}"


def cell(value: object, width: int = 80) -> str:
    """A value as text for a table: floats to six digits, long text cut, markup escaped."""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return escape(text if len(text) <= width else f"{text[: width - 3]}...")
