"""Trained rulebooks under an address: one row, many, or many as they are done."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from langchain_core.runnables import Runnable
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from langchain_model_alignment.integrations.plain import PlainDict
from langchain_model_alignment.integrations.serving.problems import responses
from langchain_model_alignment.integrations.serving.prompts import StoredName
from langchain_model_alignment.integrations.serving.service import Service
from langchain_model_alignment.integrations.serving.streams import STREAMED, Event, stream_of
from langchain_model_alignment.labeling.classifier import Prediction

__all__ = ["add_rulebooks", "as_done"]

_MOST_ROWS = 1_000


class ServedRulebook(BaseModel):
    """What a rulebook labels, and by which principles."""

    name: str
    input_names: list[str]
    label_name: str
    label_values: list[Any]
    question: str
    principles: list[dict[str, Any]]


class RowToLabel(BaseModel):
    """One row: a value for each of the rulebook's inputs."""

    model_config = ConfigDict(extra="forbid")

    row: PlainDict


class RowsToLabel(BaseModel):
    """Rows: in each a value for each of the rulebook's inputs."""

    model_config = ConfigDict(extra="forbid")

    rows: Annotated[list[PlainDict], Field(min_length=1, max_length=_MOST_ROWS)]


class ServedPrediction(TypedDict):
    """What a rulebook says of one row."""

    prediction: Any
    """The label; "" where the rulebook abstains."""
    raw_prediction: str
    confidence: float | None
    principle_ids: list[str]
    error: str | None


def add_rulebooks(router: APIRouter, service: Service) -> None:
    """Add the rulebooks that a server was started with."""

    @router.get("/rulebooks", tags=["rulebooks"], responses=responses())
    async def list_rulebooks() -> list[str]:
        """Return the names of all rulebooks."""
        return sorted(service.rulebooks)

    @router.get("/rulebooks/{name}", tags=["rulebooks"], responses=responses(404))
    async def read_rulebook(name: StoredName) -> ServedRulebook:
        """Tell what a rulebook labels, and by which principles."""
        book = service.rulebook(name)
        return ServedRulebook(
            name=name,
            input_names=list(book.task.input_names),
            label_name=book.task.label_name,
            label_values=list(book.task.label_values),
            question=book.task.question,
            principles=[principle.model_dump(mode="json") for principle in book.enabled()],
        )

    @router.post("/rulebooks/{name}/invoke", tags=["rulebooks"], responses=responses(404, 502))
    async def label_row(name: StoredName, given: RowToLabel) -> ServedPrediction:
        """Label one row."""
        return _served(await service.classifier(name).ainvoke(given.row))

    @router.post("/rulebooks/{name}/batch", tags=["rulebooks"], responses=responses(404, 502))
    async def label_rows(name: StoredName, given: RowsToLabel) -> list[ServedPrediction]:
        """Label rows, and answer in their order when all are done."""
        return [_served(found) for found in await service.classifier(name).abatch(list(given.rows))]

    @router.post(
        "/rulebooks/{name}/stream",
        tags=["rulebooks"],
        responses={**responses(404, 502), **STREAMED},
        response_class=StreamingResponse,
    )
    async def stream_rows(name: StoredName, given: RowsToLabel, request: Request) -> StreamingResponse:
        """Label rows, and tell each as soon as it is done: `prediction` with the row's `index`, and `end`."""
        return await stream_of(request, as_done(service.classifier(name), given.rows))


def _served(found: Prediction) -> ServedPrediction:
    """Leave the request out, which repeats the rulebook for every row."""
    return {
        "prediction": found["prediction"],
        "raw_prediction": found["raw_prediction"],
        "confidence": found["confidence"],
        "principle_ids": found["principle_ids"],
        "error": found["error"],
    }


async def as_done(
    chain: Runnable[Mapping[str, Any], Prediction], rows: list[dict[str, Any]]
) -> AsyncGenerator[Event, None]:
    """Label rows side by side, and tell each as soon as it is done; the model's own gate bounds how many at once."""

    async def label(index: int, row: dict[str, Any]) -> tuple[int, Prediction]:
        return index, await chain.ainvoke(row)

    tasks = [asyncio.create_task(label(index, row)) for index, row in enumerate(rows)]
    try:
        for task in asyncio.as_completed(tasks):
            index, found = await task
            yield {"event": "prediction", "data": {"index": index, **_served(found)}}
        yield {"event": "end", "data": {"rows": len(rows)}}
    finally:  # nobody pays for the rest when the reader has gone
        for left in tasks:
            left.cancel()
