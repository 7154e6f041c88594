"""How often a failing request is tried, how long to wait in between, and how slow an answer may be."""

from dataclasses import dataclass

from atlas_resources.hub.errors import TOO_MANY, UNAVAILABLE, retry_after_seconds
from atlas_resources.hub.limits import LEAST_RATE, LeastRate

PASSING_STATUSES = {408, 500, 502, 503, 504}  # worth another try


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


def _status_of(error: Exception) -> int | None:
    from huggingface_hub import errors

    return error.response.status_code if isinstance(error, errors.HfHubHTTPError) else None


def wait_seconds_after(error: Exception, tried: int, patience: Patience) -> float | None:
    """Returns how long to wait before the next try; None if a try would not help, or the hub asks for a longer wait."""
    from httpx2 import TransportError
    from huggingface_hub import errors

    if tried >= patience.tries:
        return None
    wait_seconds = min(patience.first_wait_seconds * 2 ** (tried - 1), patience.longest_wait_seconds)
    if isinstance(error, errors.HfHubHTTPError) and error.response.status_code in {TOO_MANY, UNAVAILABLE}:
        asked = retry_after_seconds(error.response)
        wait_seconds = wait_seconds if asked is None else asked
        return wait_seconds if wait_seconds <= patience.longest_wait_seconds else None
    is_passing = isinstance(error, TransportError) or _status_of(error) in PASSING_STATUSES
    return wait_seconds if is_passing else None
