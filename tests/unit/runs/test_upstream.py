"""An instrument may read another's sealed result instead of pixels. It is pinned to it, waits for it and records it."""

import dagster as dg
import polars as pl
import pytest
import yaml
from support.fake_instruments import EMBEDDER, READER, fake_registry, fake_spec, reader_spec
from support.made_datasets import Graph, make_dataset

from atlas_assets.automation.standings import read_standings
from atlas_assets.in_process.materializing import materialize
from atlas_resources.instruments.registry import read_registry
from atlas_resources.runs.sealed import find_done

VECTORS, SCORES = f"embeddings/{EMBEDDER}", f"probes/{READER}"


@pytest.fixture
def graph(tmp_path, fakes, instance):
    """Four plates, the second magenta: the embedder refuses it. The reader reads the embedder."""
    registry = fake_registry(fake_spec(EMBEDDER), reader_spec())
    return Graph(make_dataset(tmp_path, "red", "magenta", "blue", "ochre"), registry, instance)


def manifest_of(graph: Graph, plate_id: str, key: str):
    found = find_done(graph.dataset.plate(plate_id), graph.registry.instruments[key].identity)
    assert found is not None
    return found


class TestMeasuring:
    """Scores are computed from the sealed vector, and the manifest names the file that was read."""

    def test_the_manifest_names_source_and_sealed_file(self, graph):
        graph.materialize(VECTORS, plates=["plate-001"])
        assert graph.materialize(SCORES, plates=["plate-001"]).success
        vectors, scores = (manifest_of(graph, "plate-001", key) for key in (EMBEDDER, READER))
        (sealed,) = [output for output in vectors.outputs if output.path.endswith("embeddings.parquet")]
        assert scores.inputs == [vectors.inputs[0], sealed]

    def test_scores_are_those_of_the_vector(self, graph):
        graph.materialize(VECTORS, plates=["plate-001"])
        graph.materialize(SCORES, plates=["plate-001"])

        def rows(key: str, name: str) -> pl.DataFrame:
            manifest = manifest_of(graph, "plate-001", key)
            return pl.read_parquet(graph.dataset.plate("plate-001").runs_folder / manifest.run_id / name)

        vector = rows(EMBEDDER, "embeddings.parquet")["vector"][0].to_list()
        assert rows(READER, "probe_scores.parquet")["logit"].to_list() == vector

    def test_a_sealed_file_that_was_altered_is_refused(self, graph):
        graph.materialize(VECTORS, plates=["plate-001"])
        sealed = graph.dataset.plate("plate-001").runs_folder / manifest_of(graph, "plate-001", EMBEDDER).run_id
        (sealed / "embeddings.parquet").write_bytes(b"other")
        result = graph.materialize(SCORES, plates=["plate-001"])
        assert not result.success
        assert find_done(graph.dataset.plate("plate-001"), graph.registry.instruments[READER].identity) is None


class TestWaiting:
    """A plate without its upstream result waits. It is not requested, and measuring it anyway counts as no failure."""

    def standing(self, graph: Graph):
        standings = read_standings(graph.dataset, graph.registry.instruments.values())
        return next(standing for standing in standings if standing.keys[0] == dg.AssetKey(SCORES.split("/")))

    def test_only_plates_whose_upstream_is_done_are_pending(self, graph):
        graph.materialize(VECTORS)
        assert self.standing(graph).pending(1) == ["plate-001", "plate-003", "plate-004"]

    def test_measuring_too_early_names_the_command_and_counts_no_attempt(self, graph):
        result = graph.materialize(SCORES, plates=["plate-001"])
        (failure,) = [event for event in result.all_events if event.is_step_failure]
        said = str(failure.step_failure_data.user_failure_data.description)
        assert f"plate-001 has no sealed result of {EMBEDDER}" in said
        assert 'atlas run \'tag:"atlas/instrument"="fake_embedder"\' --plates plate-001' in said
        graph.materialize(VECTORS, plates=["plate-001"])
        assert self.standing(graph).pending(1) == ["plate-001"]

    @pytest.mark.parametrize("which", ["all", "missing"])
    def test_the_terminal_measures_upstream_first_and_skips_plates_that_failed(self, graph, which):
        layers = list(
            materialize(
                graph.registry, graph.dataset, graph.instance, selection="group:embeddings or group:probes", which=which
            )
        )
        assert [layer.name for layer in layers] == ["instruments", "instruments that read results"]
        assert graph.materialized(SCORES) == {"plate-001", "plate-003", "plate-004"}
        assert [layer.is_success for layer in layers] == [False, which == "missing"]

    def test_a_backfill_has_upstream_and_reader_in_separate_runs(self, graph):
        assets = graph.definitions.resolve_asset_graph()
        policies = [assets.get(dg.AssetKey(key.split("/"))).backfill_policy for key in (VECTORS, SCORES)]
        assert policies[0] != policies[1]


class TestIdentity:
    """Fingerprint, terms and admission depend on the upstream instrument."""

    def test_another_version_of_the_upstream_changes_the_fingerprint(self, fakes):
        one, other = (fake_registry(fake_spec(EMBEDDER, gain=gain), reader_spec()).instruments for gain in (1.0, 2.0))
        assert one[READER].identity.fingerprint != other[READER].identity.fingerprint

    @pytest.mark.parametrize(
        ("own", "of_upstream", "both"),
        [
            (("MIT", "yes"), ("MIT", "yes"), ("MIT", "yes")),
            (("MIT", "yes"), ("CC-BY-NC-4.0", "no"), ("CC-BY-NC-4.0 AND MIT", "no")),
            (("unknown", "unknown"), ("MIT", "yes"), ("MIT AND unknown", "unknown")),
            (("unknown", "unknown"), ("CC-BY-NC-4.0", "no"), ("CC-BY-NC-4.0 AND unknown", "no")),
        ],
    )
    def test_the_narrower_terms_follow_the_rows(self, fakes, own, of_upstream, both):
        def licence(terms):
            return {"spdx": terms[0], "commercial_use": terms[1], "source": "made here"}

        upstream = fake_spec(EMBEDDER).model_validate(
            {**fake_spec(EMBEDDER).model_dump(mode="json"), "licence": licence(of_upstream)}
        )
        found = fake_registry(upstream, reader_spec(licence=licence(own))).instruments[READER].identity
        assert (found.licence, found.commercial_use) == both

    @pytest.mark.parametrize(
        ("upstream", "reason"),
        [
            ("nobody", "upstream: there is no instrument 'nobody'"),
            (READER, f"upstream: {READER} reads {READER}"),
            ("other_reader", "upstream: other_reader is not admitted"),
        ],
    )
    def test_it_is_an_idea_while_its_upstream_is_not_admitted(self, fakes, upstream, reason):
        other = reader_spec(key="other_reader", failure_modes=[])
        registry = fake_registry(fake_spec(EMBEDDER), other, reader_spec(upstream=upstream))
        assert registry.status(READER).name == "idea"
        assert registry.status(READER).reason == reason
        assert READER not in registry.instruments

    @pytest.mark.parametrize(
        ("changes", "field", "expected"),
        [
            ({"upstream": None}, "upstream: found None", "an instrument of role 'embedding'"),
            ({"upstream": "fake_segmenter"}, "'fake_segmenter', segmentation", "an instrument of role 'embedding'"),
        ],
    )
    def test_an_upstream_of_the_wrong_role_is_refused(self, tmp_path, fakes, changes, field, expected):
        for spec in (fake_spec("fake_segmenter"), reader_spec(**changes)):
            (tmp_path / f"{spec.key}.yaml").write_text(yaml.safe_dump(spec.model_dump(mode="json")))
        (problem,) = read_registry(tmp_path).problems
        assert (problem.file, problem.expected) == (f"{READER}.yaml", expected)
        assert field in str(problem)

    def test_it_is_not_active_without_its_upstream(self, tmp_path, fakes):
        for spec in (fake_spec(EMBEDDER), reader_spec()):
            (tmp_path / f"{spec.key}.yaml").write_text(yaml.safe_dump(spec.model_dump(mode="json")))
        (tmp_path / "roster.yaml").write_text(f"active: [{READER}]\n")
        (problem,) = read_registry(tmp_path).problems
        assert str(problem) == (
            f"roster.yaml: active: found '{READER}' without '{EMBEDDER}', "
            "expected the instrument it reads to be active too"
        )
