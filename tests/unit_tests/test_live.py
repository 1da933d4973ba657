"""A live prompt follows the library: a change holds at the next call, a pin stays, and a deletion is said."""

from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import Runnable
from langgraph.store.memory import InMemoryStore
from langgraph.store.sqlite import AsyncSqliteStore, SqliteStore

from langchain_model_alignment import AlignedPrompt, ConstitutionLibrary, create_live_prompt
from langchain_model_alignment.constitution import Add, Constitution
from langchain_model_alignment.errors import ArtifactError
from langchain_model_alignment.integrations import live as live_module
from tests.fakes import ScriptedChatModel

KIND, BRIEF = Constitution.of("Be kind."), Constitution.of("Be kind.", "Be brief.")
ASKED = {"name": "Ada"}


@pytest.fixture
def store() -> InMemoryStore:
    return InMemoryStore()


@pytest.fixture
def library(store: InMemoryStore) -> ConstitutionLibrary:
    library = ConstitutionLibrary(store)
    library.put("tone", KIND)
    return library


def text(live: Runnable[Any, Any], value: Any = None) -> str:
    return live.invoke(value or ASKED).to_messages()[0].text


def delete(store: InMemoryStore) -> None:
    for namespace in store.list_namespaces(limit=100):
        for item in store.search(namespace, limit=100):
            store.delete(namespace, item.key)


async def test_a_change_holds_at_the_next_call(library: ConstitutionLibrary):
    live = create_live_prompt(library, "tone", "Greet {name}.")
    assert text(live) == "Greet Ada.\n\nFollow these principles:\n- Be kind."
    library.put("tone", BRIEF, expected=1)
    assert text(live).endswith("- Be kind.\n- Be brief.")
    assert (await live.ainvoke(ASKED)).to_messages()[0].text == text(live)


def test_a_pin_stays_at_its_version(library: ConstitutionLibrary):
    library.put("tone", BRIEF, expected=1)
    pinned = create_live_prompt(library, "tone", "Greet {name}.", version=1)
    library.put("tone", Constitution.of("Rhyme."), expected=2)
    assert text(pinned).endswith(":\n- Be kind.")


async def test_a_rollback_holds_for_everybody(library: ConstitutionLibrary):
    live = create_live_prompt(library, "tone", "Greet {name}.")
    library.put("tone", BRIEF, expected=1)
    assert library.rollback("tone", 1, author="Ann") == 3
    assert text(live).endswith(":\n- Be kind.")
    told = [(e.author, e.reason) for e in library.versions("tone")]
    assert told[-1] == ("Ann", "back to version 1")
    assert await library.arollback("tone", 2, reason="brevity after all") == 4
    assert library.get("tone") == BRIEF


def test_after_a_rollback_no_id_is_given_twice(library: ConstitutionLibrary):
    library.put("tone", BRIEF, expected=1)
    library.rollback("tone", 1)
    assert library.get("tone").apply(Add(text="Rhyme.")).principles[-1].id == "p3"


def test_a_rollback_to_a_version_that_never_was_is_refused(library: ConstitutionLibrary):
    with pytest.raises(ArtifactError, match='no version 7 of "tone"'):
        library.rollback("tone", 7)


async def test_what_was_read_may_be_kept_for_some_seconds(library: ConstitutionLibrary, monkeypatch: Any):
    now = [100.0]
    monkeypatch.setattr(live_module.time, "monotonic", lambda: now[0])
    live = create_live_prompt(library, "tone", "Greet {name}.", keep_seconds=5)
    before = text(live)
    monkeypatch.undo()  # the library's writers look at the clock too
    library.put("tone", BRIEF, expected=1)
    monkeypatch.setattr(live_module.time, "monotonic", lambda: now[0])
    now[0] = 104.9
    assert text(live) == (await live.ainvoke(ASKED)).to_messages()[0].text == before
    now[0] = 105.1
    assert text(live).endswith("- Be brief.")


async def test_a_deletion_while_in_use_is_one_clear_error(library: ConstitutionLibrary, store: InMemoryStore):
    live = create_live_prompt(library, "tone", "Greet {name}.")
    text(live)
    delete(store)
    wanted = r'^The live prompt went by version 1 of "tone" and cannot read it any more: There is no "tone" in the lib'
    with pytest.raises(ArtifactError, match=wanted):
        live.invoke(ASKED)
    with pytest.raises(ArtifactError, match=wanted):
        await live.ainvoke(ASKED)
    library.put("tone", BRIEF)
    assert text(live).endswith("- Be brief.")


def test_a_constitution_that_never_was_is_named(library: ConstitutionLibrary):
    with pytest.raises(ArtifactError, match=r'^There is no "form" in the library; it has tone\.$'):
        create_live_prompt(library, "form", "Greet {name}.").invoke(ASKED)


def test_it_stands_where_the_prompt_stood(library: ConstitutionLibrary):
    source = ChatPromptTemplate([("system", "You serve {shop}."), MessagesPlaceholder("history"), ("human", "{q}")])
    live = create_live_prompt(library, "tone", source.partial(shop="Acme {x}"))
    assert set(live.get_input_jsonschema()["properties"]) == {"history", "q"}
    model = ScriptedChatModel("Yes.")
    history = [HumanMessage("Hello."), AIMessage("Hi.")]
    (live | model).invoke({"history": history, "q": "Do you ship {there}?", "other": "is not asked for"})
    assert [m.type for m in model.last.messages] == ["system", "human", "ai", "human"]
    assert model.last.messages[0].text == "You serve Acme {x}.\n\nFollow these principles:\n- Be kind."
    assert model.last.messages[-1].text == "Do you ship {there}?"


def test_what_the_prompt_says_already_is_not_said_twice(library: ConstitutionLibrary):
    aligned = AlignedPrompt.from_prompt("Greet {name}.").commit([Add(text="Be kind.")])
    assert text(create_live_prompt(library, "tone", aligned)).count("Be kind.") == 1


async def test_the_trace_says_which_version_it_was(library: ConstitutionLibrary):
    library.put("tone", BRIEF, expected=1)
    live = create_live_prompt(library, "tone", "Greet {name}.")
    runs = [e async for e in live.astream_events(ASKED, version="v2") if e["event"].endswith("_start")]
    assert [run["name"] for run in runs] == ["live_prompt", "ChatPromptTemplate"]
    assert runs[1]["metadata"] == {"alignment_constitution": "tone", "alignment_version": 2}


async def test_a_store_with_one_form_only_serves_that_form(tmp_path: Path):
    path = str(tmp_path / "store.sqlite")
    with SqliteStore.from_conn_string(path) as store:
        store.setup()
        library = ConstitutionLibrary(store)
        library.put("tone", KIND)
        assert text(create_live_prompt(library, "tone", "Greet {name}.")).endswith("- Be kind.")
    async with AsyncSqliteStore.from_conn_string(path) as astore:
        live = create_live_prompt(ConstitutionLibrary(astore), "tone", "Greet {name}.")
        assert (await live.ainvoke(ASKED)).to_messages()[0].text.endswith("- Be kind.")
