"""One session of `langchain-align feedback`: what is shown, what a person types, and what is thought of meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.types import Command
from pydantic import ValidationError
from rich.console import Console

from langchain_model_alignment.artifacts import one_line
from langchain_model_alignment.calls import Caller
from langchain_model_alignment.cli.show import answer_panel, changes, indented, numbered, plain, show_event, waiting
from langchain_model_alignment.cli.thoughts import Thinker, Thoughts
from langchain_model_alignment.cli.turns import HELP, read_turn
from langchain_model_alignment.constitution import Constitution
from langchain_model_alignment.errors import AlignmentError, ModelError
from langchain_model_alignment.feedback.adherence import adherence_table, check_adherence
from langchain_model_alignment.feedback.conflicts import create_conflict_chain
from langchain_model_alignment.feedback.conversation import input_key
from langchain_model_alignment.feedback.findings import Conflict
from langchain_model_alignment.feedback.loop_state import FeedbackEvent
from langchain_model_alignment.feedback.records import AlignedPrompt
from langchain_model_alignment.loop import run_sync

__all__ = ["Session"]

_THREAD: Any = {"configurable": {"thread_id": "feedback"}}
_NEXT = {
    "principles": "writing it into the prompt",
    "prompt": "answering again",
    "answers": "checking what was said",
    "verdicts": "looking after earlier inputs",
}


class Session:
    """One session at the terminal.

    The graph runs on the library's own loop, so that Ctrl-C ends what a model is doing at once. What a person may want
    to read beside an answer is thought of as soon as the answer is there, while the graph still checks it.
    """

    def __init__(self, console: Console, graph: Any, aligner: Caller, target: Path, session: Path) -> None:
        self.console = console
        self.graph = graph
        self.target = target
        self.session = session
        self._aligner = aligner
        self._thinker = Thinker(aligner)
        self._thinking: asyncio.Task[Thoughts] | None = None  # it goes on while the graph asks something else
        self._conflicts: list[Conflict] = []

    def run(self, start: dict[str, Any] | None) -> None:
        """Take turns until the person is content."""
        self.console.print(plain(HELP, "dim"))
        question = self._question() if start is None else None
        if question is None:
            question = self._advance(start)
        elif question["type"] == "review":
            show_event(self.console, {"type": "answers", "candidates": question["candidates"]})
        while question is not None:
            ask = {"replay": self._decide, "why": self._explain}.get(question["type"], self._review)
            question = ask(question)
        # The JSON has everything; the thread of a finished session would only stand in the way of the next one.
        for suffix in ("", "-wal", "-shm"):
            self.session.with_name(self.session.name + suffix).unlink(missing_ok=True)
        self.console.print(plain(f"\nDone. The aligned prompt is in {self.target}."))

    # -- questions -----------------------------------------------------------------------------------------------

    def _review(self, question: dict[str, Any]) -> dict[str, Any] | None:
        """Read lines until one is a turn that fits, and run the graph to the next question."""
        self._conflicts = [Conflict.model_validate(found) for found in question.get("conflicts", [])]
        self._show_conflicts()
        suggestions = self._suggestions(question)
        while True:
            try:
                turn = read_turn(self.console.input("\n> "), suggestions, self._read_more)
                review = self._taken(turn.proposal) if turn.proposal is not None else turn.review
                if review is not None:
                    return self._advance(Command(resume=self._fitting(review, question)))
                self._show_what(turn.show)
            except ValidationError as error:  # the question is still pending
                self._complain(f"{one_line(error).removeprefix('Value error, ')}.")
            except ValueError as error:
                if isinstance(error, AlignmentError):
                    raise
                self._complain(str(error))

    def _decide(self, question: dict[str, Any]) -> dict[str, Any] | None:
        self.console.print(plain("\nThe last change made something worse", "bold red"))
        for line in question["troubles"]:
            self.console.print(indented(plain(line, "red")))
        for item in question["report"]["items"]:
            if item["worse"] or any(not wish["verdict"]["kept"] for wish in item["wishes"]):
                self.console.print(answer_panel(item["before"], f"{item['exchange']} before"))
                self.console.print(answer_panel(item["after"], f"{item['exchange']} now"))
        self.console.print(plain("The change", "bold"))
        self.console.print(changes(question["changes"]))
        keep = None
        while keep is None:
            said = self.console.input("Keep the change all the same? (y/n) ").strip().lower()
            keep = {"y": True, "yes": True, "n": False, "no": False}.get(said)
        return self._advance(Command(resume={"action": "accept" if keep else "take_back"}))

    def _explain(self, question: dict[str, Any]) -> dict[str, Any] | None:
        self.console.print(plain("\nWhy is it better? A number, or your own words", "bold"))
        self.console.print(numbered(question["reasons"]))
        said = ""
        while not said:
            said = self.console.input("\n> ").strip()
            if said.isdecimal() and not 1 <= int(said) <= len(question["reasons"]):
                self._complain(f"There is no reason {said}; type another number, or your own words.")
                said = ""
        return self._advance(Command(resume={"choice": int(said) - 1} if said.isdecimal() else {"text": said}))

    def _fitting(self, review: dict[str, Any], question: dict[str, Any]) -> dict[str, Any]:
        choice, answers = max(review.get("choice", 0), review.get("over", 0)), len(question["candidates"])
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

    def _taken(self, proposal: int) -> dict[str, Any]:
        """The edits of a proposal, as a review."""
        if not 1 <= proposal <= len(self._conflicts):
            raise ValueError(f"There is no proposal {proposal}; x looks for principles that conflict.")
        edits = self._conflicts[proposal - 1].edits
        if not edits:
            raise ValueError("Nothing is proposed for it; reword a principle yourself, as in: e p1 Be brief.")
        return {"action": "edit", "edits": [edit.model_dump(mode="json") for edit in edits]}

    def _complain(self, sentence: str) -> None:
        self.console.print(plain(sentence[:1].upper() + sentence[1:], "red"))

    # -- the graph -----------------------------------------------------------------------------------------------

    def _advance(self, value: Any) -> dict[str, Any] | None:
        """Run the graph to the person's next turn, showing what it tells, and save the prompt."""
        first = "reading your feedback" if isinstance(value, Command) else "answering"
        with waiting(self.console, first) as say:
            run_sync(self._stream(value, say))
        prompt = self._state().values.get("prompt")
        if prompt is not None:
            AlignedPrompt.from_dict(prompt).save(self.target)
        return self._question()

    async def _stream(self, value: Any, say: Callable[[str], None]) -> None:
        said = ""
        async with self._compiled() as graph:
            async for mode, event in graph.astream(value, _THREAD, stream_mode=["custom", "messages"]):
                if mode == "custom":
                    show_event(self.console, event)
                    said = ""
                    say(_NEXT.get(event["type"], "thinking of feedback you could give"))
                    if event["type"] == "answers":
                        self._forget()
                        self._thinking = asyncio.create_task(self._think(event))
                elif event[1].get("langgraph_node") == "respond":
                    said += event[0].text
                    say(f"answering: {' '.join(said.split())[-48:]}")

    def _forget(self) -> None:
        if self._thinking is not None:
            self._thinking.cancel()
        self._thinking = None

    async def _think(self, answers: FeedbackEvent) -> Thoughts:
        constitution = Constitution.model_validate(answers["constitution"])
        return await self._thinker.think(answers["prompt"], answers["candidates"][0], answers["inputs"], constitution)

    @asynccontextmanager
    async def _compiled(self) -> AsyncIterator[Any]:
        async with AsyncSqliteSaver.from_conn_string(str(self.session)) as saver:
            yield self.graph.compile(checkpointer=saver)

    def _state(self) -> Any:
        async def read() -> Any:
            async with self._compiled() as graph:
                return await graph.aget_state(_THREAD)

        return run_sync(read())

    def _prompt(self) -> AlignedPrompt:
        return AlignedPrompt.from_dict(self._state().values["prompt"])

    def _question(self) -> dict[str, Any] | None:
        interrupts = self._state().interrupts
        return interrupts[0].value if interrupts else None

    # -- what is shown -------------------------------------------------------------------------------------------

    def _suggestions(self, question: dict[str, Any]) -> list[str]:
        """Print what was thought of meanwhile, and return the suggestions as lines that a person could have typed."""
        thinking, self._thinking = self._thinking, None
        with waiting(self.console, "thinking of feedback you could give"):
            thoughts = run_sync(self._thoughts_of(question, thinking))
        return thoughts.show(self.console, len(question["candidates"]) > 1)

    async def _thoughts_of(self, question: dict[str, Any], thinking: asyncio.Task[Thoughts] | None) -> Thoughts:
        if thinking is not None:
            return await thinking
        # The session goes on: the answer was there before.
        constitution = Constitution.model_validate({"principles": question["principles"]})
        return await self._thinker.think(question["prompt"], question["response"], question["inputs"], constitution)

    def _read_more(self) -> str:
        self.console.print(plain("Your version of the answer; end with a line that has only a dot.", "dim"))
        lines: list[str] = []
        while (line := self.console.input("")) != ".":
            lines.append(line)
        return "\n".join(lines)

    def _show_what(self, what: str) -> None:
        try:
            self._show(what)
        except ModelError as error:  # the question is still pending
            self._complain(str(error))

    def _show(self, what: str) -> None:
        if what == "help":
            self.console.print(plain(HELP))
        elif what == "history":
            self.console.print(plain(self._prompt().history.tree()))
        elif what == "followed":
            self._show_followed()
        elif what == "conflicts":
            self._look_for_conflicts()
        else:
            prompt = self._prompt()
            self.console.print(plain(prompt.effective.text))
            for principle in prompt.principles:
                switched = "" if principle.enabled else " (off)"
                self.console.print(indented(plain(f"{principle.id}: {principle.sentence()}{switched}")))

    def _show_followed(self) -> None:
        prompt = self._prompt()
        if not prompt.constitution.enabled():
            self.console.print(plain("There are no principles yet.", "dim"))
            return
        with waiting(self.console, "checking how often principles were followed"):
            newest = {input_key(prompt, e): e for e in prompt.exchanges if e.response}
            reports = run_sync(check_adherence(self._thinker.adherence, prompt, list(newest.values())))
        table = adherence_table(reports, prompt.constitution)
        for row in table.to_dict("records"):
            shown = f"{row['principle_id']}  followed {row['followed']} of {row['applied']}  {row['principle']}"
            self.console.print(indented(plain(shown)))

    def _look_for_conflicts(self) -> None:
        prompt = self._prompt()
        with waiting(self.console, "looking for principles that conflict"):
            chain = create_conflict_chain(self._aligner)
            asked = {"constitution": prompt.constitution, "exchanges": prompt.exchanges}
            self._conflicts = list(run_sync(chain.ainvoke(asked)).conflicts)
        if not self._conflicts:
            self.console.print(plain("No principle is in another's way.", "dim"))
        self._show_conflicts()

    def _show_conflicts(self) -> None:
        if not self._conflicts:
            return
        principles = self._prompt().constitution
        self.console.print(plain("Principles in each other's way", "bold yellow"))
        for number, found in enumerate(self._conflicts, 1):
            self.console.print(indented(plain(f"{' and '.join(found.ids)}: {found.why}", "yellow")))
            if found.edits:
                lines = principles.diff(principles.apply_all(found.edits))
                self.console.print(indented(plain(f"x {number} would do:")))
                self.console.print(changes(lines))
