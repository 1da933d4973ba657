"""Texts as points: static embeddings that come with their package, and a name for whatever embeddings are given."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from langchain_core.embeddings import Embeddings

from langchain_model_alignment.errors import ConfigurationError

__all__ = ["WordLlamaEmbeddings", "embeddings_name"]

_CONFIG, _DIMENSIONS = "l2_supercat", 256


class WordLlamaEmbeddings(Embeddings):
    """Static embeddings out of the package `wordllama`: 256 numbers a text, thousands of texts a second, no network.

    Each word has one vector and a text is their mean, so they tell what a text is about and little more. They read
    English best. An empty text is the point 0.

    Raises:
        ConfigurationError: The package is not installed, or came without its weights; at the first text.

    Example:
        >>> WordLlamaEmbeddings().model
        'l2_supercat-256'
    """

    model = f"{_CONFIG}-{_DIMENSIONS}"

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return a vector for each text."""
        full = [text for text in texts if text.strip()]
        found = iter(self._model.embed(full).tolist() if full else ())
        return [next(found) if text.strip() else [0.0] * _DIMENSIONS for text in texts]

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a text."""
        return self.embed_documents([text])[0]

    @cached_property
    def _model(self) -> Any:
        try:
            with _logging_as_it_was():
                import wordllama
        except ImportError as error:
            raise ConfigurationError(
                'Embeddings without a network need wordllama: pip install "langchain-model-alignment[embeddings]", or '
                "give embeddings of your own."
            ) from error
        # Its weights lie in the package, its tokenizer where only a cache is looked for: the package is the cache.
        place = Path(wordllama.__file__).parent
        try:
            return wordllama.WordLlama.load(_CONFIG, cache_dir=place, dim=_DIMENSIONS, disable_download=True)
        except OSError as error:
            raise ConfigurationError(
                f"The package wordllama came without its weights ({error}); install another version of it, or give "
                "embeddings of your own."
            ) from error


@contextmanager
def _logging_as_it_was() -> Iterator[None]:
    """Undo what an import does to the logging of the whole process: this one turns on everybody's INFO."""
    level, handlers = logging.root.level, list(logging.root.handlers)
    try:
        yield
    finally:
        logging.root.setLevel(level)
        logging.root.handlers[:] = handlers


def embeddings_name(embeddings: Embeddings) -> str:
    """Return what names the space that some embeddings put texts in: their class and their model.

    Example:
        >>> embeddings_name(WordLlamaEmbeddings())
        'WordLlamaEmbeddings:l2_supercat-256'
    """
    while isinstance(inner := getattr(embeddings, "underlying_embeddings", None), Embeddings):  # a cache around them
        embeddings = inner
    models = (getattr(embeddings, field, None) for field in ("model", "model_name", "model_id", "repo_id"))
    model = next((model for model in models if isinstance(model, str) and model), "")
    return ":".join(part for part in (type(embeddings).__name__, model) if part)
