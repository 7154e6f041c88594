"""The base class of every file's schema, and the types that the schemas share."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

SHA256_PATTERN = r"^[0-9a-f]{64}$"

Sha256 = Annotated[str, Field(pattern=SHA256_PATTERN)]


def is_null(value: object) -> bool:
    """For `exclude_if`: a field added to a schema is left out while it is null, so that older digests stay the same."""
    return value is None


class Contract(BaseModel):
    """A file's content. Instances are frozen, and an unknown field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
