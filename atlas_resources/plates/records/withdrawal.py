"""The files in `withdrawals/`: what was withdrawn or restored, by whom and why, and which entry is the last."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from atlas_resources.files.contract import FileContract, Sha256

TargetKind = Literal["model", "weights", "run", "plate", "source"]
Category = Literal["rights", "error", "other"]
PersonFrom = Literal["option", "git", "system"]
MOST_REASON_CHARACTERS = 2000


class Withdrawal(FileContract):
    """`withdrawals/<number>-<UTC>.json`: an entry that withdraws something, or one that ends such an entry.

    Entries are numbered without gaps, and each states the digest of the one before it. None is edited or deleted.
    """

    number: int = Field(ge=1, description="1 for the first entry, then 2, ...")
    previous_sha256: Sha256 | None = Field(description="sha256 of the file of the entry before; null for the first.")
    kind: Literal["withdraw", "restore"] = Field(description="Whether it withdraws, or ends a withdrawal.")
    target_kind: TargetKind = Field(
        description="What is withdrawn: an instrument by its key (model), weights or a source by their sha256, a run by"
        " its id, or a plate."
    )
    target: str = Field(min_length=1, max_length=200, description="Its key, sha256 or id.")
    category: Category = Field(description="What kind of reason it is.")
    reason: str = Field(min_length=1, max_length=MOST_REASON_CHARACTERS, description="Why, in the person's words.")
    person: str = Field(min_length=1, max_length=200, description="Who decided it.")
    person_from: PersonFrom = Field(
        description="Where the name is from: the option --by, git's user.name, or the user of the operating system."
    )
    entered_at: datetime = Field(description="UTC time of the entry.")
    restores: int | None = Field(ge=1, description="Number of the entry that a restoration ends; null for others.")

    @property
    def line(self) -> str:
        """The entry in one line: what, number, category and reason."""
        reason = " ".join(self.reason.split())
        return f"{self.target_kind} {self.target} withdrawn by entry {self.number} ({self.category}): {reason}"


class LastEntry(FileContract):
    """`withdrawals/last.json`, `tags/last.json`: the newest entry, so that a deleted one is missed."""

    number: int = Field(ge=1, description="Number of the entry.")
    sha256: Sha256 = Field(description="sha256 of the file of that entry.")
