"""Tables of instruments for a terminal, readable at 80 columns, and the card of one instrument."""

from collections.abc import Iterable, Sequence

import yaml
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from atlas_resources.instruments.instrument import Instrument
from atlas_resources.instruments.registry import Registry
from atlas_resources.instruments.spec.pins import model_sha
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.servers.records import start_command
from atlas_resources.models.servers.running import why_without_server
from atlas_resources.models.weights import without_weights

WIDE_COLUMNS = 140
"""Terminal width from which all facts fit side by side."""
COLOURS = {"admitted": "green", "idea": "yellow", "refused": "red", "broken": "red"}


def short_revision(spec: Spec) -> str:
    """A commit's first 12 digits, or library==version; a dash where nothing is pinned."""
    revision = model_sha(spec) or "-"
    return revision if "==" in revision else revision[:12]


def device_words(spec: Spec) -> str:
    """`GPU` for an instrument that runs on nothing else, `CPU`, or a dash where no device is declared."""
    return {"cuda": "GPU", "cpu": "CPU"}[spec.numeric.device] if spec.numeric else "-"


def _status(registry: Registry, spec: Spec) -> str:
    status = registry.status(spec.key)
    words = f"[{COLOURS[status.name]}]{status.name}[/]"
    words += ", active" if spec.key in registry.active else ""
    words += f", a variant of {spec.variant_of}" if spec.variant_of else ""
    if status.name != "admitted":
        return f"{words}: {escape(status.reason)}"
    waits = waits_for(registry.instruments[spec.key])
    return f"{words}; waits for {escape(waits)}" if waits else words


def waits_for(instrument: Instrument) -> str:
    """What an admitted instrument waits for on this machine, with the commands; empty if it can run."""
    words = []
    if keys := without_weights(instrument):
        words.append(f"weights: `atlas models pull {' '.join(keys)}`")
    if why_without_server(instrument.spec):
        words.append(f"its server: `{start_command(instrument.spec)}`")
    return "; ".join(words)


def _wide_table(registry: Registry, specs: Sequence[Spec]) -> Table:
    table = Table()
    table.add_column("instrument", no_wrap=True, min_width=max((len(spec.key) for spec in specs), default=0))
    for name in ("role", "model", "revision", "licence", "loader", "device", "status"):
        table.add_column(name)
    for spec in specs:
        terms = spec.licence.spdx if spec.licence else "-"
        facts = (spec.key, spec.role, spec.model_id, short_revision(spec), terms, spec.loader or "-")
        table.add_row(*facts, device_words(spec), _status(registry, spec))
    return table


def _narrow_table(registry: Registry, specs: Iterable[Spec]) -> Table:
    """Key, role, licence, revision, loader and device in one column: no key is cut and the reason has room."""
    table = Table(show_lines=True)
    table.add_column("instrument", no_wrap=True)
    table.add_column("status", overflow="fold", ratio=1)
    for spec in specs:
        terms = spec.licence.spdx if spec.licence else "licence not stated"
        loaded = f"loader {spec.loader or '-'}, {device_words(spec)}"
        facts = "\n".join((spec.role, terms, escape(short_revision(spec)), loaded))
        table.add_row(f"{spec.key}\n[dim]{facts}[/]", _status(registry, spec))
    return table


def plain_lines(registry: Registry, specs: Iterable[Spec], with_broken: bool = True) -> list[str]:
    """One line per instrument in aligned columns, nothing cut or wrapped: for files, pipes and grep."""
    rows = []
    for spec in specs:
        terms = spec.licence.spdx if spec.licence else "-"
        words = Text.from_markup(_status(registry, spec)).plain
        facts = (spec.key, spec.role, spec.model_id, short_revision(spec), terms, spec.loader or "-")
        rows.append((*facts, device_words(spec), words))
    broken = [(problem.file, f"broken: {problem.field}") for problem in registry.problems] if with_broken else []
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return lines + ["  ".join(row) for row in broken]


def list_table(registry: Registry, specs: Iterable[Spec], width: int, with_broken: bool = True) -> Table:
    """One row per instrument, and one per spec that could not be read.

    Args:
        registry: all instruments.
        specs: the ones to list.
        width: the terminal's width in columns; narrow tables leave out the model id.
        with_broken: whether to list broken specs too.
    """
    table = _wide_table(registry, list(specs)) if width >= WIDE_COLUMNS else _narrow_table(registry, specs)
    if with_broken:
        for problem in registry.problems:
            blank = [""] * (len(table.columns) - 2)
            table.add_row(problem.file, *blank, f"[{COLOURS['broken']}]broken[/]: {escape(problem.field)}")
    return table


def count_line(registry: Registry, specs: Iterable[Spec]) -> str:
    """How many instruments are listed, in all and by status."""
    names = [registry.status(spec.key).name for spec in specs]
    counts = ", ".join(f"{names.count(name)} {name}" for name in COLOURS if name in names)
    return f"{len(names)} instruments: {counts}" if names else "0 instruments"


class _CardDumper(yaml.SafeDumper):
    """Writes YAML with lists of numbers on one line."""


def _represent_list(dumper: yaml.SafeDumper, values: list) -> yaml.Node:
    is_numbers = bool(values) and all(isinstance(value, int | float) for value in values)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=is_numbers)


_CardDumper.add_representer(list, _represent_list)


def card(spec: Spec, width: int = 110) -> str:
    """Everything the spec declares, as YAML, with sources. Nulls are shown, defaults are not."""
    content = spec.model_dump(mode="json", exclude_defaults=True)
    for name in ("weights", "licence", "output", "preprocessing", "numeric"):
        if name != "preprocessing" or spec.own_preprocessing is None:
            content.setdefault(name, None)
    ordered = {name: content[name] for name in type(spec).model_fields if name in content}
    return yaml.dump(ordered, Dumper=_CardDumper, sort_keys=False, allow_unicode=True, width=width)
