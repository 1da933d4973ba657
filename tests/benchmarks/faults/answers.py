"""What the model of these measurements answers: by rule: equal requests get equal answers."""

import json
import re
from collections.abc import Sequence

from langchain_core.messages import AIMessage, BaseMessage

from tests.simulated import QUESTION, LogprobWorld, SimulatedWorld, kind_of, rows_in

PROMPT = 'Give three uses for {item}. Reply as {"uses": []}.'
PERSON = (
    ("it is far too long, 30 words are enough", "Use at most 30 words."),
    ("do not mention knives", "Do not mention knives."),
    ("I miss the price in euros", "Give the price in euros."),
    ("number the list", "Number the list."),
)
"""What a person says to an answer, turn by turn, and the principle that a good model makes of it."""


def answer(messages: Sequence[BaseMessage], *, logprobs: bool = False, structured: bool = False) -> AIMessage:
    """Answer like a good model: label and propose in the simulated world, keep principles, weave them in, judge."""
    asked, system, told = list(messages), messages[0].text, messages[-1].text
    if "list of principles" in system:
        return AIMessage(_principle(told))
    if "rewrite instructions" in system:
        return AIMessage(_woven(told, structured))
    if "whether a prompt's new answer" in system:
        numbers = re.findall(r"^(\d+)\. ", told.partition("What people said:\n")[2], re.MULTILINE)
        kept = [{"number": int(number), "kept": True, "reason": "It is."} for number in numbers]
        return AIMessage(json.dumps({"sayings": kept}))
    world = LogprobWorld() if logprobs else SimulatedWorld()
    if structured:
        return AIMessage(json.dumps({"edits": [world.edit(text) for text in rows_in(asked)]}))
    if system.startswith(QUESTION) or kind_of(asked) == "edits" or "labeling principles" in system:
        found = world(asked)
        return found if isinstance(found, AIMessage) else AIMessage(found)
    return AIMessage(f"An answer to: {told}")


def _principle(told: str) -> str:
    said = told.rpartition("Feedback (")[2]
    principle = next((rule for words, rule in PERSON if words in said), "Be kind.")
    return json.dumps({"reason": "asked for", "action": "add", "principle": principle})


def _woven(told: str, structured: bool) -> str:
    text, _, rules = told.partition("Instructions:\n")[2].partition("\n\nRules:\n")
    whole = " ".join([text, *re.findall(r"^- (.*)$", rules, re.MULTILINE)])
    return json.dumps({"text": whole}) if structured or "JSON" in told else whole
