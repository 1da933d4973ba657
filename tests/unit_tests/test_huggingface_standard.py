"""langchain-tests' standard suite for chat models, on a tiny model made in code."""

from typing import Any, ClassVar

import pytest

pytest.importorskip("langchain_tests", reason="pip install langchain-tests")

from langchain_huggingface import HuggingFacePipeline
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests

from langchain_model_alignment.local.huggingface import HuggingFaceChatModel
from tests.tiny_models import pipe


class _Ours:
    chat_model_class = HuggingFaceChatModel
    standard_chat_model_params: ClassVar[dict[str, Any]] = {"temperature": 0, "max_tokens": 20, "stop": []}
    supports_model_override = False  # the weights are in memory

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"llm": HuggingFacePipeline(pipeline=pipe())}


class TestStandardUnit(_Ours, ChatModelUnitTests):
    pass


class TestStandardIntegration(_Ours, ChatModelIntegrationTests):
    pass
