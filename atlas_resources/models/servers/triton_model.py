"""Whether what a Triton server serves is the model that a spec pins.

The server is asked for its version, the model's tensors and the model's configuration, and each is compared.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from google.protobuf import json_format, text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig  # type: ignore[attr-defined] # built when it is imported

from atlas_resources.instruments.parameters.tensors import TritonParameters
from atlas_resources.instruments.spec.input import Preprocessing
from atlas_resources.instruments.spec.output import ScoresOutput, VectorOutput
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.servers.errors import ServerMismatch
from atlas_resources.models.servers.triton_client import TritonClient

ANY = -1
"""A length that Triton does not fix."""


def require_model(spec: Spec, client: TritonClient, parameters: TritonParameters) -> None:
    """Compares the server's version, and the model's name, version, tensors and batch limit, with the spec.

    Raises:
        ServerMismatch: one of them differs; nothing has been measured.
        ServerLost, RequestRefused: see `TritonClient`. A model or version that the server lacks is refused.
    """
    if spec.served is None or spec.preprocessing is None:
        raise ValueError(f"{spec.key}: expected `served` and `preprocessing` in model_specs/{spec.key}.yaml")
    server, model = client.server(), client.metadata()
    _require(spec, client, "server", ("triton", spec.served.version), (server.get("name"), server.get("version")))
    _require(spec, client, "name", client.model, model.get("name"))
    _require(spec, client, "version", True, client.version in model.get("versions", []))
    image = [parameters.input, "FP32", [ANY, 3, *image_sides(spec.preprocessing)]]
    inputs = [_tensor(one) for one in model.get("inputs", [])]
    if len(inputs) != 1 or not _is_like(inputs[0], image):
        raise _mismatch(spec, client, "inputs", [image], inputs)
    row = [parameters.output, "FP32", [ANY, output_length(spec)]]
    outputs = [_tensor(one) for one in model.get("outputs", [])]
    if not any(_is_like(one, row) for one in outputs):
        raise _mismatch(spec, client, "outputs", [row], outputs)
    _require_placed(spec, client, client.config())


def _require_placed(spec: Spec, client: TritonClient, config: dict[str, Any]) -> None:
    """Compares how many images the model takes at once, and on which device it is, with the spec."""
    limit = config.get("max_batch_size", 0)
    if 0 < limit < spec.batch_size:
        raise _mismatch(spec, client, "max_batch_size", f"at least the spec's batch_size of {spec.batch_size}", limit)
    device = "KIND_GPU" if spec.numeric and spec.numeric.device == "cuda" else "KIND_CPU"
    kinds = [group.get("kind") for group in config.get("instance_group", [])]
    if set(kinds) - {device, "KIND_MODEL"}:  # KIND_MODEL leaves the device to the model's own code
        raise _mismatch(spec, client, "instance_group", f"{device}, as `numeric` declares the device", kinds)


def output_length(spec: Spec) -> int:
    """How many numbers the model gives for an image. Raises ValueError unless it gives a vector or scores."""
    match spec.output:
        case VectorOutput(dim=dim):
            return dim
        case ScoresOutput(count=count):
            return count
    raise ValueError(f"{spec.key}: expected an output of a vector or of scores in model_specs/{spec.key}.yaml")


def image_sides(steps: Preprocessing) -> tuple[int | None, int | None]:
    """Height and width, in pixels, of every preprocessed image; None for those that differ from plate to plate."""
    if steps.crop_px:
        return steps.crop_px, steps.crop_px
    if steps.resize and (steps.resize.mode == "exact" or steps.pad == "square_right_bottom"):
        return steps.resize.size_px, steps.resize.size_px
    return None, None


def require_configuration(spec: Spec, client: TritonClient, path: Path) -> None:
    """Compares what the pinned config.pbtxt states with the configuration that the server has in use.

    A server adds defaults and nothing else, so every field that the file states must be there with the same value.

    Args:
        spec: the instrument.
        client: asks the server.
        path: the verified config.pbtxt.

    Raises:
        ServerMismatch: a field differs.
        ValueError: the file is no configuration of a model.
    """
    pinned, served = ModelConfig(), ModelConfig()
    try:
        text_format.Parse(path.read_text(encoding="utf-8"), pinned)
    except text_format.ParseError as error:
        raise ValueError(f"{spec.key}: {path} is no configuration of a Triton model: {error}") from error
    json_format.ParseDict(client.config(), served, ignore_unknown_fields=True)
    stated, in_use = (json_format.MessageToDict(one, preserving_proto_field_name=True) for one in (pinned, served))
    if difference := _difference(stated, in_use, "config.pbtxt"):
        raise _mismatch(spec, client, *difference)


def _difference(pinned: object, served: object, name: str) -> tuple[str, object, object] | None:
    """The first value of the pinned tree that the served one has not: its name, and both values."""
    parts: list[tuple[str, object, object]] = []
    if isinstance(pinned, dict) and isinstance(served, dict):
        parts = [(str(key), value, served.get(key)) for key, value in pinned.items()]
    elif isinstance(pinned, list) and isinstance(served, list) and len(pinned) == len(served):
        parts = [(str(at), *both) for at, both in enumerate(zip(pinned, served, strict=True))]
    elif pinned != served:
        return name, pinned, served
    return next((found for part, *both in parts if (found := _difference(both[0], both[1], f"{name}.{part}"))), None)


def _tensor(stated: dict[str, Any]) -> list[Any]:
    return [stated.get("name"), stated.get("datatype"), stated.get("shape")]


def _is_like(found: list[Any], expected: list[Any]) -> bool:
    """Whether a tensor has the name, type and shape; a side may be left open, and must be where plates differ in it."""
    return found[:2] == expected[:2] and _takes(found[2] or [], expected[2])


def _takes(found: Sequence[int], expected: Sequence[int | None]) -> bool:
    is_open = [one == ANY for one in found]
    same = [one == other for one, other in zip(found, expected, strict=False)]
    return len(found) == len(expected) and is_open[0] and all(map(any, zip(is_open, same, strict=True)))


def _require(spec: Spec, client: TritonClient, what: str, expected: object, found: object) -> None:
    if found != expected:
        raise _mismatch(spec, client, what, expected, found)


def _mismatch(spec: Spec, client: TritonClient, what: str, expected: object, found: object) -> ServerMismatch:
    return ServerMismatch(
        f"{spec.key}: {client.endpoint} serves something else for {client.model}/{client.version}: {what}: expected "
        f"{expected}, found {found}. Nothing was measured. Fix: `atlas models serve {spec.key}` starts what is pinned."
    )
