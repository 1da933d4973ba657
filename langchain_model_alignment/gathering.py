"""Work on many things side by side, a bounded number at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

__all__ = ["gather_from"]

S = TypeVar("S")
T = TypeVar("T")


async def gather_from(source: Iterable[S], work: Callable[[S], Awaitable[T]], width: int) -> list[T]:
    """Work on what a source yields, `width` things at a time, and return the results in the order of the source.

    Each thing is taken out of the source when somebody is free to work on it, so a source that reads a file holds no
    more than `width` of its rows. After the first failure nothing new is begun, and it is raised when what is in
    flight, which is paid for, is done.

    Args:
        source: What to work on; its own failure counts as one.
        work: Does it.
        width: How many at a time.

    Returns:
        The results.

    Example:
        >>> async def double(number):
        ...     return 2 * number
        >>> asyncio.run(gather_from(range(3), double, width=2))
        [0, 2, 4]
    """
    results: list[Any] = []
    failed: list[Exception] = []
    left = iter(source)

    async def worker() -> None:
        try:
            for thing in left:
                at = len(results)
                results.append(None)
                results[at] = await work(thing)
                if failed:
                    return
        except Exception as error:  # noqa: BLE001 (raised below, when the others have finished their call)
            failed.append(error)

    async with asyncio.TaskGroup() as group:
        for _ in range(width):
            if failed:
                break
            group.create_task(worker())
    if failed:
        raise failed[0]
    return results
