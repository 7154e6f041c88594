"""Why something was not downloaded. Of what a server sends, only addresses are shown, as `repr`."""


class DownloadFailed(RuntimeError):
    """Something could not be downloaded. The message is one line: why, and the fix, without the address asked for."""


class AddressRefused(DownloadFailed):
    """An address from which nothing is fetched, or a redirect to one."""


class AnswerRefused(DownloadFailed):
    """An answer that is larger than its limit, compressed, or not what was asked for. Another try would not help."""


class Stopped(DownloadFailed):
    """The time for all downloads is over, or a person has ended them."""


class AnswerBroken(DownloadFailed):
    """A body that ended early, or is not the range that was asked for. The request is tried again."""
