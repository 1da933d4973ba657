"""The providers' own retries are off, on a copy."""

from functools import cached_property
from typing import Any

import pytest

from langchain_model_alignment.retries import without_sdk_retries
from tests.fakes import ScriptedChatModel


class Retrying(ScriptedChatModel):
    """As the Anthropic package: a field, and clients made of it when first used."""

    max_retries: int = 2

    @cached_property
    def _made(self) -> dict[str, Any]:
        return {"max_retries": self.max_retries}


def test_a_model_without_retries_is_used_as_it_is():
    model = ScriptedChatModel()
    assert without_sdk_retries(model) is model


def test_a_model_with_retries_is_copied_and_stays_as_it_is():
    model = Retrying()
    assert model._made == {"max_retries": 2}
    copy = without_sdk_retries(model)
    assert copy is not model
    assert copy._made == {"max_retries": 0}
    assert (model.max_retries, model._made) == (2, {"max_retries": 2})


def test_a_model_whose_retries_are_off_is_used_as_it_is():
    model = Retrying(max_retries=0)
    assert without_sdk_retries(model) is model


def test_openai_clients_are_remade_around_their_transport():
    pytest.importorskip("langchain_openai", reason='not installed: pip install "langchain-model-alignment[local]"')
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model="m", api_key="none", base_url="http://127.0.0.1:1/v1", max_retries=4)
    copy = without_sdk_retries(model)
    assert isinstance(copy, ChatOpenAI)
    for name in ("client", "async_client"):
        assert getattr(model, name)._client.max_retries == 4
        assert getattr(copy, name)._client.max_retries == 0
    for name in ("root_client", "root_async_client"):
        assert getattr(model, name).max_retries == 4
        assert getattr(copy, name).max_retries == 0
        assert getattr(copy, name)._client is getattr(model, name)._client


def test_an_openai_model_that_left_the_number_to_its_sdk_is_covered_too():
    pytest.importorskip("langchain_openai", reason='not installed: pip install "langchain-model-alignment[local]"')
    from langchain_openai import ChatOpenAI

    copy = without_sdk_retries(ChatOpenAI(model="m", api_key="none", base_url="http://127.0.0.1:1/v1"))
    assert copy.root_async_client.max_retries == 0  # type: ignore[attr-defined]


def test_google_asks_once_with_one():
    google = pytest.importorskip("langchain_google_genai")
    model = google.ChatGoogleGenerativeAI(model="gemini-2.5-flash", api_key="none")
    copy = without_sdk_retries(model)
    assert copy.max_retries == 1  # type: ignore[attr-defined]
    assert model.max_retries != 1


class Validated(Retrying):
    """As Google's package: what a validator found out is kept beside the fields."""

    def model_post_init(self, context: Any, /) -> None:
        super().model_post_init(context)
        object.__setattr__(self, "_backend", "developer")


def test_what_the_model_found_out_about_itself_is_kept():
    assert without_sdk_retries(Validated())._backend == "developer"  # type: ignore[attr-defined]
