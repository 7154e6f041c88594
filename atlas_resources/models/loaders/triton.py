"""Clients of a model that Triton Inference Server serves: images go out as tensors, vectors or logits come back."""

from collections.abc import Sequence

import numpy as np
from scipy.special import expit, softmax

from atlas_resources.instruments.parameters.tensors import TritonParameters
from atlas_resources.instruments.prompts import AskedPrompt
from atlas_resources.instruments.spec.output import Activation, ScoresOutput
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.instruments.spec.weights import RepositoryWeights
from atlas_resources.models.inputs import ModelInput
from atlas_resources.models.protocols import Label
from atlas_resources.models.servers.errors import RequestRefused, ServerLost
from atlas_resources.models.servers.triton_client import TritonClient
from atlas_resources.models.servers.triton_model import (
    image_sides,
    output_length,
    require_configuration,
    require_model,
)
from atlas_resources.models.weights import require_weights
from atlas_resources.plates.run_contracts import ServerRecord

GREY = 0.5
"""Value of the control image: a grey, whether images are normalised or not."""
ANY_SIDE_PX = 224
"""Side of the control image of a model that takes images of any size."""


class ServedTensors:
    """Sends images to the model and checks what comes back.

    Attributes:
        key: of the instrument.
        client: asks the server.
        parameters: the tensors by name.
        length: of a row of the output.
        control: an image float32 [1, 3, H, W] that the server has to answer.
    """

    def __init__(self, spec: Spec, client: TritonClient):
        self.key = spec.key
        self.client = client
        self.parameters = TritonParameters.model_validate(spec.parameters)
        self.length = output_length(spec)
        sides = image_sides(spec.preprocessing) if spec.preprocessing else ()
        self.control = np.full((1, 3, *(side or ANY_SIDE_PX for side in sides)), GREY, np.float32)

    def ask(self, batch: ModelInput) -> np.ndarray:
        """Returns the output as the server gave it, float32 [N, length], for float32 [N, 3, H, W].

        After an error, the server is asked about the control image, to tell images that it refuses from a model that
        has died. Triton calls a model of its Python backend ready after its process has ended, and refuses everything.

        Raises:
            ServerLost: the server does not answer any more, or refuses the control image too.
            RequestRefused: it refused these images, or gave something else than finite float32 [N, length].
        """
        try:
            return self._ask(np.ascontiguousarray(batch, dtype=np.float32))
        except RequestRefused as error:
            self._require_alive(error)
            raise

    def require_answer(self) -> None:
        """Asks about the control image. Raises RequestRefused or ServerLost."""
        self._ask(self.control)

    def _require_alive(self, error: RequestRefused) -> None:
        try:
            self.require_answer()
        except RequestRefused as other:
            raise ServerLost(f"{error}; and then of a plain grey image: {other}") from other

    def _ask(self, images: np.ndarray) -> np.ndarray:
        found = self.client.infer(self.parameters.input, images, self.parameters.output)
        expected = (len(images), self.length)
        if found is None or found.shape != expected or found.dtype != np.float32:
            given = "nothing" if found is None else f"{found.dtype} {list(found.shape)}"
            raise self._broken(f"float32 {list(expected)}, found {given}")
        if not np.isfinite(found).all():
            raise self._broken(f"finite numbers, found {np.count_nonzero(~np.isfinite(found))} that are not")
        return found

    def _broken(self, contrast: str) -> RequestRefused:
        output, at = self.parameters.output, self.client.endpoint
        return RequestRefused(f"{self.key}: output {output} of {at}: expected {contrast}")


class TritonEmbedder:
    """Embeds images by a served network.

    Attributes:
        server: the record of the server, which a run keeps in its manifests.
        tensors: asks it.
    """

    def __init__(self, server: ServerRecord, tensors: ServedTensors):
        self.server = server
        self.tensors = tensors

    def embed(self, batch: ModelInput) -> np.ndarray:
        """Returns the vectors, not normalised, float32 [N, dim]. Raises as `ServedTensors.ask`."""
        return self.tensors.ask(batch)


class TritonScorer:
    """Scores images by a served network.

    Attributes:
        server: the record of the server, which a run keeps in its manifests.
        tensors: asks it.
        labels: in the order of the output, as the spec names them.
        activation: how a score follows from its logit.
    """

    def __init__(self, server: ServerRecord, tensors: ServedTensors, labels: list[Label], activation: Activation):
        self.server = server
        self.tensors = tensors
        self.labels = labels
        self.activation = activation

    def score(self, batch: ModelInput) -> tuple[np.ndarray, np.ndarray]:
        """Returns logits and scores, each float32 [N, labels]. Raises as `ServedTensors.ask`.

        Scores are computed from the logits in float64.
        """
        logits = self.tensors.ask(batch)
        exact = logits.astype(np.float64)
        if self.activation == "identity":
            return logits, logits
        if self.activation == "sigmoid":
            return logits, expit(exact).astype(np.float32)
        return logits, softmax(exact, axis=1).astype(np.float32)


def load(spec: Spec, server: ServerRecord, prompts: Sequence[AskedPrompt] = ()) -> TritonEmbedder | TritonScorer:
    """Returns the client, once the server was found to serve what the spec pins and has answered. Loads nothing.

    Of a server that somebody else runs, the configuration is not compared: the pinned files say nothing about it.

    Raises:
        ServerMismatch: it serves something else.
        ServerLost, RequestRefused: it does not answer, does not have the model, or refuses the control image.
        WeightsMissing, WeightsMismatch: the pinned files of a server of this machine are gone, or have changed.
        ValueError: the weights are of another kind, or the labels of scores are not named.
    """
    if not isinstance(spec.weights, RepositoryWeights):
        raise ValueError(f"{spec.key}: expected weights of kind `repository` in model_specs/{spec.key}.yaml")
    labels, activation = _labels(spec)
    client = TritonClient(server.endpoint, server.model_name, spec.weights.version)
    tensors = ServedTensors(spec, client)
    require_model(spec, client, tensors.parameters)
    if server.attested_by is None:
        require_configuration(spec, client, require_weights(spec).files[spec.weights.configuration])
    tensors.require_answer()
    return TritonScorer(server, tensors, labels, activation) if labels else TritonEmbedder(server, tensors)


def _labels(spec: Spec) -> tuple[list[Label], Activation]:
    """The labels and the activation of an instrument that gives scores. A repository states neither."""
    if not isinstance(spec.output, ScoresOutput):
        return [], "identity"
    activation = spec.output.activation or "softmax"
    if not spec.output.label_names or activation == "softmax_per_prompt_set":
        raise ValueError(
            f"{spec.key}: expected output.label_names, and softmax, sigmoid or identity as output.activation, in "
            f"model_specs/{spec.key}.yaml; found {'no names' if not spec.output.label_names else activation}"
        )
    return [Label(str(index), name) for index, name in enumerate(spec.output.label_names)], activation
