"""Rows, feedback and answers that hold our own delimiters, codes and forms change no request's structure."""

import pytest
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

from tests.benchmarks.faults.injection import changed, requests, words

REQUESTS = requests()


@pytest.mark.parametrize("name", sorted(REQUESTS))
def test_a_request_keeps_its_structure_whatever_the_words_say(name: str):
    assert not {said: fault for said in words() if (fault := changed(REQUESTS[name], said))}


def test_words_that_are_read_as_a_template_would_be_seen():
    def templated(said: str) -> list[BaseMessage]:
        return [SystemMessage("Label the row."), HumanMessage(said.format(text="another row"))]

    assert changed(templated, "{text}") == "another human message"


def test_words_in_the_system_message_would_be_seen():
    assert changed(lambda said: [SystemMessage(f"Label {said}.")], "yes") == "another system message"


def test_words_that_add_a_message_would_be_seen():
    assert changed(lambda said: [HumanMessage(part) for part in said.split("\n\n")], "a\n\nb") == "other messages"
