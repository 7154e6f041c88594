"""What every part of the page's data has in common."""

from pydantic import BaseModel, ConfigDict

SCHEMA_VERSION = 1
Index = int
"""Position of a plate in the columns of `Library.plates`, from 0."""


class Part(BaseModel):
    """A frozen part of the page's data, without unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
