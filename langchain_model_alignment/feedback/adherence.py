"""Whether an answer follows each principle, with the words that show it, and how often principles are followed.

What code sees for certain is asked of no model. A strong model judges all principles of an exchange in one call; a
small one is asked whether the answer has to do with what a principle asks for or forbids, and judges nothing else.
"""

import logging
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from langchain_core.runnables import Runnable, RunnableConfig
from pydantic import BaseModel, ConfigDict, Field

from langchain_model_alignment.calls import Caller, ChatModelLike, as_caller
from langchain_model_alignment.constitution import Constitution, Principle
from langchain_model_alignment.errors import FeedbackError, MalformedAnswerError
from langchain_model_alignment.feedback import check_instructions
from langchain_model_alignment.feedback.conversation import inputs_of
from langchain_model_alignment.feedback.exchanges import Exchange, Feedback, in_words
from langchain_model_alignment.feedback.findings import Told
from langchain_model_alignment.feedback.judging import THERE_AT, Judge, Wish
from langchain_model_alignment.feedback.judging_instructions import has_thing
from langchain_model_alignment.feedback.principles import Strategy, strategy_of
from langchain_model_alignment.feedback.records import AlignedPrompt
from langchain_model_alignment.feedback.relations import share_of_yes
from langchain_model_alignment.feedback.together import together
from langchain_model_alignment.feedback.visible import seen_in
from langchain_model_alignment.loop import make_runnable
from langchain_model_alignment.structured import ask_structured
from langchain_model_alignment.wording import sentences_of, stems_in

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Adherence",
    "AdherenceReport",
    "AdherenceRequest",
    "adherence_table",
    "check_adherence",
    "create_adherence_chain",
]

logger = logging.getLogger(__name__)

_ASKS = re.compile(
    r"^(?:the |an? )?(?:user|customer|person|reader|question|message|input|request) "
    r"(?:asks|wants|is|mentions|needs|says|talks|speaks|writes)(?: for| about| to| that| of)? ",
    re.IGNORECASE,
)
_NOT_JUDGED = "not judged"


class AdherenceRequest(BaseModel):
    """An answer and the principles that it should follow."""

    model_config = ConfigDict(extra="forbid")

    constitution: Constitution = Field(description="The principles; only those that are switched on are judged")
    response: str = Field(description="The answer to judge")
    prompt: str = Field(default="", description="The prompt's text, with its variables")
    inputs: dict[str, Any] = Field(default={}, description="The value of each variable")
    id: str = Field(default="", description="Names the exchange; the report keeps it")


class Adherence(BaseModel):
    """Whether an answer follows one principle."""

    principle_id: str = Field(description="The principle")
    applies: bool = Field(description="Whether the principle is about this exchange at all")
    followed: bool | None = Field(
        description="Whether it is followed; nothing where it does not apply or was not judged"
    )
    words: str = Field(default="", description="The words of the answer that show it, if any do")
    reason: str = Field(default="", description="Why, in a few words")


class AdherenceReport(BaseModel):
    """Which principles an answer follows."""

    id: str = Field(default="", description="The exchange, as the request named it")
    items: tuple[Adherence, ...] = Field(description="One for each principle that is switched on, in their order")


class _Judgement(BaseModel):
    """Whether the answer follows one principle."""

    principle_id: str
    reason: Told = Field(default="", description="why, in a few words")
    applies: bool = Field(default=True, description="whether the principle is about this exchange")
    followed: bool | None = Field(default=None, description="whether the answer follows it; null if it does not apply")
    words: Told = Field(default="", description="the words of the answer that show it, copied; else empty")


class _Judgements(BaseModel):
    """One judgement for each principle that was asked about."""

    items: list[_Judgement]


def create_adherence_chain(
    llm: ChatModelLike, *, strategy: Strategy | None = None
) -> Runnable[AdherenceRequest | dict[str, Any], AdherenceReport]:
    r"""Create the chain that tells which principles an answer follows.

    Args:
        llm: The model that judges.
        strategy: How to ask it; by default what fits the model.

    Returns:
        A Runnable from an `AdherenceRequest` (or a dict like it) to an `AdherenceReport`.

    Example:
        >>> from langchain_core.language_models import FakeListChatModel
        >>> judged = '{"items": [{"principle_id": "p1", "followed": true, "words": "Hello, Ann!"}]}'
        >>> chain = create_adherence_chain(FakeListChatModel(responses=[judged]))
        >>> principles = Constitution.of("Greet first.", "Use at most 3 words.")
        >>> for item in chain.invoke({"constitution": principles, "response": "Hello, Ann! Cut paper."}).items:
        ...     print(item.principle_id, item.followed, item.words or item.reason)
        p1 True Hello, Ann!
        p2 False It has 4 words.
    """
    caller = as_caller(llm)
    chosen = strategy or strategy_of(caller)

    async def check(value: AdherenceRequest | dict[str, Any], config: RunnableConfig) -> AdherenceReport:
        nonlocal chosen
        request = AdherenceRequest.model_validate(value)
        if not request.response.strip():
            raise FeedbackError("There is no response to check; send an input first.")
        if chosen == "one_call":
            try:
                return await _in_one_call(caller, request, config)
            except MalformedAnswerError as error:
                if chosen == "one_call":  # said once, and not tried again at every call
                    logger.warning("The model's judgement could not be read, so it is asked in short steps: %s", error)
                chosen = "short_steps"
        return await _in_short_steps(caller, request, config)

    return make_runnable(check, name="adherence", input_type=AdherenceRequest, output_type=AdherenceReport)


async def check_adherence(
    chain: Runnable[AdherenceRequest | dict[str, Any], AdherenceReport],
    prompt: AlignedPrompt,
    exchanges: Iterable[Exchange],
    config: RunnableConfig | None = None,
) -> list[AdherenceReport]:
    """Return a report for each exchange that has a response, all in flight at once, in their order.

    An answer is held only against the principles that there were when it was given.
    """
    requests: list[AdherenceRequest | dict[str, Any]] = []
    for exchange in exchanges:
        if not (exchange.response and exchange.response.strip()):
            continue
        then = {p.id for p in prompt.history.at(exchange.revision).constitution}
        standing = tuple(p for p in prompt.constitution if p.id in then)
        requests.append(
            AdherenceRequest(
                constitution=prompt.constitution.model_copy(update={"principles": standing}),
                response=exchange.response,
                prompt=prompt.description,
                inputs=inputs_of(prompt, exchange),
                id=exchange.id,
            )
        )
    return await together(chain.ainvoke(request, config) for request in requests)


def adherence_table(reports: Iterable[AdherenceReport], constitution: Constitution) -> "pd.DataFrame":
    """Return how often each principle was followed, where it applied and was judged: one row each, in their order.

    Args:
        reports: What the chain told about some answers.
        constitution: The principles.

    Returns:
        A table with the columns principle_id, principle, applied, followed and share; share is None where a principle
        never applied.

    Example:
        >>> followed = AdherenceReport(items=(Adherence(principle_id="p1", applies=True, followed=True),))
        >>> missed = AdherenceReport(items=(Adherence(principle_id="p1", applies=True, followed=False),))
        >>> print(adherence_table([followed, missed], Constitution.of("Be brief.")).to_string(index=False))
        principle_id principle  applied  followed share
                  p1 Be brief.        2         1   0.5
    """
    import pandas as pd

    judged = [item for report in reports for item in report.items if item.followed is not None]
    applied = Counter(item.principle_id for item in judged)
    followed = Counter(item.principle_id for item in judged if item.followed)
    ids = [p.id for p in constitution]
    shares = [followed[id] / applied[id] if applied[id] else None for id in ids]
    return pd.DataFrame(
        {
            "principle_id": ids,
            "principle": [p.sentence() for p in constitution],
            "applied": [applied[id] for id in ids],
            "followed": [followed[id] for id in ids],
            "share": pd.Series(shares, dtype=object),  # a column of floats would turn None into NaN
        }
    )


async def _in_one_call(caller: Caller, request: AdherenceRequest, config: RunnableConfig) -> AdherenceReport:
    enabled = request.constitution.enabled()
    items = {p.id: item for p in enabled if not p.condition and (item := _seen(p, request.response))}
    for attempt in range(2):
        wanted = [p.id for p in enabled if p.id not in items]
        if not wanted:
            break
        messages = check_instructions.judge(
            prompt=request.prompt,
            principles=[(p.id, p.sentence()) for p in enabled],
            inputs="\n".join(in_words(request.inputs)),
            response=request.response,
            wanted=wanted,
        )
        try:
            told = await ask_structured(caller, messages, _Judgements, config=config)
        except MalformedAnswerError:
            if attempt == 0:
                raise
            break
        items.update(_judged(told.items, wanted, request.response))
    nothing = [Adherence(principle_id=p.id, applies=True, followed=None, reason=_NOT_JUDGED) for p in enabled]
    return AdherenceReport(id=request.id, items=tuple(items.get(item.principle_id, item) for item in nothing))


def _judged(told: Sequence[_Judgement], wanted: Sequence[str], response: str) -> dict[str, Adherence]:
    """What a model told of the principles it was asked about; the first word on each counts."""
    found: dict[str, Adherence] = {}
    for item in told:
        id = item.principle_id.strip()
        if id not in wanted or id in found or (item.applies and item.followed is None):
            continue
        found[id] = Adherence(
            principle_id=id,
            applies=item.applies,
            followed=item.followed if item.applies else None,
            words=_standing(item.words, response),
            reason=" ".join(item.reason.split()),
        )
    return found


async def _in_short_steps(caller: Caller, request: AdherenceRequest, config: RunnableConfig) -> AdherenceReport:
    judge = Judge(caller, "short_steps")
    items = await together(_judge(judge, request, p, config) for p in request.constitution.enabled())
    return AdherenceReport(id=request.id, items=tuple(items))


async def _judge(judge: Judge, request: AdherenceRequest, principle: Principle, config: RunnableConfig) -> Adherence:
    response = request.response
    if principle.condition:
        shown = "\n".join(in_words(request.inputs)) or request.prompt
        share = await share_of_yes(judge.caller, has_thing(_case_of(principle.condition), shown), config)
        if share < THERE_AT:
            reason = f"Its condition is not met, says the model ({1 - share:.2f})."
            return Adherence(principle_id=principle.id, applies=False, followed=None, reason=reason)
    if item := _seen(principle, response):
        return item
    asked = Wish(Feedback(kind="kudos", text=principle.text), principle.text)
    verdict = await judge.kept(asked, response, config)
    if verdict is None:
        return Adherence(principle_id=principle.id, applies=True, followed=None, reason=_NOT_JUDGED)
    words = _nearest(principle.text, response) if verdict.kept else _standing(verdict.reason, response)
    return Adherence(principle_id=principle.id, applies=True, followed=verdict.kept, words=words, reason=verdict.reason)


def _case_of(condition: str) -> str:
    """What a condition is about: "the user asks for a recipe" is about a recipe."""
    return _ASKS.sub("", condition.strip().rstrip("."))


def _seen(principle: Principle, response: str) -> Adherence | None:
    """What code sees for certain of one principle."""
    seen = seen_in(response, principle.text)
    if seen is None:
        return None
    followed, words, reason = seen
    words = _standing(words, response)
    return Adherence(principle_id=principle.id, applies=True, followed=followed, words=words, reason=reason)


def _nearest(principle: str, response: str) -> str:
    """The sentence of a response that shares most with a principle."""
    stems = stems_in(principle)
    sentences = [(len(stems & stems_in(sentence)), sentence) for sentence in sentences_of(response)]
    shared, best = max(sentences, key=lambda pair: pair[0], default=(0, ""))
    return _standing(best, response) if shared else ""


def _standing(words: str, response: str) -> str:
    """The words, if they stand in the response but for white space; what a model made up shows nothing."""
    folded = " ".join(response.split())
    for tried in (words, words.strip().strip("\"“”„«»'`")):
        tried = " ".join(tried.split())
        if tried and tried in folded:
            return tried
    return ""
