"""Opens an ONNX file as a session of onnxruntime on the CPU, after checking what the graph consists of.

A graph of standard operators with its tensors inside reads no other file and runs no code but onnxruntime's.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
from google.protobuf.message import DecodeError

from atlas_resources.instruments.parameters.onnx import OnnxSession
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.weights import WeightsMismatch

MAX_FILE_BYTES = 1 << 30
"""Half of the 2 GiB that protobuf allows one message: onnxruntime holds the file and its own copy of the weights."""
STANDARD_DOMAINS = frozenset({"", "ai.onnx"})
"""Both name ONNX's own operators (onnx/docs/IR.md, "Operator Sets")."""
LEVELS = {
    "disabled": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
CPU = "CPUExecutionProvider"
ERRORS_ONLY = 3  # onnxruntime's severity levels: 0 verbose, 1 info, 2 warning, 3 error, 4 fatal


def open_session(
    spec: Spec, path: Path, parameters: OnnxSession, *, is_of_one_size: bool = True
) -> onnxruntime.InferenceSession:
    """Opens the verified file with the declared threads and graph optimisation, for one run at a time.

    Args:
        spec: the instrument, for messages.
        path: the ONNX file.
        parameters: of the session.
        is_of_one_size: whether all inputs have one size. Memory is kept between them only then; see `_GivesBack`.

    Raises:
        ValueError: the spec declares another device than the CPU, or another type than float32.
        WeightsMismatch: see `require_plain_graph`; or the file is too large.
    """
    if spec.numeric is None or (spec.numeric.device, spec.numeric.dtype) != ("cpu", "float32"):
        raise ValueError(
            f"{spec.key}: the loader `{spec.loader}` computes float32 on the CPU. Declare numeric: {{dtype: float32, "
            f"device: cpu}} in model_specs/{spec.key}.yaml."
        )
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise WeightsMismatch(f"{spec.key}: {path}: expected at most {MAX_FILE_BYTES} bytes, found {size}")
    content = path.read_bytes()
    require_plain_graph(spec, path, content)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = parameters.intra_op_threads
    options.inter_op_num_threads = parameters.inter_op_threads
    options.graph_optimization_level = LEVELS[parameters.graph_optimization]
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = ERRORS_ONLY
    # Threads that wait by spinning take a core each from decoding.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    onnxruntime.disable_telemetry_events()  # only builds for Windows have any
    kind = onnxruntime.InferenceSession if is_of_one_size else _GivesBack
    session = kind(content, options, providers=[CPU])
    session.disable_fallback()
    return session


class _GivesBack(onnxruntime.InferenceSession):
    """A session that returns the memory of its arena to the system after each input.

    Kept, the arena would grow with each size of input. Without an arena, each tensor of a run is new memory, which the
    system has to clear: a sixth of the CPU time of reading. The results are the same.
    """

    def run(self, output_names: Any, input_feed: Any, run_options: onnxruntime.RunOptions | None = None) -> Any:
        """As of `InferenceSession`; see onnxruntime_run_options_config_keys.h for the entry."""
        options = run_options or onnxruntime.RunOptions()
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        return super().run(output_names, input_feed, options)


def require_plain_graph(spec: Spec, path: Path, content: bytes) -> None:
    """Checks that a graph has all its tensors inside and only standard operators.

    Args:
        spec: the instrument, for messages.
        path: the file, for messages.
        content: the file's bytes.

    Raises:
        WeightsMismatch: the bytes are no ONNX model; or a tensor refers to another file; or an operator is custom.
    """
    model = _parsed(content)
    if model is None or not model.graph.node:
        raise WeightsMismatch(
            f"{spec.key}: {path}: expected an ONNX model, found none. Pin an ONNX file in model_specs/{spec.key}.yaml."
        )
    graphs = list(_with_subgraphs(model.graph))
    domains = {node.domain for graph in graphs for node in graph.node} | {used.domain for used in model.opset_import}
    custom = sorted((domains - STANDARD_DOMAINS) | {function.domain or function.name for function in model.functions})
    if custom:
        raise WeightsMismatch(
            f"{spec.key}: {path}: expected ONNX's own operators, found custom ones of {', '.join(custom)}. Export the "
            f"model with standard operators and pin that file in model_specs/{spec.key}.yaml."
        )
    external = [
        tensor.name or "(unnamed)"
        for graph in graphs
        for tensor in _tensors(graph)
        if tensor.external_data or tensor.data_location == onnx.TensorProto.EXTERNAL
    ]
    if external:
        raise WeightsMismatch(
            f"{spec.key}: {path}: expected every tensor inside the file, found {len(external)} in other files: "
            f"{', '.join(external[:3])}. Save the model as one file and pin that in model_specs/{spec.key}.yaml."
        )


def _parsed(content: bytes) -> onnx.ModelProto | None:
    try:
        return onnx.load_model_from_string(content)
    except DecodeError:
        return None


def _with_subgraphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """The graph, and the graphs inside the attributes of its nodes, such as the branches of `If`."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _with_subgraphs(inner)


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """The tensors of a graph, without those of its subgraphs: initializers and attributes of nodes."""
    attributes = [attribute for node in graph.node for attribute in node.attribute]
    sparse = [
        *graph.sparse_initializer,
        *(attribute.sparse_tensor for attribute in attributes if attribute.HasField("sparse_tensor")),
        *(tensor for attribute in attributes for tensor in attribute.sparse_tensors),
    ]
    yield from graph.initializer
    for tensor in sparse:
        yield from (tensor.values, tensor.indices)
    for attribute in attributes:
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
