"""Earlier inputs, answered again: what does a changed prompt keep, and what does it break?"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from langchain_core.runnables import Runnable, RunnableConfig

from langchain_model_alignment.calls import Caller
from langchain_model_alignment.errors import AuthenticationError, ConfigurationError, ModelError
from langchain_model_alignment.feedback.conversation import asked_in, exchange_of, input_key, messages_of
from langchain_model_alignment.feedback.exchanges import Exchange, Feedback, Record, Verdict
from langchain_model_alignment.feedback.intent import (
    Standing,
    by_input,
    judge_standing,
    standing_in,
)
from langchain_model_alignment.feedback.judging import Judge
from langchain_model_alignment.feedback.records import AlignedPrompt
from langchain_model_alignment.feedback.respond import respond
from langchain_model_alignment.gathering import gather_from
from langchain_model_alignment.loop import run_sync
from langchain_model_alignment.templates import Template

__all__ = [
    "Honoured",
    "ReplayReport",
    "Replayed",
    "Target",
    "answer_again",
    "areplay",
    "because",
    "replay",
    "replay_prompt",
    "width_of",
]

logger = logging.getLogger(__name__)

Target = Caller | Runnable[Any, Any]
_WIDTH = 32  # answers in flight from a target that has no gate of its own


class Replayable(Protocol):
    """What holds a prompt and the models that answer and judge, as an `AlignableSingleRun` does."""

    @property
    def data(self) -> AlignedPrompt:
        """The prompt."""
        ...

    target: Target
    judge: Judge


class Honoured(Record):
    """A piece of feedback, and whether the new answer still does what it asks for."""

    id: str
    """Which feedback: its exchange and its number there."""
    feedback: Feedback
    verdict: Verdict

    @property
    def newly_lost(self) -> bool:
        """Whether it is lost now and was not known to be lost before."""
        return not self.verdict.kept and (self.feedback.verdict is None or self.feedback.verdict.kept)


class Replayed(Record):
    """An earlier input, answered again."""

    exchange: str
    """The id of the newest exchange with this input."""
    asked: str
    """The input, as text."""
    before: str
    after: str = ""
    wishes: tuple[Honoured, ...] = ()
    """What people had said about answers to this input, as far as it could be judged, and whether it is honoured."""
    worse: bool = False
    """Whether an answer that nobody had said anything about got worse."""
    reason: str = ""
    """Why it is worse."""
    unjudged: int = 0
    """How many wishes, or comparisons with the old answer, the model could not judge."""
    error: str | None = None
    """Why it could not be answered or judged, where it could not."""

    @property
    def changed(self) -> bool:
        """Whether the answer is another one."""
        return self.error is None and self.after != self.before


class ReplayReport(Record):
    """What a prompt does with earlier inputs.

    Example:
        >>> ReplayReport(items=(Replayed(exchange="e1", asked="tea", before="Hot.", after="Hot.", worse=False),)).fine
        True
    """

    items: tuple[Replayed, ...] = ()

    @property
    def troubles(self) -> list[str]:
        """What got worse, a sentence each: feedback that is newly lost, answers that are worse."""
        lines = [
            f"{item.exchange}: “{wish.feedback.text}” is lost{because(wish.verdict.reason)}"
            for item in self.items
            for wish in item.wishes
            if wish.newly_lost
        ]
        worse = [f"{item.exchange}: the answer is worse{because(item.reason)}" for item in self.items if item.worse]
        return lines + worse

    @property
    def failed(self) -> list[str]:
        """The inputs that could not be answered or judged, a sentence each."""
        return [f"{item.exchange}: {item.error}" for item in self.items if item.error]

    @property
    def fine(self) -> bool:
        """Whether nothing got worse, as far as it could be judged."""
        return not self.troubles

    def summary(self) -> str:
        """Return the whole in one sentence."""
        changed = sum(item.changed for item in self.items)
        wishes = [wish for item in self.items for wish in item.wishes]
        kept = sum(wish.verdict.kept for wish in wishes)
        worse = sum(item.worse for item in self.items)
        n = len(self.items)
        text = f"{n} earlier input{'s' * (n != 1)} answered again: {changed} changed, {worse} got worse"
        text += f", {kept} of {len(wishes)} wishes are honoured" if wishes else ""
        unknown = len(self.failed) + sum(item.unjudged for item in self.items)
        return f"{text}, {unknown} could not be judged" if unknown else text


def replay(
    run: Replayable,
    exchanges: Sequence[Exchange | str] | None = None,
    *,
    config: RunnableConfig | None = None,
) -> ReplayReport:
    """Answer earlier inputs with the prompt as it stands now, side by side, and say what changed.

    Inputs that were answered several times are answered once and compared with the newest answer, by everything that
    was said about any of them. Nothing of the run is changed.

    Args:
        run: Holds the prompt, the model that answers and the one that judges.
        exchanges: Which inputs, as ids or records; all exchanges of the run, when absent.
        config: Callbacks, tags and metadata for the calls.

    Raises:
        FeedbackError: There is no exchange of such an id.
        AuthenticationError: The key is wrong.
        BudgetError: The budget is spent.

    Example:
        >>> from langchain_core.language_models import FakeListChatModel
        >>> from langchain_model_alignment import AlignableSingleRun
        >>> run = AlignableSingleRun(FakeListChatModel(responses=["Tea is hot.", "Tea is hot."]))
        >>> run.set_model_description("Describe {thing}.")
        >>> _ = run.send_input("tea")
        >>> replay(run).summary()
        '1 earlier input answered again: 0 changed, 0 got worse'
    """
    return run_sync(areplay(run, exchanges, config=config))


async def areplay(
    run: Replayable,
    exchanges: Sequence[Exchange | str] | None = None,
    *,
    config: RunnableConfig | None = None,
) -> ReplayReport:
    """Answer earlier inputs again; the async twin of `replay`."""
    prompt = run.data
    chosen = [exchange_of(prompt, e) if isinstance(e, str) else e for e in exchanges or ()]
    return await replay_prompt(run.target, run.judge, prompt, chosen if exchanges is not None else None, {}, config)


async def replay_prompt(
    target: Target,
    judge: Judge,
    prompt: AlignedPrompt,
    exchanges: Sequence[Exchange] | None,
    answers: Mapping[str, str],
    config: RunnableConfig | None,
    *,
    standards: Mapping[str, str] | None = None,
) -> ReplayReport:
    """Answer earlier inputs with a prompt and judge the answers; see `replay`.

    Args:
        target: What answers.
        judge: What judges.
        prompt: The prompt.
        exchanges: Which inputs; all exchanges of the prompt, when absent.
        answers: Answers that are there already, under the key of their input.
        config: Callbacks, tags and metadata for the calls.
        standards: Answers that a person accepted since, by the id of the exchange, to compare with.
    """
    chosen = list(prompt.exchanges if exchanges is None else exchanges)
    newest = {input_key(prompt, e): e for e in chosen if e.response is not None}
    standing = by_input(prompt, standing_in(prompt, [*prompt.exchanges, *_foreign(prompt, chosen)]))

    template = prompt.effective

    async def one(key: str) -> Replayed:
        exchange, wishes = newest[key], standing.get(key, [])
        asked, old = asked_in(prompt, exchange), (standards or {}).get(exchange.id) or exchange.response or ""
        try:
            new = answers.get(key) or await answer_again(target, prompt, template, exchange, config)
            return await _compare(judge, prompt, exchange.id, asked, old, wishes, new, config or {})
        except AuthenticationError:
            raise
        except (ModelError, ConfigurationError) as error:  # also an input of another prompt
            return Replayed(exchange=exchange.id, asked=asked, before=old, after=answers.get(key, ""), error=str(error))

    return ReplayReport(items=tuple(await gather_from(newest, one, width_of(target))))


def width_of(target: Target) -> int:
    """Return how many inputs may be worked on at once."""
    return target.gate.max_concurrency if isinstance(target, Caller) else _WIDTH


async def answer_again(
    target: Target, prompt: AlignedPrompt, template: Template, exchange: Exchange, config: RunnableConfig | None
) -> str:
    """Return an answer to what was asked in an exchange, by the prompt as it stands."""
    return await respond(target, messages_of(prompt, exchange, template), config=config)


async def _compare(
    judge: Judge,
    prompt: AlignedPrompt,
    exchange: str,
    asked: str,
    old: str,
    standing: Sequence[Standing],
    new: str,
    config: RunnableConfig,
) -> Replayed:
    found = Replayed(exchange=exchange, asked=asked, before=old, after=new)
    if standing:
        head = prompt.history.head
        known = {
            at: v for at, one in enumerate(standing) if (v := one.feedback.verdict) and _holds(v, head, new == old)
        }
        open_ = [at for at in range(len(standing)) if at not in known]  # nobody pays for what is known
        if open_:
            judged = await judge_standing(judge, prompt, [standing[at] for at in open_], new, config)
            known.update((at, verdict) for at, verdict in zip(open_, judged, strict=True) if verdict is not None)
        wishes = tuple(
            Honoured(id=standing[at].id, feedback=standing[at].feedback, verdict=known[at]) for at in sorted(known)
        )
        return found.model_copy(update={"wishes": wishes, "unjudged": len(standing) - len(wishes)})
    if new == old:
        return found
    compared = await judge.judge(asked, old, [], new, config)
    if compared.worse is None:
        return found.model_copy(update={"unjudged": 1})
    return found.model_copy(update={"worse": compared.worse, "reason": compared.reason})


def _foreign(prompt: AlignedPrompt, exchanges: Sequence[Exchange]) -> list[Exchange]:
    known = {e.id for e in prompt.exchanges}
    return [e for e in exchanges if e.id not in known]


def _holds(verdict: Verdict, head: str | None, same: bool) -> bool:
    """Whether a verdict is about this very answer: of this revision, or on words that have not changed."""
    return same or verdict.revision == head


def because(reason: str) -> str:
    """Return a reason in brackets, to stand at the end of a sentence."""
    return f" ({reason.rstrip('.')})" if reason else ""
