"""How training looks in a terminal: what it does now, a line for each step, and the scores at its end."""

import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.padding import Padding
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from langchain_model_alignment.cli.show import plain
from langchain_model_alignment.labeling.records import StepRecord, TrainingResult
from langchain_model_alignment.labeling.run_folder import TestScores
from langchain_model_alignment.labeling.scorecard import distance_text
from langchain_model_alignment.labeling.state import LabelerEvent, doing_after
from langchain_model_alignment.usage import Usage

__all__ = ["TrainingDisplay", "duration", "kinds", "percent", "score_text", "scores", "show_result", "spent"]

_SHARES = ("accuracy", "f1", "f1_binary", "balanced_accuracy")


class TrainingDisplay:
    """Shows the events of a training run.

    Args:
        console: Where to.
        usage: What the models use meanwhile.
        metric: What rulebooks are compared by.
        steps: How many steps there will be.
    """

    def __init__(self, console: Console, usage: Usage, metric: str, steps: int) -> None:
        self._console = console
        self._usage = usage
        self._metric = metric
        self._steps = steps
        self._doing = "starting"
        self._step = 0
        self._alive = 0
        self._best: float | None = None
        self._seconds: list[float] = []
        self._begun = self._step_begun = time.monotonic()
        self._spinner = Spinner("dots")
        self._live = Live(get_renderable=self._status, console=console, refresh_per_second=5, transient=True)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._live.stop()

    def go_on(self, step: int, history: Sequence[StepRecord]) -> None:
        """Begin in the middle of a run."""
        self._step = step
        if history:
            self._best = history[-1]["score"]
            self._seconds = [record["seconds"] for record in history[1:]]
        self._say(f"Going on with step {step} of {self._steps}." if step else "Going on where it stopped.", "dim")

    def doing(self, words: str) -> None:
        """Say what is done now; without a terminal, as a line."""
        self._doing = words
        if not self._console.is_terminal:
            self._console.print(plain(f"({words} …)", "dim"))

    def tell(self, event: LabelerEvent) -> None:
        """Show an event."""
        self._doing = doing_after(event)
        match event["type"]:
            case "begin":
                self._say(f"Rulebooks are compared on {event['of']} validation rows.", "dim")
            case "mistakes":
                self._step, self._step_begun = event["step"], time.monotonic()
                found = f"{event['wrong']} of {event['sampled']} training rows are labeled wrongly"
                self._say(f"Step {self._step} of {self._steps}: {found}.", "dim")
            case "candidates":
                self._alive = event["alive"]
            case "step":
                self._end_step(event["record"])

    def see(self, state: Mapping[str, Any]) -> None:
        """Show the run's state; the events have told all that a terminal shows of it."""

    def _end_step(self, record: StepRecord) -> None:
        score, step = score_text(record["score"], self._metric), record["step"]
        if step:
            self._seconds.append(record["seconds"])
            was = score_text(self._best, self._metric)
            tried = _count(len(record["candidates"]), "candidate")
            found = f"up from {was}" if record["gained"] else f"no gain on {was}"
            line = f"Step {step} of {self._steps}: {_called(self._metric)} {score}, {found} ({tried} tried"
        else:
            line = f"Start: {_called(self._metric)} {score} ({_origins(record, self._metric)}"
        self._best, self._alive = record["score"], 0
        self._step, self._step_begun = step + 1, time.monotonic()
        self._say(f"{line}; {_count(record['calls'], 'call')}, {duration(record['seconds'])}).")

    def _say(self, line: str, style: str = "") -> None:
        self._console.print(plain(line, style))

    def _status(self) -> Spinner:
        parts = [f"step {self._step} of {self._steps}" if 0 < self._step <= self._steps else "", self._doing]
        if self._alive:
            parts.append(_count(self._alive, "candidate"))
        if self._best is not None:
            parts.append(f"best {score_text(self._best, self._metric)}")
        parts += [_count(self._usage.calls, "call"), _count(self._usage.tokens, "token")]
        parts.append(duration(time.monotonic() - self._begun))
        if (left := self._left()) >= 1:
            parts.append(f"at most about {duration(left)} left")
        line = " · ".join(part for part in parts if part)
        self._spinner.update(text=Text(line, style="dim", no_wrap=True, overflow="ellipsis"))
        return self._spinner

    def _left(self) -> float:
        if not self._seconds or not 0 < self._step <= self._steps:
            return 0.0
        each = sum(self._seconds) / len(self._seconds)
        here = min(each, time.monotonic() - self._step_begun)
        return each * (self._steps - self._step + 1) - here


def _called(metric: str) -> str:
    """The metric's name; training turns errors round, so that what is higher is better."""
    return "negative mae" if metric == "mae" else metric


def _origins(record: StepRecord, metric: str) -> str:
    names = {"initial": "first rulebook", "zero-shot": "zero-shot"}
    return ", ".join(f"{names[c['origin']]} {score_text(c['score'], metric)}" for c in record["candidates"])


def scores(result: TrainingResult) -> dict[str, float | None]:
    """Return what was reached on the validation rows: by the zero-shot, by the first rulebook, by the trained one."""
    begun = {c["origin"]: c["score"] for c in result.history[0]["candidates"]} if result.history else {}
    trained = result.rulebook.score.value if result.rulebook.score else result.scorecard["accuracy"]
    return {"zero-shot": begun.get("zero-shot"), "first rulebook": begun.get("initial"), "trained rulebook": trained}


def show_result(console: Console, result: TrainingResult, test: TestScores | None) -> None:
    """Print the scores, why training stopped, and what it cost."""
    metric = str(result.about.get("metric", "accuracy"))
    card = result.scorecard
    heads = [f"{card['n']} validation rows", *([f"{test.rows} test rows"] if test else [])]
    tested = {"zero-shot": test.zero_shot, "trained rulebook": test.trained} if test else {}
    table = Table.grid(padding=(0, 3))
    table.add_row(plain(_called(metric).replace("_", " "), "bold"), *(plain(head, "bold") for head in heads))
    for name, score in scores(result).items():
        cells = [score_text(score, metric)]
        if test:
            cells.append(score_text(tested.get(name), metric) if name in tested else "")
        if name.startswith("trained"):
            low, high = card["accuracy_interval"]
            cells[0] += _interval(low, high, metric)
            if test:
                cells[1] += _interval(*test.interval, metric)
        table.add_row(name, *map(plain, cells))
    console.print()
    console.print(Padding(table, (0, 0, 0, 2)))
    if far := distance_text(card):
        console.print(plain(f"In their order, on the validation rows: {far}."))
    if test is None:
        note = "The rulebook was chosen on these rows; expect a little less on new ones, or give --test."
        console.print(plain(note, "dim"))
    console.print(plain(f"Stopped: {result.stopped_because.rstrip('.')}."))
    console.print(plain(f"Spent on training: {spent(result.usage)}."))
    failures: dict[str, int] = {}
    for step in result.history:
        for kind, n in step["failures"].items():
            failures[kind] = failures.get(kind, 0) + n
    if failures:
        console.print(plain(f"Failed: {kinds(failures)}.", "yellow"))


def spent(usage: Usage) -> str:
    """Return what was used, in words."""
    parts = [_count(usage.calls, "call")]
    if usage.cache_hits:
        parts.append(f"{_count(usage.cache_hits, 'answer')} from the cache")
    parts.append(_count(usage.tokens, "token"))
    if usage.cost:
        parts.append(f"cost {usage.cost:.4f}")
    return ", ".join(parts)


def kinds(failures: Mapping[str, int]) -> str:
    """Return failures by the class of their error, in words."""
    listed = ", ".join(f"{kind} {n}" for kind, n in sorted(failures.items()))
    return f"{_count(sum(failures.values()), 'call')} ({listed})"


def score_text(value: float | None, metric: str) -> str:
    """Return a score as a person reads it."""
    if value is None or value != value:
        return "not scored"
    return percent(value) if metric in _SHARES else f"{value:.3f}"


def percent(value: float) -> str:
    """Return a share as a percentage.

    Example:
        >>> percent(0.8125), percent(1)
        ('81.2%', '100%')
    """
    return f"{100 * value:.1f}".removesuffix(".0") + "%"


def duration(seconds: float) -> str:
    """Return a time in words.

    Example:
        >>> duration(4.2), duration(75), duration(7300)
        ('4 s', '1 min 15 s', '2 h 1 min')
    """
    minutes, rest = divmod(round(max(0.0, seconds)), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _interval(low: float, high: float, metric: str) -> str:
    what = "95% interval" if metric == "accuracy" else "accuracy's 95% interval"
    return f" ({what} {percent(low)} to {percent(high)})"


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"
