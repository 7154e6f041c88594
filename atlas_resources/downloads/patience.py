"""How often a failing request is tried, how long to wait in between, and how slow an answer may be."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from atlas_resources.downloads.limits import LEAST_RATE, LeastRate

TOO_MANY, UNAVAILABLE = 429, 503
PASSING_STATUSES = frozenset({408, 500, 502, 503, 504})  # worth another try


@dataclass(frozen=True)
class Patience:
    """How often a failing request is tried, and how long to wait in between: twice as long after each try.

    The tries of a transfer are counted anew after one that brought `least_progress_bytes`.
    """

    tries: int = 5
    first_wait_seconds: float = 1.0
    longest_wait_seconds: float = 60.0
    least_progress_bytes: int = 1 << 20
    least_rate: LeastRate = LEAST_RATE


PATIENCE = Patience()


def wait_seconds(tried: int, patience: Patience, status: int | None = None, retry_after: str = "") -> float | None:
    """Returns how long to wait before the next try; None if a try would not help, or a longer wait is asked for.

    Args:
        tried: how often the request was tried.
        patience: how often it may be.
        status: of the answer; None if the connection failed.
        retry_after: the answer's header Retry-After.
    """
    if tried >= patience.tries:
        return None
    seconds = min(patience.first_wait_seconds * 2 ** (tried - 1), patience.longest_wait_seconds)
    if status in {TOO_MANY, UNAVAILABLE}:
        asked = retry_after_seconds(retry_after)
        seconds = seconds if asked is None else asked
        return seconds if seconds <= patience.longest_wait_seconds else None
    return seconds if status is None or status in PASSING_STATUSES else None


def retry_after_seconds(header: str, now: datetime | None = None) -> int | None:
    """Returns the seconds of a Retry-After header (RFC 9110, 10.2.3), which has a number or a date; else None.

    Args:
        header: the value of the header.
        now: by default, the time of the call.
    """
    asked = header.strip()
    if re.fullmatch(r"[0-9]{1,9}", asked):
        return int(asked)
    try:
        until = parsedate_to_datetime(asked[:64])
        seconds = (until.replace(tzinfo=until.tzinfo or UTC) - (now or datetime.now(UTC))).total_seconds()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return max(0, round(seconds))
