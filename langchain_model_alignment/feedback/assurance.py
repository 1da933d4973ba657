"""After an update: is what was said kept? The inputs are answered again, judged, and a loss is mended once."""

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from langchain_core.runnables import Runnable, RunnableConfig

from langchain_model_alignment.errors import AuthenticationError, ModelError, PromptError
from langchain_model_alignment.feedback import steps
from langchain_model_alignment.feedback.conversation import asked_in
from langchain_model_alignment.feedback.exchanges import Exchange, Feedback, Verdict
from langchain_model_alignment.feedback.instructions import ASKED_HEADING
from langchain_model_alignment.feedback.intent import (
    Standing,
    by_input,
    judge_standing,
    mend,
    standing_in,
    unjudged,
    with_verdicts,
)
from langchain_model_alignment.feedback.judging import Judge, Wish
from langchain_model_alignment.feedback.records import AlignedPrompt
from langchain_model_alignment.feedback.replay import Target, answer_again, because, width_of
from langchain_model_alignment.feedback.updates import PromptUpdate
from langchain_model_alignment.gathering import gather_from
from langchain_model_alignment.history import TemplateEdit

__all__ = ["assure", "assure_direct", "judge_again"]

logger = logging.getLogger(__name__)


async def assure(
    target: Target,
    judge: Judge,
    updates: Runnable[Any, PromptUpdate] | None,
    prompt: AlignedPrompt,
    principles: Collection[str],
    config: RunnableConfig | None,
) -> AlignedPrompt:
    """Return the prompt with verdicts on the feedback behind some principles, and with what was lost mended once.

    Each input is answered again. Where a wish is lost its principle is written anew, the prompt updated, and the input
    answered and judged once more; what is lost still is said in the log and in the verdict. Where a call fails, what
    was found so far stays, and the log says so: a prompt that could not be checked is still the prompt.

    Raises:
        AuthenticationError: The key is wrong.
        BudgetError: The budget is spent.
    """
    try:
        judged = await judge_again(target, judge, prompt, unjudged(prompt, principles), {}, config)
        prompt = with_verdicts(prompt, [(one, verdict) for one, verdict, _ in judged])
        missed = [found for found in judged if not found[1].kept]
        mended = await mend(judge, prompt, missed, config or {}) if missed else prompt
        if mended is not prompt:
            update = await steps.weave(updates, mended, config)
            if update is not None:
                base = mended.document.base
                mended = steps.keep_update(mended, update, base, "principles into the prompt") or mended
            prompt = mended  # paid for, whatever comes of judging it
            again = [one for one in standing_in(prompt) if one.id in {found[0].id for found in missed}]
            missed = await judge_again(target, judge, prompt, again, {}, config)
            prompt = with_verdicts(prompt, [(one, v.model_copy(update={"repaired": True})) for one, v, _ in missed])
        for one, verdict, _ in missed:
            if not verdict.kept:
                _say_lost(one.feedback, verdict)
    except AuthenticationError:
        raise
    except ModelError as error:
        logger.warning("Whether the last wishes are kept could not be checked: %s", error)
    return prompt


async def assure_direct(
    target: Target,
    judge: Judge,
    prompt: AlignedPrompt,
    exchange: Exchange,
    said: Feedback,
    config: RunnableConfig | None,
) -> AlignedPrompt:
    """Check a change of the text that no principle stands for, and list the wish below the text where it is lost.

    Raises:
        AuthenticationError: The key is wrong.
        BudgetError: The budget is spent.
    """
    for mending in (True, False):
        try:
            new = await answer_again(target, prompt, prompt.effective, exchange, config)
            judged = await judge.judge(asked_in(prompt, exchange), said.response, [Wish(said)], new, config or {})
        except AuthenticationError:
            raise
        except ModelError as error:
            logger.warning("Whether the wish “%s” is kept could not be checked: %s", said.text, error)
            return prompt
        verdict, base = judged.verdicts[0], prompt.document.base
        if verdict is None or verdict.kept:
            break
        listed = base.with_list([said.text], ASKED_HEADING)
        if mending and said.text not in base.text:
            reason = f"an answer had lost the wish: {said.text}"
            prompt = prompt.commit([TemplateEdit(template=listed)], reason=reason, author="repair")
        else:
            _say_lost(said, verdict)
            break
    return prompt


def _say_lost(feedback: Feedback, verdict: Verdict) -> None:
    logger.warning("The wish “%s” is still lost%s.", feedback.text, because(verdict.reason))


async def judge_again(
    target: Target,
    judge: Judge,
    prompt: AlignedPrompt,
    standing: Sequence[Standing],
    answers: Mapping[str, str],
    config: RunnableConfig | None,
) -> list[tuple[Standing, Verdict, str]]:
    """Answer the inputs of feedback again where no answer is there, and judge the answers by it.

    Returns:
        Each piece of feedback that could be judged, with its verdict and the answer judged.

    Raises:
        ModelError: A call failed.
    """
    groups, template = by_input(prompt, standing), prompt.effective

    async def one(key: str) -> list[tuple[Standing, Verdict, str]]:
        group = groups[key]
        try:
            new = answers.get(key) or await answer_again(target, prompt, template, group[0].exchange, config)
        except PromptError:  # an input of another prompt, before its variables changed
            return []
        verdicts = await judge_standing(judge, prompt, group, new, config or {})
        return [(member, verdict, new) for member, verdict in zip(group, verdicts, strict=True) if verdict is not None]

    return [found for group in await gather_from(groups, one, width_of(target)) for found in group]
