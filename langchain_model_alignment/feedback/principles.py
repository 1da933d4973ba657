"""Feedback becomes an edit of the constitution: add, edit or delete a principle.

Two strategies behind one interface. *one_call* asks a strong model for the whole decision at once. *short_steps* asks
a small model one small thing at a time: restate the feedback as a rule; does the rule keep the wish; can an old
principle be followed together with it. Under both lie the same checks in code, one repair, and the same floor: the
person's own words. So a weak model costs elegance, never intent.
"""

import logging
from collections.abc import Sequence
from typing import Any, Literal

from langchain_core.messages import BaseMessage
from langchain_core.runnables import Runnable, RunnableConfig
from pydantic import BaseModel, ConfigDict, Field

from langchain_model_alignment.calls import Caller, ChatModelLike, as_caller
from langchain_model_alignment.constitution import Add, Constitution, Delete, Edit, Principle, PrincipleEdit
from langchain_model_alignment.errors import MalformedAnswerError
from langchain_model_alignment.feedback import instructions
from langchain_model_alignment.feedback.changes import describe_change, form_asked, lost_of_change
from langchain_model_alignment.feedback.exchanges import Feedback, in_words
from langchain_model_alignment.feedback.findings import Conflict, ToldConflict, ToldConflicts, unresolved
from langchain_model_alignment.feedback.own_words import calmly, in_own_words
from langchain_model_alignment.feedback.relations import (
    clash,
    contradicted,
    may_withdraw,
    rest_beside,
    rest_of,
    share_of_yes,
    taken_back,
    twin_of,
)
from langchain_model_alignment.loop import make_runnable
from langchain_model_alignment.structured import ask_structured
from langchain_model_alignment.traits import limit_of
from langchain_model_alignment.wishes import lost, takes_back
from langchain_model_alignment.wording import (
    clean_sentence,
    is_order,
    is_wish,
    near_duplicate,
    quotes,
    says,
    stems_in,
)

logger = logging.getLogger(__name__)

Strategy = Literal["one_call", "short_steps"]

# Measured on the local 1.5B model with the examples in `instructions`: see tests/integration_tests/test_quality.py.
_KEEPS_AT = 0.55
_RULE_TOKENS = 90


class PrincipleRequest(BaseModel):
    """What a principle is made from."""

    model_config = ConfigDict(extra="forbid")

    feedback: Feedback = Field(description="What a person said about a response")
    constitution: Constitution = Field(default=Constitution(), description="The principles that are there already")
    prompt: str = Field(default="", description="The prompt's text, with its variables")
    inputs: dict[str, Any] = Field(default={}, description="The value of each variable")
    id: str = Field(default="", description="Names the feedback; the principle keeps it as its evidence")


class PrincipleProposal(BaseModel):
    """The edits that a piece of feedback amounts to."""

    edits: tuple[PrincipleEdit, ...] = Field(description="The changes to the constitution, in order")
    reason: str = Field(description="Why, in a few words")
    written_by: Literal["model", "repair", "person"] = Field(
        description="Who found the words: the model, the model at its second try (repair), or the person"
    )
    lost: tuple[str, ...] = Field(
        default=(), description="What the model's last try had lost, when the person's own words were taken"
    )
    conflicts: tuple[Conflict, ...] = Field(
        default=(), description="Where the new principle and the old ones still conflict once the edits are made"
    )


class _Decision(BaseModel):
    """The decision on the list of principles."""

    reason: str = Field(description="why, in a few words")
    action: Literal["add", "edit", "delete"]
    principle_id: str | None = Field(default=None, description="the id of the existing principle to edit or delete")
    principle: str = Field(default="", description="the new or edited principle; empty for a pure deletion")
    conflicts: ToldConflicts = Field(
        default_factory=list,
        description="conflicts of the principle, called new, with others that stay; most often none",
    )


def strategy_of(caller: Caller) -> Strategy:
    """Return the strategy that fits a model: short steps for small ones, one call for all others."""
    return "short_steps" if caller.traits.small else "one_call"


def create_principle_chain(
    llm: ChatModelLike, *, strategy: Strategy | None = None
) -> Runnable[PrincipleRequest | dict[str, Any], PrincipleProposal]:
    """Create the chain that turns a critique, kudos or rewrite into an edit of the constitution.

    Args:
        llm: The model that writes principles.
        strategy: How to ask it; by default what fits the model.

    Returns:
        A Runnable from a `PrincipleRequest` (or a dict like it) to a `PrincipleProposal`.

    Example:
        >>> from langchain_core.language_models import FakeListChatModel
        >>> llm = FakeListChatModel(responses=['{"reason": "asked", "action": "add", "principle": "Be brief."}'])
        >>> chain = create_principle_chain(llm)
        >>> chain.invoke({"feedback": {"kind": "critique", "text": "Too long"}}).edits[0].text
        'Be brief.'
    """
    caller = as_caller(llm)
    chosen = strategy or strategy_of(caller)

    async def extract(value: PrincipleRequest | dict[str, Any], config: RunnableConfig) -> PrincipleProposal:
        nonlocal chosen
        request = PrincipleRequest.model_validate(value)
        request = request.model_copy(update={"feedback": request.feedback.plain()})
        if chosen == "one_call":
            try:
                return _with_conflicts(request, *await _in_one_call(caller, request, config))
            except MalformedAnswerError as error:
                if chosen == "one_call":  # said once, and not tried again at every call
                    logger.warning("The model's decision could not be read, so it is asked in short steps: %s", error)
                chosen = "short_steps"
        return _with_conflicts(request, await _in_short_steps(caller, request, config))

    return make_runnable(extract, name="principle", input_type=PrincipleRequest, output_type=PrincipleProposal)


def _with_conflicts(
    request: PrincipleRequest, proposal: PrincipleProposal, told: Sequence[ToldConflict] = ()
) -> PrincipleProposal:
    """Add what the edits leave unresolved: what code sees of it, and what a model told along with its own words."""
    believed = told if proposal.written_by == "model" else ()
    return proposal.model_copy(update={"conflicts": unresolved(request.constitution, proposal.edits, believed)})


async def _in_one_call(
    caller: Caller, request: PrincipleRequest, config: RunnableConfig
) -> tuple[PrincipleProposal, list[ToldConflict]]:
    feedback, constitution = request.feedback, request.constitution
    messages = instructions.decide(
        prompt=request.prompt,
        inputs="\n".join(in_words(request.inputs)),
        response=feedback.response,
        feedback=describe_change(feedback.response, feedback.text) if feedback.kind == "rewrite" else feedback.text,
        kind=feedback.kind,
        principles=[(p.id, p.sentence()) for p in constitution],
    )
    decision = await ask_structured(caller, messages, _Decision, config=config)
    known = {p.id: p for p in constitution}
    old = known.get((decision.principle_id or "").strip())
    words = clean_sentence(decision.principle)
    if decision.action == "delete" and old and (not words or near_duplicate(words, old.text)):
        withdrawn = _withdrawn(request, old, decision.reason)
        if withdrawn:
            return PrincipleProposal(edits=withdrawn, reason=decision.reason, written_by="model"), []
    missing = _faults(request, words)
    author: Literal["model", "repair", "person"] = "model"
    if missing and words:
        again = instructions.repair_rule(messages, words, missing)
        answer = await caller.ask(again, config=config)
        repaired = clean_sentence(answer.text)
        missing = _faults(request, repaired)
        words, author = repaired, "repair"
    if missing:
        words, author = in_own_words(feedback), "person"
    edits = _edits(request, words, [], decision.reason)
    if old and decision.action != "add" and _may_replace(old, words, request, decision.action, author):
        text = " ".join(filter(None, [words, rest_beside(old.text, words, feedback.text)]))
        edits = (Edit(id=old.id, text=text, evidence=(request.id,) if request.id else (), reason=decision.reason),)
    gone = tuple(missing) if author == "person" else ()
    return PrincipleProposal(edits=edits, reason=decision.reason, written_by=author, lost=gone), decision.conflicts


async def _in_short_steps(caller: Caller, request: PrincipleRequest, config: RunnableConfig) -> PrincipleProposal:
    feedback = request.feedback
    reason = f"{feedback.kind}: {feedback.text}" if feedback.kind != "rewrite" else "rewrite of an answer"
    if feedback.kind != "rewrite" and takes_back(feedback.text):
        return await _withdraw(caller, request, reason, config)
    words, author, missing = await _write_rule(caller, request, config)
    twin = twin_of(request.constitution, words)
    related = [] if twin else await contradicted(caller, request.constitution, words, config)
    edits = _edits(request, words, related, reason)
    return PrincipleProposal(edits=edits, reason=reason, written_by=author, lost=tuple(missing))


async def _withdraw(
    caller: Caller, request: PrincipleRequest, reason: str, config: RunnableConfig
) -> PrincipleProposal:
    """Take out the principle that the feedback withdraws, and then do what else it asks."""
    old, rest = taken_back(request.constitution, request.feedback.text)
    if old is None:  # a model would make a ban of "no need to"
        edits = _edits(request, in_own_words(request.feedback), [], reason)
        return PrincipleProposal(edits=edits, reason=reason, written_by="person")
    gone = Delete(id=old.id)
    if not is_wish(rest):
        return PrincipleProposal(edits=(gone,), reason=f"taken back: {request.feedback.text}", written_by="person")
    feedback = request.feedback.model_copy(update={"text": rest})
    others = request.model_copy(update={"feedback": feedback, "constitution": request.constitution.apply(gone)})
    proposal = await _in_short_steps(caller, others, config)
    return proposal.model_copy(update={"edits": (gone, *proposal.edits), "reason": reason})


async def _write_rule(
    caller: Caller, request: PrincipleRequest, config: RunnableConfig
) -> tuple[str, Literal["model", "repair", "person"], list[str]]:
    """Restate the feedback as a rule, check it, repair it once, and else take the person's own words."""
    feedback = request.feedback
    if feedback.kind == "rewrite":
        messages = instructions.describe_change(describe_change(feedback.response, feedback.text))
    else:
        messages = instructions.restate(feedback.kind, calmly(feedback.text))
    rule, missing = await _rule(caller, request, messages, config)
    if not missing:
        return rule, "model", []
    rule, missing = await _rule(caller, request, instructions.repair_rule(messages, rule, missing), config)
    if not missing:
        return rule, "repair", []
    return in_own_words(feedback), "person", missing


async def _rule(
    caller: Caller, request: PrincipleRequest, messages: Sequence[BaseMessage], config: RunnableConfig
) -> tuple[str, list[str]]:
    answer = await caller.ask(messages, config=config, **limit_of(caller.llm, _RULE_TOKENS))
    rule = clean_sentence(answer.text)
    feedback = request.feedback
    if feedback.kind == "rewrite" and rule:
        # What code sees for certain need not be left to the model.
        form = form_asked(feedback.response, feedback.text)
        rule = " ".join([*(f for f in form if not stems_in(f) & stems_in(rule)), rule])
    missing = _faults(request, rule)
    # A part of what was praised, on its own side, is what the person wants; so is all of what was asked.
    told = says(rule, feedback.text) or (feedback.kind == "kudos" and says(feedback.text, rule))
    if not missing and feedback.kind != "rewrite" and not told:
        asked = instructions.keeps_wish(feedback.kind, feedback.text, rule)
        if await share_of_yes(caller, asked, config) < _KEEPS_AT:
            missing = ["what the person wants"]
    return rule, missing


def _faults(request: PrincipleRequest, words: str) -> list[str]:
    """Return what is wrong with a principle's words, as far as code can see it."""
    if not words:
        return ["every word"]
    feedback = request.feedback
    faults = [] if feedback.kind == "rewrite" else lost(feedback.text, words, feedback.tone)
    if feedback.kind == "rewrite":
        faults += lost_of_change(feedback.response, feedback.text, words)
    if quotes(words, feedback.response) and not quotes(words, feedback.text):
        faults.append("being general (it copies the answer)")
    return faults


def _edits(
    request: PrincipleRequest, words: str, related: Sequence[Principle], reason: str
) -> tuple[PrincipleEdit, ...]:
    """Return the edits that put new words in, in place of the first related principle; the others it replaces go."""
    evidence = (request.id,) if request.id else ()
    twin = twin_of(request.constitution, words)
    if twin is not None:
        return (Edit(id=twin.id, text=twin.text, evidence=evidence, reason=reason),)
    if not related:
        return (Add(text=words, evidence=evidence, reason=reason),)
    first, *others = related
    text = " ".join(filter(None, [words, *(rest_of(old.text, words) for old in related)]))
    return (
        Edit(id=first.id, text=text, evidence=evidence, reason=reason),
        *(Delete(id=old.id) for old in others),
    )


def _may_replace(old: Principle, words: str, request: PrincipleRequest, action: str, author: str) -> bool:
    """Whether words take the place of an old principle: they contradict it, or the model edits it in the same matter.

    An edit that shares nothing with the principle it would overwrite is a slip of the model, as is a deletion that
    nobody asked for; and what only describes replaces no order.
    """
    if twin_of(request.constitution, words):
        return False
    about = stems_in(words) | stems_in(request.feedback.text)
    edited = action == "edit" and bool(stems_in(old.text) & about)
    return clash(old.text, words) or (edited and (author != "person" or is_order(words)))


def _withdrawn(request: PrincipleRequest, old: Principle, reason: str) -> tuple[PrincipleEdit, ...]:
    """Return the edits, where a strong model takes feedback for the withdrawal of a principle, if code can agree."""
    feedback, gone = request.feedback, Delete(id=old.id)
    if not takes_back(feedback.text):
        return (gone,) if feedback.kind == "critique" and may_withdraw(feedback.text, old.text) else ()
    rest = taken_back(request.constitution, feedback.text)[1]
    if not is_wish(rest):
        return (gone,)
    others = request.model_copy(update={"constitution": request.constitution.apply(gone)})
    return (gone, *_edits(others, in_own_words(feedback.model_copy(update={"text": rest})), [], reason))
