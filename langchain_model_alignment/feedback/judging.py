"""Does a new answer still do what people asked for, and is it worse than the old one?

Two strategies behind one interface, as for principles. A strong model judges everything about an answer in one call. A
small one is asked whether the answer has to do with the thing that a wish is about; of manners, and of which answer is
worse, it can tell nothing, and is not asked. What code sees for certain is left to neither.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from langchain_core.runnables import Runnable, RunnableConfig
from pydantic import BaseModel, ConfigDict, Field

from langchain_model_alignment.calls import Caller, ChatModelLike, as_caller
from langchain_model_alignment.errors import MalformedAnswerError
from langchain_model_alignment.feedback import judging_instructions as instructions
from langchain_model_alignment.feedback.changes import describe_change
from langchain_model_alignment.feedback.exchanges import Feedback, Verdict, in_words
from langchain_model_alignment.feedback.principles import Strategy, strategy_of
from langchain_model_alignment.feedback.relations import share_of_yes
from langchain_model_alignment.feedback.things import unwanted_in, wanted_in
from langchain_model_alignment.feedback.together import together
from langchain_model_alignment.feedback.visible import seen_in
from langchain_model_alignment.loop import make_runnable
from langchain_model_alignment.orders import is_negated, is_order
from langchain_model_alignment.structured import ask_structured
from langchain_model_alignment.traits import limit_of
from langchain_model_alignment.wishes import claims_absence
from langchain_model_alignment.wording import sentences_of, stems_in

__all__ = ["IntentRequest", "Judge", "Judgement", "Wish", "create_intent_chain"]

# Measured on the local 1.5B model with the examples in `judging_instructions`.
THERE_AT, _ABSENT_AT, _SURE_AT = 0.7, 0.5, 0.9
_FEW_TOKENS = 12
_PIECE, _PIECES = 30, 8  # words in a piece of an answer, and pieces
_SHORT = re.compile(
    r"(?:please )?(?:keep|make|write)(?: \w+)? (?:it )?(?:short|shorter|brief|concise)\.?|be (?:brief|concise)\.?",
    re.IGNORECASE,
)
_DIGITS = stems_in("number digit figure")
_LONG, _SHORTER = 10, 0.8  # words that can be too many; of the words before


class IntentRequest(BaseModel):
    """A wish and an answer that should do what it asks for."""

    model_config = ConfigDict(extra="forbid")

    feedback: Feedback = Field(description="What a person said about an earlier answer")
    response: str = Field(description="The new answer")
    principle: str = Field(default="", description="The principle that was made from the feedback")
    inputs: dict[str, Any] = Field(default={}, description="The value of each variable")


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for: the feedback, and the words of the principle made from it."""

    feedback: Feedback
    principle: str = ""

    @property
    def said(self) -> str:
        """The wish as a judge reads it; of a rewrite, what it changed."""
        plain = self.feedback.plain()
        changed = plain.kind == "rewrite"
        return instructions.wish_said(
            plain.kind, self.principle or describe_change(plain.response, plain.text) if changed else plain.text
        )


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found about a new answer: a verdict for each wish, and whether it is worse than the old answer."""

    verdicts: tuple[Verdict | None, ...]
    """Nothing where the model cannot tell."""
    worse: bool | None = None
    """Nothing where it was not judged."""
    reason: str = ""


class _Saying(BaseModel):
    """What was decided about one saying."""

    number: int = Field(description="the number of the saying")
    kept: bool = Field(description="whether the new answer does what the person wants")
    reason: str = Field(default="", description="why, in one short sentence with the words that show it")


class _Judged(BaseModel):
    """The check of a new answer."""

    sayings: list[_Saying] = Field(default=[], description="one for each saying")
    worse: bool = Field(default=False, description="whether the new answer is worse than the old one")
    reason: str = Field(default="", description="why it is worse, in one short sentence; empty where it is not")


class Judge:
    """Judges new answers with one model.

    Args:
        caller: The model that judges.
        strategy: How to ask it; by default what fits it.
    """

    def __init__(self, caller: Caller, strategy: Strategy | None = None) -> None:
        self.caller = caller
        self.strategy = strategy or strategy_of(caller)

    async def judge(self, inputs: str, old: str, wishes: Sequence[Wish], new: str, config: RunnableConfig) -> Judgement:
        """Return a verdict for each wish, and, where there is none, whether the new answer is worse than the old one.

        Args:
            inputs: What was asked, as text.
            old: The answer before.
            wishes: What the new answer should do.
            new: The new answer.
            config: Callbacks, tags and metadata for the calls.

        Raises:
            ModelError: A call failed.
        """
        counted = [_seen(wish, new) for wish in wishes]
        open_ = [at for at, verdict in enumerate(counted) if verdict is None]
        if wishes and not open_:
            return Judgement(tuple(counted))
        asked = [wishes[at] for at in open_]
        found = await self._ask(inputs, old, asked, new, config)
        verdicts = dict(zip(open_, found.verdicts, strict=True))
        return replace(found, verdicts=tuple(v or verdicts.get(at) for at, v in enumerate(counted)))

    async def _ask(self, inputs: str, old: str, wishes: Sequence[Wish], new: str, config: RunnableConfig) -> Judgement:
        if self.strategy == "one_call":
            try:
                return await self._in_one_call(inputs, old, wishes, new, config)
            except MalformedAnswerError:  # asked one thing at a time, it may still tell
                pass
        return await self._in_short_steps(wishes, new, config)

    async def _in_one_call(
        self, inputs: str, old: str, wishes: Sequence[Wish], new: str, config: RunnableConfig
    ) -> Judgement:
        messages = instructions.judge(inputs, old, [wish.said for wish in wishes], new)
        judged = await ask_structured(self.caller, messages, _Judged, config=config)
        by_number = {saying.number: saying for saying in judged.sayings}
        if missing := [number for number in range(1, len(wishes) + 1) if number not in by_number]:
            raise MalformedAnswerError(f"The judge said nothing about number {missing[0]} of {len(wishes)}; try again.")
        sayings = [by_number[number] for number in range(1, len(wishes) + 1)]
        verdicts = tuple(Verdict(kept=s.kept, reason=s.reason.strip()) for s in sayings)
        return Judgement(verdicts, None if wishes else judged.worse, judged.reason.strip() if judged.worse else "")

    async def _in_short_steps(self, wishes: Sequence[Wish], new: str, config: RunnableConfig) -> Judgement:
        return Judgement(tuple(await together(self.kept(wish, new, config) for wish in wishes)))

    async def kept(self, wish: Wish, new: str, config: RunnableConfig) -> Verdict | None:
        """Tell whether an answer keeps a wish, as far as a small model can: has it to do with what the wish is about?

        Raises:
            ModelError: A call failed.
        """
        asked = about(wish)
        if asked is None:
            return _shortened(wish, new)
        things, unwanted = asked
        if unwanted and all(stems_in(thing) <= _DIGITS for thing in things):
            found = re.search(r"\S*\d\S*", new)
            return Verdict(kept=found is None, reason=found[0] if found else "")
        # A thing that is wanted may be anywhere; for one that is unwanted a place is enough, and small pieces show it.
        pairs = [(t, piece) for t in things for piece in (_pieces(_without_denials(new, t)) if unwanted else [new])]
        shares = await together(share_of_yes(self.caller, instructions.has_thing(*pair), config) for pair in pairs)
        if not unwanted:
            absent = [thing for thing, share in zip(things, shares, strict=True) if share < _ABSENT_AT]
            sure = bool(absent) or all(share >= THERE_AT for share in shares)
            return Verdict(kept=not absent, reason=f"no {absent[0]}" if absent else "") if sure else None
        share, (thing, text) = max(zip(shares, pairs, strict=True), key=lambda item: item[0])
        if share < THERE_AT:
            return Verdict(kept=True)
        answer = await self.caller.ask(
            instructions.words_about(thing, text), config=config, **limit_of(self.caller.llm, _FEW_TOKENS)
        )
        words = " ".join(answer.text.split()).strip(" .\"'")
        if words and words.casefold() in " ".join(text.split()).casefold():
            return Verdict(kept=False, reason=words)
        named = stems_in(thing) & stems_in(text)
        return Verdict(kept=False, reason=thing) if named or share >= _SURE_AT else None  # else it may be a guess


def create_intent_chain(
    llm: ChatModelLike, *, strategy: Strategy | None = None
) -> Runnable[IntentRequest | dict[str, Any], Verdict | None]:
    """Create the chain that judges whether an answer does what feedback asked for.

    Args:
        llm: The model that judges.
        strategy: How to ask it; by default what fits it.

    Returns:
        A Runnable from an `IntentRequest` (or a dict like it) to a `Verdict`: kept or lost, with the reason; to
        nothing where a small model cannot tell.

    Example:
        >>> from langchain_core.language_models import FakeListChatModel
        >>> judged = '{"sayings": [{"number": 1, "kept": false, "reason": "It suggests red wine."}]}'
        >>> chain = create_intent_chain(FakeListChatModel(responses=[judged]))
        >>> feedback = {"kind": "critique", "text": "I do not want any alcohol"}
        >>> chain.invoke({"feedback": feedback, "response": "Cook it in red wine."})
        Verdict(kept=False, reason='It suggests red wine.', revision=None, repaired=False)
    """
    judge = Judge(as_caller(llm), strategy)

    async def intent(value: IntentRequest | dict[str, Any], config: RunnableConfig) -> Verdict | None:
        request = IntentRequest.model_validate(value)
        wish = Wish(request.feedback, request.principle)
        found = await judge.judge(shown(request.inputs), request.feedback.response, [wish], request.response, config)
        return found.verdicts[0]

    return make_runnable(intent, name="intent", input_type=IntentRequest, output_type=Verdict | None)


def shown(inputs: dict[str, Any]) -> str:
    """Return inputs as text for a judge, a line each."""
    return "\n".join(in_words(inputs)) or "(no input)"


def about(wish: Wish) -> tuple[list[str], bool] | None:
    """Return the things that a wish is about, and whether it wants to be without them; nothing where it is no thing.

    Example:
        >>> about(Wish(Feedback(kind="critique", text="I do not want any alcohol"), "Use no alcohol."))
        (['alcohol'], True)
        >>> about(Wish(Feedback(kind="critique", text="I miss the price"), "Name the price."))
        (['price'], False)
    """
    plain, principle = wish.feedback.plain(), wish.principle
    said = plain.text if plain.kind != "rewrite" else ""
    own = not principle or (said and said in principle)
    if plain.kind == "critique" and own:
        things = unwanted_in(said)
        return (things, not claims_absence(said) or is_order(said)) if things else None
    if is_negated(principle) and is_order(principle):
        things = (plain.kind == "critique" and unwanted_in(said)) or unwanted_in(principle)
        return (things, True) if things else None
    thing = wanted_in(principle)
    return ([thing], False) if thing else None


def _seen(wish: Wish, response: str) -> Verdict | None:
    """Judge what code sees for certain."""
    found = seen_in(response, wish.principle)
    return None if found is None else Verdict(kept=found[0], reason=found[2])


def _shortened(wish: Wish, response: str) -> Verdict | None:
    """Judge whether an answer that had been too long became shorter."""
    before, after = len(wish.feedback.response.split()), len(response.split())
    if before < _LONG or not _SHORT.fullmatch(wish.principle.strip()):
        return None
    return Verdict(kept=after < _SHORTER * before, reason=f"it has {after} words, and had {before}")


def _pieces(text: str) -> list[str]:
    """A text in pieces of a few sentences, a handful at most."""
    size = max(_PIECE, len(text.split()) // _PIECES + 1)
    pieces: list[str] = []
    for sentence in (s for line in text.splitlines() for s in sentences_of(line)):
        if pieces and len(pieces[-1].split()) + len(sentence.split()) <= size:
            pieces[-1] += f" {sentence}"
        else:
            pieces.append(sentence)
    return pieces or [text]


def _without_denials(text: str, thing: str) -> str:
    """A text without the sentences that only say that a thing is not in it."""
    stems = stems_in(thing)
    said = [sentence for line in text.splitlines() for sentence in sentences_of(line)]
    return "\n".join(s for s in said if not (is_negated(s) and stems & stems_in(s))) or "(nothing)"
