"""Which segments of a set are kept, by declared rules. The set itself is never changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import ConfigDict, Field, StrictBool

if TYPE_CHECKING:  # specs declare rules, and every command reads specs: importing NumPy takes a tenth of a second
    import numpy as np
    from numpy.typing import NDArray

Ranking = Literal["area", "predicted_iou", "stability_score"]
Ratio = Annotated[float, Field(strict=True, ge=0, le=1)]


@dataclass(frozen=True)
class Candidate:
    """What the rules need to know of a segment; None where it is not known.

    Attributes:
        segment_id: its name in the set.
        area_ratio: its share of the picture's pixels, 0..1.
        touches_border: whether it reaches the picture's edge.
        thickness_ratio: its pixels over the longer side of its box, as a share of the picture's shorter side, 0..1.
            Near 0 for a ruled line, or for the frame that the edge of a scan leaves.
        class_name: its class.
        predicted_iou, stability_score: the segmenter's own estimates, 0..1.
        paper_ratio: share of its pixels that are as light as the plate's paper, 0..1.
    """

    segment_id: str
    area_ratio: float
    touches_border: bool
    thickness_ratio: float | None = None
    class_name: str | None = None
    predicted_iou: float | None = None
    stability_score: float | None = None
    paper_ratio: float | None = None


@dataclass(frozen=True)
class PruningRules:
    """The rules, in the order in which they are applied. None or False switches a rule off.

    A spec declares them, and pydantic validates what it declares: types are strict, unknown names are errors, and
    ratios are 0..1. A rule that needs a number which a segment has not got is an error, not a pass.

    Attributes:
        rank_by: the order of rank, the largest first; of equals the earlier in the set.
        drop_class: segments of this class are dropped.
        max_paper_ratio: segments with a larger share of paper are dropped.
        drop_touching_border: segments that reach the picture's edge are dropped.
        min_area_ratio, max_area_ratio: smaller and larger segments are dropped.
        min_thickness_ratio: lines and frames are dropped.
        min_predicted_iou, min_stability_score: segments with a lower estimate of the segmenter's own are dropped.
        max_mask_iou: of two segments that overlap more, the later in rank is dropped.
        top_k: at most this many of the remaining segments are kept, at least 1.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    rank_by: Ranking = "area"
    drop_class: str | None = None
    max_paper_ratio: Ratio | None = None
    drop_touching_border: StrictBool = False
    min_area_ratio: Ratio | None = None
    max_area_ratio: Ratio | None = None
    min_thickness_ratio: Ratio | None = None
    min_predicted_iou: Ratio | None = None
    min_stability_score: Ratio | None = None
    max_mask_iou: Ratio | None = None
    top_k: Annotated[int, Field(strict=True, gt=0)] | None = None


@dataclass(frozen=True)
class Verdict:
    """Whether one segment is kept, and why not.

    Attributes:
        segment_id: its name in the set.
        rank: its place among the kept segments, from 1; None if it was dropped.
        reason: the rule that dropped it and the number that broke the rule; None if it was kept.
        duplicate_of: the kept segment that it overlaps too much, if `max_mask_iou` dropped it.
    """

    segment_id: str
    rank: int | None
    reason: str | None
    duplicate_of: str | None = None


def prune(candidates: Sequence[Candidate], overlaps: "NDArray[np.float64]", rules: PruningRules) -> list[Verdict]:
    """Judges every segment of a set.

    Args:
        candidates: the set, in its own order.
        overlaps: float64 [N, N], intersection over union of every two masks (`run_lengths.overlaps`).
        rules: what is kept.

    Returns:
        A verdict per segment, in the set's order.

    Raises:
        ValueError: a rule needs a number that a segment has not got, or the overlaps are not of this set.
    """
    if overlaps.shape != (len(candidates), len(candidates)):
        raise ValueError(f"overlaps of {len(candidates)} segments are needed, found {list(overlaps.shape)}")
    verdicts: dict[int, Verdict] = {}
    kept: list[int] = []
    for index in _ranked(candidates, rules.rank_by):
        name = candidates[index].segment_id
        reason = _broken_rule(candidates[index], rules)
        twin = None if reason else _twin(index, kept, overlaps, rules.max_mask_iou)
        if twin is not None:
            reason = f"max_mask_iou: {overlaps[index, twin]:.3f}"
        elif reason is None and rules.top_k is not None and len(kept) == rules.top_k:
            reason = f"top_k: {rules.top_k}"
        if reason is None:
            kept.append(index)
        rank = len(kept) if reason is None else None
        verdicts[index] = Verdict(name, rank, reason, None if twin is None else candidates[twin].segment_id)
    return [verdicts[index] for index in range(len(candidates))]


def _ranked(candidates: Sequence[Candidate], rank_by: Ranking) -> list[int]:
    field = "area_ratio" if rank_by == "area" else rank_by
    return sorted(range(len(candidates)), key=lambda index: (-_known(candidates[index], field, "rank_by"), index))


def _twin(index: int, kept: Sequence[int], overlaps: "NDArray[np.float64]", most: float | None) -> int | None:
    """The kept segment that this one overlaps most, if it overlaps it by more than is allowed."""
    if most is None or not kept:
        return None
    closest = max(kept, key=lambda other: overlaps[index, other])
    return closest if overlaps[index, closest] > most else None


def _broken_rule(candidate: Candidate, rules: PruningRules) -> str | None:
    """The first rule that drops a segment, of the rules that look at one segment alone."""
    if rules.drop_class is not None and candidate.class_name == rules.drop_class:
        return f"drop_class: {candidate.class_name}"
    if rules.max_paper_ratio is not None:
        ratio = _known(candidate, "paper_ratio", "max_paper_ratio")
        if ratio > rules.max_paper_ratio:
            return f"max_paper_ratio: {ratio:.3f}"
    if rules.drop_touching_border and candidate.touches_border:
        return "drop_touching_border"
    if rules.max_area_ratio is not None and candidate.area_ratio > rules.max_area_ratio:
        return f"max_area_ratio: {candidate.area_ratio:.5f}"
    for field in ("area_ratio", "thickness_ratio", "predicted_iou", "stability_score"):
        least = getattr(rules, f"min_{field}")
        if least is not None and (value := _known(candidate, field, f"min_{field}")) < least:
            return f"min_{field}: {value:.5f}"
    return None


def _known(candidate: Candidate, field: str, rule: str) -> float:
    value = getattr(candidate, field)
    if value is None:
        raise ValueError(f"{candidate.segment_id}: the rule {rule} needs {field}, and the segment has none")
    return value
