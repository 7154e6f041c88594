"""Parameters of what onnxruntime computes."""

from typing import Literal

from pydantic import Field

from atlas_resources.files.contract import Contract


class OnnxSession(Contract):
    """How onnxruntime computes. Threads and graph optimisation change results in the last digits."""

    intra_op_threads: int = Field(ge=1, le=64, description="Threads that share the work of one operator.")
    inter_op_threads: int = Field(ge=1, le=64, description="Threads for operators that do not depend on each other.")
    graph_optimization: Literal["disabled", "basic", "extended", "all"] = Field(
        description="onnxruntime's level: `extended` and `all` replace operators by faster ones that round differently."
    )


class OnnxParameters(OnnxSession):
    """Parameters of `onnx`: the output that is read and cut, and the session's."""

    output: str = Field(description="Name of the graph's output: a saliency map [1, 1, H, W].")
    saliency_threshold: float = Field(
        gt=0, lt=1, description="Of saliency rescaled from its minimum and maximum to 0..1."
    )
