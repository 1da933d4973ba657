"""How well rulebooks and other optimized prompts label real data: ours and the peers, the same model, the same calls.

Every arm reaches the model through one proxy that counts its calls. Learning may take about as many calls as the budget
says; labeling the test rows is counted apart. Each part (a set, a seed, an arm) is written to --out as soon as it is
done, and --resume goes on from there. Peers are installed into environments of their own.
"""

import argparse
import random
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from tests.benchmarks.peers.environments import describe_peers
from tests.benchmarks.peers.jobs import Job
from tests.benchmarks.quality.arms import BY_NAME, Arm
from tests.benchmarks.quality.picture import draw
from tests.benchmarks.quality.proxy import Proxy, proxied
from tests.benchmarks.quality.record import Part, Record, RecordError
from tests.benchmarks.quality.sets import QUESTIONS, VARIABLE, LabeledSet, Rows, folder_of, load
from tests.benchmarks.quality.summary import Summary
from tests.benchmarks.shown import as_line, describe

WIDTH = 2  # calls in flight: as many as the local server has slots
FIRST_SETS = 2  # their parts come before those of the other sets


def arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--data", type=Path, help=f"the folder of the labeled sets; by default what {VARIABLE} names")
    add("--picture", type=Path, help="also draw the scores into this .png")
    add("--resume", action="store_true", help="go on with the file of --out")
    add("--sets", nargs="+", default=list(QUESTIONS), metavar="SET", help=f"folders in --data: {', '.join(QUESTIONS)}")
    add("--seeds", type=int, default=2, help="how often each arm learns on each set")
    add("--only-arms", nargs="+", metavar="ARM", choices=list(BY_NAME), help=f"of: {', '.join(BY_NAME)}")
    add("--test-rows", type=int, default=150, help="how many test rows of each set are labeled")
    add("--budget", type=int, default=300, help="calls that an arm may learn with")
    add("--model", default="qwen2.5-coder-1.5b", help="a local model of langchain-align models list")
    add("--server", metavar="URL", help="an OpenAI-compatible server of --model that runs already, with /v1")


def run(options: argparse.Namespace) -> None:
    console = Console()
    folder = folder_of(options.data)
    if folder is None:
        console.print(f"No labeled sets here: give --data FOLDER, or set {VARIABLE}; nothing was measured.")
        return
    settings = {name: getattr(options, name) for name in ("budget", "model")} | {"test_rows": options.test_rows}
    try:
        record = Record(options.out, settings, options.resume)
    except RecordError as error:
        raise SystemExit(str(error)) from None
    sets = {name: load(folder, name, options.test_rows) for name in options.sets}
    chosen = [BY_NAME[name] for name in options.only_arms or BY_NAME]
    parts = planned(options.sets, options.seeds, chosen)
    title = as_line({**describe(), **describe_peers(), **settings})

    def show() -> None:
        summary = Summary(record.results, list(sets.values()), parts)
        record.summary = summary.as_json()
        record.save()
        console.print(summary.table(title))
        console.print("\n".join(summary.lacks()), markup=False, highlight=False)
        if options.picture:
            draw(summary, options.picture)

    left = [part for part in parts if not record.done(part)]
    if left:
        with proxied(options.model, options.server, options.out) as proxy:
            for at, part in enumerate(left, 1):
                name, seed, arm = part
                console.print(f"[{at}/{len(left)}] {name}, seed {seed}, {arm}", markup=False, highlight=False)
                found = measure(BY_NAME[arm], sets[name], seed, options, proxy)
                record.add(part, found)
                console.print(told(found), markup=False, highlight=False)
                if at % 5 == 0:
                    show()
    show()


def planned(names: list[str], seeds: int, arms: list[Arm]) -> list[Part]:
    """Return all parts in order: what matters most first, so that a run that is stopped early says the most."""
    first, rest = names[:FIRST_SETS], names[FIRST_SETS:]
    early, late = [arm for arm in arms if not arm.late], [arm for arm in arms if arm.late]
    return [
        (name, seed, arm.name)
        for some, group in ((first, early), (first, late), (rest, early), (rest, late))
        for seed in range(seeds)
        for name in some
        for arm in group
    ]


def measure(arm: Arm, known: LabeledSet, seed: int, options: argparse.Namespace, proxy: Proxy) -> dict[str, Any]:
    """Let an arm learn and label; what stops one arm is its result and stops no other."""
    run_name = f"{known.name}-{seed}-{arm.name}".replace(" ", "-").replace("+", "and").replace(",", "")
    proxy.begin(run_name)
    job: Job = {
        "question": known.question,
        "labels": list(known.labels),
        "train": shuffled(known.train, seed),
        "validation": shuffled(known.validation, seed),
        "test": [row["text"] for row in known.test],
        "seed": seed,
        "budget": options.budget,
        "width": WIDTH,
        "model": options.model,
        "train_url": proxy.url(run_name, "train"),
        "test_url": proxy.url(run_name, "test"),
    }
    start = time.perf_counter()
    try:
        found = arm.work(job)
        if len(found["predictions"]) != len(known.test):
            raise RuntimeError(f"{len(found['predictions'])} predictions for {len(known.test)} test rows")
    except Exception as error:  # noqa: BLE001 (a peer may fail in any way; the next part is worth its try)
        found = {"error": str(error)}
    counts = {phase: proxy.tally(run_name, phase).as_json() for phase in ("train", "test")}
    return {**found, **counts, "seconds": round(time.perf_counter() - start, 1)}


def shuffled(rows: Rows, seed: int) -> Rows:
    """Return rows in an order of the seed in which every beginning has the labels in about their shares."""
    by_label: dict[str, Rows] = {}
    for row in random.Random(seed).sample(rows, len(rows)):
        by_label.setdefault(row["label"], []).append(row)
    placed = [
        ((at + 0.5) / len(members), label, row) for label, members in by_label.items() for at, row in enumerate(members)
    ]
    return [row for _, _, row in sorted(placed, key=lambda item: item[:2])]


def told(found: dict[str, Any]) -> str:
    """Say in a line what came out of a part."""
    counts = f"{found['train']['calls']} + {found['test']['calls']} calls, {found['seconds']:.0f} s"
    return f"  failed after {counts}: {found['error'][-500:]}" if "error" in found else f"  {counts}"
