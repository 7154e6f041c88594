"""A card belongs to one process at a time, by a kernel lock on a file of its own, until the process ends.

Two processes then never share a card by accident, whatever their environment says of indices: a card is known by its
uuid. Imports no torch.
"""

import fcntl
import logging
import os
import re
import time
from collections.abc import Sequence
from pathlib import Path

LOG = logging.getLogger(__name__)
FOLDERS = (Path("/run/lock"), Path("/tmp"))  # noqa: S108 - both exist for files of many users; nothing is read of one
"""Where locks are: the first that is there, for every process of the machine the same."""
POLL_SECONDS = 1.0
SAY_SECONDS = 60.0

_held: dict[str, int] = {}
"""File descriptor of each card that this process holds, by its uuid."""


def take_card(uuids: Sequence[str], among: Sequence[int], *, may_share: bool = False) -> int:
    """Takes one card of several, the first that no other process holds; returns its index.

    A card that this process holds already is taken again. If other processes hold all, it waits until one ends.

    Args:
        uuids: of the machine's cards, by index.
        among: the indices to choose among.
        may_share: whether the first of them is used although another process holds it.
    """
    held = [index for index in among if uuids[index] in _held]
    if held:
        return held[0]
    said = 0.0
    while True:
        for index in among:
            if _try_hold(uuids[index]):
                return index
        if may_share:
            return among[0]
        if time.monotonic() - said >= SAY_SECONDS:
            said = time.monotonic()
            names = ", ".join(str(_path_of(uuids[index])) for index in among)
            LOG.warning(
                f"every CUDA device is in use by another process of Atlas ({names}); waiting until one ends. "
                f"ATLAS_CUDA_DEVICE=<index> in the environment shares a device on purpose"
            )
        time.sleep(POLL_SECONDS)


def take_all(uuids: Sequence[str], indices: Sequence[int]) -> None:
    """Takes several cards, in order of their uuids, so that two processes that want several never wait for each other.

    Args:
        uuids: of the machine's cards, by index.
        indices: which.
    """
    for index in sorted(indices, key=lambda one: uuids[one]):
        take_card(uuids, [index])


def _path_of(uuid: str) -> Path:
    folder = next((one for one in FOLDERS if one.is_dir()), FOLDERS[-1])
    return folder / f"atlas-cuda-{re.sub(r'[^0-9A-Za-z-]', '_', uuid)}.lock"


def _try_hold(uuid: str) -> bool:
    """Whether this process holds the card now. A card whose lock cannot be made is used without one, with a warning."""
    try:
        lock = _open(_path_of(uuid))
    except OSError as error:
        LOG.warning(f"other processes may use the same CUDA device: its lock cannot be made: {error}")
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return False
    _held[uuid] = lock
    return True


def _open(path: Path) -> int:
    """Opens a lock for reading, which is enough to hold it: another user's file, too. Follows no link."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        # Not O_CREAT on a file that is there: Linux refuses that for another user's file in a folder like /tmp.
        try:
            return os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            return os.open(path, flags)


def held() -> list[str]:
    """The uuids of the cards that this process holds."""
    return list(_held)


def give_back() -> None:
    """Gives every card of this process to others. Models that are loaded must not be used any more."""
    for lock in _held.values():
        os.close(lock)
    _held.clear()


os.register_at_fork(after_in_child=give_back)  # the parent keeps its cards, since it holds the same locks
