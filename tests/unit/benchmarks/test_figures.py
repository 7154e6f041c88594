"""The table of `python -m benchmarks`: ratios of each round, goals, and what was not measured."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from benchmarks import __main__ as bench
from benchmarks.figures import Figure, Machine, Part, Results, in_turn, table

TWICE = Figure("Made", "a way", (2.0, 4.0, 9.0), "s", "its floor", (1.0, 2.0, 3.0), goal=2.0)


class TestFigure:
    def test_a_ratio_is_that_of_each_round(self):
        assert TWICE.compared == (2.0, 2.0, 3.0)

    def test_the_median_is_held_against_the_goal_on_its_side(self):
        assert TWICE.is_met is True
        assert Figure("Made", "slow", (2.1,), "s", "its floor", (1.0,), goal=2.0).is_met is False
        assert Figure("Made", "fast", (3.0,), "plates/s", "a peer", (2.0,), "at least", 1.3).is_met is True
        assert Figure("Made", "slow", (2.0,), "plates/s", "a peer", (2.0,), "at least", 1.3).is_met is False

    def test_without_a_floor_the_value_is_held_against_the_goal(self):
        assert Figure("Made", "start", (0.2, 0.4, 0.25), goal=0.3).is_met is True

    def test_what_was_not_measured_and_what_has_no_goal_is_neither_met_nor_missed(self):
        assert Figure("Made", "on a GPU", (), goal=1.0, why="no GPU").is_met is None
        assert Figure("Made", "said only", (1.0,)).is_met is None

    def test_rounds_without_their_floor_are_refused(self):
        with pytest.raises(ValueError, match="2 rounds beside 1"):
            Figure("Made", "a way", (1.0, 2.0), "s", "its floor", (1.0,))


def test_ways_run_in_turn_and_a_first_round_is_not_counted():
    ran = []
    seconds = in_turn({"one": lambda: ran.append("one"), "other": lambda: ran.append("other")}, rounds=2)
    assert ran == ["one", "other"] * 3
    assert {name: len(found) for name, found in seconds.items()} == {"one": 2, "other": 2}


class TestTable:
    def test_a_line_has_the_figure_its_floor_the_spread_the_goal_and_the_verdict(self):
        assert table([TWICE])[2] == "| a way | 4 s | its floor | 2 s | 2 / 2 / 3 x | at most 2 x | met |"

    def test_a_missed_goal_and_what_was_not_measured_say_why(self):
        slow = Figure("Made", "start", (1.0,), goal=0.3, why="imports")
        absent = Figure("Made", "on a GPU", (), "images/s", "the peak", goal=0.5, sense="at least", why="no GPU")
        assert table([slow, absent])[2:] == [
            "| start | 1 s |  |  | 1 / 1 / 1 s | at most 0.3 s | **missed**: imports |",
            "| on a GPU | not measured | the peak |  |  | at least 0.5 x | no GPU |",
        ]

    def test_results_are_read_back_as_they_were_written(self):
        parts = {"Other": Part("2026-11-30T00:29:51+00:00", 2.5, 57.0)}
        results = Results(Machine.present(), (TWICE, Figure("Other", "absent", (), why="no GPU")), parts)
        assert Results.read(results.json()) == results
        assert (
            "Measured 2026-11-30T00:29:51+00:00 in 2.5 minutes, when a sum of a million squares in Python took 57 ms."
            in results.markdown()
        )
        assert "1 goals met, 0 missed, 1 figures not measured" in results.markdown()

    def test_a_part_that_is_measured_again_takes_the_place_of_the_older_one(self):
        other, again = Figure("Other", "a way", (1.0,)), Figure(TWICE.subject, "a way", (2.0,))
        older, newer = Part("2026-11-29"), Part("2026-11-30")
        kept = Results(Machine.present(), (TWICE, other), {TWICE.subject: older, "Other": older})
        replaced = kept.with_part(TWICE.subject, [again], newer)
        assert (replaced.figures, replaced.parts) == ((again, other), {TWICE.subject: newer, "Other": older})
        assert replaced.in_order(["Other", "None", TWICE.subject]).figures == (other, again)

    def test_a_part_of_another_machine_or_of_other_packages_does_not_join(self):
        here = Machine.present()
        kept = Results(here)
        assert kept.is_of(replace(here, system="another kernel"))
        assert not kept.is_of(replace(here, cores=here.cores + 1))
        assert not kept.is_of(replace(here, packages={**here.packages, "torch": "1.0"}))


class TestCommand:
    def test_a_subject_that_fails_costs_itself_alone_and_is_named(self, monkeypatch, capsys):
        monkeypatch.setattr(bench, "SUBJECTS", {"no_such_module": "Nothing", "figures": "Neither"})
        assert bench.main(["no_such_module"]) == 1
        assert "`python -m benchmarks --lines no_such_module` ended with 1" in capsys.readouterr().out

    def test_every_subject_can_be_measured(self):
        for name in bench.SUBJECTS:
            assert callable(__import__(f"benchmarks.{name}", fromlist=["figures"]).figures)

    @pytest.fixture
    def three(self, monkeypatch):
        """Subjects of one figure each, of which the last is measured only by its name."""
        monkeypatch.setattr(bench, "SUBJECTS", {"a": "A", "b": "B", "named": "Named"})
        monkeypatch.setattr(bench, "BY_NAME", ("named",))
        monkeypatch.setattr(bench, "measure", lambda name: [Figure(bench.SUBJECTS[name], "a way", (1.0,))])

    @staticmethod
    def kept_subjects(folder: Path) -> list[str]:
        return [one.subject for one in bench.read_kept(folder).figures]

    def test_all_are_measured_but_those_that_ask_for_their_name(self, three, tmp_path):
        assert bench.main(["--results", str(tmp_path)]) == 0
        assert self.kept_subjects(tmp_path) == ["A", "B"]

    def test_what_was_measured_by_its_name_stays_in_the_table(self, three, tmp_path):
        bench.main(["named", "--keep", "--results", str(tmp_path)])
        bench.main(["--results", str(tmp_path)])
        assert self.kept_subjects(tmp_path) == ["A", "B", "Named"]

    def test_a_whole_table_replaces_that_of_another_machine_and_a_part_is_refused(self, three, tmp_path, capsys):
        other = Results(replace(Machine.present(), cores=99), (Figure("Named", "a way", (2.0,)),), {})
        bench.keep(other, tmp_path)
        with pytest.raises(SystemExit):
            bench.main(["a", "--keep", "--results", str(tmp_path)])
        assert "of another machine or other packages. Fix: measure all of it" in capsys.readouterr().err
        bench.main(["--results", str(tmp_path)])
        assert self.kept_subjects(tmp_path) == ["A", "B"]

    def test_an_unknown_subject_is_refused_with_the_known_ones(self, capsys):
        with pytest.raises(SystemExit):
            bench.main(["nothing"])
        assert "expected one of decode_once" in capsys.readouterr().err

    def test_lines_are_figures(self, monkeypatch, capsys):
        monkeypatch.setattr("benchmarks.start.figures", lambda subject: [TWICE])
        bench.print_lines("start")
        assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(asdict(TWICE)))
