"""The record of an instrument that every sealed run and ledger row carries."""

from typing import Literal

from pydantic import Field

from atlas_resources.files.contract import Contract, Sha256


class InstrumentIdentity(Contract):
    """Which instrument made a result. `fingerprint` covers everything that can change it."""

    key: str
    role: str
    model_id: str
    model_sha: str = Field(description="Hub revision, or library==version for weights that come with a library.")
    weights_sha256: Sha256 | None = Field(description="Null only for an algorithm without weights.")
    preprocess_tag: str
    loader: str
    loader_version: int
    fingerprint: Sha256
    licence: str
    commercial_use: Literal["yes", "no", "unknown"]
