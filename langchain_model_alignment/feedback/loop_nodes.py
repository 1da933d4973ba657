"""The steps of the feedback loop, over what the graph's factory closed over."""

import logging
from typing import Annotated, Any

from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.graph import END
from langgraph.types import interrupt
from pydantic import AfterValidator

from langchain_model_alignment.calls import Caller
from langchain_model_alignment.errors import AuthenticationError, ConfigurationError, ModelError, PromptError
from langchain_model_alignment.feedback import steps
from langchain_model_alignment.feedback.assurance import judge_again
from langchain_model_alignment.feedback.conversation import exchange_of, input_key, inputs_of, messages_of, turns_of
from langchain_model_alignment.feedback.exchanges import Exchange
from langchain_model_alignment.feedback.intent import Standing, mend, standing_in, with_verdicts
from langchain_model_alignment.feedback.judging import Judge
from langchain_model_alignment.feedback.loop_state import FeedbackEvent, FeedbackState
from langchain_model_alignment.feedback.principles import Strategy, create_principle_chain
from langchain_model_alignment.feedback.records import AlignedPrompt
from langchain_model_alignment.feedback.replay import ReplayReport, replay_prompt
from langchain_model_alignment.feedback.review import (
    Decision,
    Reason,
    Review,
    reason_payload,
    replay_payload,
    review_payload,
)
from langchain_model_alignment.feedback.suggestions import create_preference_chain
from langchain_model_alignment.feedback.updates import create_prompt_update_chain
from langchain_model_alignment.tracing import tell

__all__ = ["Nodes"]

logger = logging.getLogger(__name__)

_BY_HAND = ("edit", "undo", "redo", "rewind")
_LEARNS = ("critique", "kudos", "rewrite", "prefer", "score")


class Nodes:
    """The steps of the loop; nothing before an interrupt does more than read, for a node runs again when resumed."""

    def __init__(
        self,
        target: Caller | Runnable[Any, Any],
        aligner: Caller,
        *,
        candidates: int,
        strategy: Strategy | None,
        check_intent: bool,
        replay_inputs: int,
    ) -> None:
        self._target = target
        self._candidates = candidates
        self._check_intent = check_intent
        self._replay_inputs = replay_inputs
        self._principles = create_principle_chain(aligner, strategy=strategy)
        self._updates = create_prompt_update_chain(aligner, strategy=strategy)
        self._why = create_preference_chain(aligner)
        self._judge = Judge(aligner, strategy)

    def begin(self, state: FeedbackState) -> FeedbackState:
        """Forget what an earlier run on the same thread left."""
        return {"turn": None, "before": None, "repaired": False, "mending": False, "replay": None, "conflicts": []}

    # -- answering -----------------------------------------------------------------------------------------------

    async def respond(self, state: FeedbackState, config: RunnableConfig) -> FeedbackState:
        """Answer the input, or the turn of a conversation, with the prompt as it stands."""
        prompt, turn = _prompt_of(state), state.get("turn")
        if turn:
            asked = Exchange(id="new", after=turn["after"], message=turn["message"])
            messages = messages_of(prompt, asked)
            exchange = await steps.candidates_for(self._target, prompt, asked, messages, self._candidates, config)
        else:
            exchange = await steps.answer(self._target, prompt, state.get("inputs"), self._candidates, config)
        candidates = list(exchange.candidates)
        _tell_answers(prompt, exchange)
        return {
            "prompt": _as_state(prompt.with_exchange(exchange)),
            "inputs": state.get("inputs", {}) if turn else exchange.inputs,
            "exchange": exchange.id,
            "candidates": candidates,
            "response": candidates[0],
        }

    async def check(self, state: FeedbackState, config: RunnableConfig) -> FeedbackState:
        """Judge the new answer by what was said, and write a principle anew whose wish it lost."""
        prompt = _prompt_of(state)
        answers = {input_key(prompt, self._exchange(state, prompt)): state["candidates"][0]}
        repaired, after = state.get("repaired", False), prompt
        try:
            judged = await judge_again(
                self._target, self._judge, prompt, self._to_judge(state, prompt), answers, config
            )
            missed = [found for found in judged if not found[1].kept]
            # That a repair was tried is part of the verdict, so that what is still lost is told once and for all.
            marked = [(one, v.model_copy(update={"repaired": repaired})) for one, v, _ in judged]
            after = with_verdicts(prompt, marked)
            mended = await mend(self._judge, after, missed, config) if missed and not repaired else after
        except AuthenticationError:
            raise
        except ModelError as error:
            logger.warning("Whether the last wishes are kept could not be checked: %s", error)
            return {"prompt": _as_state(after), "repaired": True, "mending": False}
        again = mended is not after
        verdicts = [
            {"text": one.feedback.text, "kept": v.kept, "reason": v.reason, "repaired": v.repaired, "repairing": again}
            for one, v in marked
        ]
        if verdicts:
            _tell({"type": "verdicts", "verdicts": verdicts})
        if again:
            _tell_principles(after, mended, "repair")
        return {"prompt": _as_state(mended), "repaired": repaired or again, "mending": again}

    async def replay(self, state: FeedbackState, config: RunnableConfig) -> FeedbackState:
        """Answer earlier inputs with the changed prompt, before the change is kept."""
        prompt, current = _prompt_of(state), self._exchange(state, _prompt_of(state))
        answers = {input_key(prompt, current): state["candidates"][0]}
        earlier, standards = self._earlier(state, prompt), state.get("standards", {})
        report = await replay_prompt(self._target, self._judge, prompt, earlier, answers, config, standards=standards)
        told: FeedbackEvent = {"type": "replay", "summary": report.summary(), "troubles": report.troubles}
        _tell({**told, "report": report.model_dump(mode="json")})
        return {"replay": report.model_dump(mode="json")}

    def decide(self, state: FeedbackState) -> FeedbackState:
        """Have a person accept a change that made something worse, or take it back."""
        prompt, before = _prompt_of(state), AlignedPrompt.from_dict(state["before"], "The state's earlier prompt")
        report = ReplayReport.model_validate(state["replay"])
        payload = replay_payload(report, before.document.diff(prompt.document))
        decision = Decision.model_validate(interrupt(payload, response_schema=Decision))
        if decision.action == "accept":  # and is not asked about again
            found = {wish.id: wish.verdict for item in report.items for wish in item.wishes}
            judged = [(one, found[one.id]) for one in standing_in(prompt) if one.id in found]
            accepted = {item.exchange: item.after for item in report.items if item.worse}
            return {
                "prompt": _as_state(with_verdicts(prompt, judged)),
                "standards": {**state.get("standards", {}), **accepted},
                "replay": None,
            }
        # The change stays in the history as a branch; what is in front of the person again is what they spoke of.
        back = prompt.with_history(prompt.history.rewind(before.history.head))
        _tell({"type": "taken_back"})
        return {
            **self._shown(back, state["reviewed"]),
            "prompt": _as_state(back),
            "conflicts": [],
            "replay": None,
        }

    # -- the person's turn ---------------------------------------------------------------------------------------

    def review(self, state: FeedbackState) -> FeedbackState:
        """Stop for a person's turn."""
        prompt, candidates = _prompt_of(state), state["candidates"]
        exchange = self._exchange(state, prompt)

        def fits(review: Review) -> Review:
            _check_fits(review, prompt, exchange, candidates)
            return review

        payload = review_payload(prompt, exchange, candidates, state.get("conflicts", []))
        schema: Any = Annotated[Review, AfterValidator(fits)]
        answer: Any = interrupt(payload, response_schema=schema)
        review = Review.model_validate(answer)
        chosen = review.action in (*_LEARNS, "reply", "accept") or exchange.response is None
        response = candidates[review.choice] if chosen else exchange.response or candidates[0]
        kept = prompt.with_exchange(exchange.model_copy(update={"response": response}))
        changed: FeedbackState = {
            "prompt": _as_state(kept),
            "response": response,
            "review": review.model_dump(mode="json"),
            "before": _as_state(kept),
            "reviewed": exchange.id,
            "repaired": False,
            "mending": False,
            "replay": None,
        }
        if review.inputs is not None:
            changed["inputs"] = _edited(prompt, review).effective.check_inputs(review.inputs)
            changed["turn"] = None
        if review.action == "reply":
            changed["turn"] = {"after": exchange.id, "message": review.text}
        return changed

    def go_back(self, state: FeedbackState) -> FeedbackState:
        """Put an earlier exchange in front of the person again."""
        return self._shown(_prompt_of(state), Review.model_validate(state["review"]).exchange)

    async def explain(self, state: FeedbackState, config: RunnableConfig) -> FeedbackState:
        """Guess why an answer is liked better, for the person to confirm."""
        review, candidates = Review.model_validate(state["review"]), state["candidates"]
        pair = {"better": candidates[review.choice], "worse": candidates[review.over or 0]}
        return {"review": {**state["review"], "text": "\n".join(await self._why.ainvoke(pair, config))}}

    def confirm(self, state: FeedbackState) -> FeedbackState:
        """Have a person say why an answer is better: a guess that is right, or their own words."""
        review, candidates = Review.model_validate(state["review"]), state["candidates"]
        reasons = review.text.splitlines()

        def fits(reason: Reason) -> Reason:
            if reason.choice is not None and reason.choice >= len(reasons):
                raise ValueError(f"there is no reason {reason.choice}; there are {len(reasons)}, counted from 0")
            return reason

        payload = reason_payload(candidates[review.choice], candidates[review.over or 0], reasons)
        schema: Any = Annotated[Reason, AfterValidator(fits)]
        reason = Reason.model_validate(interrupt(payload, response_schema=schema))
        text = reason.text if reason.choice is None else reasons[reason.choice]
        return {"review": {**state["review"], "text": text}}

    # -- changes -------------------------------------------------------------------------------------------------

    async def extract(self, state: FeedbackState, config: RunnableConfig) -> FeedbackState:
        """Make a principle of what was said."""
        prompt, review = _prompt_of(state), Review.model_validate(state["review"])
        exchange, feedback = self._exchange(state, prompt), review.feedback(state["candidates"])
        if not feedback.text:  # a bare score is kept, and tells no model what to do
            said = exchange.model_copy(update={"feedback": (*exchange.feedback, feedback)})
            return {"prompt": _as_state(prompt.with_exchange(said)), "conflicts": []}
        proposal = await steps.propose(self._principles, prompt, exchange, feedback, config)
        after = steps.keep(prompt, exchange.id, feedback, proposal)
        conflicts = [found.model_dump(mode="json") for found in proposal.conflicts]
        _tell_principles(prompt, after, proposal.written_by, conflicts)
        return {"prompt": _as_state(after), "conflicts": conflicts}

    def edit(self, state: FeedbackState) -> FeedbackState:
        """Change principles or the prompt by hand, or go back and forth in their history."""
        prompt, review = _prompt_of(state), Review.model_validate(state["review"])
        after = _edited(prompt, review)
        _tell_principles(prompt, after, "person")
        return {"prompt": _as_state(after), "conflicts": []}

    async def update(self, state: FeedbackState, config: RunnableConfig) -> FeedbackState:
        """Make the prompt's own text say all principles."""
        prompt = _prompt_of(state)
        update = await steps.weave(self._updates, prompt, config)
        if update is None:
            return {}
        after = steps.keep_update(prompt, update, prompt.document.base, "principles into the prompt") or prompt
        before = prompt.history.at(self._exchange(state, prompt).revision).description.text
        _tell({"type": "prompt", "before": before, "after": after.description, "listed": list(update.listed)})
        return {"prompt": _as_state(after)}

    # -- which way -----------------------------------------------------------------------------------------------

    def after_respond(self, state: FeedbackState) -> str:
        """Judge what has no verdict yet; without any, look at earlier inputs."""
        prompt, action = _prompt_of(state), state.get("review", {}).get("action", "")
        if action not in (*_LEARNS, "edit") or state.get("before") is None:
            return "review"  # what the history holds, and what was only asked, stands as it is
        return "check" if self._check_intent and self._to_judge(state, prompt) else self._to_replay(state, prompt)

    def after_check(self, state: FeedbackState) -> str:
        """A principle that was written anew goes into the prompt first."""
        return "update" if state.get("mending") else self._to_replay(state, _prompt_of(state))

    def after_replay(self, state: FeedbackState) -> str:
        """Ask only where something got worse."""
        return "review" if ReplayReport.model_validate(state["replay"]).fine else "decide"

    def after_review(self, state: FeedbackState) -> str:
        """Do what the person said."""
        review = Review.model_validate(state["review"])
        if review.action == "prefer" and not review.text.strip():
            return "explain"
        if review.action in _LEARNS:
            return "extract"
        if review.action in _BY_HAND:
            return "edit"
        return {"accept": END, "back": "go_back"}.get(review.action, "respond")

    def after_edit(self, state: FeedbackState) -> str:
        """Weave in what was changed; what the history holds stands as it was then."""
        return "update" if state["review"]["action"] == "edit" else "respond"

    # -- inside --------------------------------------------------------------------------------------------------

    def _exchange(self, state: FeedbackState, prompt: AlignedPrompt) -> Exchange:
        return exchange_of(prompt, state.get("exchange") or prompt.exchanges[-1].id)

    def _to_replay(self, state: FeedbackState, prompt: AlignedPrompt) -> str:
        return "replay" if self._replay_inputs and self._earlier(state, prompt) else "review"

    def _to_judge(self, state: FeedbackState, prompt: AlignedPrompt) -> list[Standing]:
        """Wishes on this input that have no verdict yet, and after a repair those that were lost before it."""
        current, head = input_key(prompt, self._exchange(state, prompt)), prompt.history.head
        again = state.get("repaired", False)

        def open_(one: Standing) -> bool:
            verdict = one.feedback.verdict
            if verdict is None:
                return True
            return again and not verdict.kept and not verdict.repaired and verdict.revision != head

        return [one for one in standing_in(prompt) if open_(one) and input_key(prompt, one.exchange) == current]

    def _shown(self, prompt: AlignedPrompt, id: str) -> FeedbackState:
        """The state in which an exchange is in front of the person again."""
        exchange = exchange_of(prompt, id)
        _tell_answers(prompt, exchange)
        return {
            "exchange": exchange.id,
            "candidates": list(exchange.candidates),
            "response": exchange.response or exchange.candidates[0],
            "inputs": turns_of(prompt, exchange)[0].inputs,
            "turn": {"after": exchange.after, "message": exchange.message or ""} if exchange.after else None,
        }

    def _earlier(self, state: FeedbackState, prompt: AlignedPrompt) -> list[Exchange]:
        """The newest exchanges with other inputs, and of this input the ones with wishes not judged just now."""
        before = state.get("before")
        head = prompt.history.head
        if before is None or AlignedPrompt.from_dict(before).history.head == head:
            return []
        current = input_key(prompt, self._exchange(state, prompt))
        newest = {input_key(prompt, e): e for e in prompt.exchanges if e.response is not None}
        others = [e for key, e in newest.items() if key != current][-self._replay_inputs :]
        still = [
            one
            for one in standing_in(prompt)
            if input_key(prompt, one.exchange) == current
            and (verdict := one.feedback.verdict) is not None
            and verdict.revision != head
        ]
        return [*others, *({one.exchange.id: one.exchange for one in still}.values())]


def _check_fits(review: Review, prompt: AlignedPrompt, exchange: Exchange, candidates: list[str]) -> None:
    """Refuse, while the question is still pending, what could not be done afterwards."""
    if odd := [at for at in (review.choice, review.over or 0) if at >= len(candidates)]:
        raise ValueError(f"there is no candidate {odd[0]}; there are {len(candidates)}, counted from 0")
    try:
        if review.exchange:
            exchange_of(prompt, review.exchange)
        after = _edited(prompt, review)
        if review.action not in ("accept", "back"):  # it will be answered again
            asked = turns_of(prompt, exchange)[0].inputs
            after.effective.check_inputs(review.inputs if review.inputs is not None else asked)
    except ConfigurationError as error:
        raise ValueError(str(error)) from error


def _edited(prompt: AlignedPrompt, review: Review) -> AlignedPrompt:
    """The prompt after what a person does by hand; as it is, where the review is something else."""
    history = prompt.history
    if review.action == "undo":
        return prompt.with_history(history.undo())
    if review.action == "redo":
        return prompt.with_history(history.redo())
    if review.action == "rewind":
        return prompt.with_history(history.rewind(review.revision or None))
    if review.edits:
        prompt = prompt.commit(review.edits, reason="edited by hand", author="person")
    return prompt.set_instructions(review.text) if review.action == "edit" and review.text else prompt


def _prompt_of(state: FeedbackState) -> AlignedPrompt:
    prompt = state.get("prompt")
    if isinstance(prompt, str):
        return AlignedPrompt.from_prompt(prompt)
    if not isinstance(prompt, dict):
        raise PromptError(
            f"The graph's prompt is {'missing' if prompt is None else f'a {type(prompt).__name__}'}; give a string, or "
            'AlignedPrompt.from_prompt(…).model_dump(mode="json").'
        )
    return AlignedPrompt.from_dict(prompt, "The state's prompt")


def _as_state(prompt: AlignedPrompt) -> dict[str, Any]:
    return prompt.model_dump(mode="json")


def _tell(event: FeedbackEvent) -> None:
    tell(event)


def _tell_answers(prompt: AlignedPrompt, exchange: Exchange) -> None:
    _tell(
        {
            "type": "answers",
            "candidates": list(exchange.candidates),
            "exchange": exchange.id,
            "prompt": prompt.description,
            "constitution": prompt.constitution.model_dump(mode="json"),
            "inputs": inputs_of(prompt, exchange),
        }
    )


def _tell_principles(
    before: AlignedPrompt, after: AlignedPrompt, written_by: str, conflicts: list[dict[str, Any]] | None = None
) -> None:
    _tell(
        {
            "type": "principles",
            "principles": [p.model_dump(mode="json") for p in after.principles],
            "changes": before.constitution.diff(after.constitution),
            "written_by": written_by,
            "conflicts": conflicts or [],
        }
    )
