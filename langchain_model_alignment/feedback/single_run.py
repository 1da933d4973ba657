"""The object a notebook uses: one prompt, one person, feedback turned into principles.

Takes over the job and the names of `AlignableSingleRun` of model-alignment. Every method has an async twin with an
`a` in front that behaves the same.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, overload

from langchain_core.runnables import Runnable, RunnableConfig

from langchain_model_alignment.calls import Caller, ChatModelLike, as_caller
from langchain_model_alignment.constitution import Delete, Edit, Principle, Set
from langchain_model_alignment.errors import ConfigurationError, EditError, FeedbackError, PromptError
from langchain_model_alignment.feedback import steps
from langchain_model_alignment.feedback.exchanges import Exchange, FeedbackKind
from langchain_model_alignment.feedback.principles import Strategy, create_principle_chain
from langchain_model_alignment.feedback.records import AlignedPrompt
from langchain_model_alignment.feedback.respond import as_target
from langchain_model_alignment.feedback.suggestions import SuggestionRequest, create_critique_chain, create_kudos_chain
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
    ) -> None:
        """Make the object.

        Args:
            prompt_model: What answers the prompt: a chat model, or any Runnable that takes the prompt's messages.
            alignment_model: The model that writes principles and prompts; the prompt model, when absent.
            data: An aligned prompt to go on from.
            strategy: How to ask the alignment model; by default what fits it.

        Raises:
            ConfigurationError: A Runnable that is no chat model answers, and no alignment model is given.
            ModelNameError: A model's name means nothing here, or its package is not installed.
        """
        self._target = as_target(prompt_model)
        if alignment_model is not None:
            aligner = as_caller(alignment_model)
        elif isinstance(self._target, Caller):
            aligner = self._target
        else:
            raise ConfigurationError("The prompt model is a Runnable and no chat model; give an alignment_model too.")
        self._principles = create_principle_chain(aligner, strategy=strategy)
        self._updates = create_prompt_update_chain(aligner, strategy=strategy)
        self._direct = create_direct_update_chain(aligner, strategy=strategy)
        self._suggest = {"critique": create_critique_chain(aligner), "kudos": create_kudos_chain(aligner)}
        self._data = data or AlignedPrompt()
        self._pending: Exchange | None = None

    @property
    def data(self) -> AlignedPrompt:
        """The aligned prompt as it stands: an immutable value, JSON in and out."""
        return self._data

    @property
    def exchange(self) -> Exchange | None:
        """The exchange that feedback is about: the last input and its candidates."""
        return self._pending or (self._data.exchanges[-1] if self._data.exchanges else None)

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
        if n < 1:
            raise PromptError(f"{n} candidates were asked for; ask for 1 or more.")
        exchange = await steps.answer(self._target, self._data, inputs, n, config)
        if n == 1 and commit:
            self._add(exchange)
        else:
            self._pending = exchange.model_copy(update={"response": None})
        return list(exchange.candidates) if n > 1 else exchange.candidates[0]

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

    def critique_response(self, critique: str, *, config: RunnableConfig | None = None) -> list[Principle]:
        """Say what is wrong with the response; a principle is added, edited or deleted.

        Returns:
            All principles as they stand now.

        Raises:
            FeedbackError: The critique is empty, or there is no response yet.
            ModelError: A call failed; the principles stay as they were.
        """
        return run_sync(self.acritique_response(critique, config=config))

    async def acritique_response(self, critique: str, *, config: RunnableConfig | None = None) -> list[Principle]:
        """Say what is wrong; the async twin of `critique_response`."""
        return await self._feedback("critique", critique, config)

    def kudos_response(self, kudos: str, *, config: RunnableConfig | None = None) -> list[Principle]:
        """Say what is good about the response, so that it stays; see `critique_response`."""
        return run_sync(self.akudos_response(kudos, config=config))

    async def akudos_response(self, kudos: str, *, config: RunnableConfig | None = None) -> list[Principle]:
        """Say what is good; the async twin of `kudos_response`."""
        return await self._feedback("kudos", kudos, config)

    def rewrite_response(self, rewrite: str, *, config: RunnableConfig | None = None) -> list[Principle]:
        """Give the response as it should have been; see `critique_response`."""
        return run_sync(self.arewrite_response(rewrite, config=config))

    async def arewrite_response(self, rewrite: str, *, config: RunnableConfig | None = None) -> list[Principle]:
        """Give the response as it should have been; the async twin of `rewrite_response`."""
        return await self._feedback("rewrite", rewrite, config)

    # -- the prompt --------------------------------------------------------------------------------------------

    def update_model_description_from_principles(
        self, *, method: Literal["weave", "list"] = "weave", config: RunnableConfig | None = None
    ) -> str:
        """Make the prompt's own text say all principles, in one call; when nothing changed, without one.

        Args:
            method: `weave` has the model rewrite the text; `list` puts the principles below it, without a model.
            config: Callbacks, tags and metadata for the call.

        Returns:
            The updated text.

        Raises:
            PromptError: There is no prompt yet.
            ModelError: The call failed; the prompt stays as it was.
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
        return self.get_model_description_with_principles()

    # -- by hand -----------------------------------------------------------------------------------------------

    def edit_principle(self, id: str, text: str) -> list[Principle]:
        """Give a principle other words.

        Raises:
            EditError: There is no principle with this id, or the text is empty.
        """
        if not text.strip():
            raise EditError(f"Principle {id} needs words; give it a text, or delete it with delete_principle.")
        return self._by_hand(Edit(id=id, text=text))

    def delete_principle(self, id: str) -> list[Principle]:
        """Take a principle out; its id is never used again.

        Raises:
            EditError: There is no principle with this id.
        """
        return self._by_hand(Delete(id=id))

    def enable_principle(self, id: str, enabled: bool = True) -> list[Principle]:
        """Switch a principle on or off.

        Raises:
            EditError: There is no principle with this id.
        """
        return self._by_hand(Set(id=id, field="enabled", value=enabled))

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

    # -- inside ------------------------------------------------------------------------------------------------

    def _by_hand(self, edit: AnyEdit) -> list[Principle]:
        self._data = self._data.commit([edit], reason="edited by hand", author="person")
        return self._data.principles

    def _add(self, exchange: Exchange) -> None:
        # Its id is given now: other inputs may have been answered since it was sent.
        numbered = exchange.model_copy(update={"id": f"e{len(self._data.exchanges) + 1}"})
        self._data = self._data.with_exchange(numbered)
        self._pending = None

    def _choose(self, response: str) -> None:
        if self._pending is not None:
            self._add(self._pending.model_copy(update={"response": response}))
        else:
            last = self._data.exchanges[-1].model_copy(update={"response": response})
            self._data = self._data.with_exchange(last)

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

    async def _feedback(self, kind: FeedbackKind, text: str, config: RunnableConfig | None) -> list[Principle]:
        exchange = self._answered()
        feedback, proposal = await steps.propose(self._principles, self._data, exchange, kind, text, config)
        self._data = steps.keep(self._data, exchange.id, feedback, proposal)
        return self._data.principles
