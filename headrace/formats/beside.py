"""Work of formats on the cores that are free: blocks are decoded ahead of their reader, columns side by side.

The order of what is read or written is that of one core, and so are the errors. Threads take turns where there is one
core only, or where the task's memory is scarce.
"""

import functools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

from headrace.connector import TaskContext
from headrace.rows import TARGET_BYTES

Item = TypeVar("Item")
Found = TypeVar("Found")

FEW_ROWS = 8192
"""With fewer, handing columns to other threads takes longer than it saves."""


AHEAD = 2
"""Items under way at once, whatever the cores: each is memory."""


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0))


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(cores(), "headrace-format")


os.register_at_fork(after_in_child=_threads.cache_clear)  # threads stay behind in the parent


def ahead(items: Iterable[Item], work: Callable[[Item], Found], task: TaskContext) -> Iterator[tuple[Item, Found]]:
    """Each item with what comes of it, in their order; the next ones are worked on meanwhile.

    work: is called on other threads, of several items at once. An error comes where it would come without them.
    """
    if cores() == 1 or task.batch_bytes < TARGET_BYTES:
        for item in items:
            yield item, work(item)
        return
    under_way: deque[tuple[Item, Future[Found]]] = deque()
    source, is_more = iter(items), True
    problem: Exception | None = None
    try:
        while is_more or under_way:
            while is_more and len(under_way) < AHEAD:
                try:
                    item = next(source)
                except StopIteration:
                    is_more = False
                except Exception as error:  # its place is behind what is under way
                    is_more, problem = False, error
                else:
                    under_way.append((item, _threads().submit(work, item)))
            if under_way:
                item, future = under_way.popleft()
                yield item, future.result()
    finally:
        for _, future in under_way:
            future.cancel()
        wait([future for _, future in under_way])
    if problem is not None:
        raise problem


def each(work: Callable[[Item], Found], columns: Sequence[Item], rows: int) -> list[Found]:
    """What comes of each column. rows: how many there are in a column."""
    if rows < FEW_ROWS or len(columns) < 2 or cores() == 1:
        return [work(column) for column in columns]
    return list(_threads().map(work, columns))
