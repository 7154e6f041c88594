"""The cases that `tests/gpu` computes on a GPU hold on the CPU, and no loader is left out."""

from pathlib import Path

import numpy as np
import pytest
from support import lost_device
from support.gpu_cases import CASES, CPU_ONLY, distance, on, result_of
from support.made_datasets import make_dataset, run_folders

from atlas_resources.files.project import PROJECT_ROOT
from atlas_resources.instruments.loader_table import LOADERS


def test_every_loader_that_a_gpu_can_run_is_among_the_cases():
    here = {name for name, entry in LOADERS.items() if not entry.is_served}
    assert {name.partition(",")[0] for name in CASES} | CPU_ONLY == here


@pytest.mark.parametrize("name", CASES)
def test_a_case_computes_the_same_on_the_same_device(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    case = CASES[name]
    spec = case.make(tmp_path, monkeypatch)
    first, second = result_of(case, on(spec, "cpu")), result_of(case, on(spec, "cpu"))
    assert all(np.isfinite(array).all() and array.std() > 0 for array in first)
    assert distance(first, second) == 0


def test_a_difference_is_told():
    one = [np.ones(4), np.arange(4.0)]
    assert distance([np.ones(4), np.arange(4.0) * 1.01], one) == pytest.approx(0.01)


def test_the_run_that_loses_its_device_ends_as_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    dataset = make_dataset(tmp_path, "red", "green", "blue", "ochre", "teal")
    lost_device.main(dataset.root, "cpu")
    assert capsys.readouterr().out.startswith("ended by: this process has lost its device while measuring plate-003, ")
    assert [len(run_folders(dataset, plate_id)) for plate_id in dataset.plate_ids()] == [1, 1, 0, 0, 0]


def test_every_module_of_tests_on_a_gpu_is_marked():
    modules = list((PROJECT_ROOT / "tests" / "gpu").glob("test_*.py"))
    assert len(modules) >= 2
    assert all("pytestmark = WANTS_GPU" in path.read_text(encoding="utf-8") for path in modules)
