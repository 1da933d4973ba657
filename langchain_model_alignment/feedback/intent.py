"""Is the wish kept? An answer is judged against what was said about earlier ones, and a loss is mended once.

The verdicts stand beside the feedback in its exchange, so that everybody who holds the prompt can see what was kept.
"""

import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from langchain_core.runnables import RunnableConfig

from langchain_model_alignment.constitution import Edit, Principle
from langchain_model_alignment.feedback import judging_instructions as instructions
from langchain_model_alignment.feedback.conversation import asked_in, input_key
from langchain_model_alignment.feedback.exchanges import Exchange, Feedback, Verdict
from langchain_model_alignment.feedback.judging import Judge, Wish, about
from langchain_model_alignment.feedback.own_words import in_own_words
from langchain_model_alignment.feedback.records import AlignedPrompt
from langchain_model_alignment.feedback.relations import clash
from langchain_model_alignment.feedback.together import together
from langchain_model_alignment.orders import is_order
from langchain_model_alignment.traits import limit_of
from langchain_model_alignment.wishes import lost
from langchain_model_alignment.wording import clean_sentence, near_duplicate, quotes

__all__ = ["Standing", "by_input", "judge_standing", "mend", "standing_in", "unjudged", "with_verdicts"]

logger = logging.getLogger(__name__)

_RULE_TOKENS = 90
_SEVERAL = 2  # wishes behind one principle


@dataclass(frozen=True, slots=True)
class Standing:
    """Feedback that a principle still stands for."""

    exchange: Exchange
    number: int
    """Which piece of feedback of its exchange, from 0."""
    principle: Principle

    @property
    def feedback(self) -> Feedback:
        """The feedback."""
        return self.exchange.feedback[self.number]

    @property
    def id(self) -> str:
        """What the principle's evidence calls it."""
        return f"{self.exchange.id}.f{self.number + 1}"


def standing_in(prompt: AlignedPrompt, exchanges: Iterable[Exchange] | None = None) -> list[Standing]:
    """Return the feedback that still stands: an enabled principle came from it, and no later wish took its place."""
    by_evidence = {name: p for p in prompt.constitution.enabled() for name in p.evidence}
    found = [
        Standing(exchange, number, principle)
        for exchange in (prompt.exchanges if exchanges is None else exchanges)
        for number in range(len(exchange.feedback))
        if (principle := by_evidence.get(f"{exchange.id}.f{number + 1}"))
    ]
    by_hand = _edited_by_hand(prompt)
    newest = {s.principle.id: s.principle.evidence[-1] for s in found}
    # Of several wishes behind one principle, the newest wrote its words; an older one stands where they still say it.
    return [
        s
        for s in found
        if s.principle.id not in by_hand
        and (s.id == newest[s.principle.id] or not lost(s.feedback.text, s.principle.text, s.feedback.tone))
    ]


def _edited_by_hand(prompt: AlignedPrompt) -> set[str]:
    """The principles whose words are a person's own doing since: what was said before may no longer be wanted."""
    hands: dict[str, bool] = {}
    for revision in prompt.history.path(prompt.history.head):
        for edit in revision.edits:
            if isinstance(edit, Edit):
                hands[edit.id] = revision.author == "person" and not edit.evidence
    return {id for id, by_hand in hands.items() if by_hand}


def unjudged(prompt: AlignedPrompt, principles: Collection[str]) -> list[Standing]:
    """Return the feedback behind some principles that still stands and has no verdict yet."""
    return [s for s in standing_in(prompt) if s.principle.id in principles and s.feedback.verdict is None]


async def judge_standing(
    judge: Judge, prompt: AlignedPrompt, standing: Sequence[Standing], response: str, config: RunnableConfig
) -> list[Verdict | None]:
    """Judge an answer by feedback on the same input; nothing where the model cannot tell.

    Raises:
        ModelError: A call failed.
    """
    first = standing[0]
    wishes = [Wish(s.feedback, s.principle.text) for s in standing]
    old = first.exchange.response or first.feedback.response
    found = await judge.judge(asked_in(prompt, first.exchange), old, wishes, response, config)
    at = {"revision": prompt.history.head}
    return [None if verdict is None else verdict.model_copy(update=at) for verdict in found.verdicts]


def with_verdicts(prompt: AlignedPrompt, verdicts: Iterable[tuple[Standing, Verdict]]) -> AlignedPrompt:
    """Return the prompt with verdicts beside the feedback that they are about."""
    for standing, verdict in verdicts:
        exchange = next(e for e in prompt.exchanges if e.id == standing.exchange.id)
        feedback = list(exchange.feedback)
        feedback[standing.number] = feedback[standing.number].model_copy(update={"verdict": verdict})
        prompt = prompt.with_exchange(exchange.model_copy(update={"feedback": tuple(feedback)}))
    return prompt


def by_input(prompt: AlignedPrompt, standing: Iterable[Standing]) -> dict[str, list[Standing]]:
    """Group feedback by the input that it is about."""
    groups: dict[str, list[Standing]] = {}
    for one in standing:
        groups.setdefault(input_key(prompt, one.exchange), []).append(one)
    return groups


async def mend(
    judge: Judge, prompt: AlignedPrompt, missed: Sequence[tuple[Standing, Verdict, str]], config: RunnableConfig
) -> AlignedPrompt:
    """Return the prompt with the principles written anew whose wish an answer lost.

    Args:
        judge: Its model writes the principles.
        prompt: The prompt.
        missed: The feedback, the verdict, and the answer that lost the wish.
        config: Callbacks, tags and metadata for the calls.

    Raises:
        ModelError: A call failed.
    """
    written = await together(_stronger(judge, one, verdict, answer, config) for one, verdict, answer in missed)
    # One principle is written once, by the newest wish behind it.
    words = {one.principle.id: (one, text) for (one, _, _), text in zip(missed, written, strict=True)}
    edits = [Edit(id=id, text=_beside(one, text)) for id, (one, text) in words.items() if text != one.principle.text]
    if not edits:
        return prompt
    said = "; ".join(one.feedback.text for one, _ in words.values())
    return prompt.commit(edits, reason=f"an answer had lost the wish: {said}", author="repair")


def _beside(one: Standing, words: str) -> str:
    """New words for a principle; where other wishes are behind it too, what it says stays in front of them."""
    return words if len(one.principle.evidence) < _SEVERAL else f"{one.principle.text} {words}"


async def _stronger(judge: Judge, one: Standing, verdict: Verdict, answer: str, config: RunnableConfig) -> str:
    """Write a principle anew, and take the person's own words where the new ones lose part of the wish."""
    feedback, wish = one.feedback.plain(), Wish(one.feedback, one.principle.text)
    if judge.strategy == "short_steps" and (named := _named(wish, verdict.reason)):
        return named
    asked = instructions.stronger_rule(wish.said, one.principle.text, verdict.reason or answer)
    limit = limit_of(judge.caller.llm, _RULE_TOKENS)
    words = clean_sentence((await judge.caller.ask(asked, config=config, **limit)).text)
    own = in_own_words(feedback)
    if not words or quotes(words, answer) or near_duplicate(words, one.principle.text) or clash(own, words):
        logger.info("A principle stays in the person's own words: the new ones were no better")
        return own
    faults = [] if feedback.kind == "rewrite" else lost(feedback.text, words, feedback.tone)
    # What the new words would lose the person's own still say; together they say it and what went wrong.
    return f"{own} {words}" if faults else words


def _named(wish: Wish, found: str) -> str:
    """A ban with what an answer had all the same named in it; a small model could not be trusted to write that."""
    asked = about(wish)
    if asked is None or not asked[1]:
        return ""
    said, things = wish.principle, asked[0]
    plain = is_order(said) and wish.feedback.text.casefold() not in said.casefold()
    return instructions.named_ban(said if plain else "", things, found)
