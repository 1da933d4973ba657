"""What is thought of while a person reads: feedback they could give, and whether principles were followed."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console

from langchain_model_alignment.calls import Caller
from langchain_model_alignment.cli.show import indented, numbered, plain
from langchain_model_alignment.constitution import Constitution
from langchain_model_alignment.feedback.adherence import Adherence, AdherenceReport, create_adherence_chain
from langchain_model_alignment.feedback.suggestions import create_critique_chain, create_kudos_chain

__all__ = ["Thinker", "Thoughts"]


@dataclass
class Thoughts:
    """What was thought of one answer; an exception where a call failed."""

    critiques: list[str] | BaseException = field(default_factory=list)
    kudos: list[str] | BaseException = field(default_factory=list)
    followed: AdherenceReport | BaseException | None = None

    def show(self, console: Console, several: bool) -> list[str]:
        """Print them, and return the suggestions as lines that a person could have typed."""
        self._show_followed(console)
        which = " answer 1" if several else ""
        found: list[str] = []
        for word, title, items in (
            ("c", f"You could criticise{which}", self.critiques),
            ("k", "or praise", self.kudos),
        ):
            if isinstance(items, BaseException):
                console.print(plain(f"No suggestions this time: {items}", "dim"))
                continue
            console.print(plain(title, "bold"))
            console.print(numbered(items, len(found) + 1))
            found += [f"{word} {item}" for item in items]
        return found

    def _show_followed(self, console: Console) -> None:
        if isinstance(self.followed, BaseException):
            console.print(plain(f"Whether the principles were followed is not known: {self.followed}", "dim"))
        elif self.followed is not None and self.followed.items:
            console.print(plain("Principles in this answer", "bold"))
            for item in self.followed.items:
                mark, style = _mark_of(item)
                shown = f": “{item.words}”" if item.words else ""
                console.print(indented(plain(f"{item.principle_id} {mark}{shown}", style)))


def _mark_of(item: Adherence) -> tuple[str, str]:
    if not item.applies:
        return "does not apply", "dim"
    if item.followed is None:
        return "was not judged", "dim"
    return ("followed", "green") if item.followed else ("not followed", "red")


class Thinker:
    """Thinks about answers with one model.

    Args:
        aligner: The model.
    """

    def __init__(self, aligner: Caller) -> None:
        self._critiques, self._kudos = create_critique_chain(aligner), create_kudos_chain(aligner)
        self.adherence = create_adherence_chain(aligner)

    async def think(
        self, prompt: str, response: str, inputs: dict[str, Any], constitution: Constitution | None
    ) -> Thoughts:
        """Think about one answer; what fails is among the thoughts."""
        asked = {"prompt": prompt, "response": response, "inputs": inputs}
        work: Sequence[Any] = [self._critiques.ainvoke(asked), self._kudos.ainvoke(asked)]
        if constitution is not None and constitution.enabled():
            work = [*work, self.adherence.ainvoke({**asked, "constitution": constitution})]
        return Thoughts(*await asyncio.gather(*work, return_exceptions=True))
