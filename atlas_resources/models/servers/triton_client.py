"""A client of Triton Inference Server: what it says of itself and of one model, and tensors through that model.

Speaks the KServe v2 protocol over HTTP by tritonclient. Imports no torch. Checks nothing: `triton_model` does.
"""

from collections.abc import Callable
from http.client import HTTPException
from typing import Any, TypeVar
from urllib.parse import urlsplit

import numpy as np
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

from atlas_resources.models.servers.errors import RequestRefused, ServerLost

CONNECTION_SECONDS = 10.0
SILENCE_SECONDS = 300.0
"""How long a server may send nothing. A large network on a CPU takes seconds for a batch, and a first one longer."""

Answer = TypeVar("Answer")


class TritonClient:
    """Asks one version of one model.

    Opens a connection for each request, since a connection of tritonclient belongs to the thread that made it.

    Attributes:
        endpoint: address of the server, `http://host:port` or `https://host:port`.
        model: name of the model at that server.
        version: its version.
        silence_seconds: how long the server may send nothing.
    """

    def __init__(self, endpoint: str, model: str, version: int, silence_seconds: float = SILENCE_SECONDS):
        self.endpoint = endpoint
        self.model = model
        self.version = str(version)
        self.silence_seconds = silence_seconds

    def server(self) -> dict[str, Any]:
        """Returns what the server says of itself: `name` and `version`."""
        return self._ask(lambda client: client.get_server_metadata())

    def metadata(self) -> dict[str, Any]:
        """Returns what it says of the model: `name`, `versions`, `inputs`, `outputs`, these with datatype and shape."""
        return self._ask(lambda client: client.get_model_metadata(self.model, self.version))

    def config(self) -> dict[str, Any]:
        """Returns the model's configuration as the server has it, with the defaults that it added."""
        return self._ask(lambda client: client.get_model_config(self.model, self.version))

    def infer(self, input_name: str, values: np.ndarray, output_name: str) -> np.ndarray | None:
        """Returns an output for an input float32 [N, ...], as the server sent it; None if it sent none of that name."""
        given = InferInput(input_name, list(values.shape), "FP32")
        given.set_data_from_numpy(values)
        wanted = [InferRequestedOutput(output_name)]
        return self._ask(
            lambda client: client.infer(self.model, [given], model_version=self.version, outputs=wanted).as_numpy(
                output_name
            )
        )

    def _ask(self, request: Callable[[InferenceServerClient], Answer]) -> Answer:
        """Returns the answer to a request.

        Raises:
            ServerLost: nobody listens, the connection broke, or the server was silent for too long.
            RequestRefused: any other error.
        """
        client = self._connect()
        try:
            return request(client)
        except InferenceServerException as error:
            raise RequestRefused(
                f"{self.endpoint} refused a request to {self.model}/{self.version}: {error}"
            ) from error
        except (OSError, HTTPException) as error:
            raise ServerLost(f"{self.endpoint} does not answer: {type(error).__name__}: {error}") from error
        except ValueError as error:
            raise RequestRefused(f"{self.endpoint} gave an answer that is not of Triton's protocol: {error}") from error
        finally:
            client.close()

    def _connect(self) -> InferenceServerClient:
        address = urlsplit(self.endpoint)
        return InferenceServerClient(
            f"{address.netloc}{address.path.rstrip('/')}",
            connection_timeout=CONNECTION_SECONDS,
            network_timeout=self.silence_seconds,
            ssl=address.scheme == "https",
        )
