"""How many calls feedback takes, and how many seconds they take on the local model."""

import json
import math
import statistics
import time
from typing import Any

from langchain_core.messages import BaseMessage

from langchain_model_alignment import (
    AlignableSingleRun,
    AlignedPrompt,
    Caller,
    Feedback,
    Gate,
    Template,
    areplay,
    create_principle_chain,
    create_prompt_update_chain,
)
from langchain_model_alignment.constitution import Add, Constitution
from langchain_model_alignment.feedback.exchanges import Exchange
from tests.benchmarks.measure import Row
from tests.fakes import ScriptedChatModel

PROMPT = "Answer the customer of an online shop for garden furniture: {question}"
OLDER = (
    "Greet the customer by name.",
    "Write at most 80 words.",
    "Never promise a refund.",
    "Name the day on which the parcel arrives.",
    "Give prices in euros, with tax.",
    "End with a link to the help page.",
    "Use the formal form of address.",
    "Apologise once, and only for our own mistakes.",
    "Put steps into a numbered list.",
    "Say which wood a table is made of.",
    "Recommend covers for the winter.",
    "Do not mention other shops.",
)
FEEDBACK = (
    "the answer should ask for the order number",
    "no exclamation marks, please",
    "say who answered, with a first name",
    "explain how to return a chair",
    "mention that assembly takes 20 minutes",
)


def count_calls() -> list[Row]:
    """Count what one piece of feedback and one update of the prompt ask of a strong model."""
    rows = []
    for number in (1, 12):
        model = ScriptedChatModel(_reply)
        create_principle_chain(model).invoke(_request(FEEDBACK[0], number))
        asked = model.calls
        principles = Constitution.of(*OLDER[:number]).principles
        update = create_prompt_update_chain(model).invoke({"template": Template.of(PROMPT), "principles": principles})
        if update.listed:
            raise AssertionError("the script's text should say all principles")
        rows += [
            _calls(f"calls: feedback to a principle, {_counted(number)} there", asked),
            _calls(f"calls: {_counted(number)} into the prompt", model.calls - asked),
        ]
    return rows


async def measure_replay(rounds: int) -> list[Row]:
    """Time a replay of 50 exchanges, each with one piece of feedback, at 32 in flight with a 50 ms model."""
    exchanges, latency, width = 50, 0.05, 32
    edits = [Add(text=f"Mention point {n}.", evidence=(f"e{n}.f1",)) for n in range(1, exchanges + 1)]
    prompt = AlignedPrompt.from_prompt("Describe {thing}.").commit(edits)
    for n in range(1, exchanges + 1):
        said = Feedback(kind="critique", text=f"mention point {n}", response="Old.")
        known = {"candidates": ("Old.",), "response": "Old.", "feedback": (said,)}
        prompt = prompt.with_exchange(Exchange(id=f"e{n}", inputs={"thing": str(n)}, **known))
    judged = json.dumps({"sayings": [{"number": 1, "kept": True, "reason": "It does."}]})

    def reply(messages: list[BaseMessage]) -> str:
        return judged if "whether a prompt's new answer" in messages[0].text else "New."

    async def ours() -> float:
        gate = Gate(width)
        caller = Caller(ScriptedChatModel(reply, latency=latency), gate=gate)
        run = AlignableSingleRun(caller, data=prompt)
        start = time.perf_counter()
        report = await areplay(run)
        seconds = time.perf_counter() - start
        if not (len(report.items) == exchanges and report.fine and all(item.wishes for item in report.items)):
            raise AssertionError("all exchanges should be answered and judged")
        return seconds

    await ours()
    found = statistics.median([await ours() for _ in range(rounds)])
    floor = 2 * math.ceil(exchanges / width) * latency
    ratio = found / floor
    return [
        Row(
            what=f"replay of {exchanges} exchanges, 50 ms model, {width} in flight",
            bare=f"{floor * 1000:.0f} ms (the floor)",
            ours=f"{found * 1000:.0f} ms",
            result=f"{ratio:.2f} x",
            reach="1.3 x",
            reached=ratio <= 1.3,
            value=ratio,
        )
    ]


def time_local() -> list[Row]:
    """Time feedback on the local model; the first one of each row only warms the prefix."""
    from langchain_model_alignment import local_chat_model

    chain = create_principle_chain(local_chat_model())
    rows = []
    for number in (0, 3, 12):
        seconds = []
        for text in FEEDBACK:
            start = time.perf_counter()
            chain.invoke(_request(text, number))
            seconds.append(time.perf_counter() - start)
        found = statistics.median(seconds[1:])
        rows.append(
            Row(
                what=f"local model: feedback to a principle, {_counted(number)} there",
                bare="",
                ours=f"{found:.1f} s",
                result=f"{min(seconds[1:]):.1f} to {max(seconds[1:]):.1f} s",
                value=found,
            )
        )
    return rows


def _request(feedback: str, older: int) -> dict[str, Any]:
    return {
        "feedback": {"kind": "critique", "text": feedback, "response": "Your parcel is on its way."},
        "constitution": Constitution.of(*OLDER[:older]),
        "prompt": PROMPT,
        "inputs": {"question": "Where is my parcel?"},
    }


def _reply(messages: list[BaseMessage]) -> str:
    if "list of principles" in messages[0].text:
        return json.dumps({"reason": "asked", "action": "add", "principle": "Ask for the order number."})
    said = [line for line in OLDER if line in messages[-1].text]
    return json.dumps({"text": " ".join([PROMPT, *said])})


def _calls(what: str, number: int) -> Row:
    return Row(what=what, bare="", ours=str(number), result=str(number), reach="1", reached=number == 1, value=number)


def _counted(number: int) -> str:
    return f"{number} principle{'' if number == 1 else 's'}"
