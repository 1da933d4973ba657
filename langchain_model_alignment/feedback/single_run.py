"""The object a notebook uses: one prompt, one person, feedback turned into principles.

Takes over the job and the names of `AlignableSingleRun` of model-alignment. Every method has an async twin with an
`a` in front that behaves the same.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, overload

from langchain_core.runnables import Runnable, RunnableConfig

from langchain_model_alignment.calls import Caller, ChatModelLike, as_caller
from langchain_model_alignment.constitution import Delete, Edit, Principle, Set
from langchain_model_alignment.errors import ConfigurationError, EditError, FeedbackError
from langchain_model_alignment.feedback import steps
from langchain_model_alignment.feedback.assurance import assure, assure_direct
from langchain_model_alignment.feedback.conversation import exchange_of, messages_of
from langchain_model_alignment.feedback.exchanges import Exchange, Feedback, PlainKind, parse_feedback
from langchain_model_alignment.feedback.intent import standing_in
from langchain_model_alignment.feedback.judging import Judge
from langchain_model_alignment.feedback.principles import Strategy, create_principle_chain
from langchain_model_alignment.feedback.records import AlignedPrompt
from langchain_model_alignment.feedback.respond import as_target
from langchain_model_alignment.feedback.suggestions import (
    PreferenceRequest,
    SuggestionRequest,
    create_critique_chain,
    create_kudos_chain,
    create_preference_chain,
)
from langchain_model_alignment.feedback.updates import (
    DirectUpdateRequest,
    create_direct_update_chain,
    create_prompt_update_chain,
)
from langchain_model_alignment.history import AnyEdit
from langchain_model_alignment.loop import run_sync
from langchain_model_alignment.templates import Template

if TYPE_CHECKING:
    from langchain_core.prompts import ChatPromptTemplate

Inputs = Mapping[str, Any] | str | None


class AlignableSingleRun:
    """Runs a prompt, takes feedback on its responses, and keeps the principles and the prompt that follow from it.

    Example:
        >>> from langchain_core.language_models import FakeListChatModel
        >>> prompt_model = FakeListChatModel(responses=["Cut paper. Cut cloth. Cut hair."])
        >>> decision = '{"reason": "asked", "action": "add", "principle": "Include a creative use."}'
        >>> run = AlignableSingleRun(prompt_model, FakeListChatModel(responses=[decision]))
        >>> run.set_model_description("Give three uses for the following item: {item}")
        >>> run.send_input({"item": "scissors"})
        'Cut paper. Cut cloth. Cut hair.'
        >>> [p.text for p in run.critique_response("the list doesn't include any creative uses")]
        ['Include a creative use.']
    """

    def __init__(
        self,
        prompt_model: ChatModelLike | Runnable[Any, Any],
        alignment_model: ChatModelLike | None = None,
        data: AlignedPrompt | None = None,
        *,
        strategy: Strategy | None = None,
        check_intent: bool = True,
    ) -> None:
        """Make the object.

        Args:
            prompt_model: What answers the prompt: a chat model, or any Runnable that takes the prompt's messages.
            alignment_model: The model that writes principles and prompts; the prompt model, when absent.
            data: An aligned prompt to go on from.
            strategy: How to ask the alignment model; by default what fits it.
            check_intent: Whether an update is followed by a check that what was said is kept: the inputs that feedback
                was about are answered again and judged, and a principle whose wish is lost is written anew, once.
                The verdicts stand beside the feedback in `data`.

        Raises:
            ConfigurationError: A Runnable that is no chat model answers, and no alignment model is given.
            ModelNameError: A model's name means nothing here, or its package is not installed.
        """
        self.target = as_target(prompt_model)
        if alignment_model is not None:
            aligner = as_caller(alignment_model)
        elif isinstance(self.target, Caller):
            aligner = self.target
        else:
            raise ConfigurationError("The prompt model is a Runnable and no chat model; give an alignment_model too.")
        self._principles = create_principle_chain(aligner, strategy=strategy)
        self._updates = create_prompt_update_chain(aligner, strategy=strategy)
        self._direct = create_direct_update_chain(aligner, strategy=strategy)
        self._suggest = {"critique": create_critique_chain(aligner), "kudos": create_kudos_chain(aligner)}
        self.judge = Judge(aligner, strategy)
        self._why = create_preference_chain(aligner)
        self._check_intent = check_intent
        self._data = data or AlignedPrompt()
        self._pending: Exchange | None = None
        self._at: str | None = None  # the exchange that a person went back to

    @property
    def data(self) -> AlignedPrompt:
        """The aligned prompt as it stands: an immutable value, JSON in and out."""
        return self._data

    @property
    def exchange(self) -> Exchange | None:
        """The exchange that feedback is about: the last input and its candidates."""
        if self._pending is None and self._at is not None:
            return exchange_of(self._data, self._at)
        return self._pending or (self._data.exchanges[-1] if self._data.exchanges else None)

    @property
    def lost(self) -> list[Feedback]:
        """The feedback whose wish the last answer that was judged by it has lost."""
        known = [one.feedback for one in standing_in(self._data)]
        return [feedback for feedback in known if feedback.verdict is not None and not feedback.verdict.kept]

    def set_model_description(self, description: "str | ChatPromptTemplate | Template") -> None:
        """Set the prompt to align; principles made so far stay.

        Raises:
            PromptError: A LangChain prompt has parts that are not text.
        """
        if not self._data.history.revisions and not self._data.document.base.messages:
            fresh = AlignedPrompt.from_prompt(description)
            self._data = fresh.model_copy(update={"exchanges": self._data.exchanges})
        else:
            self._data = self._data.set_description(description)

    def get_model_description(self) -> str:
        """Return the prompt's text, without principles that are not woven in yet."""
        return self._data.description

    def get_model_description_with_principles(self) -> str:
        """Return the prompt's text as it is sent: with every principle."""
        return self._data.effective.text

    # -- answering ---------------------------------------------------------------------------------------------

    @overload
    def send_input(
        self, inputs: Inputs = None, *, n: Literal[1] = 1, commit: bool = True, config: RunnableConfig | None = None
    ) -> str: ...
    @overload
    def send_input(
        self, inputs: Inputs = None, *, n: int, commit: bool = True, config: RunnableConfig | None = None
    ) -> str | list[str]: ...
    def send_input(
        self, inputs: Inputs = None, *, n: int = 1, commit: bool = True, config: RunnableConfig | None = None
    ) -> str | list[str]:
        """Answer an input with the prompt as it stands.

        Args:
            inputs: A value for each variable; a plain string where there is one; nothing where there is none.
            n: How many candidates to answer with.
            commit: Whether a single answer becomes the response that feedback is about; of several candidates
                one is chosen with `commit_model_response`.
            config: Callbacks, tags and metadata for the calls.

        Returns:
            The answer, or a list of `n` candidates where `n` is more than 1.

        Raises:
            PromptError: There is no prompt yet, or the input does not fit its variables.
            ModelError: A call failed; nothing half-made stays.
        """
        return run_sync(self.asend_input(inputs, n=n, commit=commit, config=config))

    async def asend_input(
        self, inputs: Inputs = None, *, n: int = 1, commit: bool = True, config: RunnableConfig | None = None
    ) -> str | list[str]:
        """Answer an input; the async twin of `send_input`."""
        exchange = await steps.answer(self.target, self._data, inputs, n, config)
        return self._take(exchange, n, commit)

    def reply(
        self, message: str, *, n: int = 1, commit: bool = True, config: RunnableConfig | None = None
    ) -> str | list[str]:
        """Say something more, and have the conversation answered: the prompt as it stands, and the turns so far.

        Args:
            message: The next turn of the person.
            n: How many candidates to answer with.
            commit: Whether a single answer becomes the response that feedback is about.
            config: Callbacks, tags and metadata for the calls.

        Returns:
            The answer, or a list of `n` candidates where `n` is more than 1.

        Raises:
            FeedbackError: There is no response to go on from.
            ModelError: A call failed; nothing half-made stays.
        """
        return run_sync(self.areply(message, n=n, commit=commit, config=config))

    async def areply(
        self, message: str, *, n: int = 1, commit: bool = True, config: RunnableConfig | None = None
    ) -> str | list[str]:
        """Say something more; the async twin of `reply`."""
        asked = Exchange(id="new", after=self._answered().id, message=message)
        messages = messages_of(self._data, asked)
        return self._take(await steps.candidates_for(self.target, self._data, asked, messages, n, config), n, commit)

    def go_back_to(self, exchange: str) -> None:
        """Make an earlier exchange the one that feedback is about and that `reply` goes on from.

        What came after it stays, as another branch of the conversation.

        Raises:
            FeedbackError: There is no exchange with this id.
        """
        exchange_of(self._data, exchange)
        self._pending, self._at = None, exchange

    def commit_model_response(self, response: str | int) -> None:
        """Choose the response that feedback is about.

        Args:
            response: A candidate, or its index from 0; other text is taken as the response too.

        Raises:
            FeedbackError: There is no candidate of that index, or no input was sent yet.
        """
        exchange = self.exchange
        if exchange is None:
            raise FeedbackError("There is no response to choose yet; call send_input first.")
        if isinstance(response, int):
            if not 0 <= response < len(exchange.candidates):
                raise FeedbackError(
                    f"There is no candidate {response}; give an index from 0 to {len(exchange.candidates) - 1}."
                )
            response = exchange.candidates[response]
        self._choose(response)

    def set_input_output_pair(self, inputs: Inputs, response: str) -> None:
        """Set an input and a response that came from elsewhere; feedback is then about them.

        Raises:
            PromptError: The input does not fit the prompt's variables.
        """
        values = self._data.effective.check_inputs(inputs)
        revision = self._data.history.head
        self._add(Exchange(id="new", inputs=values, candidates=(response,), response=response, revision=revision))

    def get_input_output_pair(self) -> tuple[dict[str, Any], str]:
        """Return the input and the response that feedback is about.

        Raises:
            FeedbackError: There is none yet.
        """
        exchange = self._answered()
        return dict(exchange.inputs), exchange.response or ""

    # -- feedback ----------------------------------------------------------------------------------------------

    def generate_critiques(self, *, config: RunnableConfig | None = None) -> list[str]:
        """Suggest three critiques of the response.

        Raises:
            FeedbackError: There is no response yet.
        """
        return run_sync(self.agenerate_critiques(config=config))

    async def agenerate_critiques(self, *, config: RunnableConfig | None = None) -> list[str]:
        """Suggest three critiques; the async twin of `generate_critiques`."""
        return await self._suggestions("critique", config)

    def generate_kudos(self, *, config: RunnableConfig | None = None) -> list[str]:
        """Suggest three kudos for the response.

        Raises:
            FeedbackError: There is no response yet.
        """
        return run_sync(self.agenerate_kudos(config=config))

    async def agenerate_kudos(self, *, config: RunnableConfig | None = None) -> list[str]:
        """Suggest three kudos; the async twin of `generate_kudos`."""
        return await self._suggestions("kudos", config)

    def critique_response(
        self, critique: str, *, when: str = "", config: RunnableConfig | None = None
    ) -> list[Principle]:
        """Say what is wrong with the response; a principle is added, edited or deleted.

        Args:
            critique: What is wrong, in the person's words.
            when: When a new principle applies, such as "the user asks for a recipe"; always, when absent.
            config: Callbacks, tags and metadata for the calls.

        Returns:
            All principles as they stand now.

        Raises:
            FeedbackError: The critique is empty, or there is no response yet.
            ModelError: A call failed; the principles stay as they were.
        """
        return run_sync(self.acritique_response(critique, when=when, config=config))

    async def acritique_response(
        self, critique: str, *, when: str = "", config: RunnableConfig | None = None
    ) -> list[Principle]:
        """Say what is wrong; the async twin of `critique_response`."""
        return await self._feedback("critique", critique, when, config)

    def kudos_response(self, kudos: str, *, when: str = "", config: RunnableConfig | None = None) -> list[Principle]:
        """Say what is good about the response, so that it stays; see `critique_response`."""
        return run_sync(self.akudos_response(kudos, when=when, config=config))

    async def akudos_response(
        self, kudos: str, *, when: str = "", config: RunnableConfig | None = None
    ) -> list[Principle]:
        """Say what is good; the async twin of `kudos_response`."""
        return await self._feedback("kudos", kudos, when, config)

    def rewrite_response(
        self, rewrite: str, *, when: str = "", config: RunnableConfig | None = None
    ) -> list[Principle]:
        """Give the response as it should have been; see `critique_response`."""
        return run_sync(self.arewrite_response(rewrite, when=when, config=config))

    async def arewrite_response(
        self, rewrite: str, *, when: str = "", config: RunnableConfig | None = None
    ) -> list[Principle]:
        """Give the response as it should have been; the async twin of `rewrite_response`."""
        return await self._feedback("rewrite", rewrite, when, config)

    def explain_preference(
        self, better: str | int, worse: str | int, *, config: RunnableConfig | None = None
    ) -> list[str]:
        """Suggest three reasons why one response may be liked better than another, to choose from.

        Args:
            better: The response that is liked better: a candidate's index from 0, or a text.
            worse: The other one.
            config: Callbacks, tags and metadata for the call.

        Raises:
            FeedbackError: There is no candidate of such an index.
        """
        return run_sync(self.aexplain_preference(better, worse, config=config))

    async def aexplain_preference(
        self, better: str | int, worse: str | int, *, config: RunnableConfig | None = None
    ) -> list[str]:
        """Suggest reasons; the async twin of `explain_preference`."""
        request = PreferenceRequest(better=self._candidate(better), worse=self._candidate(worse))
        return await self._why.ainvoke(request, config)

    def prefer_response(
        self, better: str | int, worse: str | int, why: str, *, config: RunnableConfig | None = None
    ) -> list[Principle]:
        """Say which of two responses is better, and why; see `critique_response`.

        Args:
            better: The response that is liked better, which becomes the chosen one: an index from 0, or a text.
            worse: The other one.
            why: In the person's words, or one of the reasons of `explain_preference`.
            config: Callbacks, tags and metadata for the calls.

        Raises:
            FeedbackError: There is no such candidate, or no reason.
            ModelError: A call failed; the principles stay as they were.
        """
        return run_sync(self.aprefer_response(better, worse, why, config=config))

    async def aprefer_response(
        self, better: str | int, worse: str | int, why: str, *, config: RunnableConfig | None = None
    ) -> list[Principle]:
        """Say which response is better; the async twin of `prefer_response`."""
        chosen, rejected = self._candidate(better), self._candidate(worse)
        feedback = parse_feedback("preference", why, chosen, rejected=rejected)
        self._choose(chosen)
        return await self._learn(feedback, config)

    def score_response(self, score: float, why: str = "", *, config: RunnableConfig | None = None) -> list[Principle]:
        """Score the response from 0, all wrong, to 1, all right, and say why; see `critique_response`.

        The words of a low score are a critique, those of a high one praise. A score without words is kept with the
        exchange and changes no principle: it tells no model what to do. `generate_critiques` and `generate_kudos`
        suggest words to choose from.

        Raises:
            FeedbackError: The score is no number from 0 to 1.
            ModelError: A call failed; the principles stay as they were.
        """
        return run_sync(self.ascore_response(score, why, config=config))

    async def ascore_response(
        self, score: float, why: str = "", *, config: RunnableConfig | None = None
    ) -> list[Principle]:
        """Score the response; the async twin of `score_response`."""
        feedback = parse_feedback("score", why, self._answered().response or "", score=score)
        return await self._learn(feedback, config)

    # -- the prompt --------------------------------------------------------------------------------------------

    def update_model_description_from_principles(
        self, *, method: Literal["weave", "list"] = "weave", config: RunnableConfig | None = None
    ) -> str:
        """Make the prompt's own text say all principles, in one call; when nothing changed, without one.

        Args:
            method: `weave` has the model rewrite the text; `list` puts the principles below it, without a model.
            config: Callbacks, tags and metadata for the call.

        With `check_intent`, the inputs that feedback was about are then answered again; see there.

        Returns:
            The updated text.

        Raises:
            PromptError: There is no prompt yet.
            ModelError: A call failed; what was done before it stays.
        """
        return run_sync(self.aupdate_model_description_from_principles(method=method, config=config))

    async def aupdate_model_description_from_principles(
        self, *, method: Literal["weave", "list"] = "weave", config: RunnableConfig | None = None
    ) -> str:
        """Update from principles; the async twin of `update_model_description_from_principles`."""
        chain = self._updates if method == "weave" else None
        while (update := await steps.weave(chain, prompt := self._data, config)) is not None:
            # Principles that came meanwhile are listed; a text that changed meanwhile is woven anew.
            kept = steps.keep_update(self._data, update, prompt.document.base, "principles into the prompt")
            if kept is not None:
                self._data = kept
                break
        if self._check_intent:
            before = self._data
            checked = await assure(self.target, self.judge, chain, before, config)
            self._data = checked if self._data is before else self._data  # what came meanwhile is checked next time
        return self.get_model_description_with_principles()

    def update_model_description_from_feedback(self, feedback: str, *, config: RunnableConfig | None = None) -> str:
        """Change the prompt's own text directly from feedback, in one call and without a principle.

        Returns:
            The updated text. What the model's text would have lost is listed below the old one instead.

        Raises:
            FeedbackError: The feedback is empty.
            PromptError: There is no prompt yet.
            ModelError: The call failed; the prompt stays as it was.
        """
        return run_sync(self.aupdate_model_description_from_feedback(feedback, config=config))

    async def aupdate_model_description_from_feedback(
        self, feedback: str, *, config: RunnableConfig | None = None
    ) -> str:
        """Update from feedback; the async twin of `update_model_description_from_feedback`."""
        kept = None
        while kept is None:
            base = steps.base_of(self._data)
            update = await self._direct.ainvoke(DirectUpdateRequest(template=base, feedback=feedback), config)
            kept = steps.keep_update(self._data, update, base, f"direct: {feedback.strip()}")
        self._data = kept
        if self._check_intent and (exchange := self.exchange) is not None and exchange.response is not None:
            said = parse_feedback("critique", feedback, exchange.response)
            checked = await assure_direct(self.target, self.judge, kept, exchange, said, config)
            self._data = checked if self._data is kept else self._data
        return self.get_model_description_with_principles()

    # -- by hand -----------------------------------------------------------------------------------------------

    def edit_principle(self, id: str, text: str) -> list[Principle]:
        """Give a principle other words.

        Raises:
            EditError: There is no principle with this id, or the text is empty.
        """
        if not text.strip():
            raise EditError(f"Principle {id} needs words; give it a text, or delete it with delete_principle.")
        return self.apply(Edit(id=id, text=text))

    def delete_principle(self, id: str) -> list[Principle]:
        """Take a principle out; its id is never used again.

        Raises:
            EditError: There is no principle with this id.
        """
        return self.apply(Delete(id=id))

    def enable_principle(self, id: str, enabled: bool = True) -> list[Principle]:
        """Switch a principle on or off.

        Raises:
            EditError: There is no principle with this id.
        """
        return self.apply(Set(id=id, field="enabled", value=enabled))

    def apply(self, *edits: AnyEdit, reason: str = "edited by hand", author: str = "person") -> list[Principle]:
        """Make any edits, such as `Add`, `Move`, `Set` or `TemplateEdit`, as one revision: all of them or none.

        Args:
            edits: The edits in order; a later one sees what an earlier one did.
            reason: Why, for whoever reads the history.
            author: Who made them.

        Raises:
            EditError: An edit is refused, or there is none; nothing is changed.
        """
        if not edits:
            raise EditError("There is no edit to make; give one or more, such as Add(text=...).")
        self._data = self._data.commit(edits, reason=reason, author=author)
        return self._data.principles

    def undo(self) -> list[Principle]:
        """Go back by one change of the principles or the prompt.

        Raises:
            EditError: There is nothing to undo.
        """
        self._data = self._data.with_history(self._data.history.undo())
        return self._data.principles

    def redo(self) -> list[Principle]:
        """Take back an undo.

        Raises:
            EditError: There is nothing to redo.
        """
        self._data = self._data.with_history(self._data.history.redo())
        return self._data.principles

    def rewind(self, to: str | None) -> list[Principle]:
        """Go to any revision, on any branch; without an id, to the beginning.

        Raises:
            EditError: There is no such revision.
        """
        self._data = self._data.with_history(self._data.history.rewind(to))
        return self._data.principles

    def diff(self, a: str | None, b: str | None = None) -> list[str]:
        """Return what changes from one revision to another, a line each.

        Args:
            a: The id of a revision; nothing for the beginning.
            b: The id of another; the one the prompt stands at, when absent.

        Raises:
            EditError: There is no such revision.
        """
        return self._data.history.diff(a, self._data.history.head if b is None else b)

    # -- inside ------------------------------------------------------------------------------------------------

    def _add(self, exchange: Exchange) -> None:
        # Its id is given now: other inputs may have been answered since it was sent.
        numbered = exchange.model_copy(update={"id": f"e{len(self._data.exchanges) + 1}"})
        self._data = self._data.with_exchange(numbered)
        self._pending, self._at = None, None

    def _take(self, exchange: Exchange, n: int, commit: bool) -> str | list[str]:
        if n == 1 and commit:
            self._add(exchange)
        else:
            self._pending, self._at = exchange.model_copy(update={"response": None}), None
        return list(exchange.candidates) if n > 1 else exchange.candidates[0]

    def _choose(self, response: str) -> None:
        exchange = self.exchange
        if exchange is not None and exchange is self._pending:
            self._add(exchange.model_copy(update={"response": response}))
        elif exchange is not None:
            self._data = self._data.with_exchange(exchange.model_copy(update={"response": response}))

    def _candidate(self, which: str | int) -> str:
        if isinstance(which, str):
            return which
        candidates = self.exchange.candidates if self.exchange is not None else ()
        if not 0 <= which < len(candidates):
            raise FeedbackError(f"There is no candidate {which}; there are {len(candidates)}, counted from 0.")
        return candidates[which]

    def _answered(self) -> Exchange:
        exchange = self.exchange
        if exchange is None:
            raise FeedbackError("There is no response yet; call send_input before giving feedback.")
        if exchange.response is None:
            if len(exchange.candidates) > 1:
                raise FeedbackError(
                    f"There are {len(exchange.candidates)} candidates and none is chosen; "
                    "choose one with commit_model_response first."
                )
            # A response that was not committed is still the one that the person is looking at.
            self._choose(exchange.candidates[0])
            return self._answered()
        return exchange

    async def _suggestions(self, kind: Literal["critique", "kudos"], config: RunnableConfig | None) -> list[str]:
        exchange = self._answered()
        request = SuggestionRequest(
            prompt=self._data.description, response=exchange.response or "", inputs=exchange.inputs
        )
        return await self._suggest[kind].ainvoke(request, config)

    async def _feedback(self, kind: PlainKind, text: str, when: str, config: RunnableConfig | None) -> list[Principle]:
        feedback = parse_feedback(kind, text, self._answered().response or "")
        return await self._learn(feedback, config, when)

    async def _learn(self, feedback: Feedback, config: RunnableConfig | None, when: str = "") -> list[Principle]:
        exchange = self._answered()
        if not feedback.text:
            said = exchange.model_copy(update={"feedback": (*exchange.feedback, feedback)})
            self._data = self._data.with_exchange(said)
            return self._data.principles
        proposal = await steps.propose(self._principles, self._data, exchange, feedback, config)
        self._data = steps.keep(self._data, exchange.id, feedback, proposal, when)
        return self._data.principles
