"""How the `atlas` command speaks: results on standard output, what went wrong on standard error."""

import typer
from rich.console import Console

console = Console()


def fail(message: str) -> typer.Exit:
    """Says what is wrong on standard error; raise what it returns."""
    Console(stderr=True).print(message, style="red", markup=False, highlight=False, soft_wrap=True)
    return typer.Exit(1)
