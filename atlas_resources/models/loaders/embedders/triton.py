"""A client of a model that Triton Inference Server serves: images go out as tensors, vectors come back."""

import numpy as np

from atlas_resources.instruments.parameters.tensors import TritonParameters
from atlas_resources.instruments.prompts import AskedPrompt
from atlas_resources.instruments.spec.output import VectorOutput
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.instruments.spec.weights import RepositoryWeights
from atlas_resources.models.inputs import ModelInput
from atlas_resources.models.servers.errors import RequestRefused, ServerLost
from atlas_resources.models.servers.triton_client import TritonClient
from atlas_resources.models.servers.triton_model import image_sides, require_configuration, require_model
from atlas_resources.models.weights import require_weights
from atlas_resources.plates.run_contracts import ServerRecord

GREY = 0.5
"""Value of the control image: a grey, whether images are normalised or not."""
ANY_SIDE_PX = 224
"""Side of the control image of a model that takes images of any size."""


class TritonEmbedder:
    """Embeds images by a served network.

    Attributes:
        key: of the instrument.
        server: the record of the server, which a run keeps in its manifests.
        client: asks it.
        parameters: the tensors by name.
        dim: length of a vector.
        control: an image float32 [1, 3, H, W] that the server has to answer.
    """

    def __init__(self, spec: Spec, server: ServerRecord, client: TritonClient, dim: int):
        self.key = spec.key
        self.server = server
        self.client = client
        self.parameters = TritonParameters.model_validate(spec.parameters)
        self.dim = dim
        sides = image_sides(spec.preprocessing) if spec.preprocessing else ()
        self.control = np.full((1, 3, *(side or ANY_SIDE_PX for side in sides)), GREY, np.float32)

    def embed(self, batch: ModelInput) -> np.ndarray:
        """Returns the vectors as the server gave them, float32 [N, dim], for float32 [N, 3, H, W].

        After an error, the server is asked about the control image, to tell images that it refuses from a model that
        has died. Triton calls a model of its Python backend ready after its process has ended, and refuses everything.

        Raises:
            ServerLost: the server does not answer any more, or refuses the control image too.
            RequestRefused: it refused these images, or gave something else than finite float32 [N, dim].
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
        expected = (len(images), self.dim)
        if found is None or found.shape != expected or found.dtype != np.float32:
            given = "nothing" if found is None else f"{found.dtype} {list(found.shape)}"
            raise self._broken(f"float32 {list(expected)}, found {given}")
        if not np.isfinite(found).all():
            raise self._broken(f"finite numbers, found {np.count_nonzero(~np.isfinite(found))} that are not")
        return found

    def _broken(self, contrast: str) -> RequestRefused:
        output, at = self.parameters.output, self.client.endpoint
        return RequestRefused(f"{self.key}: output {output} of {at}: expected {contrast}")


def load(spec: Spec, server: ServerRecord, prompts: tuple[AskedPrompt, ...] = ()) -> TritonEmbedder:
    """Returns the client, once the server was found to serve what the spec pins and has answered. Loads nothing.

    Of a server that somebody else runs, the configuration is not compared: the pinned files say nothing about it.

    Raises:
        ServerMismatch: it serves something else.
        ServerLost, RequestRefused: it does not answer, does not have the model, or refuses the control image.
        WeightsMissing, WeightsMismatch: the pinned files of a server of this machine are gone, or have changed.
    """
    if not isinstance(spec.weights, RepositoryWeights) or not isinstance(spec.output, VectorOutput):
        raise ValueError(f"{spec.key}: expected weights of kind `repository` and an output of a vector")
    client = TritonClient(server.endpoint, server.model_name, spec.weights.version)
    embedder = TritonEmbedder(spec, server, client, spec.output.dim)
    require_model(spec, client, embedder.parameters)
    if server.attested_by is None:
        require_configuration(spec, client, require_weights(spec).files[spec.weights.configuration])
    embedder.require_answer()
    return embedder
