"""`atlas models derive` writes a file that refers to an instrument, which shares its weights."""

from pathlib import Path

import pytest
import yaml
from rich.console import Console
from support.made_hubs import KEY, Bench, bench, only_loopback
from support.made_specs import content_of, copy_of_project, with_field, write_spec
from typer.testing import CliRunner, Result

from atlas_assets.cli import app as cli
from atlas_assets.cli.models import derive as cli_derive
from atlas_assets.cli.models import listing as cli_listing
from atlas_assets.cli.models.derive import lacks_bfloat16
from atlas_resources.instruments.registry import read_registry

__all__ = ["bench", "only_loopback"]  # fixtures

CLIP = "clip_vit_large_patch14"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(cli_derive, "console", Console(width=400))
    return copy_of_project(tmp_path)


def derive(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli.app, ["models", "derive", "--specs", str(folder), *arguments])


def test_the_file_has_only_what_differs(folder: Path):
    result = derive(folder, "dinov2_giant", "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert (folder / "dinov2_giant_cpu.yaml").read_text(encoding="utf-8") == (
        "key: dinov2_giant_cpu\nvariant_of: dinov2_giant\nnumeric:\n  dtype: float32\n  device: cpu\n"
    )
    assert result.stdout.splitlines() == [
        f"written: {folder / 'dinov2_giant_cpu.yaml'}",
        "dinov2_giant_cpu, a variant of dinov2_giant: admitted",
        "Then: atlas models pull dinov2_giant_cpu; atlas models docs",
    ]


def test_an_alias_and_a_key_of_ones_own_may_be_given(folder: Path):
    assert derive(folder, "ViT-H-14", "--device", "cpu", "--key", "clip_here").exit_code == 0
    assert read_registry(folder).specs["clip_here"].variant_of == "clip_vit_huge_patch14_laion2b"


def test_a_fast_mode_is_an_idea_until_its_golden_test(folder: Path):
    result = derive(folder, "dinov2_base", "--dtype", "bfloat16")
    assert "idea: numeric: bfloat16 has no golden test yet; run `atlas models golden dinov2_base_bf16`" in result.stdout


def test_all_that_is_downstream_is_written_and_admitted(folder: Path):
    assert derive(folder, "sam_vit_large", "--device", "cpu", "--with-downstream").exit_code == 0
    registry = read_registry(folder)
    assert registry.problems == ()
    made = {key for key in registry.instruments if key.startswith("sam_vit_large_cpu")}
    assert made == {
        f"sam_vit_large_cpu{part}" for part in ("", "_kept", "_palette", "_polygons", f"_{CLIP}", "_dinov2_large")
    }
    assert not any(registry.instruments[key].is_gpu for key in made)


def test_nothing_is_overwritten(folder: Path):
    before = (folder / f"{CLIP}_cpu.yaml").read_bytes()
    result = derive(folder, CLIP, "--device", "cpu")
    assert (result.exit_code, (folder / f"{CLIP}_cpu.yaml").read_bytes()) == (1, before)
    assert f"{CLIP}_cpu exists already" in result.stderr


def test_a_broken_file_of_that_name_is_not_overwritten(folder: Path):
    (folder / "dinov2_giant_cpu.yaml").write_text("key: [", encoding="utf-8")
    result = derive(folder, "dinov2_giant", "--device", "cpu")
    assert "dinov2_giant_cpu.yaml exists already and is not overwritten" in result.stderr
    assert (folder / "dinov2_giant_cpu.yaml").read_text(encoding="utf-8") == "key: ["


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["dinov2_giant"], "Name what is to differ: --device, --dtype, --compile or --raster."),
        (["dinov9", "--device", "cpu"], "no instrument 'dinov9'"),
        (["sam_vit_base", "--dtype", "bfloat16"], "bfloat16 has no golden test for this kind of segmentation"),
        (["otsu_luma", "--device", "cuda"], "expected float32 on cpu, as otsu_luma computes"),
        (["sam_vit_base", "--raster", "work_1024"], "work_1024 is for embeddings and probes of whole plates"),
        (["sam_vit_base", "--compile"], "the network of segment_anything is not called in one piece"),
    ],
)
def test_what_could_never_run_is_not_written(arguments: list[str], message: str, folder: Path):
    before = sorted(folder.iterdir())
    result = derive(folder, *arguments)
    assert result.exit_code == 1
    assert message in result.stderr
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize(
    ("facts", "lacks"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx2 avx512_bf16 amx_tile\n", False),
        ("processor\t: 0\nflags\t\t: fpu avx2 avx512f\n", True),
        ("processor\t: 0\nFeatures\t: fp asimd bf16\n", False),  # Arm
        ("processor\t: 0\n", False),  # it is not known
    ],
)
def test_a_cpu_without_instructions_for_bfloat16_is_known(facts: str, lacks: bool, tmp_path: Path):
    (tmp_path / "cpuinfo").write_text(facts, encoding="utf-8")
    assert lacks_bfloat16(tmp_path / "cpuinfo") == lacks


def test_a_system_without_that_file_is_not_warned_of(tmp_path: Path):
    assert not lacks_bfloat16(tmp_path / "none")


def test_bfloat16_on_such_a_cpu_is_warned_of(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "cpuinfo").write_text("flags\t\t: fpu avx2\n", encoding="utf-8")
    monkeypatch.setattr(cli_derive, "CPU_FACTS", tmp_path / "cpuinfo")
    assert derive(folder, "dinov2_base", "--dtype", "bfloat16", "--device", "cpu").stderr.startswith(
        "This CPU has no instructions for bfloat16"
    )
    assert derive(folder, "dinov2_giant", "--device", "cpu").stderr == ""


def test_a_variant_needs_no_weights_of_its_own(bench: Bench):
    write_spec(bench.specs, {"key": "varied", "variant_of": KEY, "numeric": {"dtype": "float32", "device": "cuda"}})
    assert bench.atlas("pull", KEY).exit_code == 0
    bench.fake.requests.clear()
    result = bench.atlas("pull", "varied")
    assert (result.exit_code, bench.fake.requests) == (0, [])
    assert "2 files of 1 instrument; 0 were to fetch, 0 B." in result.stdout


def test_a_variant_is_listed_with_the_instrument_it_varies(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cli_listing, "console", Console(width=400))
    listed = CliRunner().invoke(cli.app, ["models", "list", "--set", "minimum_cpu"]).stdout
    assert f"admitted, a variant of {CLIP}" in listed


def test_a_golden_figure_is_written_into_the_variants_own_file(folder: Path):
    """The file of `numeric` is the variant's, so `atlas models golden` finds its lines there."""
    derive(folder, "dinov2_base", "--dtype", "bfloat16")
    registry = read_registry(folder)
    assert registry.path_of("dinov2_base_bf16") == folder / "dinov2_base_bf16.yaml"
    assert "numeric" in yaml.safe_load((folder / "dinov2_base_bf16.yaml").read_text(encoding="utf-8"))


def test_a_variant_of_an_instrument_without_a_mode_is_refused(folder: Path):
    write_spec(folder, with_field(content_of("dinov2_giant"), ("numeric",), None))
    assert "dinov2_giant: numeric is not declared" in derive(folder, "dinov2_giant", "--device", "cpu").stderr
