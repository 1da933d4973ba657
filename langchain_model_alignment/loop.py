"""Sync over async: one background event loop per process, and runnables that serve both forms.

Everything in this library is written once, as a coroutine. `run_sync` runs it from sync code, also from a
notebook cell whose own event loop is already running.
"""

import asyncio
import concurrent.futures
import contextvars
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar, get_type_hints

from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda
from langchain_core.runnables.config import ensure_config
from pydantic import BaseModel, Field, create_model
from typing_extensions import is_typeddict

__all__ = ["GraphNode", "make_runnable", "run_sync"]

T = TypeVar("T")
In = TypeVar("In")
Out = TypeVar("Out")

_EXECUTOR_WIDTH = 64
_TICK = 0.5  # seconds after which a waiting thread looks for Ctrl-C where the system does not wake it
_GRACE = 2.0  # seconds an interrupted task gets for its cleanup before Ctrl-C goes on

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_thread: threading.Thread | None = None


def _forget() -> None:
    """A forked child has the loop's memory but not its thread: start afresh there."""
    global _lock, _loop, _thread
    _lock, _loop, _thread = threading.Lock(), None, None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    while True:
        try:
            loop.run_forever()
        except (KeyboardInterrupt, SystemExit):  # raised inside a task, and already handed to its waiter
            continue
        return


def _background_loop() -> asyncio.AbstractEventLoop:
    global _loop, _thread
    with _lock:
        if _loop is None or _thread is None or not _thread.is_alive():
            _loop = asyncio.new_event_loop()
            _loop.set_default_executor(
                concurrent.futures.ThreadPoolExecutor(_EXECUTOR_WIDTH, thread_name_prefix="alignment-work")
            )
            _thread = threading.Thread(target=_serve, args=(_loop,), name="alignment-loop", daemon=True)
            _thread.start()
        return _loop


def _hand_over(task: asyncio.Task[T], outcome: "concurrent.futures.Future[T]") -> None:
    if task.cancelled():
        outcome.set_exception(asyncio.CancelledError())
    elif (error := task.exception()) is not None:
        outcome.set_exception(error)
    else:
        outcome.set_result(task.result())


def run_sync(coro: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end from sync code.

    The coroutine runs on one background thread that all sync calls of the process share, with the caller's
    context variables. It works while an event loop is running on the calling thread. Ctrl-C cancels the task
    and is raised again.

    Args:
        coro: The coroutine; it has not been awaited yet.

    Returns:
        What the coroutine returns.

    Raises:
        RuntimeError: Called from a coroutine that itself runs on the background loop, where waiting would never end.

    Example:
        >>> async def double(number):
        ...     return 2 * number
        >>> run_sync(double(21))
        42
    """
    if threading.current_thread() is _thread:
        coro.close()
        raise RuntimeError("A sync method was called inside a coroutine of this library; await its async form instead.")
    loop = _background_loop()
    outcome: concurrent.futures.Future[T] = concurrent.futures.Future()
    context = contextvars.copy_context()
    tasks: list[asyncio.Task[T]] = []

    def start() -> None:
        task = loop.create_task(coro, context=context)
        tasks.append(task)
        task.add_done_callback(lambda done: _hand_over(done, outcome))

    def cancel() -> None:
        for task in tasks:
            task.cancel()

    loop.call_soon_threadsafe(start)
    try:
        while not outcome.done():
            concurrent.futures.wait([outcome], timeout=_TICK)
    except BaseException:  # the wait was interrupted, not the work
        loop.call_soon_threadsafe(cancel)
        concurrent.futures.wait([outcome], timeout=_GRACE)
        raise
    return outcome.result()


def make_runnable(
    afunc: Callable[[In, RunnableConfig], Awaitable[Out]],
    *,
    name: str,
    input_type: Any,
    output_type: Any,
    func: Callable[[In, RunnableConfig], Out] | None = None,
) -> Runnable[In, Out]:
    """Make a Runnable whose sync and async forms behave the same out of one coroutine function.

    Args:
        afunc: Takes the input and the config, which it passes on to every call it makes.
        name: The name in traces.
        input_type: What goes in, for schemas: a pydantic model, a TypedDict or any type.
        output_type: What comes out, likewise.
        func: The sync form, where it is not the coroutine run to its end: it uses something that has a sync form only.

    Returns:
        The Runnable.

    Example:
        >>> async def shout(text, config):
        ...     return text.upper()
        >>> make_runnable(shout, name="shout", input_type=str, output_type=str).invoke("hello")
        'HELLO'
    """

    async def call(value: In, config: RunnableConfig) -> Out:
        return await afunc(value, config)

    def call_sync(value: In, config: RunnableConfig) -> Out:
        return run_sync(call(value, config)) if func is None else func(value, config)

    # LangChain reads the schemas off the function. It forgets those of `with_types` at the next `with_retry`.
    types = {"value": _shown_as(input_type), "config": RunnableConfig, "return": _shown_as(output_type)}
    call_sync.__annotations__ = types
    runnable: RunnableLambda[In, Out] = RunnableLambda(call_sync, afunc=call, name=name)
    return runnable.with_config()  # a binding, which has `configurable_alternatives`; a bare function has not


class GraphNode(Runnable[In, Out]):
    """A node of a graph out of one coroutine function, for `invoke` and `ainvoke` alike.

    LangGraph traces each node; what `make_runnable` makes would be traced once more inside it, under the same name.
    """

    def __init__(
        self,
        afunc: Callable[[In, RunnableConfig], Coroutine[Any, Any, Out]],
        *,
        name: str,
        func: Callable[[In, RunnableConfig], Out] | None = None,
    ) -> None:
        """Make the node.

        Args:
            afunc: Takes the state and the config.
            name: What the node is called outside a graph.
            func: The sync form, where it is not the coroutine run to its end.
        """
        self.name, self._afunc, self._func = name, afunc, func

    def invoke(self, input: In, config: RunnableConfig | None = None, **kwargs: Any) -> Out:
        """Run the step from sync code."""
        config = ensure_config(config)
        return run_sync(self._afunc(input, config)) if self._func is None else self._func(input, config)

    async def ainvoke(self, input: In, config: RunnableConfig | None = None, **kwargs: Any) -> Out:
        """Run the step."""
        return await self._afunc(input, ensure_config(config))


def _shown_as(kind: Any) -> Any:
    """Return the pydantic model of a TypedDict, whose schema then names its properties; any other type as it is."""
    if not is_typeddict(kind):
        return kind
    # A column of a table may be called "json", "_id" or "my text", and a field may not: there the key is an alias.
    hints, fields = get_type_hints(kind), dict[str, Any]()
    for number, (key, hint) in enumerate(hints.items()):
        name = key if _may_be_field(key) else f"key_{number}"
        while name != key and name in hints:
            name += "_"
        default: Any = ... if key in kind.__required_keys__ else None
        fields[name] = (hint, Field(default, alias=None if name == key else key))
    return create_model(kind.__name__, __doc__=kind.__doc__, **fields)


def _may_be_field(key: str) -> bool:
    """Whether a model can have a field of this name, by which LangServe hands its value on."""
    return key.isidentifier() and not key.startswith(("_", "model_")) and not hasattr(BaseModel, key)
