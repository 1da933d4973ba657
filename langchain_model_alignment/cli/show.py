"""How things look in a terminal: answers, suggestions, principles, and a prompt before and after."""

import difflib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from langchain_core.language_models import BaseChatModel
from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.text import Text

from langchain_model_alignment.feedback.graph import FeedbackEvent
from langchain_model_alignment.models import resolve_chat_model


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
def waiting(console: Console, what: str) -> Iterator[Any]:
    """Show that something takes its time; without a terminal it is said in a line."""
    if console.is_terminal:
        with console.status(f"{what} …") as status:
            yield status
    else:
        console.print(f"({what} …)", style="dim", markup=False, highlight=False)
        yield None


def answer_panel(text: str, title: str) -> Panel:
    """Return a model's answer in a frame; its text is never markup."""
    return Panel(Text(text), title=title, title_align="left", border_style="cyan")


def numbered(items: Sequence[str], first: int = 1) -> Text:
    """Return suggestions as a numbered list."""
    return Text("\n".join(f"  {number}  {item}" for number, item in enumerate(items, first)))


def changes(lines: Sequence[str]) -> Text:
    """Return changes of principles, coloured by what they are."""
    colours = {"+": "green", "-": "red", "~": "yellow"}
    text = Text()
    for line in lines:
        text.append(f"  {line}\n", style=colours.get(line[:1], ""))
    text.rstrip()
    return text


def prompt_diff(before: str, after: str) -> Text:
    """Return a prompt before and after, line by line, removed lines red and added ones green."""
    if before == after:
        return Text("  (the text stays as it is)", style="dim")
    colours = {"- ": "red", "+ ": "green"}
    text = Text()
    for line in difflib.ndiff(before.splitlines(), after.splitlines()):
        if not line.startswith("? "):
            text.append(f"  {line}\n", style=colours.get(line[:2], "dim"))
    text.rstrip()
    return text


def show_event(console: Console, event: FeedbackEvent) -> None:
    """Print what the feedback graph tells while it runs."""
    if event["type"] == "principles":
        console.print("\nPrinciples", style="bold")
        console.print(changes(event["changes"]) if event["changes"] else Text("  (no change)", style="dim"))
        if event["written_by"] == "person" and event["changes"]:
            note = "  (in your own words: what the model wrote would have lost part of them)"
            console.print(Text(note, style="dim"))
    elif event["type"] == "prompt":
        console.print("\nPrompt", style="bold")
        console.print(prompt_diff(event["before"], event["after"]))
    else:
        many = len(event["candidates"]) > 1
        console.print()
        for number, text in enumerate(event["candidates"], 1):
            console.print(answer_panel(text, f"Answer {number}" if many else "Answer"))
