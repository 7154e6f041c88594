"""A client of a model that Triton Inference Server serves: images go out as tensors, vectors come back."""

import numpy as np

from atlas_resources.instruments.parameters.tensors import TritonParameters
from atlas_resources.instruments.prompts import AskedPrompt
from atlas_resources.instruments.spec.output import VectorOutput
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.instruments.spec.weights import RepositoryWeights
from atlas_resources.models.inputs import ModelInput
from atlas_resources.models.servers.triton_client import TritonClient
from atlas_resources.models.servers.triton_model import require_configuration, require_model
from atlas_resources.models.weights import require_weights
from atlas_resources.plates.run_contracts import ServerRecord


class TritonEmbedder:
    """Embeds images by a served network.

    Attributes:
        key: of the instrument.
        server: the record of the server, which a run keeps in its manifests.
        client: asks it.
        parameters: the tensors by name.
        dim: length of a vector.
    """

    def __init__(self, key: str, server: ServerRecord, client: TritonClient, parameters: TritonParameters, dim: int):
        self.key = key
        self.server = server
        self.client = client
        self.parameters = parameters
        self.dim = dim

    def embed(self, batch: ModelInput) -> np.ndarray:
        """Returns the vectors as the server gave them, float32 [N, dim], for float32 [N, 3, H, W].

        Raises:
            ServerLost: the server does not answer any more.
            RequestRefused: it refused these images.
            ValueError: it gave something else than float32 [N, dim].
        """
        images = np.ascontiguousarray(batch, dtype=np.float32)
        found = self.client.infer(self.parameters.input, images, self.parameters.output)
        expected = (len(images), self.dim)
        if found is None or found.shape != expected or found.dtype != np.float32:
            given = "nothing" if found is None else f"{found.dtype} {list(found.shape)}"
            raise ValueError(
                f"{self.key}: output {self.parameters.output} of {self.client.endpoint}: expected float32 "
                f"{list(expected)}, found {given}"
            )
        return found


def load(spec: Spec, server: ServerRecord, prompts: tuple[AskedPrompt, ...] = ()) -> TritonEmbedder:
    """Returns the client, once the server was found to serve what the spec pins. Loads nothing.

    Of a server that somebody else runs, the configuration is not compared: the pinned files say nothing about it.

    Raises:
        ServerMismatch: it serves something else.
        ServerLost, RequestRefused: it does not answer, or does not have the model.
        WeightsMissing, WeightsMismatch: the pinned files of a server of this machine are gone, or have changed.
    """
    if not isinstance(spec.weights, RepositoryWeights) or not isinstance(spec.output, VectorOutput):
        raise ValueError(f"{spec.key}: expected weights of kind `repository` and an output of a vector")
    parameters = TritonParameters.model_validate(spec.parameters)
    client = TritonClient(server.endpoint, server.model_name, spec.weights.version)
    require_model(spec, client, parameters)
    if server.attested_by is None:
        require_configuration(spec, client, require_weights(spec).files[spec.weights.configuration])
    return TritonEmbedder(spec.key, server, client, parameters, spec.output.dim)
