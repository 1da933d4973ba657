"""`langchain-align feedback`: the loop in a terminal. All it shows and does goes through the feedback graph."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.types import Command
from pydantic import ValidationError
from rich.console import Console

from langchain_model_alignment.artifacts import make_place, one_line
from langchain_model_alignment.calls import Caller
from langchain_model_alignment.cli.show import indented, numbered, open_model, plain, show_event, waiting
from langchain_model_alignment.cli.turns import HELP, read_turn
from langchain_model_alignment.errors import AlignmentError, ArtifactError, PromptError
from langchain_model_alignment.feedback.graph import create_feedback_graph
from langchain_model_alignment.feedback.records import AlignedPrompt
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
    target = out or prompt_file.with_name(f"{prompt_file.stem.removesuffix('.aligned')}.aligned.json")
    session = target.with_name(f"{target.name.removesuffix('.json')}.session.sqlite")
    if resume and not session.exists():
        if target.exists():
            raise ArtifactError(f"The session was accepted; begin a new one from it: langchain-align feedback {target}")
        raise ArtifactError(f"There is no session at {session} to go on with; leave --resume out to begin one.")
    if not resume and session.exists():
        raise ArtifactError(f"A session is saved at {session}; go on with --resume, or give another --out.")
    if not resume and target.exists() and not (target.suffix == ".json" and target.resolve() == prompt_file.resolve()):
        raise ArtifactError(
            f"{target} is there already; go on from it (langchain-align feedback {target}), or give another --out."
        )
    make_place(target)
    start = None if resume else _start(prompt_file, inputs or [])
    caller = Caller(open_model(model, console))
    aligner = Caller(open_model(alignment_model, console)) if alignment_model else caller
    graph = create_feedback_graph(caller, alignment_model=aligner, candidates=candidates)
    try:
        _Loop(console, graph, aligner, target, session).run(start)
    except (OSError, sqlite3.Error) as error:
        raise ArtifactError(
            f"The session at {session} cannot be read or written ({error}); give another --out."
        ) from error
    except (KeyboardInterrupt, EOFError):
        console.print()
        _say_saved(console, target)
        raise typer.Exit(130) from None
    except AlignmentError:
        _say_saved(console, target)
        raise


def _start(prompt_file: Path, inputs: list[str]) -> dict[str, Any]:
    try:
        text = prompt_file.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ArtifactError(f"{prompt_file} cannot be read ({reason}); give a text file with the prompt.") from error
    if not text:
        raise PromptError(f"{prompt_file} is empty; write the prompt into it.")
    aligned = prompt_file.suffix == ".json"
    prompt = AlignedPrompt.load(prompt_file) if aligned else AlignedPrompt.from_prompt(text)
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
    console.print(plain(f"{saved} Go on with --resume.", "dim"))


class _Loop:
    """One session at the terminal.

    The graph runs on the library's own loop, so that Ctrl-C ends what a model is doing at once.
    """

    def __init__(self, console: Console, graph: Any, aligner: Caller, target: Path, session: Path) -> None:
        self.console = console
        self.graph = graph
        self.target = target
        self.session = session
        self._suggesting = {"c": create_critique_chain(aligner), "k": create_kudos_chain(aligner)}

    def run(self, start: dict[str, Any] | None) -> None:
        """Take turns until the person is content."""
        self.console.print(plain(HELP, "dim"))
        question = self._question() if start is None else None
        if question is None:
            question = self._advance(start)
        else:
            show_event(self.console, {"type": "answers", "candidates": question["candidates"]})
        while question is not None:
            suggestions = self._suggest(question)
            question = self._take_turn(question, suggestions)
        # The JSON has everything; the thread of a finished session would only stand in the way of the next one.
        for suffix in ("", "-wal", "-shm"):
            self.session.with_name(self.session.name + suffix).unlink(missing_ok=True)
        self.console.print(plain(f"\nDone. The aligned prompt is in {self.target}."))

    def _take_turn(self, question: dict[str, Any], suggestions: list[str]) -> dict[str, Any] | None:
        """Read lines until one is a turn that fits, and run the graph to the next question."""
        while True:
            try:
                turn = read_turn(self.console.input("\n> "), suggestions, self._read_more)
                if turn.review is not None:
                    return self._advance(Command(resume=self._fitting(turn.review, question)))
                self._show(turn.show)
            except ValidationError as error:  # the question is still pending
                self._complain(f"{one_line(error).removeprefix('Value error, ')}.")
            except ValueError as error:
                if isinstance(error, AlignmentError):
                    raise
                self._complain(str(error))

    def _fitting(self, review: dict[str, Any], question: dict[str, Any]) -> dict[str, Any]:
        choice, answers = review.get("choice", 0), len(question["candidates"])
        if choice >= answers:
            there = "there is only one" if answers == 1 else f"there are {answers}"
            raise ValueError(f"There is no answer {choice + 1}; {there}.")
        if "inputs" in review:
            unknown = [name for name in review["inputs"] if name not in question["inputs"]]
            if unknown:
                known = ", ".join(question["inputs"]) or "none"
                raise ValueError(f"The prompt has no variable {unknown[0]}; its variables are: {known}.")
            return {**review, "inputs": {**question["inputs"], **review["inputs"]}}
        return review

    def _complain(self, sentence: str) -> None:
        self.console.print(plain(sentence[:1].upper() + sentence[1:], "red"))

    def _advance(self, value: Any) -> dict[str, Any] | None:
        """Run the graph to the person's next turn, showing what it tells, and save the prompt."""
        first = "reading your feedback" if isinstance(value, Command) else "answering"
        with waiting(self.console, first) as say:

            async def stream() -> None:
                said = ""
                modes = ["custom", "messages"]
                async with self._compiled() as graph:
                    async for mode, event in graph.astream(value, _THREAD, stream_mode=modes):
                        if mode == "custom":
                            show_event(self.console, event)
                            said = ""
                            if event["type"] in _NEXT:
                                say(_NEXT[event["type"]])
                        elif event[1].get("langgraph_node") == "respond":
                            said += event[0].text
                            say(f"answering: {' '.join(said.split())[-48:]}")

            run_sync(stream())
        prompt = self._state().values.get("prompt")
        if prompt is not None:
            AlignedPrompt.from_dict(prompt).save(self.target)
        return self._question()

    @asynccontextmanager
    async def _compiled(self) -> AsyncIterator[Any]:
        async with AsyncSqliteSaver.from_conn_string(str(self.session)) as saver:
            yield self.graph.compile(checkpointer=saver)

    def _state(self) -> Any:
        async def read() -> Any:
            async with self._compiled() as graph:
                return await graph.aget_state(_THREAD)

        return run_sync(read())

    def _question(self) -> dict[str, Any] | None:
        interrupts = self._state().interrupts
        return interrupts[0].value if interrupts else None

    def _suggest(self, question: dict[str, Any]) -> list[str]:
        """Print six suggestions, and return them as lines that a person could have typed."""
        request = {"prompt": question["prompt"], "response": question["response"], "inputs": question["inputs"]}

        async def both() -> list[Any]:
            chains = self._suggesting.values()
            return await asyncio.gather(*(chain.ainvoke(request) for chain in chains), return_exceptions=True)

        with waiting(self.console, "thinking of feedback you could give"):
            answers = dict(zip(self._suggesting, run_sync(both()), strict=True))
        which = " answer 1" if len(question["candidates"]) > 1 else ""
        found: list[str] = []
        for word, title in (("c", f"You could criticise{which}"), ("k", "or praise")):
            items = answers[word]
            if isinstance(items, BaseException):
                self.console.print(plain(f"No suggestions this time: {items}", "dim"))
                continue
            self.console.print(plain(title, "bold"))
            self.console.print(numbered(items, len(found) + 1))
            found += [f"{word} {item}" for item in items]
        return found

    def _read_more(self) -> str:
        self.console.print(plain("Your version of the answer; end with a line that has only a dot.", "dim"))
        lines: list[str] = []
        while (line := self.console.input("")) != ".":
            lines.append(line)
        return "\n".join(lines)

    def _show(self, what: str) -> None:
        if what == "help":
            self.console.print(plain(HELP))
            return
        prompt = AlignedPrompt.from_dict(self._state().values["prompt"])
        self.console.print(plain(prompt.effective.text))
        for principle in prompt.principles:
            switched = "" if principle.enabled else " (off)"
            self.console.print(indented(plain(f"{principle.id}: {principle.sentence()}{switched}")))
