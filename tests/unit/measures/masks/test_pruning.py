"""Each rule of pruning on sets small enough to judge by hand."""

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from atlas_resources.measures.masks.pruning import Candidate, PruningRules, Verdict, prune

APART = np.eye(3)


def _three(*, class_name: str | None = None, touches_border: bool = False) -> list[Candidate]:
    """Three segments of falling area; the second differs as said."""
    second = Candidate("mask-0002", 0.2, touches_border, class_name=class_name)
    return [Candidate("mask-0001", 0.5, False), second, Candidate("mask-0003", 0.1, False)]


def test_without_rules_all_are_kept_in_order_of_area():
    assert prune(_three(), APART, PruningRules()) == [
        Verdict("mask-0001", 1, None),
        Verdict("mask-0002", 2, None),
        Verdict("mask-0003", 3, None),
    ]


@pytest.mark.parametrize(
    ("segments", "rules", "reason"),
    [
        (_three(class_name="paper"), PruningRules(drop_class="paper"), "drop_class: paper"),
        (_three(touches_border=True), PruningRules(drop_touching_border=True), "drop_touching_border"),
    ],
)
def test_a_rule_drops_the_segment_that_breaks_it_and_gives_the_reason(
    segments: list[Candidate], rules: PruningRules, reason: str
):
    found = prune(segments, APART, rules)
    assert found == [Verdict("mask-0001", 1, None), Verdict("mask-0002", None, reason), Verdict("mask-0003", 2, None)]


def test_limits_of_area_are_inclusive():
    rules = PruningRules(min_area_ratio=0.2, max_area_ratio=0.2)
    found = prune(_three(), APART, rules)
    assert [verdict.reason for verdict in found] == ["max_area_ratio: 0.50000", None, "min_area_ratio: 0.10000"]


def test_segments_of_low_confidence_are_dropped():
    trusted = [Candidate(f"m{value}", 0.1, False, predicted_iou=value) for value in (0.9, 0.7)]
    found = prune(trusted, np.eye(2), PruningRules(min_predicted_iou=0.8))
    assert [verdict.reason for verdict in found] == [None, "min_predicted_iou: 0.70000"]
    stable = [Candidate(f"m{value}", 0.1, False, stability_score=value) for value in (0.9, 0.7)]
    found = prune(stable, np.eye(2), PruningRules(min_stability_score=0.9))
    assert [verdict.reason for verdict in found] == [None, "min_stability_score: 0.70000"]


def test_ruled_lines_and_frames_are_dropped():
    line, bird = (
        Candidate("line", 0.1, False, thickness_ratio=0.002),
        Candidate("bird", 0.1, False, thickness_ratio=0.1),
    )
    found = prune([line, bird], np.eye(2), PruningRules(min_thickness_ratio=0.01))
    assert [verdict.reason for verdict in found] == ["min_thickness_ratio: 0.00200", None]


def test_segments_of_mostly_paper_are_dropped():
    one, other = (Candidate(f"m{value}", 0.1, False, paper_ratio=value) for value in (0.9, 0.3))
    found = prune([one, other], np.eye(2), PruningRules(max_paper_ratio=0.5))
    assert [verdict.reason for verdict in found] == ["max_paper_ratio: 0.900", None]


def test_of_two_that_overlap_too_much_the_better_stays():
    overlaps = np.array([[1, 0.85, 0.1], [0.85, 1, 0.2], [0.1, 0.2, 1]])
    found = prune(_three(), overlaps, PruningRules(max_mask_iou=0.8))
    assert found[1] == Verdict("mask-0002", None, "max_mask_iou: 0.850", "mask-0001")
    trusted = [Candidate(f"m{value}", 0.1, False, predicted_iou=value) for value in (0.6, 0.9)]
    found = prune(trusted, overlaps[:2, :2], PruningRules(rank_by="predicted_iou", max_mask_iou=0.8))
    assert [verdict.rank for verdict in found] == [None, 1]


def test_a_twin_of_what_was_dropped_stays():
    overlaps = np.array([[1, 0.9], [0.9, 1]])
    pair = [Candidate("edge", 0.5, True), Candidate("whole", 0.4, False)]
    found = prune(pair, overlaps, PruningRules(drop_touching_border=True, max_mask_iou=0.8))
    assert [verdict.rank for verdict in found] == [None, 1]


def test_top_k_counts_what_the_other_rules_left():
    found = prune(_three(class_name="paper"), APART, PruningRules(drop_class="paper", top_k=1))
    assert [verdict.reason for verdict in found] == [None, "drop_class: paper", "top_k: 1"]


def test_equals_keep_the_order_of_the_set():
    found = prune([Candidate(name, 0.1, False) for name in "abc"], APART, PruningRules(top_k=2))
    assert [verdict.rank for verdict in found] == [1, 2, None]


def test_a_rule_that_needs_an_unknown_number_is_an_error():
    with pytest.raises(ValueError, match="mask-0001: the rule min_stability_score needs stability_score"):
        prune(_three(), APART, PruningRules(min_stability_score=0.5))


def test_no_segments_have_no_verdicts():
    assert prune([], np.zeros((0, 0)), PruningRules(top_k=3)) == []


def test_declared_rules_become_the_rules():
    declared = {"drop_class": "paper", "min_area_ratio": 0, "max_mask_iou": 0.8, "top_k": 12}
    found = TypeAdapter(PruningRules).validate_python(declared)
    assert found == PruningRules(drop_class="paper", min_area_ratio=0.0, max_mask_iou=0.8, top_k=12)


@pytest.mark.parametrize(
    ("declared", "kind"),
    [
        ({"top_n": 3}, "unexpected_keyword_argument"),
        ({"top_k": "3"}, "int_type"),
        ({"top_k": 0}, "greater_than"),
        ({"max_paper_ratio": "0.5"}, "float_type"),
        ({"max_paper_ratio": 1.5}, "less_than_equal"),
        ({"min_area_ratio": -0.1}, "greater_than_equal"),
        ({"drop_touching_border": 1}, "bool_type"),
        ({"rank_by": "size"}, "literal_error"),
    ],
)
def test_a_declaration_that_is_wrong_is_refused(declared: dict[str, object], kind: str):
    with pytest.raises(ValidationError) as found:
        TypeAdapter(PruningRules).validate_python(declared)
    assert [error["type"] for error in found.value.errors()] == [kind]
