"""A live prompt: its principles are read from a library at each call, so that a change holds without a restart."""

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_core.prompt_values import PromptValue
from langchain_core.runnables import Runnable, RunnableConfig

from langchain_model_alignment.errors import ArtifactError
from langchain_model_alignment.feedback.records import AlignedPrompt
from langchain_model_alignment.integrations.entries import Entry
from langchain_model_alignment.integrations.store import ConstitutionLibrary
from langchain_model_alignment.loop import make_runnable
from langchain_model_alignment.templates import Template
from langchain_model_alignment.tracing import marked

if TYPE_CHECKING:
    from langchain_core.prompts import ChatPromptTemplate

__all__ = ["create_live_prompt"]


def create_live_prompt(
    library: ConstitutionLibrary,
    name: str,
    prompt: "str | ChatPromptTemplate | Template | AlignedPrompt",
    *,
    version: int | None = None,
    keep_seconds: float = 0.0,
) -> Runnable[Any, PromptValue]:
    """Create a prompt that follows a constitution as it stands in a library at each call.

    Args:
        library: Where the constitution is. Its store's sync methods serve `invoke`, its async ones `ainvoke`.
        name: The constitution's name.
        prompt: The text; the principles are listed below it, without those that it says already.
        version: A version to stay at; the newest at each call, when absent. `library.rollback` makes an earlier one the
            newest again for everybody.
        keep_seconds: For how many seconds what was read may be used again; 0 reads at each call.

    Returns:
        A Runnable that stands where the prompt stood: `create_live_prompt(…) | llm`. The run of its prompt says in its
        metadata which version it was (`alignment_constitution`, `alignment_version`).

    Raises:
        PromptError: The prompt has parts that cannot be aligned.
        ArtifactError: When called: there is no such constitution or version, or it was deleted while in use.

    Example:
        >>> from langgraph.store.memory import InMemoryStore
        >>> from langchain_model_alignment.constitution import Constitution
        >>> library = ConstitutionLibrary(InMemoryStore())
        >>> library.put("tone", Constitution.of("Be brief."))
        1
        >>> live = create_live_prompt(library, "tone", "Greet {name}.")
        >>> library.put("tone", Constitution.of("Be kind."), expected=1)
        2
        >>> print(live.invoke({"name": "Ada"}).to_messages()[0].text)
        Greet Ada.
        <BLANKLINE>
        Follow these principles:
        - Be kind.
    """
    aligned = prompt if isinstance(prompt, AlignedPrompt) else AlignedPrompt.from_prompt(prompt)
    live = _Live(library, name, aligned, version, keep_seconds)
    schema = aligned.to_prompt().get_input_schema()
    return make_runnable(live.afill, func=live.fill, name="live_prompt", input_type=schema, output_type=PromptValue)


class _Read(NamedTuple):
    """What was read last, and when."""

    entry: Entry
    prompt: "ChatPromptTemplate"
    at: float


class _Live:
    """Reads a constitution anew where that is due, and fills the prompt that follows it."""

    def __init__(
        self, library: ConstitutionLibrary, name: str, aligned: AlignedPrompt, version: int | None, keep: float
    ) -> None:
        self._library, self._name, self._version, self._keep = library, name, version, keep
        self._aligned = aligned
        self._last: _Read | None = None

    def fill(self, inputs: Any, config: RunnableConfig) -> PromptValue:
        read = self._kept()
        if read is None:
            try:
                read = self._took(self._library.entry(self._name, self._version))
            except ArtifactError as error:
                raise self._told(error) from error
        return read.prompt.invoke(inputs, _marked(read.entry, config))

    async def afill(self, inputs: Any, config: RunnableConfig) -> PromptValue:
        read = self._kept()
        if read is None:
            try:
                read = self._took(await self._library.aentry(self._name, self._version))
            except ArtifactError as error:
                raise self._told(error) from error
        return await read.prompt.ainvoke(inputs, _marked(read.entry, config))

    def _kept(self) -> _Read | None:
        last = self._last
        return last if last is not None and time.monotonic() < last.at + self._keep else None

    def _took(self, entry: Entry) -> _Read:
        last = self._last
        known = last.prompt if last is not None and last.entry == entry else None
        self._last = _Read(entry, known or entry.apply_to(self._aligned).to_prompt(), time.monotonic())
        return self._last

    def _told(self, error: ArtifactError) -> ArtifactError:
        if self._last is None:
            return error
        was = f'version {self._last.entry.version} of "{self._name}"'
        return ArtifactError(f"The live prompt went by {was} and cannot read it any more: {error}")


def _marked(entry: Entry, config: RunnableConfig) -> RunnableConfig:
    return marked(config, constitution=entry.name, version=entry.version)
