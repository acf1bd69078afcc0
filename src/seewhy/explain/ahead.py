"""Work done in threads ahead of whoever reads it, in order, and no further ahead than stated."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def ahead(work: Callable[[int], T], count: int, workers: int, at_most: int) -> Generator[T, None, None]:
    """``work(0)``, ``work(1)`` … ``work(count - 1)``, at most ``at_most`` of them begun or held beyond the last read.

    Close the generator (``contextlib.closing``) to end early: what has begun is waited for, the rest is never begun.

    Example:
        >>> list(ahead(lambda position: position**2, count=4, workers=2, at_most=3))
        [0, 1, 4, 9]
    """
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="prepare") as pool:
        try:
            for position in range(count):
                waiting.append(pool.submit(work, position))
                if len(waiting) >= at_most:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
