"""Static embeddings out of a package, and the names of embeddings."""

import importlib.util
import subprocess
import sys
from typing import Any

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding

from langchain_model_alignment.embeddings import WordLlamaEmbeddings, embeddings_name
from langchain_model_alignment.errors import ConfigurationError

needs_wordllama = pytest.mark.skipif(
    importlib.util.find_spec("wordllama") is None,
    reason='wordllama is not installed: pip install "langchain-model-alignment[embeddings]"',
)


@needs_wordllama
def test_texts_about_one_thing_are_nearer_than_others():
    embeddings = WordLlamaEmbeddings()
    rose, lily, bill = embeddings.embed_documents(["a red rose", "white lilies in a vase", "the invoice is overdue"])
    assert len(rose) == len(embeddings.embed_query("a red rose")) == 256
    assert rose == embeddings.embed_query("a red rose")
    assert dot(rose, lily) > dot(rose, bill)


@needs_wordllama
def test_an_empty_text_is_the_point_zero():
    empty, full = WordLlamaEmbeddings().embed_documents([" ", "a rose"])
    assert not any(empty)
    assert any(full)


@needs_wordllama
def test_what_an_application_logs_stays_as_it_was():
    program = (
        "import logging; from langchain_model_alignment.embeddings import WordLlamaEmbeddings; "
        "WordLlamaEmbeddings().embed_query('a rose'); print(logging.getLogger().level, logging.getLogger().handlers)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "30 []"


def test_without_its_package_the_command_that_installs_it_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "wordllama", None)
    with pytest.raises(ConfigurationError, match=r"pip install \"langchain-model-alignment\[embeddings\]\""):
        WordLlamaEmbeddings().embed_query("a rose")


def test_a_package_without_its_weights_is_one_sentence(monkeypatch: pytest.MonkeyPatch):
    class Bare:
        __file__ = __file__

        class WordLlama:
            @staticmethod
            def load(*_: Any, **options: Any) -> Any:
                assert options["disable_download"]
                raise FileNotFoundError("no weights")

    monkeypatch.setitem(sys.modules, "wordllama", Bare)
    with pytest.raises(ConfigurationError, match="came without its weights"):
        WordLlamaEmbeddings().embed_query("a rose")


def test_embeddings_are_named_by_class_and_model():
    class Cached(WordLlamaEmbeddings):
        model = "a cache"
        underlying_embeddings = WordLlamaEmbeddings()

    assert embeddings_name(DeterministicFakeEmbedding(size=3)) == "DeterministicFakeEmbedding"
    assert embeddings_name(WordLlamaEmbeddings()) == "WordLlamaEmbeddings:l2_supercat-256"
    assert embeddings_name(Cached()) == embeddings_name(WordLlamaEmbeddings())


def dot(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))
