"""A result's lineage as a tree for the terminal: each node below the one that depends on it."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.text import Text
from rich.tree import Tree

from atlas_assets.cli.provenance.answers import Row, short

ORDER = ("run", "file", "source", "instrument", "preprocessing", "environment", "server", "code")
"""Kinds of nodes in the order that a run's are shown in; others come last."""


@dataclass
class _Drawing:
    """What is drawn from: edges by subject, what is known of runs and the result, and the nodes drawn so far."""

    edges: Mapping[str, Sequence[Row]]
    runs: Mapping[str, Row]
    result: Row
    drawn: set[str] = field(default_factory=set)


def draw(title: str, file: str, edges: Sequence[Row], result: Row, runs: Sequence[Row]) -> Tree:
    """The tree of a sealed file.

    Args:
        title: what the tree is of.
        file: the file's node.
        edges: of `lineage_of`.
        result: the row of `why`.
        runs: the runs of the plate, rows of `runs`.
    """
    by_subject: dict[str, list[Row]] = defaultdict(list)
    for edge in edges:
        by_subject[edge["subject"]].append(edge)
    known = {f"{run['plate_id']}/runs/{run['run_id']}": run for run in runs}
    tree = Tree(Text(title, style="bold"))
    node = tree.add(_text("", "file", file, f"sha256 {short(result['output_sha256'])}"))
    _add(node, file, _Drawing(by_subject, known, result))
    return tree


def _add(tree: Tree, node: str, drawing: _Drawing) -> None:
    """Adds what a node depends on. The run that generated a file shows what the file was derived from."""
    edges = drawing.edges.get(node, [])
    if any(edge["relation"] == "wasGeneratedBy" for edge in edges):
        edges = [edge for edge in edges if edge["relation"] == "wasGeneratedBy"]
    for edge in sorted(edges, key=_place):
        target = edge["object"]
        is_new = target not in drawing.drawn
        is_again = not is_new and bool(drawing.edges.get(target))
        drawing.drawn.add(target)
        branch = tree.add(_text(edge["relation"], *_described(edge, drawing), "(as above)" if is_again else ""))
        if is_new and edge["object_kind"] == "environment":
            branch.add(Text(_packages(drawing, node), style="dim"))
        if not is_again:
            _add(branch, target, drawing)


def _place(edge: Row) -> tuple[int, str, str]:
    kind = edge["object_kind"]
    return (ORDER.index(kind) if kind in ORDER else len(ORDER), edge["relation"], edge["object_name"] or edge["object"])


def _described(edge: Row, drawing: _Drawing) -> tuple[str, str, str]:
    """The kind of an edge's object, what it is called, and what else is known of it."""
    kind, node, name = edge["object_kind"], edge["object"], edge["object_name"]
    digest = f"sha256 {short(edge['object_sha256'])}" if edge["object_sha256"] else ""
    shown, details = name or node, digest
    match kind:
        case "run":
            details = _run(drawing, node)
        case "instrument":
            details = f"fingerprint {short(node)}" if digest else f"version {node}"
        case "code":
            shown, details = f"commit {short(node)}", _changes(drawing, edge["subject"])
        case "model":
            shown = node  # with its revision or version
        case "weights" if not name:
            shown = "(names of files were not recorded)"
    return kind, shown, details


def _run(drawing: _Drawing, node: str) -> str:
    run = drawing.runs.get(node)
    if run is None:  # the groundwork
        at = drawing.result["sealed_at"]
        return f"measured {at:%Y-%m-%d %H:%M:%S} UTC" if at else ""
    device = run["accelerator"] or run["device"]
    return f"{run['instrument']}, sealed {run['sealed_at']:%Y-%m-%d %H:%M:%S} UTC, {device}, {run['dtype']}"


def _packages(drawing: _Drawing, node: str) -> str:
    run = drawing.runs.get(node, {})
    packages = json.loads(run.get("packages") or "{}")
    return ", ".join(f"{name} {version}" for name, version in packages.items())


def _changes(drawing: _Drawing, node: str) -> str:
    run = drawing.runs.get(node, drawing.result)
    return "with changes that are in no commit" if run["code_is_dirty"] else ""


def _text(relation: str, kind: str, name: str, *details: str) -> Text:
    """A line: names from files and indexes are text, never markup."""
    text = Text()
    if relation:
        text.append(f"{relation} ", style="dim")
    text.append(f"{kind} ", style="cyan").append(name)
    for detail in filter(None, details):
        text.append(f"  {detail}", style="dim")
    return text
