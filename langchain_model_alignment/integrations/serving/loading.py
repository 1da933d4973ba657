"""A model that is made while the server answers already."""

import threading
from concurrent.futures import Future, TimeoutError
from typing import Literal

from langchain_model_alignment.calls import Caller, ChatModelLike, as_caller
from langchain_model_alignment.errors import AlignmentError, UnavailableError

__all__ = ["LoadingModel"]


class LoadingModel:
    """A model by name, which may take minutes until its weights are there; any other is ready at once.

    Args:
        model: A chat model, its name, or a caller.

    Example:
        >>> from langchain_core.language_models import FakeListChatModel
        >>> model = LoadingModel(FakeListChatModel(responses=["yes"]))
        >>> model.start()
        >>> model.status, model.get().name
        ('ready', 'FakeListChatModel')
    """

    def __init__(self, model: ChatModelLike) -> None:
        self._model = model
        self._made: Future[Caller] = Future()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to make it; a second start does nothing."""
        if self._thread is not None or self._made.done():
            return
        if not isinstance(self._model, str):
            self._make()
            return
        # A daemon, so that Ctrl-C need not wait for a download.
        self._thread = threading.Thread(target=self._make, name="alignment-loading", daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> None:
        """Wait for a moment, so that a name that means nothing is told at the start.

        Raises:
            AlignmentError: It cannot be made.
        """
        try:
            self._made.result(seconds)
        except TimeoutError:
            return

    @property
    def name(self) -> str:
        """What it is called: the name that was given, else the model's own."""
        return self._model if isinstance(self._model, str) else as_caller(self._model).name

    @property
    def status(self) -> Literal["loading", "ready", "failed"]:
        """How far it is."""
        if not self._made.done():
            return "loading"
        return "failed" if self._made.exception() else "ready"

    @property
    def problem(self) -> str | None:
        """Why it failed, where it did."""
        error = self._made.exception() if self._made.done() else None
        if error is None:
            return None
        return str(error) if isinstance(error, AlignmentError) else f"{type(error).__name__}, see the log."

    def get(self) -> Caller:
        """Return the model.

        Raises:
            UnavailableError: It is not there yet, or cannot be made.
        """
        if self.status == "loading":
            raise UnavailableError("The model is still loading; try again in a while.")
        if self.problem is not None:
            raise UnavailableError(f"The model cannot be used: {self.problem}")
        return self._made.result()

    def _make(self) -> None:
        try:
            self._made.set_result(as_caller(self._model))
        except Exception as error:  # noqa: BLE001  # told to whoever asks for the model
            self._made.set_exception(error)
