"""Computing results on threads before their consumer asks for them, in order and with bounded memory."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

THREADS = 2

Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead(
    function: Callable[[Item], Result], items: Iterable[Item], depth: int, threads: int = THREADS
) -> Generator[Result, None, None]:
    """Yields `function(item)` for each item, in order. The function runs on threads.

    An exception of the function is raised when its item's turn comes. Closing the generator cancels what has not begun.

    Args:
        function: called once for each item.
        items: read on the caller's thread.
        depth: most results that are begun and not yet yielded.
        threads: their number.
    """
    with ThreadPoolExecutor(threads, thread_name_prefix="ahead") as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= depth:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
