"""A library of constitutions in a LangGraph store: versions kept, writers told, nothing undone in silence."""

import asyncio
import inspect
import re
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from langgraph.store.base import BaseStore, Op, PutOp, Result
from langgraph.store.memory import InMemoryStore
from langgraph.store.sqlite import AsyncSqliteStore, SqliteStore

from langchain_model_alignment import ConstitutionLibrary
from langchain_model_alignment.constitution import Add, Constitution, Set
from langchain_model_alignment.errors import ArtifactError, ConfigurationError, ConflictError
from langchain_model_alignment.feedback.records import AlignedPrompt
from langchain_model_alignment.integrations import store as store_module
from langchain_model_alignment.integrations.store import Entry

ODD_NAMES = ["tone", "a.b", "a/b", "..", "Größe 中文 😀", "*", "%2E", "langgraph", "x" * 300, "a\nb"]


@contextmanager
def in_memory(_: Path) -> Iterator[BaseStore]:
    yield InMemoryStore()


@contextmanager
def in_sqlite(path: Path) -> Iterator[BaseStore]:
    with SqliteStore.from_conn_string(str(path / "store.sqlite")) as store:
        store.setup()
        yield store


@asynccontextmanager
async def async_in_memory(_: Path) -> AsyncIterator[BaseStore]:
    yield InMemoryStore()


@asynccontextmanager
async def async_in_sqlite(path: Path) -> AsyncIterator[BaseStore]:
    async with AsyncSqliteStore.from_conn_string(str(path / "store.sqlite")) as store:
        await store.setup()
        yield store


@pytest.fixture(params=[in_memory, in_sqlite])
def library(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ConstitutionLibrary]:
    with request.param(tmp_path) as store:
        yield ConstitutionLibrary(store)


KIND, BRIEF = Constitution.of("Be kind."), Constitution.of("Be kind.", "Be brief.")


# -- versions --------------------------------------------------------------------------------------------------


def test_a_constitution_is_put_and_got(library: ConstitutionLibrary):
    assert library.put("tone", KIND) == 1
    assert library.get("tone") == KIND


def test_every_version_stays(library: ConstitutionLibrary):
    library.put("tone", KIND, author="Ann", reason="first")
    assert library.put("tone", BRIEF, expected=1, author="Bo", reason="too long") == 2
    assert (library.get("tone"), library.get("tone", 1)) == (BRIEF, KIND)
    told = [(e.version, e.constitution, e.author, e.reason) for e in library.versions("tone")]
    assert told == [(1, KIND, "Ann", "first"), (2, BRIEF, "Bo", "too long")]
    assert all(e.time.endswith("+00:00") for e in library.versions("tone"))


def test_an_entry_tells_the_version_it_is(library: ConstitutionLibrary):
    library.put("tone", KIND, author="Ann")
    entry = library.entry("tone")
    assert (entry.name, entry.version, entry.constitution, entry.author) == ("tone", 1, KIND, "Ann")
    assert library.put("tone", BRIEF, expected=entry.version) == 2


def test_the_names_are_sorted_and_the_versions_of_an_unknown_one_are_none(library: ConstitutionLibrary):
    assert library.names() == []
    library.put("tone", KIND)
    library.put("form", KIND)
    assert library.names() == ["form", "tone"]
    assert library.versions("none") == []


def test_ten_and_more_versions_stay_in_order(library: ConstitutionLibrary):
    for number in range(12):
        library.put("tone", Constitution.of(f"Rule {number}."), expected=number)
    assert [e.version for e in library.versions("tone")] == list(range(1, 13))
    assert library.get("tone").render() == "- Rule 11."


def test_the_newest_is_none_where_there_is_no_such_name(library: ConstitutionLibrary):
    assert library.newest("tone") is None
    for number in range(11):
        library.put("tone", Constitution.of(f"Rule {number}."), expected=number)
    entry = library.newest("tone")
    assert entry is not None
    assert (entry.version, entry.constitution.render()) == (11, "- Rule 10.")


class Counting(InMemoryStore):
    """Counts what is asked of it, and the items that it hands out."""

    asked = 0
    items = 0

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        results = super().batch(ops)
        self.asked += len(results)
        self.items += sum(len(result) if isinstance(result, list) else 1 for result in results if result is not None)
        return results


def a_long_history(store: BaseStore, versions: int) -> ConstitutionLibrary:
    library = ConstitutionLibrary(store)
    for number in range(versions):
        library.put("tone", Constitution.of(f"Rule {number + 1}."), expected=number)
    return library


@pytest.mark.parametrize("versions", [31, 32, 33, 63, 64, 65, 200])
def test_the_newest_of_a_long_history_costs_what_it_costs_in_a_short_one(versions: int):
    store = Counting()
    library = a_long_history(store, versions)
    store.asked = store.items = 0
    entry = library.newest("tone")
    assert entry is not None
    assert (entry.version, entry.constitution.render()) == (versions, f"- Rule {versions}.")
    assert store.asked <= 3
    assert store.items <= 33  # a page and the head, however long the history
    assert [e.version for e in library.versions("tone")] == list(range(1, versions + 1))
    assert library.names() == ["tone"]


@pytest.mark.parametrize("head", [1, 31, 32, 63, None, 500])
def test_the_newest_is_found_where_the_head_is_behind_or_missing_or_wrong(head: int | None):
    store = InMemoryStore()
    library = a_long_history(store, 100)
    store.put(("constitutions", "heads"), "tone", None if head is None else {"version": head})  # type: ignore[arg-type]
    assert library.get("tone").render() == "- Rule 100."
    assert library.put("tone", KIND, expected=100) == 101
    assert library.get("tone") == KIND


def test_a_history_that_was_written_before_there_were_pages_is_read_and_gone_on_with():
    store = InMemoryStore()
    library = a_long_history(store, 1)
    [item] = store.search(("constitutions", "entries"))
    store.delete(("constitutions", "heads"), "tone")
    for number in range(2, 71):
        store.put(item.namespace, f"{number:08d}.x", {**item.value, "version": number})
    assert library.entry("tone").version == 70
    assert library.put("tone", KIND, expected=70) == 71
    assert library.get("tone") == KIND
    assert library.entry("tone", 70).version == 70
    assert [e.version for e in library.versions("tone")] == list(range(1, 72))


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_name_may_be_any_text(library: ConstitutionLibrary, name: str):
    library.put(name, KIND)
    library.put(f"{name}2", BRIEF)
    assert library.get(name) == KIND
    assert library.names() == sorted([name, f"{name}2"])


@pytest.mark.parametrize("name", ["", " ", "\n", "\ud83d", "a\0b"])
def test_a_blank_or_broken_name_is_refused_in_one_sentence(library: ConstitutionLibrary, name: str):
    for ask in (lambda: library.put(name, KIND), lambda: library.get(name), lambda: library.versions(name)):
        with pytest.raises(ConfigurationError, match="no name for a constitution"):
            ask()


@pytest.mark.parametrize("namespace", [(), ("",), ("a.b",), ("langgraph",), ("a", "*"), ("a", "\0")])
def test_a_namespace_that_no_store_takes_is_refused(namespace: tuple[str, ...]):
    with pytest.raises(ConfigurationError, match="namespace"):
        ConstitutionLibrary(InMemoryStore(), namespace)


def test_two_libraries_in_one_store_keep_apart():
    store = InMemoryStore()
    ours, theirs = ConstitutionLibrary(store, ("teams", "a")), ConstitutionLibrary(store, ("teams", "ab"))
    ours.put("tone", KIND)
    assert theirs.names() == []
    assert theirs.put("tone", BRIEF) == 1
    assert ours.get("tone") == KIND


def test_what_is_not_there_is_answered_with_what_is(library: ConstitutionLibrary):
    with pytest.raises(ArtifactError, match=r'There is no "tone" in the library; it is empty\.'):
        library.get("tone")
    library.put("tone", KIND)
    with pytest.raises(ArtifactError, match=r'no "form" in the library; it has tone\.'):
        library.get("form")
    with pytest.raises(ArtifactError, match='no version 2 of "tone"'):
        library.get("tone", 2)


@pytest.mark.parametrize("odd", ["\ud83d", "\0"])
def test_what_not_every_store_can_keep_is_refused_and_nothing_is_written(library: ConstitutionLibrary, odd: str):
    refused = "'tone' cannot be stored: a text holds a NUL or half a character; take it out"
    with pytest.raises(ConfigurationError, match=refused):
        library.put("tone", Constitution.of(f"broken {odd}"))
    with pytest.raises(ConfigurationError, match=refused):
        library.put("tone", KIND, reason=f"as said {odd}")
    assert library.names() == []


@pytest.mark.parametrize("version", [2, 0, "1", None])
def test_a_value_of_another_version_is_refused(version: Any):
    store = InMemoryStore()
    library = ConstitutionLibrary(store)
    library.put("tone", KIND)
    change_what_is_stored(store, schema_version=version)
    with pytest.raises(ArtifactError, match=r'"tone" in the library has schema version .* update'):
        library.get("tone")


@pytest.mark.parametrize("change", [{"constitution": {"principles": []}}, {"version": "x"}, {"weights": 1}])
def test_a_damaged_value_is_refused(change: dict[str, Any]):
    store = InMemoryStore()
    library = ConstitutionLibrary(store)
    library.put("tone", KIND)
    change_what_is_stored(store, **change)
    with pytest.raises(ArtifactError, match='"tone" in the library'):
        library.get("tone")


def change_what_is_stored(store: BaseStore, **change: Any) -> None:
    [item] = store.search(("constitutions", "entries"))
    store.put(item.namespace, item.key, {**item.value, **change})


# -- writers that did not know of each other -------------------------------------------------------------------


def test_a_writer_that_read_an_older_version_is_told_who_wrote_since(library: ConstitutionLibrary):
    library.put("tone", KIND, author="Ann")
    library.put("tone", BRIEF, expected=1, author="Bo")
    with pytest.raises(ConflictError, match=r'Version 2 of "tone" was written by Bo at 2\S+, .* expected=2\.'):
        library.put("tone", KIND, expected=1)
    assert len(library.versions("tone")) == 2


def test_a_new_name_that_is_taken_meanwhile_is_a_conflict(library: ConstitutionLibrary):
    library.put("tone", KIND)
    with pytest.raises(ConflictError, match="written by somebody"):
        library.put("tone", BRIEF)
    assert library.get("tone") == KIND


def test_a_version_that_is_not_there_cannot_be_followed(library: ConstitutionLibrary):
    with pytest.raises(ConflictError, match="none can follow version 3"):
        library.put("tone", KIND, expected=3)
    assert library.names() == []


def test_of_many_threads_each_either_writes_a_version_or_is_told(library: ConstitutionLibrary):
    def write(number: int) -> str | None:
        text = f"Rule {number}."
        for _ in range(3):
            try:
                written = library.versions("tone")
                library.put("tone", Constitution.of(text), expected=len(written))
            except ConflictError:
                continue
            return text
        return None

    with ThreadPoolExecutor(8) as pool:
        done = [text for text in pool.map(write, range(16)) if text]
    entries = library.versions("tone")
    assert [e.version for e in entries] == list(range(1, len(done) + 1))
    assert sorted(e.constitution.principles[0].text for e in entries) == sorted(done)
    assert len(done) >= 3


def test_of_many_threads_with_the_same_expectation_exactly_one_writes(library: ConstitutionLibrary):
    def write(number: int) -> bool:
        try:
            return library.put("tone", Constitution.of(f"Rule {number}.")) == 1
        except ConflictError:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(write, range(8))) == 1
    assert len(library.versions("tone")) == 1


@pytest.mark.parametrize("opened", [async_in_memory, async_in_sqlite])
async def test_of_many_coroutines_each_that_tries_again_writes_a_version(opened: Callable[..., Any], tmp_path: Path):
    async with opened(tmp_path) as store:
        # One library each, as in so many processes.
        libraries = [ConstitutionLibrary(store) for _ in range(6)]

        async def write(number: int) -> None:
            while True:
                expected = len(await libraries[number].aversions("tone"))
                await asyncio.sleep(0)
                try:
                    await libraries[number].aput("tone", Constitution.of(f"Rule {number}."), expected=expected)
                except ConflictError:
                    continue
                return

        await asyncio.gather(*map(write, range(6)))
        entries = await libraries[0].aversions("tone")
    assert [e.version for e in entries] == [1, 2, 3, 4, 5, 6]
    assert sorted(e.constitution.render() for e in entries) == [f"- Rule {number}." for number in range(6)]


async def test_writers_over_two_connections_do_not_undo_each_other(tmp_path: Path):
    async with async_in_sqlite(tmp_path) as one, async_in_sqlite(tmp_path) as two:
        libraries = [ConstitutionLibrary(one), ConstitutionLibrary(two)]
        puts = (library.aput("tone", KIND) for library in libraries)
        results = await asyncio.gather(*puts, return_exceptions=True)
        assert len(await libraries[0].aversions("tone")) == 1
    assert sorted(type(result).__name__ for result in results) == ["ConflictError", "int"]


class Interrupting(InMemoryStore):
    """Runs something right before a put of an entry, as another process may."""

    meanwhile: Callable[[], object] | None = None
    where = "entries"

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        ops = list(ops)
        if self.meanwhile and any(isinstance(op, PutOp) and self.where in op.namespace and op.value for op in ops):
            meanwhile, self.meanwhile = self.meanwhile, None
            self.between(meanwhile)
        return super().batch(ops)

    def between(self, meanwhile: Callable[[], object]) -> None:
        # Another process has a lock of its own.
        lock, store_module._locks[self] = store_module._locks[self], store_module.threading.Lock()
        meanwhile()
        store_module._locks[self] = lock


def test_a_writer_that_slept_through_its_claim_takes_its_entry_back(monkeypatch: pytest.MonkeyPatch):
    store = Interrupting()
    library = ConstitutionLibrary(store)

    def meanwhile() -> None:
        monkeypatch.setattr(store_module, "_ABANDONED", -1.0)
        ConstitutionLibrary(store).put("tone", BRIEF, author="Bo")

    store.meanwhile = meanwhile
    with pytest.raises(ConflictError, match='Version 1 of "tone" was written by Bo'):
        library.put("tone", KIND)
    assert [e.author for e in library.versions("tone")] == ["Bo"]


def test_a_version_written_between_the_look_and_the_claim_is_a_conflict():
    store = Interrupting()
    store.where = "claims"
    library = ConstitutionLibrary(store)
    store.meanwhile = lambda: ConstitutionLibrary(store).put("tone", BRIEF, author="Bo")
    with pytest.raises(ConflictError, match="by Bo"):
        library.put("tone", KIND)
    assert library.get("tone") == BRIEF


def test_a_version_that_was_written_twice_is_reported_and_can_be_followed():
    store = InMemoryStore()
    library = ConstitutionLibrary(store)
    library.put("tone", KIND, author="Ann")
    [item] = store.search(("constitutions", "entries"))
    store.put(item.namespace, "00000001.zz", {**item.value, "author": "Bo"})
    with pytest.raises(ConflictError, match=r'Version 1 of "tone" was written twice, by Ann .* and by Bo .*expected=1'):
        library.get("tone")
    assert [e.author for e in library.versions("tone")] == ["Ann", "Bo"]
    assert library.put("tone", BRIEF, expected=1) == 2
    assert library.get("tone") == BRIEF
    with pytest.raises(ConflictError, match="twice"):
        library.get("tone", 1)


# -- writers that died -----------------------------------------------------------------------------------------


def claim(store: BaseStore, key: str, at: float) -> None:
    store.put(("constitutions", "claims", "tone"), key, {"version": 1, "at": at})


@pytest.mark.parametrize("key", ["0", "z"])
def test_the_claim_of_a_writer_that_died_holds_nobody_up(key: str):
    store = InMemoryStore()
    claim(store, key, time.time() - 3600)
    assert ConstitutionLibrary(store).put("tone", KIND) == 1


@pytest.mark.parametrize("key", ["0", "z"])
def test_a_writer_gives_way_to_one_that_does_not_end(key: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(store_module, "_PATIENCE", 0.1)
    store = InMemoryStore()
    claim(store, key, time.time())
    library = ConstitutionLibrary(store)
    with pytest.raises(ConflictError, match="Somebody else is writing"):
        library.put("tone", KIND)
    assert library.names() == []
    assert [item.key for item in store.search(("constitutions", "claims"))] == [key]


class Failing(InMemoryStore):
    """Fails at the nth call."""

    fails_at = 0
    calls = 0

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        self.calls += 1
        if self.calls == self.fails_at:
            raise ConnectionError("gone")
        return super().batch(ops)

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        return self.batch(ops)


@pytest.mark.parametrize("call", range(1, 11))
@pytest.mark.parametrize("form", ["put", "aput"])
def test_a_store_that_fails_while_it_is_written_to_is_left_without_a_claim(call: int, form: str):
    store = Failing()
    store.fails_at = call
    library = ConstitutionLibrary(store)

    def write() -> None:
        result = getattr(library, form)("tone", KIND)
        asyncio.run(result)

    with pytest.raises(ConnectionError):
        write()
    assert store.search(("constitutions", "claims")) == []
    assert len(library.versions("tone")) in (0, 1)


class Rivalled(InMemoryStore):
    """Has another writer claim the same version at the same time."""

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        ops = list(ops)
        if isinstance(ops[0], PutOp) and ops[0].value and not self.search(("constitutions", "claims")):
            claim(self, "z", time.time())
        return await super().abatch(ops)


async def test_a_writer_that_is_cancelled_leaves_no_claim():
    store = Rivalled()
    task = asyncio.create_task(ConstitutionLibrary(store).aput("tone", KIND))
    await asyncio.sleep(0.05)
    assert len(store.search(("constitutions", "claims"))) == 2
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [item.key for item in store.search(("constitutions", "claims"))] == ["z"]


# -- into a prompt ---------------------------------------------------------------------------------------------


def test_a_constitution_is_put_into_a_prompt_as_one_revision(library: ConstitutionLibrary):
    house = Constitution.of("Do not use emojis.", "Be brief.", "Never shout.").apply(
        Set(id="p3", field="enabled", value=False)
    )
    house = house.apply(Add(text="Quote a source.", condition="asked for facts", group="form", reason="trust"))
    library.put("house", house, author="Ann")
    prompt = AlignedPrompt.from_prompt("Greet {name}.").commit([Add(text="Don't use emojis!")])
    learned = library.apply_to(prompt, "house")
    assert [(p.id, p.text, p.condition, p.group, p.reason) for p in learned.principles] == [
        ("p1", "Don't use emojis!", None, None, ""),
        ("p2", "Be brief.", None, None, ""),
        ("p3", "Quote a source.", "asked for facts", "form", "trust"),
    ]
    revision = learned.history.revisions[-1]
    assert (len(revision.edits), revision.reason, revision.author) == (2, 'from the library "house" version 1', "Ann")
    assert library.apply_to(learned, "house") is learned


# -- sync and async --------------------------------------------------------------------------------------------

WORK: dict[str, tuple[Any, ...]] = {
    "put": ("form", KIND),
    "get": ("tone",),
    "entry": ("tone", 1),
    "newest": ("tone",),
    "names": (),
    "rollback": ("tone", 1),
    "versions": ("tone",),
    "apply_to": (AlignedPrompt.from_prompt("x"), "tone"),
}


def told(result: Any) -> str:
    return re.sub(r"2\d{3}-\d\d-\d\dT[\d:+]+", "", str(result))


def test_every_method_has_an_async_twin():
    names = {n for n, _ in inspect.getmembers(ConstitutionLibrary, inspect.isfunction) if not n.startswith("_")}
    assert names == {*WORK, *(f"a{name}" for name in WORK)}


@pytest.mark.parametrize("name", sorted(WORK))
def test_an_async_twin_takes_the_same_parameters(name: str):
    sync, twin = (inspect.signature(getattr(ConstitutionLibrary, prefix + name)) for prefix in ("", "a"))
    assert list(sync.parameters.values()) == list(twin.parameters.values())
    assert sync.return_annotation == twin.return_annotation


@pytest.mark.parametrize("name", sorted(WORK))
@pytest.mark.parametrize("opened", [async_in_memory, async_in_sqlite])
async def test_sync_and_async_give_the_same(opened: Callable[..., Any], name: str, tmp_path: Path):
    library = ConstitutionLibrary(InMemoryStore())
    library.put("tone", KIND, author="Ann")
    async with opened(tmp_path) as store:
        twin = ConstitutionLibrary(store)
        await twin.aput("tone", KIND, author="Ann")
        result = await getattr(twin, f"a{name}")(*WORK[name])
    assert told(result) == told(getattr(library, name)(*WORK[name]))


def test_an_entry_cannot_be_changed_in_place():
    entry = Entry(name="tone", version=1, constitution=KIND)
    with pytest.raises(ValueError, match="frozen"):
        entry.version = 2  # type: ignore[misc]
