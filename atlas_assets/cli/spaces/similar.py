"""`atlas similar`: the plates nearest to a picture that is not in the library."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from atlas_assets.cli.output import cell, console, fail, open_dataset, warn

if TYPE_CHECKING:
    from atlas_assets.search.outside_picture import Similar
    from atlas_assets.search.ranking import Near, Titles


def similar(
    file: Annotated[Path, typer.Argument(help="A picture: JPEG, PNG, TIFF or WebP.")],
    *,
    by: Annotated[str | None, typer.Option(help="Ask this embedding instrument only.")] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="Plates to show.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Find the plates most like a picture from outside the library. The picture is not registered.

    It is decoded, prepared and embedded as a plate is, by every active encoder whose weights are on disk. The first
    table is of all encoders together, by reciprocal rank fusion, with the rank and cosine that each gives.
    """
    from atlas_assets.search.outside_picture import find_similar
    from atlas_assets.search.ranking import read_titles
    from atlas_resources.instruments.registry import read_registry

    dataset = open_dataset()
    try:
        found = find_similar(dataset, read_registry(), file, by, k)
    except KeyError as error:
        raise fail(str(error.args[0])) from None
    except (ValueError, OSError) as error:
        raise fail(str(error)) from None
    titles = read_titles(dataset)
    for key, reason in found.left_out.items():
        warn(f"without {key}: {reason}")
    if as_json:
        typer.echo(json.dumps(_as_json(file, found, titles), indent=2, ensure_ascii=False))
    else:
        _print(found, titles)


def _print(found: "Similar", titles: "Titles") -> None:
    if found.same_file:
        console.print(f"the picture is the source of {', '.join(found.same_file)}", markup=False, soft_wrap=True)
    if len(found.by) > 1:
        table = Table("plate_id", "title", "score", *(f"{key}: rank, cosine" for key in found.by), title="all encoders")
        for one in found.fused:
            votes = [_vote(one.votes.get(key)) for key in found.by]
            table.add_row(one.plate_id, cell(titles.get(one.plate_id) or ""), f"{one.score:.4f}", *votes)
        console.print(table)
    for key, near in found.by.items():
        table = Table("plate_id", "title", "cosine", title=cell(key))
        for one in near:
            table.add_row(one.plate_id, cell(titles.get(one.plate_id) or ""), f"{one.cosine:.4f}")
        console.print(table)


def _vote(near: "Near | None") -> str:
    return "-" if near is None else f"{near.rank}, {near.cosine:.4f}"


def _as_json(file: Path, found: "Similar", titles: "Titles") -> dict[str, object]:
    def named(near: "Near") -> dict[str, object]:
        return {"plate_id": near.plate_id, "title": titles.get(near.plate_id), "rank": near.rank, "cosine": near.cosine}

    fused = [
        {
            "plate_id": one.plate_id,
            "title": titles.get(one.plate_id),
            "score": one.score,
            "votes": [{"space": key, "rank": near.rank, "cosine": near.cosine} for key, near in one.votes.items()],
        }
        for one in found.fused
    ]
    return {
        "file": str(file),
        "sha256": found.sha256,
        "same_file": list(found.same_file),
        "fused": fused,
        "by": {key: [named(one) for one in near] for key, near in found.by.items()},
        "left_out": dict(found.left_out),
    }
