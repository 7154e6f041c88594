"""Parameters of clients that send tensors to a server and receive tensors."""

from pydantic import Field

from atlas_resources.files.contract import Contract


class TritonParameters(Contract):
    """Parameters of `triton`: the tensors of the served model by name."""

    input: str = Field(min_length=1, description="The model's only input: float32 [N, 3, H, W].")
    output: str = Field(min_length=1, description="The output that is taken: float32 [N, dim] or [N, labels].")
