"""What is asked of a hub at most: the ids that are those of repositories, and the bytes of a file of unknown size."""

import re

from atlas_resources.hub.errors import HubError
from atlas_resources.instruments.spec.weights import REPOSITORY_PATTERN

MAX_UNPINNED_BYTES = 16 << 30
"""Of a file whose size neither spec nor hub states."""
CODING_FIX = "Check HF_ENDPOINT and the proxy."
SIZE_FIX = "Check HF_ENDPOINT, and size_bytes in the spec."


def require_repository(repository: str) -> None:
    """Raises HubError for what is not the id of a repository, such as a path out of the hub's cache."""
    if re.fullmatch(REPOSITORY_PATTERN, repository) is None:
        raise HubError(f"{repository[:100]!r} is not the id of a repository. Write it as owner/name.")
