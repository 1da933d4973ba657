"""The end of the stable prefix is marked for models whose prompt cache has to be told."""

import asyncio
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

from langchain_model_alignment import Caller, MemoryCache
from langchain_model_alignment.prompt_cache import mark_prefix
from langchain_model_alignment.traits import traits_of
from tests.fakes import ScriptedChatModel
from tests.simulated import SimulatedWorld, maker_of, rows

MARK = {"cache_control": {"type": "ephemeral"}}
MARKED_RULES = [{"type": "text", "text": "Rules.", **MARK}]


class ChatAnthropic(ScriptedChatModel):
    """By its name, what the library takes for Anthropic's."""


def asked(model: Any, *messages: Any) -> list[Any]:
    asyncio.run(Caller(model).ask(list(messages)))
    return [message.content for message in model.last.messages]


def test_the_rules_are_marked_and_the_row_is_not():
    assert asked(ChatAnthropic(), SystemMessage("Rules."), HumanMessage("A row")) == [MARKED_RULES, "A row"]


def test_of_examples_the_last_one_is_marked():
    messages = [SystemMessage("Rules."), HumanMessage("q"), AIMessage("a"), HumanMessage("A row")]
    assert asked(ChatAnthropic(), *messages) == ["Rules.", "q", [{"type": "text", "text": "a", **MARK}], "A row"]


def test_other_models_are_asked_as_they_are():
    assert asked(ScriptedChatModel(), SystemMessage("Rules."), HumanMessage("A row")) == ["Rules.", "A row"]
    assert not traits_of(ScriptedChatModel()).marks_prefix


def test_a_request_without_a_stable_part_has_no_mark():
    assert asked(ChatAnthropic(), HumanMessage("A row")) == ["A row"]
    assert asked(ChatAnthropic(), SystemMessage(" "), HumanMessage("A row")) == [" ", "A row"]


def test_a_mark_that_is_there_already_stays_the_only_one():
    own = SystemMessage([{"type": "text", "text": "Rules.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}])
    messages = [own, HumanMessage("q"), AIMessage("a"), HumanMessage("A row")]
    assert mark_prefix(messages) == messages


def test_the_request_that_was_given_stays_as_it_is():
    system = SystemMessage("Rules.")
    mark_prefix([system, HumanMessage("A row")])
    assert system.content == "Rules."


def test_a_mark_changes_nothing_about_what_is_cached():
    cache, messages = MemoryCache(), [SystemMessage("Rules."), HumanMessage("A row")]
    asyncio.run(Caller(ChatAnthropic(), cache=cache).ask(messages))
    assert asyncio.run(Caller(ChatAnthropic(), cache=cache).ask(messages)).cached


def test_a_rulebook_is_marked_once_and_is_the_same_for_each_row():
    model = ChatAnthropic(SimulatedWorld())
    maker = maker_of(model=model)
    maker.infer_checkpoint(maker.rulebook({"yes": ["The text speaks of a yak."]}), rows(4))
    systems = [request.messages[0].content for request in model.requests]
    assert len(systems) == 4
    assert all(system == systems[0] and "cache_control" in system[-1] for system in systems)


def test_the_mark_reaches_anthropic():
    anthropic = pytest.importorskip("langchain_anthropic", reason="pip install langchain-anthropic")
    llm = anthropic.ChatAnthropic(model="claude-sonnet-4-5", api_key="-")
    assert traits_of(llm).marks_prefix
    messages = [SystemMessage("Rules."), HumanMessage("q"), AIMessage("a"), HumanMessage("A row")]
    payload = llm._get_request_payload(mark_prefix(messages))
    assert payload["messages"][1]["content"] == [{"type": "text", "text": "a", **MARK}]
    assert llm._get_request_payload(mark_prefix(messages[::3]))["system"] == MARKED_RULES
