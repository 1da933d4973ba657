"""What labeling and a step of training cost, beside a bare loop over the same requests and beside the predecessor."""

import asyncio
import gc
import json
import re
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from langchain_model_alignment.cache import AnswerCache
from langchain_model_alignment.labeling.classifier import Classifier
from langchain_model_alignment.labeling.labeler import Labeler
from langchain_model_alignment.labeling.rulebook import Rulebook
from tests.benchmarks import predecessor, toy
from tests.benchmarks.measure import Row, interleaved, ratio
from tests.fakes import ScriptedChatModel, SyncOnlyChatModel

WIDTH = 32
LABELED = 100
ASYNC_RATIO, SYNC_RATIO = 1.15, 1.3
STEP_SECONDS, STEP_CALLS, RACING = 1.0, 320, 2
OWN_COST, SIZES = 150.0, (1_000, 10_000, 100_000)
FASTER = 10.0
LOCAL_ROWS, LOCAL_THEIRS = 12, 3


@dataclass(frozen=True)
class Step:
    """What one step of training took."""

    seconds: float
    calls: int


class NoCache:
    """Keeps nothing, so that only the work around a call is measured."""

    def get(self, key: str) -> str | None:
        return None

    def put(self, key: str, value: str) -> None:
        pass


class ReadyChatModel(BaseChatModel):
    """Answers at once, and keeps no record that would grow with the number of calls."""

    @property
    def _llm_type(self) -> str:
        return "ready"

    def _generate(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage(toy.LABELS[0]))])

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **_: Any,
    ) -> ChatResult:
        return self._generate(messages)


# -- labeling ----------------------------------------------------------------------------------------------------


async def measure(rounds: int) -> list[Row]:
    """Time rows of 50 ms, and the own cost of rows that take no time."""
    rows = []
    for kind, name, reach in (
        (ScriptedChatModel, "an async model", ASYNC_RATIO),
        (SyncOnlyChatModel, "a sync-only model", SYNC_RATIO),
    ):
        ways = _ways(lambda kind=kind: kind(reply, latency=toy.LATENCY), toy.rows(LABELED, 3))
        medians, taken = await interleaved(ways, rounds)
        found = ratio(taken, "ours", "bare")
        rows.append(
            Row(
                what=f"label {LABELED} rows of {toy.LATENCY * 1e3:.0f} ms, {WIDTH} in flight, {name}",
                bare=f"{medians['bare'] * 1e3:.0f} ms",
                ours=f"{medians['ours'] * 1e3:.0f} ms",
                result=f"{found:.2f} ×",
                reach=f"≤ {reach} ×",
                reached=found <= reach,
                value=found,
            )
        )
    for size in SIZES:
        # A round of the largest size is half a minute.
        rows += await _own_costs(size, max(1, min(rounds, rounds * SIZES[0] // size)))
    return rows


async def _own_costs(size: int, rounds: int) -> list[Row]:
    table = toy.rows(size, 4)
    ways = _ways(ReadyChatModel, table, NoCache)
    ways["cached"] = _ways(ReadyChatModel, table)["ours"]
    medians, taken = await interleaved(ways, rounds)
    rows = []
    for name, kept in (("ours", "no cache"), ("cached", "answers kept in memory")):
        found = statistics.median(1e6 * (round[name] - round["bare"]) / size for round in taken)
        rows.append(
            Row(
                what=f"our own cost a labeled row, {size:,} rows of 0 ms, {kept}",
                bare=f"{1e6 * medians['bare'] / size:.0f} µs",
                ours=f"{1e6 * medians[name] / size:.0f} µs",
                result=f"{found:+.0f} µs",
                reach=f"≤ {OWN_COST:.0f} µs",
                reached=found <= OWN_COST,
                value=found,
            )
        )
    return rows


def _ways(
    make: Callable[[], BaseChatModel], table: Sequence[dict[str, str]], cache: Callable[[], AnswerCache] | None = None
) -> dict[str, Callable[[], Awaitable[float]]]:
    """Both sides: a table of rows to labels, and `asyncio.gather` of gated `llm.ainvoke` on the same messages."""
    labeler = _labeler(make())
    rulebook = _rulebook(labeler)
    classifier = Classifier(labeler._caller, rulebook)
    requests = [classifier.messages(row.text) for row in labeler.task.read(table, labeled=False)]
    pool = ThreadPoolExecutor(WIDTH)

    async def bare() -> float:
        # As wide as the gate: the loop's own pool has six threads on a small machine, and would flatter us.
        asyncio.get_running_loop().set_default_executor(pool)
        llm, gate = make(), asyncio.Semaphore(WIDTH)

        async def one(messages: list[BaseMessage]) -> str:
            async with gate:
                return (await llm.ainvoke(messages)).text

        gc.collect()
        start = time.perf_counter()
        await asyncio.gather(*(one(messages) for messages in requests))
        return time.perf_counter() - start

    async def ours() -> float:
        labeler = _labeler(make(), cache() if cache else None)
        gc.collect()
        start = time.perf_counter()
        found = await labeler.ainfer_checkpoint(rulebook, table)
        seconds = time.perf_counter() - start
        if any(prediction["error"] or not prediction["prediction"] for prediction in found):
            raise AssertionError("a row was not labeled")
        return seconds

    return {"bare": bare, "ours": ours}


# -- training ----------------------------------------------------------------------------------------------------


def measure_step(rounds: int) -> list[Row]:
    """Time a step of training by defaults, count its calls, and see who raced."""
    steps = [one_step() for _ in range(rounds)]
    seconds, calls = statistics.median(step.seconds for step in steps), max(step.calls for step in steps)
    racing = racers()
    work = f"a step of training, {toy.LATENCY * 1e3:.0f} ms a call"
    return [
        Row(
            what=f"{work}: seconds",
            bare="",
            ours=f"{seconds:.2f} s",
            result=f"{min(s.seconds for s in steps):.2f} to {max(s.seconds for s in steps):.2f} s",
            reach=f"≤ {STEP_SECONDS} s",
            reached=seconds <= STEP_SECONDS,
            value=seconds,
        ),
        Row(
            what=f"{work}: calls",
            bare="",
            ours=str(calls),
            result=str(calls),
            reach=f"≤ {STEP_CALLS}",
            reached=calls <= STEP_CALLS,
            value=calls,
        ),
        Row(
            what=f"{work}: different candidates that raced",
            bare="",
            ours=str(racing),
            result=str(racing),
            reach=f"≥ {RACING}",
            reached=racing >= RACING,
            value=racing,
        ),
    ]


def one_step() -> Step:
    """Take one step by defaults after the rulebook was begun, as a notebook does."""
    model = ScriptedChatModel(reply, latency=toy.LATENCY)
    labeler = _labeler(model)
    training, validation = toy.rows(100, 1), toy.rows(100, 2)
    begun = labeler.initialize_checkpoint(training)
    before, start = model.calls, time.perf_counter()
    labeler.train_step(begun, training, validation)
    return Step(time.perf_counter() - start, model.calls - before)


def racers() -> int:
    """Return how many candidates of such a step were scored on validation rows, no two of them the same rulebook."""
    labeler = _labeler(ScriptedChatModel(reply))
    training, validation = toy.rows(100, 1), toy.rows(100, 2)
    begun = labeler.initialize_checkpoint(training)
    result = labeler.train(training, validation, steps=1, checkpoint=begun)
    raced = [candidate for candidate in result.history[-1]["candidates"] if candidate["rows"]]
    return len({json.dumps(candidate["changes"]) for candidate in raced})


def beside_predecessor() -> list[Row]:
    """Let the predecessor do the same work."""
    seconds = asyncio.run(_label_once())
    step = one_step()
    return predecessor.measure(step.seconds, step.calls, seconds)


async def _label_once() -> float:
    ways = _ways(lambda: ScriptedChatModel(reply, latency=toy.LATENCY), toy.rows(LABELED, 3))
    return await ways["ours"]()


def _labeler(model: BaseChatModel, cache: AnswerCache | None = None) -> Labeler:
    return Labeler(["text"], "label", toy.LABELS, toy.QUESTION, model, cache=cache, max_concurrency=WIDTH)


def _rulebook(labeler: Labeler) -> Rulebook:
    return labeler.rulebook({"yes": ["The guest is pleased."], "no": ["The guest is annoyed."]})


def reply(messages: list[BaseMessage]) -> str:
    """Play the labeler and the proposer of the toy work; a request for a label begins with the question."""
    system, asked = messages[0].text, messages[-1].text
    if system.startswith(toy.QUESTION):
        if len(messages) > 2:  # which principle decided
            return "1"
        return toy.answer(messages[1].text.partition("text: ")[2], system)
    if (number := re.search(r"Propose up to (\d+)", asked)) is not None:
        edits = [{"kind": "add", "label": "yes", "text": toy.rule()} for _ in range(int(number[1]))]
        return json.dumps({"edits": edits})
    return toy.rule().replace(toy.MARK, "for sure")


# -- the local model ---------------------------------------------------------------------------------------------


def time_local() -> list[Row]:
    """Time labels of the local model by a long rulebook, and by the predecessor's order: the row first, then rules."""
    from langchain_model_alignment import local_chat_model

    llm = local_chat_model()
    labeler = _labeler(llm)
    rulebook = labeler.rulebook({side: [_long_rule(side, at) for at in range(23)] for side in toy.LABELS})
    table = toy.rows(1 + LOCAL_ROWS, 5)
    labeler.infer_checkpoint(rulebook, table[:1])  # reads the rulebook once, as the first of many rows does
    start = time.perf_counter()
    found = labeler.infer_checkpoint(rulebook, table[1:])
    ours = (time.perf_counter() - start) / LOCAL_ROWS
    if any(prediction["error"] for prediction in found):
        raise AssertionError(found)
    theirs, tokens = [], []
    for row in table[1 : 1 + LOCAL_THEIRS]:
        start = time.perf_counter()
        said = llm.invoke([HumanMessage(_row_first(rulebook, row["text"]))], max_tokens=8, stop=[" ", "\n"])
        theirs.append(time.perf_counter() - start)
        tokens.append((said.usage_metadata or {}).get("input_tokens", 0))
    bare = statistics.median(theirs)
    return [
        Row(
            what=f"local model: a labeled row, {max(tokens):,} tokens, beside the predecessor's order of the prompt",
            bare=f"{bare:.1f} s",
            ours=f"{ours:.2f} s",
            result=f"{bare / ours:.0f} × faster",
            reach=f"≥ {FASTER:.0f} ×",
            reached=bare / ours >= FASTER,
            value=bare / ours,
        )
    ]


def _long_rule(label: str, number: int) -> str:
    thing = ("bed", "view", "staff", "bath", "food")[number % 5]
    feeling = "warmly" if label == "yes" else "coldly"
    return f"The guest speaks {feeling} about the {thing} on floor {number + 1}, and gives a reason for it."


def _row_first(rulebook: Rulebook, text: str) -> str:
    """Lay a request out as the predecessor does: the row, the question, all rules of a label in one line, the cue."""
    rules = "\n".join(
        f"answer_{label}: {' '.join(p.sentence() for p in principles)}"
        for label, principles in rulebook.by_label().items()
    )
    return (
        f"Here is an example:\n<text>{text}</text>\n\n{rulebook.task.question} Think about it step by step.\n"
        f"These answers are possible:\n{rules}\n\nBegin with the answer that fits the example best: answer_"
    )
