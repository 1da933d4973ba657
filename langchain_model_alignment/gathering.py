"""Work on many things side by side, a bounded number at a time."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import Any, TypeVar

__all__ = ["gather_from", "stream_from"]

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


async def stream_from(
    source: Iterable[S], work: Callable[[S], Awaitable[T]], width: int, ahead: int = 1024
) -> AsyncGenerator[list[T], None]:
    """Work on what a source yields, `width` things at a time, and hand the results out in the order of the source.

    Unlike `gather_from` it never holds more than `ahead` things, however long the source is: where one takes long, the
    others wait when they are so far ahead of it. After the first failure nothing new is begun; it is raised when what
    is in flight is done and the results before it are handed out. Closed early, it cancels what is in flight.

    Args:
        source: What to work on; its own failure counts as one.
        work: Does it.
        width: How many at a time.
        ahead: How many things are held at most, those in flight and those done among them.

    Yields:
        The next results, as many as there are.

    Example:
        >>> async def double(number):
        ...     return 2 * number
        >>> async def main():
        ...     return [number async for some in stream_from(range(3), double, width=2) for number in some]
        >>> asyncio.run(main())
        [0, 2, 4]
    """
    left, begun, given, working = iter(source), 0, 0, min(width, ahead)
    results: dict[int, T] = {}
    failed: list[Exception] = []
    news, room = asyncio.Event(), asyncio.Event()

    async def worker() -> None:
        nonlocal begun, working
        try:
            for thing in left:
                at, begun = begun, begun + 1
                results[at] = await work(thing)
                news.set()
                while begun - given >= ahead and not failed:
                    room.clear()
                    await room.wait()
                if failed:
                    return
        except Exception as error:  # noqa: BLE001 (raised below, when the others have finished their call)
            failed.append(error)
        finally:
            working -= 1
            news.set()
            room.set()

    workers = [asyncio.create_task(worker()) for _ in range(working)]
    try:
        while True:
            last = not working
            ready = []
            while given in results:
                ready.append(results.pop(given))
                given += 1
            if ready:
                room.set()
                yield ready
            elif last:
                break
            else:
                news.clear()
                await news.wait()
        if failed:
            raise failed[0]
    finally:
        for task in workers:
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
