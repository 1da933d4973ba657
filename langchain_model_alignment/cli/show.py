"""How things look in a terminal: answers, suggestions, principles, and a prompt before and after."""

import difflib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from langchain_core.language_models import BaseChatModel
from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from langchain_model_alignment.feedback.graph import FeedbackEvent
from langchain_model_alignment.models import resolve_chat_model

# Whatever a model or a file says must not steer the terminal.
_STEERING = {code: None for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


def plain(text: str, style: str = "") -> Text:
    """Return text as it is: no markup, and no control characters."""
    return Text(text.translate(_STEERING), style=style)


def indented(text: Text) -> Padding:
    """Return text two columns to the right, its continuation lines too."""
    return Padding(text, (0, 0, 0, 2))


def open_model(name: str, console: Console) -> BaseChatModel:
    """Resolve a model name; a local model's weights are pulled, with a bar, where they are missing."""
    if not (name == "local" or name.startswith("local:") or ":" not in name):
        return resolve_chat_model(name)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting the local model", total=None)

        def tell(done: int, total: int, what: str) -> None:
            bar.update(task, completed=done, total=total, description=what)

        return resolve_chat_model(name, progress=tell)


@contextmanager
def waiting(console: Console, what: str) -> Iterator[Callable[[str], None]]:
    """Show what is going on and for how long, yielding what changes the words; without a terminal, say it once."""
    if not console.is_terminal:
        console.print(plain(f"({what} …)", "dim"))
        yield lambda _: None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description} …", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda words: bar.update(task, description=words)


def answer_panel(text: str, title: str) -> Panel:
    """Return a model's answer in a frame."""
    return Panel(plain(text), title=title, title_align="left", border_style="cyan")


def numbered(items: Sequence[str], first: int = 1) -> Padding:
    """Return suggestions as a numbered list."""
    table = Table.grid(padding=(0, 2))
    for number, item in enumerate(items, first):
        table.add_row(str(number), plain(item))
    return Padding(table, (0, 0, 0, 2))


def changes(lines: Sequence[str]) -> Padding:
    """Return changes of principles, coloured by what they are."""
    return _signed([(line[:1], line[2:]) for line in lines]) if lines else indented(plain("(no change)", "dim"))


def prompt_diff(before: str, after: str) -> Padding:
    """Return a prompt before and after, line by line, removed lines red and added ones green."""
    if before == after:
        return indented(plain("(the text stays as it is)", "dim"))
    lines = difflib.ndiff(before.splitlines(), after.splitlines())
    return _signed([(line[:1].strip(), line[2:]) for line in lines if not line.startswith("? ")])


def _signed(rows: Sequence[tuple[str, str]]) -> Padding:
    colours = {"+": "green", "-": "red", "~": "yellow"}
    table = Table.grid(padding=(0, 1))
    for sign, text in rows:
        style = colours.get(sign, "dim")
        table.add_row(plain(sign, style), plain(text, style))
    return Padding(table, (0, 0, 0, 2))


def show_event(console: Console, event: FeedbackEvent) -> None:
    """Print what the feedback graph tells while it runs."""
    if event["type"] == "principles":
        console.print("\nPrinciples", style="bold")
        console.print(changes(event["changes"]))
        if event["changes"]:
            show_author(console, event["written_by"])
    elif event["type"] == "prompt":
        console.print("\nPrompt", style="bold")
        console.print(prompt_diff(event["before"], event["after"]))
    elif event["type"] == "verdicts":
        for verdict in event["verdicts"]:
            show_verdict(console, verdict)
    elif event["type"] == "replay":
        if event["report"]["items"]:
            console.print(indented(plain(event["summary"], "dim")))
    elif event["type"] == "taken_back":
        console.print(indented(plain("The change is taken back; it stays in the history as a branch.", "dim")))
    else:
        many = len(event["candidates"]) > 1
        console.print()
        for number, text in enumerate(event["candidates"], 1):
            console.print(answer_panel(text, f"Answer {number}" if many else "Answer"))


def show_verdict(console: Console, verdict: dict[str, Any]) -> None:
    """Say whether a new answer does what was said, and what follows where it does not."""
    said = f"“{verdict['text']}”"
    why = f": {verdict['reason']}" if verdict["reason"] else ""
    if verdict["kept"]:
        console.print(indented(plain(f"✓ {said} is kept", "green")))
    elif verdict["repairing"]:
        console.print(indented(plain(f"✗ {said} is not kept{why}; the principle is written anew", "yellow")))
    else:
        console.print(indented(plain(f"✗ {said} is still not kept{why}; say it in other words", "red")))


def show_author(console: Console, written_by: str) -> None:
    """Say when a principle holds the person's own words because the model's would have lost part of them."""
    if written_by == "person":
        note = "(in your own words: what the model wrote would have lost part of them)"
        console.print(indented(plain(note, "dim")))
