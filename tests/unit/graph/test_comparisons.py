"""The report of two encoders as an asset: what it shows, what it keeps, and when it is made."""

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from support import fake_instruments
from support.fake_instruments import EMBEDDER, SEGMENTER, fake_registry, fake_spec
from support.made_datasets import Graph, make_dataset
from support.made_results import build_ledgers, measure_groundwork, run_instrument

from atlas_assets.automation.selections import saved_selections
from atlas_assets.comparison.sections import Section
from atlas_assets.graph.comparisons.assets import comparison_keys
from atlas_assets.graph.comparisons.shown import section_markdown
from atlas_resources.files import digests
from atlas_resources.instruments.registry import Registry
from atlas_resources.instruments.roster import Roster
from atlas_resources.models.weights import WeightsMissing
from atlas_resources.plates.dataset import Dataset
from atlas_resources.verification.library import verify

OTHER = "other_embedder"
KEY = f"comparisons/{EMBEDDER}_and_{OTHER}"
COLOURS = ("red", "green", "blue", "ochre", "teal", "brown", "rose", "plum", "gold")


def registry_of(*pairs: list[str]) -> Registry:
    found = fake_registry(fake_spec(EMBEDDER), fake_spec(OTHER, gain=2.0), fake_spec(SEGMENTER))
    return replace(found, roster=Roster(compare=list(pairs)))


def two_encoders(folder: Path, instance: dg.DagsterInstance) -> Graph:
    """Nine plates, and two encoders that differ by a factor, which the roster compares."""
    return Graph(make_dataset(folder, *COLOURS), registry_of([EMBEDDER, OTHER]), instance)


@pytest.fixture
def graph(tmp_path: Path, fakes: list[str], instance: dg.DagsterInstance) -> Graph:
    return two_encoders(tmp_path, instance)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The dataset with both encoders measured and the ledgers built, once."""
    folder = tmp_path_factory.mktemp("library")
    with pytest.MonkeyPatch.context() as patch, dg.DagsterInstance.ephemeral() as instance:
        patch.setattr(digests, "memory_path", lambda: folder / "digests.json")
        fake_instruments.install(patch)
        made = two_encoders(folder, instance)
        measure_groundwork(made.dataset)
        for key in (EMBEDDER, OTHER):
            run_instrument(made.dataset, made.registry, key)
        build_ledgers(made.dataset, made.registry)
        yield made.dataset.root


@pytest.fixture
def measured(library: Path, tmp_path: Path, fakes: list[str], instance: dg.DagsterInstance) -> Graph:
    """A copy of it, with a history of its own."""
    root = Path(shutil.copytree(library, tmp_path / "atlas"))
    return Graph(Dataset(root), registry_of([EMBEDDER, OTHER]), instance)


def pages(graph: Graph) -> list[Path]:
    return sorted(graph.dataset.comparisons_dir.glob("*/*.html"))


def metadata(graph: Graph) -> dict[str, Any]:
    event = graph.instance.get_latest_materialization_event(dg.AssetKey(KEY.split("/")))
    assert event
    assert event.asset_materialization
    return {name: value.value for name, value in event.asset_materialization.metadata.items()}


def test_the_report_is_shown_and_its_page_is_kept_with_its_digest(measured: Graph):
    """A gain turns no vector: both encoders agree wholly, and each finds the same altered plates."""
    assert measured.materialize(KEY).success
    shown, (page,) = metadata(measured), pages(measured)
    assert (shown["page"], shown["plate_count"]) == (str(page), 9)
    assert shown["neighbours_5_calibrated"] == pytest.approx(1)
    assert shown["cka_calibrated"] == pytest.approx(1)
    assert "| shared of 5 nearest | 1.000 |" in shown["agreement"]
    assert "| rotated by a quarter | 1.000" in shown["altered_plates"]
    assert "None: both name the same nearest plates" in shown["moved"]
    assert hashlib.sha256(page.read_bytes()).hexdigest() == shown["page_sha256"]
    assert (page.parent / f"{page.name}.sha256").read_text() == f"{shown['page_sha256']}  {page.name}\n"


def test_a_second_report_of_the_same_vectors_is_the_same_file_and_another_is_a_new_one(measured: Graph):
    assert measured.materialize(KEY).success
    assert measured.materialize(KEY).success
    assert len(pages(measured)) == 1
    other = {"ops": {KEY.replace("/", "__"): {"config": {"label_free": 0}}}}
    job = measured.definitions.resolve_implicit_global_asset_job_def()
    key = dg.AssetKey(KEY.split("/"))
    assert job.execute_in_process(instance=measured.instance, asset_selection=[key], run_config=other).success
    assert len(pages(measured)) == 2
    assert "altered_plates" not in metadata(measured)


def test_labels_are_asked_for_in_the_launchpad(measured: Graph, tmp_path: Path):
    labels = tmp_path / "labels.csv"
    labels.write_text("plate_id,label\nplate-001,warm\nplate-004,warm\nplate-003,cold\n")
    config = {"ops": {KEY.replace("/", "__"): {"config": {"label_free": 0, "labels": str(labels)}}}}
    job = measured.definitions.resolve_implicit_global_asset_job_def()
    key = dg.AssetKey(KEY.split("/"))
    assert job.execute_in_process(instance=measured.instance, asset_selection=[key], run_config=config).success
    assert "recall@1, by label" in metadata(measured)["retrieval"]
    assert metadata(measured)["recall_at_1_first"] == metadata(measured)["recall_at_1_second"]


def test_without_vectors_it_fails_with_the_command(graph: Graph):
    build_ledgers(graph.dataset, graph.registry)
    result = graph.materialize(KEY)
    assert not result.success
    (failure,) = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert failure.user_failure_data
    description = failure.user_failure_data.description or ""
    assert f"no plate has a current vector of {EMBEDDER}. Fix: atlas run 'key:\"embeddings/{EMBEDDER}\"'" in description
    assert pages(graph) == []


def test_without_weights_the_report_says_what_was_not_asked(measured: Graph, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise WeightsMissing("other_embedder: expected its weights. Fix: atlas models pull other_embedder")

    monkeypatch.setattr("atlas_assets.comparison.label_free.recover_originals", refuse)
    assert measured.materialize(KEY).success
    assert "Not asked: other" in metadata(measured)["altered_plates"]
    assert "atlas models pull other" in metadata(measured)["altered_plates"].replace("\\", "")


def test_what_people_wrote_is_shown_as_it_is():
    section = Section("moved", "a <b>", ("", "title"), [("plate-001", "a|b <img src=x>\nc")], ("*note*",))
    assert section_markdown(section).splitlines() == [
        r"**a \<b\>**",
        "",
        "|   | title |",
        "|---|---|",
        r"| plate-001 | a\|b \<img src=x\> c |",
        "",
        r"\*note\*",
    ]


class TestVerification:
    def found(self, graph: Graph, level: Any = "standard") -> list[tuple[str, str]]:
        findings = verify(graph.dataset, graph.registry, level).findings
        return [(one.kind, Path(one.path).suffix) for one in findings if one.path.startswith("comparisons")]

    def test_an_altered_page_is_found_and_a_whole_one_is_not(self, measured: Graph):
        assert measured.materialize(KEY).success
        assert self.found(measured) == []
        (page,) = pages(measured)
        page.write_text(page.read_text().replace("1.000", "0.900"))
        assert self.found(measured) == [("altered", ".html")]
        assert self.found(measured, "quick") == []

    def test_a_missing_page_a_missing_digest_and_what_belongs_to_nothing_are_found(self, measured: Graph):
        assert measured.materialize(KEY).success
        (page,) = pages(measured)
        digest = page.with_name(f"{page.name}.sha256")
        kept = digest.read_text()
        digest.unlink()
        assert self.found(measured) == [("unfinished", ".html")]
        digest.write_text(kept)
        page.unlink()
        (page.parent / "notes.txt").write_text("mine")
        assert self.found(measured) == [("missing", ".html"), ("orphan", ".txt")]


class TestWhenItIsMade:
    def test_it_is_in_a_saved_selection_of_its_own_and_in_no_other(self, graph: Graph):
        saved = saved_selections(graph.registry)
        assert saved["comparisons"].text == f'key:"{KEY}"'
        assert [name for name, one in saved.items() if "comparisons/" in one.text] == ["comparisons"]

    def test_it_is_downstream_of_the_ledgers_that_it_reads(self, graph: Graph):
        parents = graph.definitions.resolve_asset_graph().get(dg.AssetKey(KEY.split("/"))).parent_keys
        names = {key.to_user_string() for key in parents}
        assert names == {"ledger/embeddings", "ledger/runs", "ledger/plates", "topology/agreement"}

    def test_a_roster_without_pairs_has_no_such_asset_and_no_such_selection(self, fakes: list[str]):
        registry = registry_of()
        assert comparison_keys(registry) == []
        assert "comparisons" not in saved_selections(registry)

    def test_a_pair_that_cannot_be_compared_has_none(self, fakes: list[str]):
        registry = registry_of([EMBEDDER, SEGMENTER], [EMBEDDER, "gone"], [EMBEDDER], [EMBEDDER, OTHER])
        assert [key.to_user_string() for key in comparison_keys(registry)] == [KEY]
