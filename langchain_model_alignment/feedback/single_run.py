"""The object a notebook uses: one prompt, one person, feedback turned into principles.

Takes over the job and the names of `AlignableSingleRun` of model-alignment. Every method has an async twin with an
`a` in front that behaves the same.
"""

from typing import TYPE_CHECKING, Any, Literal, overload

from langchain_core.runnables import Runnable, RunnableConfig

from langchain_model_alignment.calls import Caller, ChatModelLike, as_caller
from langchain_model_alignment.constitution import Principle
from langchain_model_alignment.errors import ConfigurationError
from langchain_model_alignment.feedback import steps
from langchain_model_alignment.feedback.assurance import assure, assure_direct
from langchain_model_alignment.feedback.conversation import inputs_of, messages_of
from langchain_model_alignment.feedback.exchanges import Exchange, Feedback, PlainKind, parse_feedback
from langchain_model_alignment.feedback.held import HeldPrompt, Inputs
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
from langchain_model_alignment.loop import run_sync

if TYPE_CHECKING:
    pass


class AlignableSingleRun(HeldPrompt):
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
        super().__init__(data)
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
        fresh = {p.id for p in self._data.document.loose}
        while (update := await steps.weave(chain, prompt := self._data, config)) is not None:
            # Principles that came meanwhile are listed; a text that changed meanwhile is woven anew.
            kept = steps.keep_update(self._data, update, prompt.document.base, "principles into the prompt")
            if kept is not None:
                self._data = kept
                break
        if self._check_intent:
            before = self._data
            checked = await assure(self.target, self.judge, chain, before, fresh, config)
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

    # -- inside ------------------------------------------------------------------------------------------------

    async def _suggestions(self, kind: Literal["critique", "kudos"], config: RunnableConfig | None) -> list[str]:
        exchange = self._answered()
        inputs = inputs_of(self._data, exchange)
        request = SuggestionRequest(prompt=self._data.description, response=exchange.response or "", inputs=inputs)
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
