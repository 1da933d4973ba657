"""What a server holds while it runs: models, threads, stored prompts and rulebooks."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cached_property
from typing import Any

from langchain_core.runnables import Runnable

from langchain_model_alignment.calls import Caller, ChatModelLike
from langchain_model_alignment.errors import ConfigurationError, NotFoundError, UnavailableError
from langchain_model_alignment.feedback.graph import create_feedback_graph
from langchain_model_alignment.integrations.serving.loading import LoadingModel
from langchain_model_alignment.integrations.serving.prompts import StoredPrompts
from langchain_model_alignment.integrations.serving.settings import ServeSettings
from langchain_model_alignment.integrations.serving.storage import Storage, open_storage
from langchain_model_alignment.integrations.serving.turn import Turns
from langchain_model_alignment.labeling.classifier import Prediction, create_classifier_chain
from langchain_model_alignment.labeling.rulebook import Rulebook

__all__ = ["Service"]

_EARLIER = 8  # other inputs that are answered again after a change
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Service:
    """What the routes work with.

    Args:
        model: The model that answers, and that reads the rulebooks.
        alignment_model: The model that writes principles; the same, when absent.
        rulebooks: Trained rulebooks by the name they are served under.
        settings: What else there is to tell.

    Raises:
        ConfigurationError: A rulebook's name cannot stand in an address.
    """

    def __init__(
        self,
        model: ChatModelLike | LoadingModel,
        *,
        alignment_model: ChatModelLike | LoadingModel | None = None,
        rulebooks: Mapping[str, Rulebook] | None = None,
        settings: ServeSettings | None = None,
    ) -> None:
        self.settings = settings or ServeSettings()
        self.rulebooks = dict(rulebooks or {})
        if odd := [name for name in self.rulebooks if not _NAME.fullmatch(name)]:
            raise ConfigurationError(
                f"{odd[0]!r} cannot be the name of a served rulebook; take up to 64 letters, digits, _ and -."
            )
        self.model = _loading(model)
        self.alignment_model = self.model if alignment_model is None else _loading(alignment_model)
        self._storage: Storage | None = None
        self._classifiers: dict[str, Runnable[Mapping[str, Any], Prediction]] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Begin to make the models, and hold the storage open.

        Raises:
            ConfigurationError: The database cannot be used.
        """
        self.model.start()
        self.alignment_model.start()
        async with open_storage(self.settings.database) as self._storage:
            try:
                yield
            finally:
                self._storage = None
                self.__dict__.pop("turns", None)

    @property
    def storage(self) -> Storage:
        """The open storage.

        Raises:
            UnavailableError: The server is not running.
        """
        if self._storage is None:
            raise UnavailableError("The server is starting or stopping; try again in a while.")
        return self._storage

    @cached_property
    def turns(self) -> Turns:
        """The threads of the feedback loop, from the moment on that there is a model.

        Raises:
            UnavailableError: There is none yet, or none can be made.
        """
        storage, checks = self.storage, self.settings.checks
        graph = create_feedback_graph(
            self.model.get(),
            alignment_model=self.alignment_model.get(),
            candidates=self.settings.candidates,
            check_intent=checks,
            replay_inputs=_EARLIER if checks else 0,
        )
        return Turns(graph.compile(checkpointer=storage.checkpointer, store=storage.store), claim=storage.claim)

    @property
    def prompts(self) -> StoredPrompts:
        """The stored prompts."""
        return StoredPrompts(self.storage.store, claim=self.storage.claim)

    @property
    def caller(self) -> Caller:
        """The model that answers.

        Raises:
            UnavailableError: There is none yet, or none can be made.
        """
        return self.model.get()

    def rulebook(self, name: str) -> Rulebook:
        """Return a rulebook.

        Raises:
            NotFoundError: None is served under that name.
        """
        if name not in self.rulebooks:
            served = ", ".join(sorted(self.rulebooks)) or "none"
            raise NotFoundError(f'There is no rulebook "{name}"; served are: {served}.')
        return self.rulebooks[name]

    def classifier(self, name: str) -> Runnable[Mapping[str, Any], Prediction]:
        """Return the chain that labels by a rulebook.

        Raises:
            NotFoundError: None is served under that name.
            UnavailableError: There is no model yet, or none can be made.
        """
        book = self.rulebook(name)
        if name not in self._classifiers:
            self._classifiers[name] = create_classifier_chain(self.caller, book.task, book)
        return self._classifiers[name]


def _loading(model: ChatModelLike | LoadingModel) -> LoadingModel:
    return model if isinstance(model, LoadingModel) else LoadingModel(model)
