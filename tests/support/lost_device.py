"""A run that loses its device at plate-003: `python -m support.lost_device ROOT cuda`, or `cpu` for the same errors.

On a GPU the device is lost by an index out of bounds, and the process cannot use it any more. Prints what ended the
run, and what the next loading says.
"""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from atlas_resources.models.devices import DeviceUnavailable
from atlas_resources.models.loading import load_model
from atlas_resources.models.memory import DeviceLost, release_cached_memory
from atlas_resources.plates.dataset import Dataset
from atlas_resources.runs.execution import execute_run
from atlas_resources.runs.sealing import Measurement
from support import fake_instruments
from support.fake_instruments import EMBEDDER, fake_registry, fake_spec
from support.gpu_cases import on
from support.made_results import GivenVectors
from support.made_specs import project_spec

FATAL = "plate-003"


class LosesDevice(GivenVectors):
    """Measures plates until the fatal one."""

    def __init__(self, plate_ids: list[str], device: str):
        super().__init__(dict.fromkeys(plate_ids, (1.0, 0.0, 0.0)))
        self.device = device

    def measure(self, batch: list[Any]) -> list[Measurement]:
        if self.device == "cpu" and FATAL in batch:
            raise torch.AcceleratorError("CUDA error: device-side assert triggered")
        index = torch.tensor([9 if FATAL in batch else 0], device=self.device)  # of 4
        torch.zeros(4, device=self.device)[index].cpu()
        return super().measure(batch)


def main(root: Path, device: str) -> None:
    """Runs over the dataset, two plates at once, then loads another model."""
    with pytest.MonkeyPatch.context() as patch:
        fake_instruments.install(patch)
        dataset = Dataset(root)
        instrument = fake_registry(fake_spec(EMBEDDER)).instruments[EMBEDDER]
        try:
            list(execute_run(dataset, instrument, dataset.plate_ids(), LosesDevice(dataset.plate_ids(), device)))
        except DeviceLost as error:
            print(f"ended by: {error}")
    release_cached_memory()
    try:
        load_model(on(project_spec("efficientnet_lite0"), device))
    except DeviceUnavailable as error:
        print(f"then: {error}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
