"""A sealed run is repeated from its own manifest: what comes out again, what differs, and what cannot be repeated."""

import importlib.metadata
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from support import fake_instruments
from support.fake_instruments import EMBEDDER, READER, SEGMENTER, fake_registry, fake_spec, reader_spec
from support.fake_regions import KEPT, PALETTE, POLYGONS, VECTORS, region_registry
from support.made_datasets import alter_source, make_dataset
from support.made_reproductions import (
    edit_config,
    edit_rows,
    files_of,
    plate_of,
    repeat,
    result_path,
    run_of,
    write_repetition,
)
from support.made_results import GivenVectors, measure, reseal, run_instrument

from atlas_assets.reproduction import repetition
from atlas_assets.reproduction.sealed_runs import RunUnknown, find_run
from atlas_resources.instruments.loader_table import LOADERS
from atlas_resources.models.weights import WeightsMissing
from atlas_resources.plates.json_files import read_json
from atlas_resources.plates.records.reproduction import Reproduction
from atlas_resources.runs import provenance
from atlas_resources.runs.sealed import read_manifest

ALTERED = "changed since it was sealed: expected sha256 "
VECTOR_0_1 = pl.col("vector").list.eval(pl.element() * 1.1)


@pytest.fixture
def sealed(dataset, fakes):
    """The five plates, measured by the fake embedder and the fake segmenter."""
    registry = fake_registry(fake_spec(EMBEDDER), fake_spec(SEGMENTER))
    for key in (EMBEDDER, SEGMENTER):
        assert run_instrument(dataset, registry, key) == ["complete"] * 5
    return dataset


def verdicts(result: Reproduction) -> list[str]:
    return [plate.verdict for plate in result.plates]


class TestIdentical:
    @pytest.mark.parametrize("key", [EMBEDDER, SEGMENTER])
    def test_every_plate_of_a_run_comes_out_again_with_the_bytes_that_were_sealed(self, sealed, key):
        result = repeat(sealed, run_of(sealed, key))
        assert [plate.plate_id for plate in result.plates] == sealed.plate_ids()
        assert verdicts(result) == ["identical"] * 5
        assert all(plate.has_same_bytes and plate.differences == [] for plate in result.plates)
        assert result.changes == []
        assert result.instrument.key == key

    def test_some_of_its_plates_in_the_order_of_the_run(self, sealed):
        result = repeat(sealed, run_of(sealed, EMBEDDER), "plate-004", "plate-002")
        assert [(plate.plate_id, plate.verdict) for plate in result.plates] == [
            ("plate-002", "identical"), ("plate-004", "identical")
        ]  # fmt: skip

    def test_nothing_is_written_but_one_file_beside_the_plates(self, sealed):
        before, run_id = files_of(sealed.root), run_of(sealed, EMBEDDER)
        written = write_repetition(sealed, run_id)
        new = {name: found for name, found in files_of(sealed.root).items() if before.get(name) != found}
        (path,) = (sealed.reproductions_dir / run_id).iterdir()
        assert set(new) == {str(path)}
        assert read_json(path, Reproduction) == written
        assert path.name == f"{written.reproduced_at:%Y%m%d-%H%M%S-%fZ.json}"

    def test_the_same_rows_in_another_file_are_identical_without_the_same_bytes(self, sealed):
        """As when another version wrote the Parquet file."""
        run_id = run_of(sealed, EMBEDDER)
        path = result_path(sealed, "plate-001", run_id)
        pl.read_parquet(path).write_parquet(path, compression="snappy")
        reseal(path)
        plate = plate_of(repeat(sealed, run_id), "plate-001")
        assert (plate.verdict, plate.has_same_bytes, plate.reason) == ("identical", False, None)
        assert plate.cosine_min == pytest.approx(1)

    def test_the_recorded_spec_is_run_and_not_the_present_one(self, dataset, fakes):
        """The gain doubles the vector. No registry of present specs is asked."""
        run_instrument(dataset, fake_registry(fake_spec(EMBEDDER, gain=1.0)), EMBEDDER)
        first = run_of(dataset, EMBEDDER)
        run_instrument(dataset, fake_registry(fake_spec(EMBEDDER, gain=2.0)), EMBEDDER)
        (second,) = {path.name for path in dataset.reports_dir.iterdir()} - {first}
        assert verdicts(repeat(dataset, first)) == verdicts(repeat(dataset, second)) == ["identical"] * 5

    def test_a_run_without_a_report_was_killed_and_is_repeated_all_the_same(self, sealed):
        run_id = run_of(sealed, EMBEDDER)
        (sealed.reports_dir / run_id / "report.json").unlink()
        assert verdicts(repeat(sealed, run_id)) == ["identical"] * 5

    def test_the_model_is_loaded_once_for_several_runs_of_an_instrument(self, sealed, fakes):
        models, run_id = repetition.Models(), run_of(sealed, EMBEDDER)
        fakes.clear()
        for _ in range(2):
            run = find_run(sealed, run_id, ["plate-001"])
            assert len(list(repetition.Repetition(sealed, run, fake_prompts(), models).plates())) == 1
        assert fakes == [EMBEDDER]


def fake_prompts():
    return fake_registry().prompts


class TestDifferent:
    def test_a_sealed_vector_that_was_edited_is_named_and_the_repetition_has_the_sealed_digest(self, sealed):
        run_id = run_of(sealed, EMBEDDER)
        edit_rows(result_path(sealed, "plate-002", run_id), vector=VECTOR_0_1)
        result = repeat(sealed, run_id)
        plate = plate_of(result, "plate-002")
        assert verdicts(result) == ["identical", "different", "identical", "identical", "identical"]
        assert f"runs/{run_id}/embeddings.parquet {ALTERED}" in (plate.reason or "")
        assert "the repetition has the digest that was sealed; vector: relative difference 0.0909" in str(plate.reason)
        assert plate.has_same_bytes

    def test_an_edited_vector_whose_digest_was_edited_too_is_different_by_its_rows(self, sealed):
        """From 1.1 times a vector back to the vector is 0.1 of 1.1."""
        run_id = run_of(sealed, EMBEDDER)
        path = result_path(sealed, "plate-002", run_id)
        edit_rows(path, vector=VECTOR_0_1)
        reseal(path)
        plate = plate_of(repeat(sealed, run_id), "plate-002")
        (difference,) = plate.differences
        assert (plate.verdict, plate.has_same_bytes) == ("different", False)
        assert plate.reason == "vector: relative difference 0.0909 in plate, at most 0.0001"
        assert difference.largest == pytest.approx(0.1 / 1.1, rel=1e-5)
        assert plate.cosine_min == pytest.approx(1)

    def test_a_tiny_difference_is_within_the_tolerance_and_stated(self, sealed):
        run_id = run_of(sealed, EMBEDDER)
        path = result_path(sealed, "plate-003", run_id)
        edit_rows(path, vector=pl.col("vector").list.eval(pl.element() * 1.00001))
        reseal(path)
        plate = plate_of(repeat(sealed, run_id), "plate-003")
        assert (plate.verdict, plate.reason) == ("within_tolerance", None)
        assert plate.differences[0].largest == pytest.approx(1e-5, rel=0.01)

    def test_a_mask_that_was_dropped_is_counted(self, sealed):
        run_id = run_of(sealed, SEGMENTER)
        path = result_path(sealed, "plate-001", run_id)
        pl.read_parquet(path).head(1).write_parquet(path)
        reseal(path)
        plate = plate_of(repeat(sealed, run_id), "plate-001")
        assert (plate.verdict, plate.sealed_row_count, plate.repeated_row_count) == ("different", 1, 2)
        assert "(rows): unequal rows 1 in mask-0002" in str(plate.reason)

    def test_code_that_measures_otherwise_is_different_although_its_version_is_the_same(self, sealed, monkeypatch):
        """The fingerprint has the loader's version, which somebody forgot to raise."""
        embed = fake_instruments.FakeEmbedder.embed
        monkeypatch.setattr(fake_instruments.FakeEmbedder, "embed", lambda self, batch: embed(self, batch) + 0.5)
        result = repeat(sealed, run_of(sealed, EMBEDDER))
        assert verdicts(result) == ["different"] * 5

    @pytest.mark.parametrize(("content", "said"), [(None, "cannot be read: No such file"), (b"torn", ALTERED)])
    def test_a_sealed_file_that_is_missing_or_torn_is_different(self, sealed, content, said):
        run_id = run_of(sealed, EMBEDDER)
        path = result_path(sealed, "plate-001", run_id)
        path.unlink() if content is None else path.write_bytes(content)
        plate = plate_of(repeat(sealed, run_id), "plate-001")
        assert plate.verdict == "different"
        assert said in str(plate.reason)
        assert plate.has_same_bytes is (content is not None)

    def test_other_versions_and_another_commit_are_named(self, sealed, monkeypatch):
        versions = importlib.metadata.version

        def other(name: str) -> str:
            return "99.0" if name == "timm" else versions(name)

        sealed_with = versions("timm")
        monkeypatch.setattr(importlib.metadata, "version", other)
        code = provenance.code_version().model_copy(update={"git_sha": "f" * 40})
        monkeypatch.setattr(repetition, "code_version", lambda: code)
        result = repeat(sealed, run_of(sealed, EMBEDDER))
        found = {change.name: (change.sealed, change.present) for change in result.changes}
        assert found["packages.timm"] == (sealed_with, "99.0")
        assert found["code.git_sha"][1] == "f" * 40
        assert set(found) == {"packages.timm", "code.git_sha"}


class TestNotRepeatable:
    def only_reason(self, sealed, *plates: str, key: str = EMBEDDER) -> str:
        result = repeat(sealed, run_of(sealed, key), *plates)
        assert set(verdicts(result)) == {"not_repeatable"}
        (reason,) = {plate.reason for plate in result.plates}
        return str(reason)

    def test_a_loader_of_another_version_names_both_and_the_commit(self, sealed, monkeypatch):
        monkeypatch.setitem(LOADERS, "fake", replace(LOADERS["fake"], version=2))
        reason = self.only_reason(sealed)
        assert reason.startswith(
            "this code gives the instrument another fingerprint: version of the loader fake is 2, sealed with 1. "
        )
        sha = provenance.code_version().git_sha
        expected = f"at commit {sha}" if sha else "no commit is recorded"
        assert expected in reason

    def test_a_loader_that_is_gone_is_named(self, sealed, monkeypatch):
        monkeypatch.delitem(LOADERS, "fake")
        assert "this code has none that is named 'fake'" in self.only_reason(sealed)

    def test_a_colour_policy_that_this_code_has_not_is_named(self, sealed):
        edit_config(sealed, run_of(sealed, EMBEDDER), "srgb8-v2", "srgb8-v1")
        reason = self.only_reason(sealed)
        assert "this code does not read the run's spec" in reason
        assert "preprocessing.colour_policy" in reason

    def test_a_changed_field_of_the_recorded_spec_is_another_fingerprint(self, sealed):
        edit_config(sealed, run_of(sealed, EMBEDDER), '"size_px":64', '"size_px":65')
        assert "preprocessing is longest_side65" in self.only_reason(sealed)

    def test_a_configuration_that_its_report_does_not_name_is_refused(self, sealed):
        edit_config(sealed, run_of(sealed, EMBEDDER), "Fake", "Other", is_reported=False)
        assert "config.json changed since the run: expected sha256 " in self.only_reason(sealed)

    def test_a_configuration_that_is_missing_is_named(self, sealed):
        run_id = run_of(sealed, EMBEDDER)
        (sealed.reports_dir / run_id / "config.json").unlink()
        result = repeat(sealed, run_id)
        assert verdicts(result) == ["not_repeatable"] * 5
        assert "its configuration cannot be read: " in str(result.plates[0].reason)
        assert (result.tolerance, result.environment) == (None, None)

    def test_missing_weights_name_the_command_that_pulls_those_of_the_run(self, sealed, monkeypatch):
        def load(spec, prompts):
            raise WeightsMissing(f"{spec.key}: a.bin is not on disk. Fix: `atlas models pull {spec.key}` fetches it.")

        monkeypatch.setattr(repetition.Models.__init__, "__defaults__", (load,))
        run_id = run_of(sealed, EMBEDDER)
        assert f"Fix: `atlas models pull --run {run_id}` fetches it." in self.only_reason(sealed)

    def test_an_altered_source_costs_its_plate_alone(self, sealed):
        alter_source(sealed, "plate-002")
        result = repeat(sealed, run_of(sealed, EMBEDDER))
        assert verdicts(result).count("identical") == 4
        plate = plate_of(result, "plate-002")
        assert plate.verdict == "not_repeatable"
        assert "has changed: expected sha256" in str(plate.reason)

    def test_a_source_that_was_registered_anew_is_another_one(self, sealed):
        path = sealed.plate("plate-002").folder / "source.sha256"
        path.write_text(f"{'0' * 64}{path.read_text()[64:]}")
        plate = plate_of(repeat(sealed, run_of(sealed, EMBEDDER)), "plate-002")
        assert (plate.verdict, str(plate.reason)[:30]) == ("not_repeatable", "the run measured another source"[:30])

    def test_a_plate_that_cannot_be_measured_now_costs_itself_alone(self, sealed, monkeypatch):
        embed = fake_instruments.FakeEmbedder.embed

        def fails_on_blue(self, batch):
            found = embed(self, batch)
            if any(vector[2] > vector[0] for vector in found):
                raise ArithmeticError("blue cannot be measured")
            return found

        monkeypatch.setattr(fake_instruments.FakeEmbedder, "embed", fails_on_blue)
        result = repeat(sealed, run_of(sealed, EMBEDDER))
        failed = [plate for plate in result.plates if plate.verdict == "not_repeatable"]
        assert 0 < len(failed) < 5
        assert failed[0].reason == "measuring it again failed: ArithmeticError (compute): blue cannot be measured"

    def test_a_manifest_that_is_broken_costs_its_plate_alone(self, sealed):
        run_id = run_of(sealed, EMBEDDER)
        (sealed.plate("plate-003").runs_folder / run_id / "run.manifest.json").write_text("{}")
        result = repeat(sealed, run_id)
        assert plate_of(result, "plate-003").verdict == "not_repeatable"
        assert verdicts(result).count("identical") == 4


class TestUpstream:
    @pytest.fixture
    def read(self, dataset, fakes):
        """The reader's scores of the embedder's vectors, and a later run of the embedder, which it did not read."""
        registry = fake_registry(fake_spec(EMBEDDER), reader_spec())
        for key in (EMBEDDER, READER):
            run_instrument(dataset, registry, key)
        vectors = {plate_id: [1, 2, 3] for plate_id in dataset.plate_ids()}
        measure(dataset, registry, EMBEDDER, GivenVectors(vectors), is_forced=True)
        return dataset

    def file_that_was_read(self, dataset, plate_id: str) -> Path:
        plate = dataset.plate(plate_id)
        return plate.folder / read_manifest(plate, run_of(dataset, READER)).inputs[1].path

    def test_the_sealed_file_that_was_read_is_read_again_and_not_the_newest(self, read):
        assert verdicts(repeat(read, run_of(read, READER))) == ["identical"] * 5

    def test_a_changed_loader_of_the_upstream_instrument_changes_nothing(self, read, monkeypatch):
        """Its sealed result is what was read, whoever made it."""
        monkeypatch.setitem(LOADERS, "fake", replace(LOADERS["fake"], version=2))
        assert verdicts(repeat(read, run_of(read, READER))) == ["identical"] * 5

    def test_an_altered_upstream_file_costs_its_plate_and_is_named(self, read):
        path = self.file_that_was_read(read, "plate-002")
        edit_rows(path, vector=VECTOR_0_1)
        reseal(path)
        plate = plate_of(repeat(read, run_of(read, READER)), "plate-002")
        assert plate.verdict == "not_repeatable"
        assert f"{path}, which the run read, has changed: expected sha256" in str(plate.reason)

    def test_a_missing_upstream_file_costs_its_plate(self, read):
        self.file_that_was_read(read, "plate-002").unlink()
        assert plate_of(repeat(read, run_of(read, READER)), "plate-002").verdict == "not_repeatable"

    def test_everything_that_is_derived_from_a_segmenter_comes_out_again(self, tmp_path, fakes):
        dataset, registry = make_dataset(tmp_path, "red", "teal"), region_registry()
        keys = (SEGMENTER, KEPT, PALETTE, POLYGONS, VECTORS)
        for key in keys:
            assert run_instrument(dataset, registry, key) == ["complete"] * 2
        assert {key: verdicts(repeat(dataset, run_of(dataset, key))) for key in keys} == dict.fromkeys(
            keys, ["identical"] * 2
        )


class TestRuns:
    def test_an_unknown_run_names_near_ones(self, sealed):
        run_id = run_of(sealed, EMBEDDER)
        other = f"{run_id[:-1]}{'0' if run_id[-1] != '0' else '1'}"
        with pytest.raises(RunUnknown, match=f"has a sealed run '{other}'. Did you mean .*{run_id}"):
            find_run(sealed, other)

    @pytest.mark.parametrize("name", ["", "..", "../../etc", "run-1", "[red]"])
    def test_a_name_that_is_no_run_id_is_unknown(self, sealed, name):
        with pytest.raises(RunUnknown):
            find_run(sealed, name)

    def test_a_plate_that_the_run_did_not_measure_is_named(self, sealed):
        with pytest.raises(RunUnknown, match=r"has sealed nothing of plate-009\. It has 5 plates: plate-001"):
            find_run(sealed, run_of(sealed, EMBEDDER), ["plate-001", "plate-009"])

    def test_failed_plates_are_kept_apart(self, tmp_path, fakes):
        dataset = make_dataset(tmp_path, "red", "magenta")
        assert run_instrument(dataset, fake_registry(fake_spec(EMBEDDER)), EMBEDDER) == ["complete", "failed"]
        run = find_run(dataset, run_of(dataset, EMBEDDER))
        assert (run.plate_ids, run.failed) == (("plate-001",), ("plate-002",))
        with pytest.raises(RunUnknown, match="it failed there"):
            find_run(dataset, run.run_id, ["plate-002"])
