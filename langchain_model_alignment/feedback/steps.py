"""The three steps of the feedback loop on an aligned prompt: answer, learn from feedback, weave in.

The graph and the notebook object are two faces of these; each step takes a prompt and returns the next one.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from langchain_core.runnables import Runnable, RunnableConfig

from langchain_model_alignment.calls import Caller
from langchain_model_alignment.errors import PromptError
from langchain_model_alignment.feedback.principles import PrincipleProposal, PrincipleRequest
from langchain_model_alignment.feedback.records import AlignedPrompt, Exchange, Feedback, FeedbackKind, parse_feedback
from langchain_model_alignment.feedback.respond import respond
from langchain_model_alignment.feedback.updates import PromptUpdate, UpdateRequest, list_principles


async def answer(
    target: Caller | Runnable[Any, Any],
    prompt: AlignedPrompt,
    inputs: Mapping[str, Any] | str | None,
    n: int,
    config: RunnableConfig | None,
) -> Exchange:
    """Return a new exchange with `n` candidates; a single one is its response.

    Raises:
        PromptError: There is no prompt, or the inputs do not fit it.
        ModelError: A call failed.
    """
    template = prompt.effective
    if not template.messages:
        raise PromptError("There is no prompt yet; give one with set_model_description first.")
    values = template.check_inputs(inputs)
    messages = template.fill(values)
    calls = (respond(target, messages, sample=i if n > 1 else None, config=config) for i in range(n))
    candidates = tuple(await asyncio.gather(*calls))
    return Exchange(
        id=f"e{len(prompt.exchanges) + 1}",
        inputs=values,
        candidates=candidates,
        response=candidates[0] if n == 1 else None,
        revision=prompt.history.head,
    )


async def propose(
    chain: Runnable[Any, PrincipleProposal],
    prompt: AlignedPrompt,
    exchange: Exchange,
    kind: FeedbackKind,
    text: str,
    config: RunnableConfig | None,
) -> tuple[Feedback, PrincipleProposal]:
    """Return a piece of feedback, and the edits that it amounts to.

    Raises:
        FeedbackError: The feedback is empty.
        ModelError: A call failed.
    """
    feedback = parse_feedback(kind, text, exchange.response or "")
    request = PrincipleRequest(
        feedback=feedback,
        constitution=prompt.constitution,
        prompt=prompt.description,
        inputs=exchange.inputs,
        id=f"{exchange.id}.f{len(exchange.feedback) + 1}",
    )
    return feedback, await chain.ainvoke(request, config)


def keep(prompt: AlignedPrompt, exchange_id: str, feedback: Feedback, proposal: PrincipleProposal) -> AlignedPrompt:
    """Return the prompt with a proposal in its history and the feedback beside its exchange.

    The prompt may have moved on since the proposal was asked for; nothing of that is lost.

    Raises:
        EditError: A principle that the proposal edits is gone meanwhile.
    """
    after = prompt.commit(proposal.edits, reason=proposal.reason, author=proposal.written_by)
    exchange = next(e for e in after.exchanges if e.id == exchange_id)
    return after.with_exchange(exchange.model_copy(update={"feedback": (*exchange.feedback, feedback)}))


async def weave(
    chain: Runnable[Any, PromptUpdate] | None, prompt: AlignedPrompt, config: RunnableConfig | None
) -> tuple[AlignedPrompt, PromptUpdate | None]:
    """Return the prompt whose text says all principles, and the update; where nothing changed, no model is asked.

    Args:
        chain: What rewrites the text; without it the principles are listed below the text.
        prompt: The prompt.
        config: Callbacks, tags and metadata for the call.

    Raises:
        PromptError: There is no prompt yet.
        ModelError: The call failed.
    """
    base, enabled = prompt.document.base, prompt.constitution.enabled()
    if not base.messages:
        raise PromptError("There is no prompt yet; give one with set_model_description first.")
    if not prompt.needs_weaving:
        return prompt, None
    if chain is None or not enabled:
        update = list_principles(base, enabled)
    else:
        update = await chain.ainvoke(UpdateRequest(template=base, principles=enabled), config)
    return prompt.commit([update.edit], reason="principles into the prompt"), update
