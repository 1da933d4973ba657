"""`langchain-align feedback`: the loop in a terminal. All it shows and does goes through the feedback graph."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Annotated, Any

import typer
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.types import Command
from pydantic import ValidationError
from rich.console import Console
from rich.text import Text

from langchain_model_alignment.calls import Caller
from langchain_model_alignment.cli.show import numbered, open_model, show_event, waiting
from langchain_model_alignment.cli.turns import HELP, Turn, read_turn
from langchain_model_alignment.errors import AlignmentError, ArtifactError, PromptError
from langchain_model_alignment.feedback.graph import create_feedback_graph
from langchain_model_alignment.feedback.records import AlignedPrompt, one_line
from langchain_model_alignment.feedback.suggestions import create_critique_chain, create_kudos_chain
from langchain_model_alignment.loop import run_sync

_THREAD: Any = {"configurable": {"thread_id": "feedback"}}
_NEXT = {"principles": "writing it into the prompt", "prompt": "answering again"}


def run_feedback(
    prompt_file: Annotated[Path, typer.Argument(help="A text file with the prompt, or an aligned prompt's JSON.")],
    model: Annotated[str, typer.Option(help="The model: local, provider:model, or a path to a .gguf.")] = "local",
    alignment_model: Annotated[
        str | None, typer.Option(help="The model that writes principles; the same, when absent.")
    ] = None,
    inputs: Annotated[
        list[str] | None, typer.Option("--input", help="A value for a variable, as name=value; repeat for more.")
    ] = None,
    candidates: Annotated[int, typer.Option(min=1, max=9, help="How many answers to choose from.")] = 1,
    out: Annotated[Path | None, typer.Option(help="The aligned prompt's JSON; beside the prompt, when absent.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the session that is saved there.")] = False,
) -> None:
    """Align a prompt in the terminal: read an answer, say what is wrong or right, see what changes."""
    console = Console()
    target = out or prompt_file.with_name(f"{prompt_file.stem}.aligned.json")
    session = target.with_suffix(".session.sqlite")
    start = None if resume else _start(prompt_file, inputs or [])
    if resume and not session.exists():
        raise ArtifactError(f"There is no session at {session} to go on with; leave --resume out to begin one.")
    if not resume and session.exists():
        raise ArtifactError(f"A session is saved at {session}; go on with --resume, or give another --out.")
    caller = Caller(open_model(model, console))
    aligner = Caller(open_model(alignment_model, console)) if alignment_model else caller
    graph = create_feedback_graph(caller, alignment_model=aligner, candidates=candidates)
    try:
        session.parent.mkdir(parents=True, exist_ok=True)
        with SqliteSaver.from_conn_string(str(session)) as saver:
            _Loop(console, graph.compile(checkpointer=saver), aligner, target).run(start)
    except (OSError, sqlite3.Error) as error:
        raise ArtifactError(
            f"The session at {session} cannot be read or written ({error}); give another --out."
        ) from error
    except (KeyboardInterrupt, EOFError):
        console.print()
        _say_saved(console, target)
        raise typer.Exit(130) from None
    except AlignmentError:
        if session.exists():
            _say_saved(console, target)
        raise


def _start(prompt_file: Path, inputs: list[str]) -> dict[str, Any]:
    try:
        text = prompt_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ArtifactError(f"{prompt_file} cannot be read ({reason}); give a text file with the prompt.") from error
    if not text:
        raise PromptError(f"{prompt_file} is empty; write the prompt into it.")
    if prompt_file.suffix == ".json":
        prompt = AlignedPrompt.load(prompt_file)
    else:
        prompt = AlignedPrompt.from_prompt(text)
    values: dict[str, Any] = {}
    for pair in inputs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise PromptError(f"--input {pair!r} has no value; write it as name=value.")
        values[name.strip()] = value
    for name in prompt.effective.variables:
        if name not in values:
            values[name] = typer.prompt(f"A value for {{{name}}}")
    prompt.effective.check_inputs(values)
    return {"prompt": prompt.model_dump(mode="json"), "inputs": values}


def _say_saved(console: Console, target: Path) -> None:
    saved = f"Saved in {target}." if target.exists() else "Everything up to the last finished step is saved."
    console.print(Text(f"{saved} Go on with --resume.", style="dim"))


class _Loop:
    """One session at the terminal."""

    def __init__(self, console: Console, graph: Any, aligner: Caller, target: Path) -> None:
        self.console = console
        self.graph = graph
        self.target = target
        self._suggesting = {"critique": create_critique_chain(aligner), "kudos": create_kudos_chain(aligner)}

    def run(self, start: dict[str, Any] | None) -> None:
        """Take turns until the person is content."""
        self.console.print(Text(HELP, style="dim"))
        if start is not None:
            self._advance(start)
        elif not self._questions():
            self._advance(None)
        else:
            show_event(self.console, {"type": "answers", "candidates": self._questions()[0]["candidates"]})
        while questions := self._questions():
            turn = self._ask(questions[0])
            try:
                self._advance(Command(resume=turn.review))
            except ValidationError as error:  # the question is still pending
                self.console.print(Text(f"{one_line(error).removeprefix('Value error, ')}.", style="red"))
        self.console.print(Text(f"\nDone. The aligned prompt is in {self.target}."))

    def _advance(self, value: Any) -> None:
        """Run the graph to the person's next turn, showing what it tells, and save the prompt."""
        with waiting(self.console, "reading your feedback" if isinstance(value, Command) else "answering") as status:
            for event in self.graph.stream(value, _THREAD, stream_mode="custom"):
                show_event(self.console, event)
                if status is not None and event["type"] in _NEXT:
                    status.update(f"{_NEXT[event['type']]} …")
        prompt = self.graph.get_state(_THREAD).values.get("prompt")
        if prompt is not None:
            AlignedPrompt.from_dict(prompt).save(self.target)

    def _questions(self) -> list[dict[str, Any]]:
        return [question.value for question in self.graph.get_state(_THREAD).interrupts]

    def _ask(self, question: dict[str, Any]) -> Turn:
        suggestions = self._suggest(question)
        while True:
            try:
                turn = read_turn(self.console.input("\n> "), suggestions, self._read_more)
            except ValueError as error:
                self.console.print(Text(str(error), style="red"))
                continue
            if turn.review is not None:
                return turn
            self._show(turn.show, question)

    def _suggest(self, question: dict[str, Any]) -> list[str]:
        request = {"prompt": question["prompt"], "response": question["response"], "inputs": question["inputs"]}

        async def both() -> list[Any]:
            chains = self._suggesting.values()
            return await asyncio.gather(*(chain.ainvoke(request) for chain in chains), return_exceptions=True)

        with waiting(self.console, "thinking of feedback you could give"):
            critiques, kudos = run_sync(both())
        found: list[str] = []
        for title, items in (("You could criticise", critiques), ("or praise", kudos)):
            if isinstance(items, BaseException):
                self.console.print(Text(f"No suggestions this time: {items}", style="dim"))
                continue
            self.console.print(Text(title, style="bold"))
            self.console.print(numbered(items, len(found) + 1))
            found += [f"{'c' if title.startswith('You') else 'k'} {item}" for item in items]
        return found

    def _read_more(self) -> str:
        self.console.print(Text("Your version of the answer; end with a line that has only a dot.", style="dim"))
        lines: list[str] = []
        while (line := self.console.input("")) != ".":
            lines.append(line)
        return "\n".join(lines)

    def _show(self, what: str, question: dict[str, Any]) -> None:
        if what == "help":
            self.console.print(Text(HELP))
            return
        prompt = AlignedPrompt.from_dict(self.graph.get_state(_THREAD).values["prompt"])
        self.console.print(Text(prompt.effective.text))
        for principle in prompt.principles:
            self.console.print(Text(f"  {principle.id}: {principle.sentence()}{'' if principle.enabled else ' (off)'}"))
