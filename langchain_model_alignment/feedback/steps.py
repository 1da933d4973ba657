"""The three steps of the feedback loop on an aligned prompt: answer, learn from feedback, weave in.

The graph and the notebook object are two faces of these; each step takes a prompt and returns the next one.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.runnables import Runnable, RunnableConfig

from langchain_model_alignment.calls import Caller
from langchain_model_alignment.constitution import Add, Edit, PrincipleEdit
from langchain_model_alignment.errors import PromptError
from langchain_model_alignment.feedback.conversation import input_key, turns_of
from langchain_model_alignment.feedback.exchanges import Exchange, Feedback
from langchain_model_alignment.feedback.principles import PrincipleProposal, PrincipleRequest
from langchain_model_alignment.feedback.records import AlignedPrompt
from langchain_model_alignment.feedback.respond import respond
from langchain_model_alignment.feedback.together import together
from langchain_model_alignment.feedback.updates import PromptUpdate, UpdateRequest, list_principles
from langchain_model_alignment.templates import Template
from langchain_model_alignment.tracing import marked

logger = logging.getLogger(__name__)


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
    return await candidates_for(target, prompt, Exchange(id="new", inputs=values), template.fill(values), n, config)


async def candidates_for(
    target: Caller | Runnable[Any, Any],
    prompt: AlignedPrompt,
    asked: Exchange,
    messages: Sequence[BaseMessage],
    n: int,
    config: RunnableConfig | None,
) -> Exchange:
    """Return an exchange that was not answered yet, or a turn of a conversation, with `n` candidates.

    Raises:
        PromptError: Fewer than one candidate.
        ModelError: A call failed.
    """
    if n < 1:
        raise PromptError(f"{n} candidates were asked for; ask for 1 or more.")
    # The same request again asks for another answer than those that were given to it already.
    key, head = input_key(prompt, asked), prompt.history.head
    before = [e for e in prompt.exchanges if e.revision == head and input_key(prompt, e) == key]
    first = sum(len(e.candidates) for e in before)
    id = prompt.next_exchange_id

    async def candidate(at: int) -> str:
        marks = marked(config, revision=head or "none", exchange=id, candidate=at - first)
        return await respond(target, messages, sample=at if n > 1 or at else None, config=marks)

    candidates = tuple(await together(candidate(at) for at in range(first, first + n)))
    answered = {"candidates": candidates, "response": candidates[0] if n == 1 else None, "revision": head}
    return asked.model_copy(update={"id": id, **answered})


async def propose(
    chain: Runnable[Any, PrincipleProposal],
    prompt: AlignedPrompt,
    exchange: Exchange,
    feedback: Feedback,
    config: RunnableConfig | None,
) -> PrincipleProposal:
    """Return the edits that a piece of feedback amounts to.

    Raises:
        ModelError: A call failed.
    """
    request = PrincipleRequest(
        feedback=feedback,
        constitution=prompt.constitution,
        prompt=prompt.description,
        inputs=turns_of(prompt, exchange)[0].inputs,
        id=f"{exchange.id}.f{len(exchange.feedback) + 1}",
    )
    return await chain.ainvoke(request, config)


def keep(
    prompt: AlignedPrompt, exchange_id: str, feedback: Feedback, proposal: PrincipleProposal, when: str = ""
) -> AlignedPrompt:
    """Return the prompt with a proposal in its history and the feedback beside its exchange.

    The prompt may have moved on since the proposal was asked for. Nothing of that is lost, and neither is the wish:
    where the principle to edit is gone, its new words are added. With `when`, a new principle holds in that case only.
    """
    known = {p.id for p in prompt.constitution}
    exchange = next(e for e in prompt.exchanges if e.id == exchange_id)
    # Its number is given now: other feedback may have come since the proposal was asked for.
    made_by = {"evidence": (f"{exchange.id}.f{len(exchange.feedback) + 1}",)}
    edits: list[PrincipleEdit] = []
    for given in proposal.edits:
        edit = given.model_copy(update=made_by) if isinstance(given, Add | Edit) and given.evidence else given
        if isinstance(edit, Add) or edit.id in known:
            conditional = when.strip() and isinstance(edit, Add)
            edits.append(edit.model_copy(update={"condition": when.strip()}) if conditional else edit)
        elif isinstance(edit, Edit):
            edits.append(Add(text=edit.text, evidence=edit.evidence, reason=edit.reason))
    after = prompt.commit(edits, reason=proposal.reason, author=proposal.written_by)
    return after.with_exchange(exchange.model_copy(update={"feedback": (*exchange.feedback, feedback)}))


async def weave(
    chain: Runnable[Any, PromptUpdate] | None, prompt: AlignedPrompt, config: RunnableConfig | None
) -> PromptUpdate | None:
    """Return the update that makes a prompt's text say all principles; where nothing changed, nothing.

    Args:
        chain: What rewrites the text; without it the principles are listed below the text.
        prompt: The prompt.
        config: Callbacks, tags and metadata for the call.

    Raises:
        PromptError: There is no prompt yet.
        ModelError: The call failed.
    """
    base, enabled = base_of(prompt), prompt.constitution.enabled()
    if not prompt.needs_weaving:
        return None
    if chain is None or not enabled:
        return list_principles(base, enabled)
    return await chain.ainvoke(UpdateRequest(template=base, principles=enabled), config)


def base_of(prompt: AlignedPrompt) -> Template:
    """Return the person's own text.

    Raises:
        PromptError: There is none yet.
    """
    base = prompt.document.base
    if not base.messages:
        raise PromptError("There is no prompt yet; give one with set_model_description first.")
    return base


def keep_update(prompt: AlignedPrompt, update: PromptUpdate, base: Template, reason: str) -> AlignedPrompt | None:
    """Return the prompt with an update of its text, or nothing where its own text is another one meanwhile."""
    if prompt.document.base != base:
        return None
    if update.refused:
        reason = f"{reason} (listed below the text: {update.refused})"
        logger.info("A rewritten prompt was not taken: %s", update.refused)
    return prompt.commit([update.edit], reason=reason)
