"""The files in `tags/`: what people judge of plates and of rows that machines made."""

from datetime import datetime
from typing import Literal

from pydantic import Field, model_validator

from atlas_resources.files.contract import Contract, FileContract, Sha256
from atlas_resources.plates.contracts import PlateId
from atlas_resources.plates.records.withdrawal import PersonFrom

TargetTable = Literal["plates", "segments", "texts", "detections", "plate_spaces"]
Verdict = Literal["tag", "accepted", "rejected", "corrected", "retracted"]
ROW_TABLES: tuple[TargetTable, ...] = ("segments", "texts", "detections")
"""Tables whose rows are named by plate, run and an id of their own."""
MOST_TAG_CHARACTERS = 100
MOST_CHARACTERS = 20_000


class Judgement(Contract):
    """One judgement: of a plate, by a tag, or of a row of a machine's table."""

    plate_id: PlateId
    table: TargetTable = Field(description="Table of the row; plates for the plate itself.")
    run_id: str | None = Field(description="Sealed run of the row; null of a plate, and of clusters of colour.")
    row_id: str | None = Field(description="segment_id, text_id or detection_id; null of plates and clusters.")
    space: str | None = Field(description="Space of a cluster; null of others.")
    cluster: int | None = Field(ge=0, description="Number of the cluster that the plate is in; null of others.")
    inputs_sha256: Sha256 | None = Field(
        description="Digest of what the clusters were made of, as in plate_spaces; null of others."
    )
    judgement: Verdict = Field(
        description="A tag; the machine's row accepted, rejected or corrected; or retracted: the person takes back what"
        " they said of it."
    )
    tag: str | None = Field(
        min_length=1, max_length=MOST_TAG_CHARACTERS, description="The tag, or the tag that is taken back."
    )
    corrected: str | None = Field(
        min_length=1,
        max_length=MOST_CHARACTERS,
        description="What is right, by the person: text, class or label, or number of the cluster or `none`.",
    )
    note: str | None = Field(min_length=1, max_length=MOST_CHARACTERS, description="More, in the person's words.")

    @property
    def key(self) -> tuple[object, ...]:
        """What it is of. Of one person, the newest with the same key stands."""
        return (
            self.table,
            self.plate_id,
            self.run_id,
            self.row_id,
            self.space,
            self.cluster,
            self.inputs_sha256,
            self.tag,
        )

    @model_validator(mode="after")
    def _is_coherent(self) -> "Judgement":
        if problem := verdict_problem(self.table, self.judgement, self.tag, self.corrected):
            raise ValueError(problem)
        is_row, is_cluster = self.table in ROW_TABLES, self.table == "plate_spaces"
        stated = (self.row_id is not None, self.space is not None, self.cluster is not None)
        if stated != (is_row, is_cluster, is_cluster) or (is_row and self.run_id is None):
            raise ValueError(
                f"expected run_id and row_id of a row, or space and cluster, that name a row of {self.table}"
            )
        return self


class TagEntry(FileContract):
    """`tags/<number>-<UTC>.json`: what one person judged at once, one thing or a whole selection.

    Entries are numbered without gaps, and each states the digest of the one before it. None is edited or deleted.
    """

    number: int = Field(ge=1, description="1 for the first entry, then 2, ...")
    previous_sha256: Sha256 | None = Field(description="sha256 of the file of the entry before; null for the first.")
    person: str = Field(min_length=1, max_length=200, description="Who judges.")
    person_from: PersonFrom = Field(
        description="Where the name is from: the option --by, git's user.name, or the user of the operating system."
    )
    entered_at: datetime = Field(description="UTC time of the entry.")
    judgements: tuple[Judgement, ...] = Field(min_length=1, description="Each judgement, in the order given.")


def verdict_problem(table: TargetTable, judgement: Verdict, tag: str | None, corrected: str | None) -> str | None:
    """What is wrong with a judgement, by itself: a correction without its value, a plate without a tag; or None."""
    if (corrected is not None) != (judgement == "corrected"):
        return "corrected: expected a value if the judgement is corrected, and none otherwise"
    if judgement == "tag" and tag is None:
        return "tag: expected a word, found none"
    if tag is not None and judgement not in ("tag", "retracted"):
        return f"tag: expected none with the judgement {judgement}, found {tag!r}"
    if table == "plates" and tag is None:
        return f"a plate takes a tag, no machine made it to be {judgement}. Fix: name a tag, or a row"
    is_number = corrected is None or corrected == "none" or (corrected.isascii() and corrected.isdigit())
    if table == "plate_spaces" and not is_number:
        return f"corrected: expected the number of a cluster, or none, found {corrected!r}"
    return None
