"""Only plain ONNX graphs are opened: tensors inside the file, standard operators, a limited size, on the CPU."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from support.made_specs import project_spec

from atlas_resources.instruments.parameters.onnx import OnnxParameters
from atlas_resources.models.loaders import _onnx_sessions
from atlas_resources.models.loaders._onnx_sessions import CPU, open_session, require_plain_graph
from atlas_resources.models.weights import WeightsMismatch

SPEC = project_spec("u2netp")
PARAMETERS = OnnxParameters.model_validate(SPEC.parameters)
SHAPE = [1, 3, 4, 4]


def constant(name: str, value: float) -> TensorProto:
    return helper.make_tensor(name, TensorProto.FLOAT, [1], [value])


def outside(tensor: TensorProto) -> TensorProto:
    """The tensor as `onnx.save_model(..., save_as_external_data=True)` writes it: a reference to another file."""
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    return tensor


def model_of(*nodes: onnx.NodeProto, initializer: TensorProto | None = None, domain: str = "") -> onnx.ModelProto:
    """A graph of the nodes, from `x` to `y`, float32 [1, 3, 4, 4]."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, SHAPE) for name in ("x", "y")]
    graph = helper.make_graph(list(nodes), "made", ends[:1], ends[1:], [initializer or constant("two", 2.0)])
    opsets = [helper.make_opsetid("", 13), *([helper.make_opsetid(domain, 1)] if domain else [])]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def doubling() -> onnx.ModelProto:
    return model_of(helper.make_node("Mul", ["x", "two"], ["y"]))


def branching(tensor: TensorProto) -> onnx.ModelProto:
    """An `If` whose branches are graphs with a tensor of their own."""
    made = helper.make_node("Constant", [], ["branch"], value=tensor)
    out = helper.make_tensor_value_info("branch", TensorProto.FLOAT, [1])
    branch = helper.make_graph([made], "branch", [], [out])
    condition = helper.make_node("If", ["is_so"], ["chosen"], then_branch=branch, else_branch=branch)
    is_so = helper.make_tensor("is_so", TensorProto.BOOL, [], [True])
    return model_of(condition, helper.make_node("Mul", ["x", "chosen"], ["y"]), initializer=is_so)


def test_a_plain_graph_computes(tmp_path: Path):
    path = tmp_path / "doubling.onnx"
    path.write_bytes(doubling().SerializeToString())
    session = open_session(SPEC, path, PARAMETERS)
    x = np.arange(48, dtype=np.float32).reshape(SHAPE)
    (y,) = session.run(None, {"x": x})
    assert np.array_equal(np.asarray(y), 2 * x)


def test_the_session_has_the_declared_options_and_the_cpu_alone(tmp_path: Path):
    path = tmp_path / "doubling.onnx"
    path.write_bytes(doubling().SerializeToString())
    for level, threads in (("disabled", 1), ("all", 2)):
        declared = PARAMETERS.model_copy(update={"graph_optimization": level, "intra_op_threads": threads})
        session = open_session(SPEC, path, declared)
        options = session.get_session_options()
        assert (options.intra_op_num_threads, options.inter_op_num_threads) == (threads, 1)
        assert options.graph_optimization_level == _onnx_sessions.LEVELS[level]
        assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
        assert session.get_providers() == [CPU]


@pytest.mark.parametrize(
    "model",
    [
        model_of(helper.make_node("Mul", ["x", "two"], ["y"]), initializer=outside(constant("two", 2.0))),
        branching(outside(constant("inner", 2.0))),
        model_of(
            helper.make_node("Constant", [], ["two_made"], value=outside(constant("value", 2.0))),
            helper.make_node("Mul", ["x", "two_made"], ["y"]),
        ),
    ],
    ids=["initializer", "branch", "attribute"],
)
def test_a_tensor_in_another_file_is_refused(model: onnx.ModelProto):
    with pytest.raises(WeightsMismatch, match=r"expected every tensor inside the file, found [12] in other files"):
        require_plain_graph(SPEC, Path("graph.onnx"), model.SerializeToString())


def test_a_sparse_tensor_in_another_file_is_refused():
    model = doubling()
    values = outside(constant("values", 1.0))
    indices = helper.make_tensor("indices", TensorProto.INT64, [1], [0])
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [4]))
    with pytest.raises(WeightsMismatch, match=r"found 1 in other files: values"):
        require_plain_graph(SPEC, Path("graph.onnx"), model.SerializeToString())


def test_custom_operators_are_refused():
    own = model_of(helper.make_node("Mul", ["x", "two"], ["y"], domain="com.example"), domain="com.example")
    with pytest.raises(WeightsMismatch, match=r"expected ONNX's own operators, found custom ones of com\.example"):
        require_plain_graph(SPEC, Path("graph.onnx"), own.SerializeToString())


def test_functions_in_the_file_are_refused():
    model = doubling()
    body = [helper.make_node("Identity", ["a"], ["b"])]
    model.functions.append(helper.make_function("", "Same", ["a"], ["b"], body, [helper.make_opsetid("", 13)]))
    with pytest.raises(WeightsMismatch, match="found custom ones of Same"):
        require_plain_graph(SPEC, Path("graph.onnx"), model.SerializeToString())


@pytest.mark.parametrize("content", [b"", b"\x99\x88\x77", b"PK\x03\x04 a zip archive"])
def test_bytes_of_another_format_are_refused(content: bytes):
    with pytest.raises(WeightsMismatch, match="expected an ONNX model, found none"):
        require_plain_graph(SPEC, Path("graph.onnx"), content)


def test_a_file_over_the_limit_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "doubling.onnx"
    path.write_bytes(doubling().SerializeToString())
    monkeypatch.setattr(_onnx_sessions, "MAX_FILE_BYTES", path.stat().st_size - 1)
    with pytest.raises(WeightsMismatch, match=r"expected at most \d+ bytes, found"):
        open_session(SPEC, path, PARAMETERS)


@pytest.mark.parametrize("changes", [{"device": "cuda"}, {"dtype": "bfloat16"}])
def test_another_device_or_type_than_it_computes_on_is_refused(tmp_path: Path, changes: dict[str, str]):
    assert SPEC.numeric is not None
    spec = SPEC.model_copy(update={"numeric": SPEC.numeric.model_copy(update=changes)})
    with pytest.raises(ValueError, match="the loader `onnx` computes float32 on the CPU"):
        open_session(spec, tmp_path / "unread.onnx", PARAMETERS)


def test_a_session_for_inputs_of_many_sizes_computes_the_same(tmp_path: Path):
    path = tmp_path / "doubling.onnx"
    path.write_bytes(doubling().SerializeToString())
    session = open_session(SPEC, path, PARAMETERS, is_of_one_size=False)
    for value in (1, 2):
        x = np.full(SHAPE, value, np.float32)
        (y,) = session.run(None, {"x": x})
        assert isinstance(y, np.ndarray)
        assert np.array_equal(y, 2 * x)
