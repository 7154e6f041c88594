"""The file of a sealed run that was run again: each plate's verdict, and what has changed since."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from atlas_resources.files.contract import Contract, FileContract
from atlas_resources.instruments.instrument import InstrumentIdentity
from atlas_resources.instruments.spec.numeric import Tolerance
from atlas_resources.plates.contracts import PlateId
from atlas_resources.plates.run_contracts import CodeVersion, Environment, RunId


class Change(Contract):
    """Something that is other now than it was when a run was sealed."""

    name: str = Field(description="Such as `packages.torch` or `code.git_sha`.")
    sealed: str | None = Field(description="As the run recorded it; null if it did not.")
    present: str | None = Field(description="As it is now; null if it is not there any more.")


class ColumnDifference(Contract):
    """How far the repeated rows of a plate are from the sealed ones in one column."""

    column: str = Field(description="Name of the column.")
    measure: Literal["relative", "score", "box_px", "pixel_share", "delta_e", "field_ratio", "unequal_rows"] = Field(
        description="What `largest` is: as the tolerance of that name; or the number of rows with unequal values."
    )
    largest: float = Field(ge=0, allow_inf_nan=False, description="The largest difference.")
    tolerance: float = Field(ge=0, description="0 for values that must be equal.")
    row: str = Field(description="Key of the row with the largest difference, or of the first that is not equal.")


Verdict = Literal["identical", "within_tolerance", "different", "not_repeatable"]


class ReproducedPlate(Contract):
    """A plate's sealed result compared with its repetition."""

    plate_id: PlateId
    verdict: Verdict = Field(description="How the repetition compares with what was sealed.")
    reason: str | None = Field(description="Why it is different or cannot be repeated; null otherwise.")
    has_same_bytes: bool = Field(description="Whether the repetition has the digest of the sealed Parquet file.")
    sealed_row_count: int | None = Field(default=None, ge=0, description="Rows that were sealed; null if unknown.")
    repeated_row_count: int | None = Field(default=None, ge=0, description="Rows of the repetition; null without one.")
    cosine_min: float | None = Field(
        default=None, description="Smallest cosine of a sealed and a repeated vector. Null: no vector, or same bytes."
    )
    differences: list[ColumnDifference] = Field(default=[], description="Columns that differ at all.")


class Reproduction(FileContract):
    """`reproductions/<run_id>/<UTC>.json`: a sealed run that was run again from its own manifest, and compared."""

    run_id: RunId
    instrument: InstrumentIdentity = Field(description="As sealed.")
    tolerance: Tolerance | None = Field(description="Null: the sealed spec cannot be read.")
    reproduced_at: datetime = Field(description="UTC time at which the last plate had been compared.")
    seconds: float = Field(ge=0, description="Wall time, loading of the model included.")
    environment: Environment | None = Field(description="Of the repetition. Null: no plate could be repeated.")
    code: CodeVersion = Field(description="Of the repetition.")
    changes: list[Change] = Field(description="What differs in environment and code from what the run recorded.")
    plates: list[ReproducedPlate] = Field(description="Each plate that was asked for.")
