"""Training, a feedback loop and labelings through a model that fails: they end, say how often, and lose nothing."""

import csv
import json
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from langchain_core.language_models import BaseChatModel
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from langchain_model_alignment import (
    AlignedPrompt,
    Caller,
    Gate,
    Labeler,
    Usage,
    create_feedback_graph,
    label_file,
    resolve_chat_model,
)
from langchain_model_alignment.errors import ModelError
from langchain_model_alignment.labeling.stream import FileLabels
from tests.benchmarks.faults.answers import PERSON, PROMPT
from tests.benchmarks.faults.jobs import write_csv
from tests.benchmarks.faults.loop import ITEMS, THREAD, says
from tests.benchmarks.faults.model import faulty_model
from tests.benchmarks.faults.plan import Plan
from tests.benchmarks.faults.server import LATE, serving
from tests.benchmarks.measure import Trial
from tests.simulated import QUESTION, book_of, rows

SHARE = 0.3
WIDTH = 32
HTTP_ROWS = 1_000
MANY_ROWS, MANY_WIDTH = 10_000, 128
_TURNS = 200  # after which a loop has not ended


def measure(seed: int) -> tuple[list[Trial], Counter[str]]:
    """Run all of them; the faults that were given are added up."""
    lines, given = [], Counter[str]()
    for way in (_training, _feedback, _labeling):
        plan = Plan(seed, SHARE)
        with serving(plan) as server:
            model = resolve_chat_model("openai:rule", base_url=server.url, api_key="-", timeout=LATE / 2)
            lines.append(way(model, plan))
        given += plan.given
    plan = Plan(seed, SHARE)
    lines.append(_many(plan))
    return lines, given + plan.given


def _training(model: BaseChatModel, plan: Plan) -> Trial:
    usage, table, validation = Usage(), rows(90, 1), rows(40, 2)
    maker = Labeler(["text"], "label", ["yes", "no"], QUESTION, Caller(model, gate=Gate(WIDTH), usage=usage))
    start = book_of({"yes": ["The text speaks of a cat."]}, scoring="logprob")
    result = maker.train(table, validation, steps=3, checkpoint=start)
    failed = Counter[str]()
    for record in result.history:
        failed.update(record["failures"])
    before, after = result.history[0]["score"], result.rulebook.score.value if result.rulebook.score else -1.0
    held = result.scorecard["n"] == len(validation) and after >= before
    return _line(
        "training by a server that fails",
        plan,
        f"ended after {len(result.history) - 1} steps: {before:.2f} → {after:.2f}; {usage.retries} retries; "
        f"failed for good: {_told(failed)}",
        held,
    )


def _feedback(model: BaseChatModel, plan: Plan) -> Trial:
    failed, turns, done = Counter[str](), 0, False
    caller = Caller(model, gate=Gate(WIDTH))
    graph: Any = create_feedback_graph(caller).compile(checkpointer=InMemorySaver())
    while not done and turns < _TURNS:
        turns += 1
        state = graph.get_state(THREAD)
        start: Any = None if state.next else {"prompt": PROMPT, "inputs": {"item": ITEMS[0]}}
        if state.interrupts:
            asks = state.interrupts[0].value.get("type")
            start = Command(resume={"action": "accept"} if asks == "replay" else says(state.values["prompt"]))
        try:
            graph.invoke(start, THREAD)
            state = graph.get_state(THREAD)
            done = not state.next and bool(state.values.get("response"))
        except ModelError as error:
            failed[type(error).__name__] += 1
    lost = _lost(graph.get_state(THREAD).values["prompt"])
    return _line(
        "a feedback loop by a server that fails",
        plan,
        f"ended: {done}; {len(PERSON)} things said, {len(lost)} lost; {caller.usage.retries} retries; the loop was "
        f"gone on with after: {_told(failed)}",
        done and not lost,
    )


def _lost(state: Mapping[str, Any]) -> list[str]:
    """Return what a person said, a variable or a literal, that the prompt in the end has not."""
    prompt = AlignedPrompt.from_dict(dict(state))
    said = [feedback.text for exchange in prompt.exchanges for feedback in exchange.feedback]
    lost = [words for words, _ in PERSON if words not in said]
    text = prompt.effective.fill({"item": "THE ITEM"})[-1].text
    principles = " ".join(principle.text for principle in prompt.constitution).casefold()
    lost += [rule for words, rule in PERSON if words.casefold() not in principles and rule.casefold() not in principles]
    return lost + [part for part in ("THE ITEM", '{"uses": []}') if part not in text]


def _labeling(model: BaseChatModel, plan: Plan) -> Trial:
    return _labeled("a labeling by a server that fails", Caller(model, gate=Gate(WIDTH)), HTTP_ROWS, plan)


def _many(plan: Plan) -> Trial:
    caller = Caller(faulty_model(plan), gate=Gate(MANY_WIDTH))
    return _labeled(f"a labeling by a model that fails, {MANY_WIDTH} in flight", caller, MANY_ROWS, plan)


def _labeled(what: str, caller: Caller, count: int, plan: Plan) -> Trial:
    """Label a file, then give the same command again: only what failed is asked again."""
    table = rows(count, 3)
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder, "rows.csv"), Path(folder, "labels.csv")
        write_csv(source, table)
        begun = time.perf_counter()
        first = label_file(source, book_of({"yes": ["The text speaks of a newt."]}), caller, out)
        seconds = time.perf_counter() - begun
        whole = _texts(out) == [row["text"] for row in table] and _is_told(first)
        calls = plan.calls
        again = label_file(source, book_of({"yes": ["The text speaks of a newt."]}), caller, out)
        whole = whole and _texts(out) == [row["text"] for row in table] and _is_told(again)
    failed = sum(first.tally.failures.values())
    return _line(
        what,
        plan,
        f"{count:,} of {count:,} rows written, {count / seconds:,.0f} a second; {caller.usage.retries} retries; failed "
        f"for good: {_told(first.tally.failures)}; without a label: {first.tally.abstained - failed}; the same command "
        f"again asks about {again.asked} with {plan.calls - calls} calls, left: {sum(again.tally.failures.values())}",
        whole and again.asked == failed,
    )


def _texts(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return [row["text"] for row in csv.DictReader(file)]


def _is_told(found: FileLabels) -> bool:
    """Whether each row that failed is in the file of failures."""
    failed = sum(found.tally.failures.values())
    lines = found.failures.read_text(encoding="utf-8").splitlines() if found.failures else []
    return len([json.loads(line) for line in lines]) == failed


def _line(what: str, plan: Plan, result: str, held: bool) -> Trial:
    tried = f"{plan.calls:,} calls, {plan.given.total():,} faults"
    return Trial(
        what=what,
        tried=tried,
        result=result,
        reach="ends, tells, loses nothing",
        reached=held,
        value=float(plan.given.total()),
    )


def _told(counted: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counted.items())) or "none"
