"""The base classes of every file's schema, the types that the schemas share, and a JSON file's digest of itself."""

import hashlib
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

SHA256_PATTERN = r"^[0-9a-f]{64}$"
SCHEMA_VERSION = 2
"""Version of the dataset's JSON and Parquet files. Files of version 1 state no version and hold no own digest.

Raise it with every change to a schema. A field or column is only added, and null in older files; none is removed, and
none gets another meaning.
"""

Sha256 = Annotated[str, Field(pattern=SHA256_PATTERN)]
_BLANK = "0" * 64


def is_null(value: object) -> bool:
    """For `exclude_if`: a field added to a schema is left out while it is null, so that older digests stay the same."""
    return value is None


class Contract(BaseModel):
    """A file's content, or a part of it. Instances are frozen, and an unknown field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FileDigest(Contract):
    """A file and its digest. In a dataset, `path` is relative to the plate's folder."""

    path: str
    sha256: Sha256
    size_bytes: int = Field(ge=0)


def digest_bytes(path: str, content: bytes) -> FileDigest:
    """The digest of a file with this content."""
    return FileDigest(path=path, sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))


class FileContract(Contract):
    """The content of a JSON file of a dataset. The two fields describe the file, not its subject.

    In memory they are the same for every file: the present version, and no digest.
    """

    schema_version: int = Field(
        default=SCHEMA_VERSION, ge=1, description="Version of the dataset's files. Absent in version 1."
    )
    content_sha256: Sha256 | None = Field(
        default=None,
        description="sha256 over the file's bytes with this value replaced by 64 zeros. Absent in version 1.",
    )


def file_bytes(content: FileContract) -> bytes:
    """The bytes of a JSON file: indented UTF-8, with the present version and the digest of the file itself."""
    blank = content.model_copy(update={"schema_version": SCHEMA_VERSION, "content_sha256": _BLANK})
    data = (blank.model_dump_json(indent=1) + "\n").encode()
    return data.replace(_BLANK.encode(), hashlib.sha256(data).hexdigest().encode(), 1)  # the digest comes first


def content_problem(content: FileContract, data: bytes) -> str | None:
    """How a file's bytes contradict the digest that they hold, in one line; None if they do not.

    Args:
        content: what was read from the bytes.
        data: the file's bytes.
    """
    expected = content.content_sha256
    if expected is None:
        is_older = "schema_version" not in content.model_fields_set
        return None if is_older else f"content_sha256: expected the file's digest, in version {content.schema_version}"
    found = hashlib.sha256(data.replace(expected.encode(), _BLANK.encode(), 1)).hexdigest()
    return None if found == expected else f"changed since it was written: expected sha256 {expected}, found {found}"
