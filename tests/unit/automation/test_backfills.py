"""`atlas backfill` puts the missing plates of a selection into a running Dagster's queue once, and reports the end."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import dagster as dg
import pytest
from support.fake_instruments import EMBEDDER, SEGMENTER, fake_registry, fake_spec
from support.made_datasets import Graph, make_dataset, run_folders
from typer.testing import CliRunner, Result

from atlas_assets.automation import server as dagster_server
from atlas_assets.automation.server import DagsterServer, ServerError, ServerRun
from atlas_assets.cli import app as cli
from atlas_assets.graph.partitions import add_missing_partitions

SEGMENTS = dg.AssetKey(["segments", SEGMENTER])
URL = "http://127.0.0.1:1"


class FakeServer:
    """A Dagster that executes each requested run at once. `before` lists earlier runs."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self.url = URL
        self.before: list[ServerRun] = []
        self.launched: list[tuple[set[dg.AssetKey], dict, Mapping[str, str]]] = []

    def require_dataset(self, root: Path) -> None:
        assert root == self.graph.dataset.root

    def has_daemon(self) -> bool:
        return False

    def runs(self, tag: str, value: str) -> list[ServerRun]:
        return [run for run in self.before if run.tags.get(tag) == value]

    def launch(self, keys: Sequence[dg.AssetKey], run_config: dict, tags: Mapping[str, str]) -> str:
        self.launched.append((set(keys), run_config, tags))
        job = self.graph.definitions.resolve_implicit_global_asset_job_def()
        return job.execute_in_process(
            instance=self.graph.instance,
            asset_selection=list(keys),
            run_config=run_config,
            tags=dict(tags),
            raise_on_error=False,
        ).run_id


@pytest.fixture
def graph(tmp_path, fakes, instance, monkeypatch):
    """Five plates, of which the magenta plate-003 fails; the segmenter takes two plates per run."""
    segmenter = fake_spec(SEGMENTER).model_copy(update={"max_partitions_per_run": 2})
    registry = fake_registry(fake_spec(EMBEDDER), segmenter)
    dataset = make_dataset(tmp_path, "red", "green", "magenta", "ochre", "teal")
    monkeypatch.setenv("ATLAS_HOME", str(dataset.root))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    monkeypatch.setattr(cli.console, "_width", 200)
    monkeypatch.setattr("atlas_resources.instruments.registry.read_registry", lambda: registry)
    graph = Graph(dataset, registry, instance)
    add_missing_partitions(instance, dataset)
    return graph


@pytest.fixture
def server(graph, monkeypatch):
    fake = FakeServer(graph)
    monkeypatch.setattr(dagster_server, "DagsterServer", lambda url: fake)
    return fake


def atlas(*arguments: object) -> Result:
    result = CliRunner().invoke(cli.app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def requested(server: FakeServer) -> list[list[str]]:
    """The plates of each launched run, which has one op."""
    return [next(iter(config["ops"].values()))["config"]["plates"] for _, config, _ in server.launched]


def test_scattered_plates_are_requested_in_runs_of_the_instruments_size(graph, server):
    graph.materialize(SEGMENTS.to_user_string(), plates=["plate-002"])
    result = atlas("backfill", SEGMENTER)
    assert result.exit_code == 0
    assert requested(server) == [["plate-001", "plate-003"], ["plate-004", "plate-005"]]
    assert all(keys == {SEGMENTS} for keys, _, _ in server.launched)
    assert all(tags["atlas/backfill"] == SEGMENTER for _, _, tags in server.launched)
    assert "no daemon is running" in result.output


def test_following_ends_with_the_failed_plate_by_name_and_exit_code_1(graph, server):
    result = atlas("backfill", f"tests/{SEGMENTER}", "--follow")  # by its model id
    assert result.exit_code == 1
    assert "plate-003 failed in segments/fake_segmenter: magenta cannot be measured" in result.output
    assert graph.materialized("segments/fake_segmenter") == {"plate-001", "plate-002", "plate-004", "plate-005"}


def test_failed_plates_are_requested_again_and_done_ones_are_not(graph, server):
    atlas("backfill", SEGMENTER)
    server.launched.clear()
    atlas("backfill", SEGMENTER)
    assert requested(server) == [["plate-003"]]
    assert len(run_folders(graph.dataset, "plate-001")) == 1


def test_nothing_is_requested_if_all_is_done(graph, server):
    atlas("backfill", "groundwork")
    result = atlas("backfill", "groundwork", "--follow")
    assert (result.exit_code, result.output) == (0, "groundwork: nothing is missing\n")
    assert len(server.launched) == 1


def test_a_dry_run_lists_the_runs_and_requests_none(graph, server):
    result = atlas("backfill", "segments", "--plates", "plate-005, plate-001", "--dry-run")
    assert result.output == "one run: 2 plates, plate-001 first: segments/fake_segmenter\n"
    assert server.launched == []


def test_nothing_is_requested_while_its_runs_are_under_way(graph, server):
    server.before = [ServerRun("some-run", "STARTED", {"atlas/backfill": SEGMENTER})]
    result = atlas("backfill", SEGMENTER)
    assert "already in progress: 1 run of fake_segmenter" in result.output
    assert server.launched == []


@pytest.mark.parametrize(
    ("status", "tags", "is_over"),
    [
        ("QUEUED", {}, False),
        ("FAILURE", {}, True),
        ("FAILURE", {"dagster/will_retry": "false"}, True),
        ("FAILURE", {"dagster/will_retry": "true"}, False),
        ("FAILURE", {"dagster/will_retry": "true", "dagster/auto_retry_run_id": "another"}, True),
        ("CANCELED", {}, True),
    ],
)
def test_a_killed_run_that_will_be_started_again_is_not_over(status, tags, is_over):
    assert ServerRun("run", status, tags).is_over is is_over


def test_the_ledgers_are_requested_when_they_are_behind(graph, server):
    atlas("backfill", "groundwork")
    server.launched.clear()
    result = atlas("backfill", "ledgers", "--follow")
    assert result.exit_code == 0
    ((keys, _, tags),) = server.launched
    assert dg.AssetKey("catalogue") in keys
    assert tags == {"atlas/backfill": "ledgers"}
    assert atlas("backfill", "ledgers").output == "ledgers: nothing is missing\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("segment",), "Did you mean segments"),
        (("plates",), "plates cannot be backfilled. Fix: name groundwork, ledgers, a role or an instrument"),
        (("segments", "--plates", "plate-099"), "no such plates: plate-099"),
    ],
)
def test_an_unknown_name_is_an_error_with_a_hint(graph, server, arguments, message):
    result = atlas("backfill", *arguments)
    assert result.exit_code == 1
    assert message in result.output


def test_without_a_server_the_error_names_the_fix(graph):
    result = atlas("backfill", SEGMENTER, "--url", URL)
    assert result.exit_code == 1
    assert "Fix: start it with `atlas ui`" in result.output
    assert "atlas run --missing" in result.output


def test_a_file_url_is_refused():
    with pytest.raises(ServerError, match="expected an address such as"):
        DagsterServer("file:///etc/passwd")
