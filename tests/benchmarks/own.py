"""What this library itself costs, beside the same work without it, in one run."""

import argparse
import asyncio

from tests.benchmarks import calls, feedback, imports, labeling, predecessor, serving
from tests.benchmarks.shown import run_parts


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=9, help="how often each side is measured; medians are shown")
    parser.add_argument("--local", action="store_true", help="also measure feedback and labels on the local Qwen model")
    parser.add_argument("--predecessor", action="store_true", help="also install model-alignment 0.3 and run it beside")


def run(options: argparse.Namespace) -> None:
    rounds = options.rounds
    parts = [
        ("imports", lambda: imports.measure(rounds)),
        ("calls", lambda: asyncio.run(calls.measure(rounds))),
        ("feedback", feedback.count_calls),
        ("replay", lambda: asyncio.run(feedback.measure_replay(rounds))),
        ("labeling", lambda: asyncio.run(labeling.measure(rounds))),
        ("training", lambda: labeling.measure_step(rounds)),
        ("serving", lambda: asyncio.run(serving.measure(rounds))),
        ("the predecessor", labeling.beside_predecessor if options.predecessor else predecessor.not_asked_for),
    ]
    if options.local:
        parts += [("local model", feedback.time_local), ("local labels", labeling.time_local)]
    run_parts(parts, options)
