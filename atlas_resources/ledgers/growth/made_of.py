"""What the rows of a ledger were made of: a digest for each plate, and one of what all plates have in common."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class MadeOf:
    """What the rows of a ledger were made from.

    Attributes:
        context: digest of what all plates have in common, such as the instruments.
        signatures: digest of what decides the rows of each plate, by id; also of plates without rows. Empty for a plate
            whose rows do not follow from that alone: they are made each time.
    """

    context: str
    signatures: Mapping[str, str]

    def as_json(self) -> str:
        """The text that `parse` reads."""
        return json.dumps([self.context, dict(sorted(self.signatures.items()))], separators=(",", ":"))

    @classmethod
    def parse(cls, text: str) -> "MadeOf":
        """Reads what `as_json` wrote. Raises ValueError."""
        context, signatures = json.loads(text)
        return cls(context, signatures)


NOTHING = MadeOf("", {})


def signature(*facts: object) -> str:
    """A short digest of facts."""
    return hashlib.sha256("\n".join(map(str, facts)).encode()).hexdigest()[:20]


def stale_plates(made_of: MadeOf, wanted: MadeOf) -> list[str]:
    """The plates whose rows are not made of what is wanted, in the order of `wanted`."""
    if made_of.context != wanted.context:
        return list(wanted.signatures)
    held = made_of.signatures
    if held == wanted.signatures and "" not in held.values():
        return []
    return [one for one, text in wanted.signatures.items() if not text or held.get(one) != text]


def differing_plates(made_of: MadeOf, wanted: MadeOf) -> list[str]:
    """The plates whose rows are not made of what is wanted, then those that should have none any more."""
    return [*stale_plates(made_of, wanted), *(made_of.signatures.keys() - wanted.signatures.keys())]


def combined(parts: Sequence[MadeOf], *facts: object) -> MadeOf:
    """What rows are made of that follow from several ledgers, and from facts that all plates have in common.

    Nothing, if one of the ledgers does not state what it is made of.
    """
    if any(part is NOTHING for part in parts):
        return NOTHING
    context = signature(*(part.context for part in parts), *facts)
    held = [part.signatures for part in parts]
    first, *others = held
    if all(other == first for other in others):
        return MadeOf(context, first)
    signatures = {}
    for plate_id in dict.fromkeys(plate_id for one in held for plate_id in one):
        found = [one.get(plate_id, "none") for one in held]
        signatures[plate_id] = " ".join(found) if all(found) else ""
    return MadeOf(context, signatures)
