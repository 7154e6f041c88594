"""The mark of tests that compute on a GPU: `pytestmark = WANTS_GPU` in each of their modules."""

import pytest
import torch

WANTS_GPU = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device that torch can use"),
]
