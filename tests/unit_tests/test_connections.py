"""No connection is used on two event loops."""

import asyncio
from typing import Any

import pytest

from langchain_model_alignment.connections import PerLoopModel
from tests.fakes import ScriptedChatModel

ChatOpenAI = pytest.importorskip(
    "langchain_openai", reason='not installed: pip install "langchain-model-alignment[local]"'
).ChatOpenAI


def _model(**kwargs: Any) -> Any:
    return ChatOpenAI(model="m", api_key="none", base_url="http://127.0.0.1:1/v1", **kwargs)


def test_each_loop_has_a_pool_which_is_closed_with_it():
    model = _model()
    per_loop = PerLoopModel(model)
    pools: list[Any] = []

    async def use() -> None:
        first, second = await per_loop.here(), await per_loop.here()
        other = await PerLoopModel(_model()).here()
        assert first is second is not model
        assert first.root_async_client._client is other.root_async_client._client  # type: ignore[attr-defined]
        pools.append(first.root_async_client._client)  # type: ignore[attr-defined]
        assert not pools[-1].is_closed

    asyncio.run(use())
    asyncio.run(use())
    assert pools[0] is not pools[1]
    assert all(pool.is_closed for pool in pools)
    assert model.root_async_client._client not in pools


async def test_other_models_are_used_as_they_are():
    model = ScriptedChatModel()
    assert await PerLoopModel(model).here() is model


async def test_a_client_that_was_given_is_kept():
    import httpx

    async with httpx.AsyncClient() as client:
        model = _model(http_async_client=client)
        assert await PerLoopModel(model).here() is model
