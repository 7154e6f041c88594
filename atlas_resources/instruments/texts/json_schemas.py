"""JSON Schemas that answers must follow: `model_specs/prompts/schemas/NAME.json`, pinned by digest.

The digest is of canonical JSON, so that the layout of a file is no part of it.
"""

import hashlib
import json
from pathlib import Path

from pydantic import Field

from atlas_resources.files.contract import Contract, Sha256

SCHEMAS_FOLDER = "schemas"


class SchemaPin(Contract):
    """A JSON Schema by name and digest."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")
    sha256: Sha256


class SchemaMismatch(ValueError):
    """A JSON Schema on disk cannot be read, or is not the pinned one."""


def canonical(content: object) -> str:
    """JSON with sorted keys and without spaces: what digests of schemas and of answers' objects are made of."""
    return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def sha256_of(text: str) -> str:
    """Digest of a text, UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


def read_schema(folder: Path, pin: SchemaPin) -> str:
    """Returns the pinned schema as canonical JSON.

    Args:
        folder: of the prompt sets; schemas are in `schemas/`.
        pin: what is expected.

    Raises:
        SchemaMismatch: the file is missing, holds no JSON object, or has another digest.
    """
    path = folder / SCHEMAS_FOLDER / f"{pin.name}.json"
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise SchemaMismatch(f"{path}: expected a JSON Schema, found {error}") from error
    if not isinstance(content, dict):
        raise SchemaMismatch(f"{path}: expected a JSON object, found {type(content).__name__}")
    text = canonical(content)
    if sha256_of(text) != pin.sha256:
        raise SchemaMismatch(
            f"{path}: expected the schema of sha256 {pin.sha256}, found {sha256_of(text)}. Restore it, and write a "
            f"changed schema as a new file, for a new version of the prompt set"
        )
    return text
