"""What a hub's refusals and failures mean, each in one line with its fix.

The text of a server or of a library's exception is never shown: it may repeat a token or hold a signed address.
"""

from typing import TYPE_CHECKING

from atlas_resources.downloads.patience import TOO_MANY, retry_after_seconds

if TYPE_CHECKING:
    import httpx2

UNAUTHORISED, FORBIDDEN, NOT_FOUND = 401, 403, 404
KEPT = "run this again: what was fetched is kept."


class HubError(RuntimeError):
    """Something could not be fetched. The message is one line: what, why, and the fix."""


class HubUnreachable(HubError):
    """The hub does not answer at all, so that asking for the next file would fail too."""


class AnswerRefused(HubError):
    """An answer is larger than its limit, or is compressed."""


def explain_failure(error: Exception, endpoint: str, is_token_sent: bool, tried: int, least_rate: str) -> str:
    """Returns why a request to a hub failed, and the fix.

    Args:
        error: what the hub's library raised.
        endpoint: address of the hub.
        is_token_sent: whether a token was sent with the request.
        tried: how often the request was tried.
        least_rate: how much must arrive in which time; a slower connection is cut.
    """
    from huggingface_hub import errors

    sentences: list[tuple[type[Exception] | tuple[type[Exception], ...], str]] = [  # the first that fits
        (errors.OfflineModeIsEnabled, "HF_HUB_OFFLINE is set. Unset it and run this again."),
        (errors.HFValidationError, "this is not the id of a repository. Write it as owner/name."),
        (errors.RevisionNotFoundError, "there is no such revision. `atlas models pin ID` shows the current one."),
        (
            errors.RemoteEntryNotFoundError,
            "there is no such file at this revision. Correct weights.files, or pin a revision that has it.",
        ),
        (errors.GatedRepoError, f"the model is gated. {_fix_for_access(endpoint, is_token_sent)}"),
        (
            (errors.FileMetadataError, RecursionError),
            f"{endpoint} does not answer as a model hub does. Check HF_ENDPOINT.",
        ),
    ]
    for kind, sentence in sentences:
        if isinstance(error, kind):
            return sentence
    if isinstance(error, errors.HfHubHTTPError):
        return _explain_status(error.response, endpoint, is_token_sent, tried)
    return (
        f"the connection to {endpoint} failed ({type(error).__name__}), tried {tried} times. "
        f"One that brings less than {least_rate} is cut off. Check the network and HF_ENDPOINT, and {KEPT}"
    )


def _fix_for_access(endpoint: str, is_token_sent: bool) -> str:
    if is_token_sent:
        return (
            f"A token was sent and refused: accept the terms at {endpoint} with its account, or set another HF_TOKEN."
        )
    return f"Accept its terms on its page at {endpoint} and set HF_TOKEN to a token of that account."


def _explain_status(response: "httpx2.Response", endpoint: str, is_token_sent: bool, tried: int) -> str:
    status, code = response.status_code, response.headers.get("X-Error-Code")
    if status in {UNAUTHORISED, FORBIDDEN} and code != "RepoNotFound":
        return f"access is refused ({status}). {_fix_for_access(endpoint, is_token_sent)}"
    if status in {UNAUTHORISED, FORBIDDEN, NOT_FOUND}:
        return f"there is no such model at {endpoint}, or it is private. Check the id; for a private one set HF_TOKEN."
    if status == TOO_MANY:
        asked = retry_after_seconds(response.headers.get("Retry-After", ""))
        return f"too many requests (429). Wait {'some minutes' if asked is None else f'{asked} seconds'} and {KEPT}"
    return f"{endpoint} answered {status}, tried {tried} times. Wait some minutes and {KEPT}"
