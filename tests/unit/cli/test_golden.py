"""A numeric mode faster than float32 is admitted or refused by its cosine to float32 on golden plates."""

from pathlib import Path

import numpy as np
import pytest
from support.made_datasets import draw_scans
from support.made_specs import content_of, project_spec, write_spec
from typer.testing import CliRunner

from atlas_assets.cli.app import app
from atlas_assets.cli.models.golden_measurement import PlateCosine, compare, cosines, measure_golden, record_golden
from atlas_resources.instruments.admission import missing_for_admission, status_of
from atlas_resources.instruments.fast_modes import exact_twin, golden_subject, is_fast
from atlas_resources.instruments.instrument import fingerprint
from atlas_resources.instruments.registry import read_registry, read_spec
from atlas_resources.instruments.spec.numeric import Golden, Numeric
from atlas_resources.instruments.spec.spec import Spec

EXACT, FAST = "efficientnet_lite0", "efficientnet_lite0_bf16"
BFLOAT16 = Numeric(dtype="bfloat16", device="cpu")


def with_numeric(key: str, numeric: Numeric) -> Spec:
    return project_spec(key).model_copy(update={"numeric": numeric})


def with_golden(cosine: float, key: str = EXACT) -> Spec:
    """The instrument in bfloat16, with a figure measured on its present spec."""
    spec = with_numeric(key, BFLOAT16)
    golden = Golden(cosine_min=cosine, farthest="plate-007", plates=24, subject=golden_subject(spec))
    return with_numeric(key, BFLOAT16.model_copy(update={"golden": golden}))


def test_cosines_are_those_of_a_hand_calculation():
    """Of 3, 4 to itself, to 4, 3 (24 / 25), across, and to nothing."""
    first = np.array([[3, 4], [3, 4], [3, 4], [3, 4]], dtype=np.float32)
    second = np.array([[3, 4], [4, 3], [-4, 3], [0, 0]], dtype=np.float32)
    assert cosines(first, second) == pytest.approx([1, 0.96, 0, 0], abs=1e-12)


@pytest.mark.parametrize("key", [EXACT, "efficientnet_lite0_imagenet"])
def test_at_the_bar_it_is_admitted(key: str):
    assert missing_for_admission(with_golden(0.999, key)) == []


def test_below_the_bar_it_is_refused_with_the_figure():
    status = status_of(with_golden(0.998999))
    assert status.name == "refused"
    assert status.reason == (
        "numeric: bfloat16 gives cosine 0.998999 to float32 on plate-007, the farthest of 24 golden plates; "
        "expected at least 0.999"
    )


def test_without_a_figure_it_is_an_idea_that_names_the_command():
    status = status_of(with_numeric(EXACT, BFLOAT16))
    assert (status.name, status.reason) == (
        "idea",
        f"numeric: bfloat16 has no golden test yet; run `atlas models golden {EXACT}`",
    )


def test_a_figure_of_another_mode_does_not_count():
    golden = with_golden(0.9999).numeric
    assert golden is not None
    other = with_numeric(EXACT, golden.model_copy(update={"dtype": "float16"}))
    assert missing_for_admission(other) == [
        "numeric: the golden test of float16 was of other weights, preprocessing or mode; "
        f"run `atlas models golden {EXACT}`"
    ]


def test_a_lower_matmul_precision_needs_the_test_too():
    spec = with_numeric(EXACT, Numeric(dtype="float32", device="cpu", matmul_precision="medium"))
    assert missing_for_admission(spec) == [
        f"numeric: float32 with medium matmul precision has no golden test yet; run `atlas models golden {EXACT}`"
    ]


def test_float32_needs_none():
    assert missing_for_admission(with_numeric(EXACT, Numeric(dtype="float32", device="cuda"))) == []


def test_masks_have_no_cosine():
    assert missing_for_admission(with_numeric("sam_vit_base", BFLOAT16)) == [
        "numeric: bfloat16 has no golden test for this kind of segmentation; declare plain float32"
    ]


def test_the_mode_is_part_of_the_fingerprint_and_the_figure_is_not():
    fast = fingerprint(with_numeric(EXACT, BFLOAT16), 1)
    assert fingerprint(with_golden(0.9995), 1) == fingerprint(with_golden(0.5), 1) == fast
    assert fast != fingerprint(project_spec(EXACT), 1)


def test_recording_changes_only_the_lines_of_numeric(tmp_path: Path):
    path = write_spec(tmp_path, content_of(EXACT) | {"numeric": {"dtype": "bfloat16", "device": "cpu"}})
    before = "# kept\n" + path.read_text(encoding="utf-8")
    path.write_text(before, encoding="utf-8")
    golden = Golden(cosine_min=0.9991, farthest="plate-001", plates=24, subject="0" * 64)
    for _ in range(2):  # the second replaces the first
        record_golden(path, golden)
    read = read_spec(path)
    assert isinstance(read, Spec)
    assert read.numeric == BFLOAT16.model_copy(update={"golden": golden})
    start, end = before.index("numeric:"), before.index("failure_modes:")
    after = path.read_text(encoding="utf-8")
    assert after.startswith(before[:start])
    assert after.endswith(before[end:])


def test_the_projects_fast_mode_has_the_status_of_its_figure():
    spec = project_spec(FAST)
    assert spec.numeric is not None
    golden = spec.numeric.golden
    assert golden is not None
    assert golden.subject == golden_subject(spec)
    expected = "admitted" if golden.cosine_min >= 0.999 else "refused"
    assert read_registry().status(FAST).name == expected


def test_it_is_compared_with_float32_of_the_highest_precision():
    twin = exact_twin(with_numeric("clip_vit_base_patch32", Numeric(dtype="bfloat16", device="cuda", attention="sdpa")))
    assert twin.numeric == Numeric(dtype="float32", device="cuda", matmul_precision="highest")
    assert not is_fast(twin.numeric)


@pytest.mark.parametrize("key", [FAST, "efficientnet_lite0_imagenet"])
def test_real_weights_in_bfloat16_are_close_and_not_equal(key: str, tmp_path: Path):
    scans = draw_scans(tmp_path, "red", "teal")
    found = compare(with_numeric(key, BFLOAT16), scans)
    assert [plate.name for plate in found] == ["01-red", "02-teal"]
    assert all(0.95 < plate.cosine < 1 - 1e-7 for plate in found)


def test_the_farthest_plate_is_recorded_and_its_figure_rounded_down(monkeypatch: pytest.MonkeyPatch):
    found = [PlateCosine("a", 0.9999), PlateCosine("b", 0.9989999999), PlateCosine("c", 0.9995)]
    monkeypatch.setattr("atlas_assets.cli.models.golden_measurement.draw_demo_plates", lambda *_, **__: [])
    monkeypatch.setattr("atlas_assets.cli.models.golden_measurement.compare", lambda *_: found)
    golden, _ = measure_golden(with_numeric(EXACT, BFLOAT16))
    assert (golden.cosine_min, golden.farthest, golden.plates) == (0.998999, "b", 3)


class TestCommand:
    @pytest.fixture
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        write_spec(tmp_path, content_of(EXACT))
        write_spec(tmp_path, content_of(EXACT) | {"key": "fast", "numeric": {"dtype": "bfloat16", "device": "cpu"}})
        monkeypatch.setattr("atlas_resources.instruments.registry.read_registry", lambda: read_registry(tmp_path))
        monkeypatch.setattr("atlas_assets.cli.models.golden_measurement.draw_demo_plates", lambda *_, **__: [])
        return tmp_path

    def test_it_measures_records_and_reports(self, folder: Path, tmp_path: Path):
        draw_scans(tmp_path / "scans", "red", "green")
        result = CliRunner().invoke(app, ["models", "golden", "fast", "--plates", str(tmp_path / "scans")])
        assert result.exit_code in (0, 1)
        spec = read_registry(folder).require("fast")
        assert spec.numeric is not None
        assert spec.numeric.golden is not None
        assert spec.numeric.golden.plates == 2
        assert f"{spec.numeric.golden.cosine_min:.6f}" in result.output
        assert ("admitted" in result.output) is (result.exit_code == 0)

    def test_a_folder_without_scans_is_reported_once(self, folder: Path):
        result = CliRunner().invoke(app, ["models", "golden", "fast", "--plates", str(folder / "none")])
        assert (result.exit_code, result.output) == (1, f"no scans found in {folder / 'none'}\n")

    def test_float32_has_nothing_to_test(self, folder: Path):
        result = CliRunner().invoke(app, ["models", "golden", EXACT])
        assert result.exit_code == 1
        assert "is for a mode faster than float32" in result.output
