"""What verification finds: one typed finding for each file or folder that is not as it should be."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from atlas_resources.plates.json_files import DatasetBroken

Kind = Literal["missing", "altered", "truncated", "schema", "orphan", "unsealed", "ledger-drift", "unfinished"]
KINDS: dict[Kind, str] = {
    "missing": "A file or folder that another file names is not there.",
    "altered": "A file has other bytes than when it was written.",
    "truncated": "A file is shorter than when it was written.",
    "schema": "A file does not follow its schema, or contradicts itself or the name of its folder.",
    "orphan": "Something is there that belongs to nothing.",
    "unsealed": "A file whose digest is stated nowhere: an earlier release wrote it.",
    "ledger-drift": "A ledger or the catalogue differs from the plates' own files. It is built again from them.",
    "unfinished": "Not written to its end, or not yet. Nothing is lost, and the next run completes it.",
}
"""What each kind means."""


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be.

    Attributes:
        kind: what is wrong, by `KINDS`.
        path: the file or folder, relative to the dataset's root.
        problem: what was expected and what was found.
        fix: what to do, with the command.
        plate_id: the plate it belongs to; None for what belongs to none.
    """

    kind: Kind
    path: str
    problem: str
    fix: str
    plate_id: str | None = None

    @property
    def is_fault(self) -> bool:
        """Whether something is wrong; an unfinished or unsealed file is not."""
        return self.kind not in ("unfinished", "unsealed")

    def __str__(self) -> str:
        """One line for a person."""
        return f"{self.kind}: {self.path}: {self.problem}. Fix: {self.fix}"

    def as_json(self) -> dict[str, str | None]:
        """The finding by the names of its attributes."""
        return asdict(self)


@dataclass(frozen=True)
class Place:
    """Where findings are: a dataset's root, and the plate, if any.

    Attributes:
        root: the dataset's root, to which paths are relative.
        plate_id: the plate.
    """

    root: Path
    plate_id: str | None = None

    def finding(self, kind: Kind, path: Path, problem: str, fix: str) -> Finding:
        """A finding at this place."""
        return Finding(kind, path.relative_to(self.root).as_posix(), problem, fix, self.plate_id)

    def broken(self, error: DatasetBroken) -> Finding:
        """The finding of a file that could not be read by its schema."""
        return self.finding(error.kind, error.path, error.problem, error.fix)

    @contextmanager
    def noting(self, findings: list[Finding]) -> Iterator[None]:
        """Adds the finding of a file that cannot be read by its schema in the block, which ends there."""
        try:
            yield
        except DatasetBroken as error:
            findings.append(self.broken(error))
