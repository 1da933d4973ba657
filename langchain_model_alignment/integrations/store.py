"""A library of constitutions in a LangGraph store: named, versioned, and safe from one writer undoing another."""

import asyncio
import threading
import time
import uuid
from collections.abc import Generator, Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any, TypeVar, cast
from urllib.parse import unquote
from weakref import WeakKeyDictionary

from langgraph.store.base import BaseStore, GetOp, ListNamespacesOp, MatchCondition, PutOp, SearchItem, SearchOp

from langchain_model_alignment.constitution import Constitution, digest
from langchain_model_alignment.errors import ArtifactError, ConfigurationError, ConflictError
from langchain_model_alignment.feedback.records import AlignedPrompt
from langchain_model_alignment.integrations.entries import (
    Entry,
    as_entry,
    as_value,
    conflict,
    label_of,
    number_in,
    only_one,
)

__all__ = ["ConstitutionLibrary", "Entry"]

T = TypeVar("T")
Steps = Generator[Any, Any, T]
"""Yields operations for a store, or seconds to wait, and is sent their results: one text for sync and async."""

_ALL = 1_000_000
_PAGE = 32  # versions that stand together in the store, and are loaded to find the newest
_PAUSE = 0.02  # seconds between two looks at who else is writing
_PATIENCE = 10.0  # seconds a writer tries before it gives way
_ABANDONED = 60.0  # seconds after which a claim belongs to a writer that died; far above a live one's patience
_PROCESS = uuid.uuid4().hex
_attempts = count()
# One call at a time from the threads of a process: the store in memory is not made for several.
_locks: WeakKeyDictionary[BaseStore, threading.Lock] = WeakKeyDictionary()


class ConstitutionLibrary:
    """Constitutions under names, every version kept, in any LangGraph store.

    The sync methods use the store's sync methods and the async ones its async methods, so an async store wants the
    async ones.

    Example:
        >>> from langgraph.store.memory import InMemoryStore
        >>> library = ConstitutionLibrary(InMemoryStore())
        >>> library.put("tone", Constitution.of("Be kind."), author="Ann")
        1
        >>> library.put("tone", Constitution.of("Be kind.", "Be brief."), expected=1, author="Bo")
        2
        >>> library.get("tone", 1).render(), library.names(), [e.author for e in library.versions("tone")]
        ('- Be kind.', ['tone'], ['Ann', 'Bo'])
    """

    def __init__(self, store: BaseStore, namespace: Sequence[str] = ("constitutions",)) -> None:
        """Make the library.

        Args:
            store: Where the constitutions are.
            namespace: Where in the store.

        Raises:
            ConfigurationError: LangGraph does not take such a namespace.
        """
        namespace = (namespace,) if isinstance(namespace, str) else tuple(namespace)
        if not namespace or namespace[0] == "langgraph" or any(not n or {*n} & {*".*\0"} for n in namespace):
            raise ConfigurationError(
                f"The namespace {namespace!r} cannot be used in a store; give one or more non-empty labels without "
                '".", "*" and NUL, of which the first is not "langgraph".'
            )
        self._store, self._lock = store, _locks.setdefault(store, threading.Lock())
        self._entries, self._claims, self._heads = ((*namespace, part) for part in ("entries", "claims", "heads"))

    def put(
        self, name: str, constitution: Constitution, *, expected: int = 0, author: str = "", reason: str = ""
    ) -> int:
        """Write the next version.

        Args:
            name: Any text that is not blank, without NUL.
            constitution: What to write.
            expected: The version that was read and is to be followed; 0 for a name that is new.
            author: Who writes.
            reason: Why, for whoever reads the versions.

        Returns:
            The number of the version written.

        Raises:
            ConflictError: Another version is the newest by now; nothing is written.
            ConfigurationError: The name is blank, or a text is none that can be stored.
        """
        return self._run(self._put(name, constitution, expected, author, reason))

    async def aput(
        self, name: str, constitution: Constitution, *, expected: int = 0, author: str = "", reason: str = ""
    ) -> int:
        """Write the next version; the async twin of `put`."""
        return await self._arun(self._put(name, constitution, expected, author, reason))

    def rollback(self, name: str, to: int, *, author: str = "", reason: str = "") -> int:
        """Write an earlier version once more, as the newest one; those between stay where they are.

        Args:
            name: The name it was put under.
            to: The version to go back to.
            author: Who goes back.
            reason: Why, for whoever reads the versions.

        Returns:
            The number of the version written.

        Raises:
            ArtifactError: There is no such name or version.
            ConflictError: Somebody else wrote in the meantime.
        """
        return self._run(self._rollback(name, to, author, reason))

    async def arollback(self, name: str, to: int, *, author: str = "", reason: str = "") -> int:
        """Write an earlier version once more; the async twin of `rollback`."""
        return await self._arun(self._rollback(name, to, author, reason))

    def get(self, name: str, version: int | None = None) -> Constitution:
        """Return a constitution; see `entry`."""
        return self.entry(name, version).constitution

    async def aget(self, name: str, version: int | None = None) -> Constitution:
        """Return a constitution; the async twin of `get`."""
        return (await self.aentry(name, version)).constitution

    def entry(self, name: str, version: int | None = None) -> Entry:
        """Return a constitution with its version, author, reason and time.

        Args:
            name: The name it was put under.
            version: Which version; the newest, when absent.

        Raises:
            ArtifactError: There is no such name or version, or a newer release wrote it.
            ConflictError: The store let two writers write this version.
        """
        return self._run(self._entry(name, version))

    async def aentry(self, name: str, version: int | None = None) -> Entry:
        """Return a constitution with its version; the async twin of `entry`."""
        return await self._arun(self._entry(name, version))

    def newest(self, name: str) -> Entry | None:
        """Return the newest version of a constitution; None where there is no such name; else see `entry`."""
        return self._run(self._newest(name))

    async def anewest(self, name: str) -> Entry | None:
        """Return the newest version; the async twin of `newest`."""
        return await self._arun(self._newest(name))

    def names(self) -> list[str]:
        """Return the names in the library, sorted."""
        return self._run(self._names())

    async def anames(self) -> list[str]:
        """Return the names in the library; the async twin of `names`."""
        return await self._arun(self._names())

    def versions(self, name: str) -> list[Entry]:
        """Return all versions, oldest first; none for an unknown name.

        Raises:
            ArtifactError: A newer release wrote one of them.
        """
        return self._run(self._versions(name))

    async def aversions(self, name: str) -> list[Entry]:
        """Return all versions; the async twin of `versions`."""
        return await self._arun(self._versions(name))

    def apply_to(self, aligned: AlignedPrompt, name: str, version: int | None = None) -> AlignedPrompt:
        """Return a prompt with the principles of a constitution added as one revision; see `Entry.apply_to`."""
        return self.entry(name, version).apply_to(aligned)

    async def aapply_to(self, aligned: AlignedPrompt, name: str, version: int | None = None) -> AlignedPrompt:
        """Return a prompt with principles added; the async twin of `apply_to`."""
        return (await self.aentry(name, version)).apply_to(aligned)

    # -- written once, for both forms --------------------------------------------------------------------------

    def _put(self, name: str, constitution: Constitution, expected: int, author: str, reason: str) -> Steps[int]:
        label, now = label_of(name), datetime.now(UTC).isoformat(timespec="seconds")
        entry = Entry(
            name=name, version=expected + 1, constitution=constitution, author=author, reason=reason, time=now
        )
        value = as_value(entry)
        written = yield from self._last(name)
        newest = written[-1].version if written else 0
        if newest < expected:
            raise ConflictError(
                f'"{name}" has {newest or "no"} versions, so none can follow version {expected}; put with '
                f"expected={newest}."
            )
        if newest > expected:
            raise conflict(name, expected, written)
        # A store has no compare-and-set. So a writer first claims the version under a key of its own, and writes only
        # after a look that finds nobody else's claim or entry. Of two writers, the one that looks last has the other's
        # claim or entry before its eyes, so at most one goes on; the smaller key stays and the other steps back, so
        # one does. No entry is ever overwritten.
        claims, claim = (*self._claims, label), digest([value, _PROCESS, next(_attempts)])
        held, until = False, time.monotonic() + _PATIENCE
        try:
            while True:
                # Claims before entries: one that turned into an entry between the two looks is then seen as that.
                rivals = [key for key in (yield from self._claimed(claims, entry.version)) if key != claim]
                written = yield from self._versions(name, entry.version)
                if written or time.monotonic() > until:
                    raise conflict(name, expected, written)
                if held and not rivals:
                    yield from self._write(label, claim, entry, value)
                    yield PutOp(self._heads, label, {"version": entry.version}, index=False)
                    return entry.version
                if held and min(rivals) < claim:
                    yield PutOp(claims, claim, None)
                    held = False
                elif not held and not rivals:
                    held = True
                    yield PutOp(claims, claim, {"version": entry.version, "at": time.time()}, index=False)
                    continue
                yield _PAUSE
        finally:
            if held:
                yield PutOp(claims, claim, None)

    def _rollback(self, name: str, to: int, author: str, reason: str) -> Steps[int]:
        back, newest = (yield from self._entry(name, to)), (yield from self._entry(name, None))
        number = max(back.constitution.next_number, newest.constitution.next_number)  # no id is ever given twice
        constitution = back.constitution.model_copy(update={"next_number": number})
        reason = reason or f"back to version {to}"
        return (yield from self._put(name, constitution, newest.version, author, reason))

    def _write(self, label: str, claim: str, entry: Entry, value: dict[str, Any]) -> Steps[None]:
        key = f"{entry.version:08d}.{claim}"
        page = self._page(label, entry.version)
        yield PutOp(page, key, value, index=False)
        written = yield from _search(self._page(label, 0), entry.version)
        if others := [as_entry(item.value, entry.name) for item in written if item.key != key]:
            # Only after a minute's sleep between the look and the writing, or in a store that shows old data.
            yield PutOp(page, key, None)
            raise conflict(entry.name, entry.version - 1, others)

    def _claimed(self, claims: tuple[str, ...], version: int) -> Steps[list[str]]:
        items = yield from _search(claims, version)
        return [item.key for item in items if item.value["at"] > time.time() - _ABANDONED]

    def _versions(self, name: str, version: int | None = None) -> Steps[list[Entry]]:
        items = yield from _search(self._page(label_of(name), 0), version)
        return [as_entry(item.value, name) for item in sorted(items, key=lambda item: item.key)]

    def _newest(self, name: str) -> Steps[Entry | None]:
        return only_one((yield from self._last(name)))

    def _last(self, name: str) -> Steps[list[Entry]]:
        """The entries of the newest version: none, one, or two where the store let two writers write it."""
        # The head tells which page to load, so that a long history is not. It may be behind, where its writer died or
        # was overtaken, so a full page is followed by a look at the next one. Without a head all pages are loaded.
        label, last = label_of(name), list[SearchItem]()
        head = yield GetOp(self._heads, label)
        page = yield from _search(self._page(label, head.value["version"] if head else 0), None)
        if head and not page:  # somebody took versions out of the store
            page = yield from _search(self._page(label, 0), None)
        while page:
            number = max(number_in(item.key) for item in page)
            last = [item for item in page if number_in(item.key) == number]
            following = number + 1
            page = [] if following % _PAGE else (yield from _search(self._page(label, following), None))
        return [as_entry(item.value, name) for item in last]

    def _page(self, label: str, version: int) -> tuple[str, ...]:
        """Where a version stands; a search on the first page finds all pages, since they are below it."""
        number = version // _PAGE
        return (*self._entries, label, *([f"{number:06d}"] if number else []))

    def _entry(self, name: str, version: int | None) -> Steps[Entry]:
        if version is None:
            found = yield from self._newest(name)
        else:
            found = only_one((yield from self._versions(name, version)))
        if found is None:
            names = yield from self._names()
            here = f"it has {', '.join(names[:10])}" if names else "it is empty"
            what = f'"{name}"' if version is None else f'version {version} of "{name}"'
            raise ArtifactError(f"There is no {what} in the library; {here}.")
        return found

    def _names(self) -> Steps[list[str]]:
        depth = len(self._entries) + 1
        here = (MatchCondition(match_type="prefix", path=self._entries),)
        found = yield ListNamespacesOp(match_conditions=here, max_depth=depth, limit=_ALL)
        return sorted({unquote(path[-1]) for path in found if len(path) == depth})

    # -- run as sync and as async ------------------------------------------------------------------------------

    def _run(self, steps: Steps[T]) -> T:
        result, error = None, None
        while True:
            try:
                step = steps.throw(error) if error is not None else steps.send(result)
            except StopIteration as done:
                return cast(T, done.value)
            result, error = None, None
            try:
                if isinstance(step, float):
                    time.sleep(step)
                else:
                    with self._lock:
                        result = self._store.batch([step])[0]
            except BaseException as failed:  # noqa: BLE001  # handed to the steps, which clean up and raise it again
                error = failed

    async def _arun(self, steps: Steps[T]) -> T:
        result, error = None, None
        while True:
            try:
                step = steps.throw(error) if error is not None else steps.send(result)
            except StopIteration as done:
                return cast(T, done.value)
            result, error = None, None
            try:
                if isinstance(step, float):
                    await asyncio.sleep(step)
                else:
                    result = (await self._store.abatch([step]))[0]
            except BaseException as failed:  # noqa: BLE001  # handed to the steps, which clean up and raise it again
                error = failed


def _search(place: tuple[str, ...], version: int | None) -> Steps[list[SearchItem]]:
    only = None if version is None else {"version": version}
    while True:
        try:
            found: list[SearchItem] = yield SearchOp(place, filter=only, limit=_ALL)
        except RuntimeError as error:  # the store in memory, when a thread writes while a coroutine reads
            if "during iteration" not in str(error):
                raise
        else:
            return [item for item in found if tuple(item.namespace[: len(place)]) == place]
