"""Whose prompts do what people asked for: thirty wishes in plain words, ours and the peers, with the same model.

In each task a prompt answers an input, a person says what is wrong, and the changed prompt answers three new inputs,
which code checks; then three more wishes are said, and the same inputs are answered again. Answers are asked for alike
for everyone; the calls that a method learns with are its own, and are counted. Each part (a task, an arm) is written to
--out as soon as it is done, and --resume goes on from there. Peers are installed into environments of their own.
"""

import argparse
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from rich.console import Console

from tests.benchmarks.peers.environments import describe_peers
from tests.benchmarks.peers.jobs import Job
from tests.benchmarks.quality.arms import Arm
from tests.benchmarks.quality.proxy import Proxy, proxied
from tests.benchmarks.quality.record import Record, RecordError
from tests.benchmarks.shown import as_line, describe
from tests.benchmarks.wishes.arms import ARMS, BY_NAME, PEERS
from tests.benchmarks.wishes.picture import draw
from tests.benchmarks.wishes.rounds import ANSWER_TOKENS, LEARNING_TOKENS
from tests.benchmarks.wishes.summary import FIELDS, Part, Summary
from tests.benchmarks.wishes.tasks import BY_NAME as TASKS_BY_NAME
from tests.benchmarks.wishes.tasks import TASKS, Task

WIDTH = 2  # parts at once: as many as the local server has slots
_SHOWN_EVERY = 30  # parts


def arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--picture", type=Path, help="also draw the shares into this .png")
    add("--resume", action="store_true", help="go on with the file of --out")
    add("--tasks", type=int, default=len(TASKS), metavar="N", help="only the first N tasks, which are of mixed kinds")
    add("--only-arms", nargs="+", metavar="ARM", choices=list(BY_NAME), help=f"of: {', '.join(BY_NAME)}")
    add("--model", default="qwen2.5-coder-1.5b", help="a local model of langchain-align models list")
    add("--server", metavar="URL", help="an OpenAI-compatible server of --model that runs already, with /v1")


def run(options: argparse.Namespace) -> None:
    console = Console()
    settings = settings_of(options.model)
    try:
        record = Record(options.out, settings, options.resume, FIELDS, PEERS)
    except RecordError as error:
        raise SystemExit(str(error)) from None
    tasks, arms = TASKS[: options.tasks], [arm for arm in ARMS if arm.name in (options.only_arms or BY_NAME)]
    title = as_line({**describe(), **describe_peers(PEERS), **settings})

    def show() -> None:
        summary = Summary(record.results, tasks, arms)
        record.summary = summary.as_json()
        record.save()
        for table in (summary.table(title), summary.distances(), summary.kinds()):
            console.print(table)
        console.print("\n".join(summary.lacks()), markup=False, highlight=False)
        if options.picture:
            draw(summary, options.picture)

    there = installed(arms, console)
    left = [part for task in tasks for arm in there if not record.done(part := (task.name, arm.name))]
    if left:
        with proxied(options.model, options.server, options.out) as proxy:
            for at, (part, found) in enumerate(measured(left, options.model, proxy), 1):
                record.add(part, found)
                console.print(f"[{at}/{len(left)}] {told(part, found)}", markup=False, highlight=False)
                if at % _SHOWN_EVERY == 0:
                    show()
    show()


def settings_of(model: str) -> dict[str, Any]:
    """Return what all parts of a file have in common."""
    return {"model": model, "answer_tokens": ANSWER_TOKENS, "learning_tokens": LEARNING_TOKENS}


def installed(arms: Sequence[Arm], console: Console) -> list[Arm]:
    """Install what arms need, before any two of them want the same, and leave out those that cannot be had."""
    there = []
    for arm in arms:
        try:
            if arm.environment is not None:
                arm.environment.install()
        except (OSError, subprocess.CalledProcessError) as error:
            console.print(f"{arm.name} cannot be installed and is left out: {error}", markup=False, highlight=False)
        else:
            there.append(arm)
    return there


def measured(parts: Sequence[Part], model: str, proxy: Proxy) -> Iterator[tuple[Part, dict[str, Any]]]:
    """Measure parts, a few at once, and give each as soon as it is done."""
    pool = ThreadPoolExecutor(WIDTH)
    try:
        waiting = {
            pool.submit(measure, TASKS_BY_NAME[name], BY_NAME[arm], model, proxy): (name, arm) for name, arm in parts
        }
        for done in as_completed(waiting):
            yield waiting[done], done.result()
    finally:
        pool.shutdown(cancel_futures=True)


def measure(task: Task, arm: Arm, model: str, proxy: Proxy) -> dict[str, Any]:
    """Have an arm do a task; what stops one stops no other."""
    run_name = re.sub(r"\W+", "-", f"{task.name} {arm.name}")
    proxy.begin(run_name)
    job: Job = {
        "prompt": task.prompt,
        "first": task.first,
        "new": task.new,
        "said": [task.said, *(TASKS_BY_NAME[name].said for name in task.further)],
        "model": model,
        "learn_url": proxy.url(run_name, "learn"),
        "answer_url": proxy.url(run_name, "answer"),
    }
    start = time.perf_counter()
    try:
        found = arm.work(job)
    except Exception as error:  # noqa: BLE001 (a peer may fail in any way; the next part is worth its try)
        found = {"error": str(error)}
    counts = {phase: proxy.tally(run_name, phase).as_json() for phase in ("learn", "answer")}
    return {**found, **counts, "seconds": round(time.perf_counter() - start, 1)}


def told(part: Part, found: dict[str, Any]) -> str:
    """Say in a line what came out of a part."""
    name, arm = part
    counts = f"{found['learn']['calls']} + {found['answer']['calls']} calls, {found['seconds']:.0f} s"
    return f"{name}, {arm}: {counts}" + (f", failed: {found['error'][-500:]}" if "error" in found else "")
