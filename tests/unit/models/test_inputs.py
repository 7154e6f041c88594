"""What a model takes is made and stacked without its caller importing torch."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from atlas_resources.models.inputs import stack_inputs, vector_input


def test_a_vector_is_copied_with_its_dtype():
    vector = np.array([1.5, -2.0], dtype=np.float32)
    given = vector_input(vector)
    vector[0] = 9
    assert given.dtype == torch.float32
    assert given.tolist() == [1.5, -2.0]


def test_inputs_are_stacked_along_a_new_first_axis():
    first, second = torch.zeros(3, 2, 4), torch.ones(3, 2, 4)
    stacked = stack_inputs([first, second])
    assert stacked.shape == (2, 3, 2, 4)
    assert torch.equal(stacked[1], second)


def test_inputs_of_different_shapes_are_refused():
    with pytest.raises(RuntimeError, match="stack expects each tensor to be equal size"):
        stack_inputs([torch.zeros(3, 2, 4), torch.zeros(3, 4, 2)])


@pytest.mark.parametrize("module", ["inputs", "preprocessing", "processor_steps", "protocols", "loading", "weights"])
def test_what_other_rooms_import_does_not_import_torch(module: str):
    code = f"import sys, atlas_resources.models.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
