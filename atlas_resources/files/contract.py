"""The base of every frozen file schema, and the types that they share."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

SHA256_PATTERN = r"^[0-9a-f]{64}$"


Sha256 = Annotated[str, Field(pattern=SHA256_PATTERN)]


def is_null(value: object) -> bool:
    """For `exclude_if`: a field that came later is not written while it is null, and so moves no older digest."""
    return value is None


class Contract(BaseModel):
    """A file's content: frozen, and a field it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
