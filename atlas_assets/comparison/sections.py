"""A comparison as tables of text, which the terminal and the page show alike."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from atlas_assets.comparison.facts import Facts
from atlas_assets.comparison.label_free import Recovered
from atlas_assets.comparison.report import Comparison
from atlas_assets.comparison.retrieval import ByLabel, Interval, Retrieval
from atlas_resources.ledgers.topology.agreement import LEAST_PLATES
from atlas_resources.measures.spaces.retrieval import McNemar, Proportion

UNKNOWN = "-"
ALTERED = "Altered plates that find their original first"
FEW_LABELS = 30
"""Below about as many groups, what is drawn from them says too little: Cameron, Gelbach and Miller, "Bootstrap-based
improvements for inference with clustered errors" (Review of Economics and Statistics 90, 2008)."""


@dataclass(frozen=True)
class Section:
    """A table with what to know when reading it; `name` is the same in every report."""

    name: str
    title: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    notes: tuple[str, ...] = ()


def sections_of(found: Comparison, recovered: Sequence[Recovered] = (), why_not: str = "") -> list[Section]:
    """Every table of a comparison, the plates that moved last.

    Args:
        found: the comparison.
        recovered: how many altered plates found their original, if that was asked.
        why_not: why that could not be asked, if it could not.
    """
    made = [_cost(found), _agreement(found)]
    if found.retrieval is not None:
        made.append(_retrieval(found, found.retrieval))
    if recovered:
        made.append(_recovered(found, recovered))
    elif why_not:
        made.append(Section("altered_plates", ALTERED, (), [], (f"Not asked: {why_not}",)))
    return [*made, _moved(found)]


def _seconds(one: Facts) -> str:
    return UNKNOWN if one.seconds_per_plate is None else f"{one.seconds_per_plate:.3g} on {one.device or 'a server'}"


FACTS: dict[str, Callable[[Facts], str]] = {
    "model": lambda one: one.model_id,
    "revision": lambda one: one.revision,
    "plates measured": lambda one: str(one.plates),
    "dimension": lambda one: str(one.dim),
    "vector bytes per plate": lambda one: f"{one.vector_bytes:,}",
    "numbers in the weight files": lambda one: _count(one.weight_numbers),
    "weight files": lambda one: _bytes(one.weights_bytes),
    "seconds per plate in the model, median": _seconds,
    "peak memory of the process": lambda one: _bytes(one.peak_memory_bytes),
    "peak memory on the accelerator": lambda one: _bytes(one.peak_device_memory_bytes),
    "licence": lambda one: f"{one.licence}; commercial use: {one.commercial_use}",
}


def _cost(found: Comparison) -> Section:
    rows = [(name, show(found.first), show(found.second)) for name, show in FACTS.items()]
    notes = (
        "Seconds and memory are of the runs that sealed the current vectors; the process may have measured other "
        "things too. Weight files may hold more than images need, such as a text tower.",
    )
    return Section("cost", "Cost and terms", ("", found.first.key, found.second.key), rows, notes)


def _agreement(found: Comparison) -> Section:
    rows = [
        (
            _measure(row["measure"]),
            _number(row["value"]),
            _interval(row["low"], row["high"]),
            _number(row["null_mean"]),
            _number(row["calibrated"]),
            _number(row["p_value"]),
        )
        for row in found.agreement
    ]
    notes = ("calibrated: 0 where permuted plates agree as much, 1 for equal spaces. Intervals are of 95 %.",)
    if not rows:
        notes = (f"Not computed: {found.plate_count} plates in common, and at least {LEAST_PLATES} are needed.",)
    header = ("measure", "value", "interval", "by chance", "calibrated", "p")
    return Section("agreement", f"Agreement over {found.plate_count} plates", header, rows, notes)


def _measure(name: str) -> str:
    return "debiased CKA" if name == "cka" else f"shared of {name.removeprefix('neighbours_')} nearest"


def _retrieval(found: Comparison, retrieval: Retrieval) -> Section:
    rows = []
    for one in retrieval.recalls:
        name = f"recall@{one.k}"
        rows.append((name, _proportion(one.first), _proportion(one.second), _number(one.chance), _test(one.test)))
        rows.append(_by_label(name, one.by_label))
    rows.append(
        ("mean average precision", _mean(retrieval.first), _mean(retrieval.second), UNKNOWN, _gain(retrieval.gain))
    )
    rows.append(_by_label("mean average precision", retrieval.by_label))
    counts = f"queries: {retrieval.queries}, labels: {retrieval.labels}"
    title = f"Retrieval among {retrieval.labelled} labelled plates ({counts})"
    notes = [
        "A query finds another plate of its label among the nearest. Recall: Wilson's interval; precision: bootstrap "
        "over queries; the test is McNemar's exact one. These take queries as independent, which plates of one label "
        "are not. By label: the bootstrap draws labels, each with all its plates; where it is wider, it counts."
    ]
    if retrieval.labels < FEW_LABELS:
        notes.append(f"With fewer than {FEW_LABELS} labels, intervals by label are too short as well.")
    if alone := retrieval.labelled - retrieval.queries:
        notes.append(f"Not asked, since no other plate has the label: {alone}.")
    if retrieval.left_out:
        notes.append(f"Left out, with a label and without both vectors: {retrieval.left_out}.")
    return Section("retrieval", title, ("", found.first.key, found.second.key, "by chance", "test"), rows, tuple(notes))


def _by_label(name: str, one: ByLabel) -> tuple[str, ...]:
    shown = (_interval(figure.low, figure.high) for figure in (one.first, one.second))
    return (f"{name}, by label", *shown, UNKNOWN, _gain(one.gain))


def _gain(one: Interval) -> str:
    return f"second - first: {_mean(one, '+.3f')}"


def _recovered(found: Comparison, recovered: Sequence[Recovered]) -> Section:
    rows = [(one.alteration, _proportion(one.first), _proportion(one.second), _test(one.test)) for one in recovered]
    title = f"{ALTERED}: {recovered[0].first.of} among {found.plate_count}"
    notes = (
        "Recall@1 with Wilson's interval. Plates are altered in memory; one as near as the original counts first.",
    )
    return Section("altered_plates", title, ("altered", found.first.key, found.second.key, "test"), rows, notes)


def _moved(found: Comparison) -> Section:
    rows = [
        (
            one.plate_id,
            found.titles.get(one.plate_id) or "",
            f"{one.shared_count} of {one.k}",
            ", ".join(one.first),
            ", ".join(one.second),
        )
        for one in found.moved
    ]
    header = ("plate_id", "title", "shared", f"nearest by {found.first.key}", f"nearest by {found.second.key}")
    notes = () if rows else ("None: both name the same nearest plates of every plate.",)
    return Section("moved", "The plates that moved most", header, rows, notes)


def _number(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.3f}"


def _interval(low: float | None, high: float | None) -> str:
    return UNKNOWN if low is None or high is None else f"{low:.3f} to {high:.3f}"


def _proportion(one: Proportion) -> str:
    return f"{one.value:.3f} ({one.low:.3f} to {one.high:.3f})"


def _mean(one: Interval, form: str = ".3f") -> str:
    return f"{one.value:{form}} ({one.low:{form}} to {one.high:{form}})"


def _test(one: McNemar) -> str:
    return f"only first {one.only_first}, only second {one.only_second}: p {one.p_value:.3g}"


def _bytes(count: int | None) -> str:
    return UNKNOWN if count is None else f"{count / 1e6:,.1f} MB"


def _count(count: int | None) -> str:
    return UNKNOWN if count is None else f"{count / 1e6:,.1f} million"
