"""The feedback loop and stored prompts under an address."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, HTTPException, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict

from langchain_model_alignment.errors import ConflictError
from langchain_model_alignment.feedback.records import AlignedPrompt
from langchain_model_alignment.integrations.plain import PlainDict, PlainText
from langchain_model_alignment.integrations.serving.problems import responses
from langchain_model_alignment.integrations.serving.prompts import StoredName, version_of
from langchain_model_alignment.integrations.serving.service import Service
from langchain_model_alignment.integrations.serving.streams import STREAMED, Event, stream_of
from langchain_model_alignment.integrations.serving.turn import Reply, ThreadId, Turn

__all__ = ["add_health", "add_loop", "add_prompts"]


class Health(BaseModel):
    """Whether the server answers, and how far its model is."""

    status: Literal["ok"] = "ok"
    model: Literal["loading", "ready", "failed"]
    problem: str | None = None
    """Why there is no model, where it failed."""


class PromptToStore(BaseModel):
    """A prompt to be stored: a string, or the JSON of an `AlignedPrompt`."""

    model_config = ConfigDict(extra="forbid")

    prompt: PlainText | PlainDict


class Inputs(BaseModel):
    """A value for each variable of a prompt."""

    model_config = ConfigDict(extra="forbid")

    inputs: PlainDict = {}


class Answered(BaseModel):
    """What the model answered."""

    response: str


def add_health(router: APIRouter, service: Service) -> None:
    """Add what a load balancer asks; it needs no key."""

    @router.get("/healthz", tags=["health"])
    async def healthz() -> Health:
        """Tell that the server answers, and whether its model is there yet."""
        models = [service.model, service.alignment_model]
        worst = next((m for status in ("failed", "loading") for m in models if m.status == status), service.model)
        return Health(model=worst.status, problem=worst.problem)


def add_loop(router: APIRouter, service: Service) -> None:
    """Add the turns of a feedback loop."""
    problems = responses(404, 409, 502)

    @router.post("/turn", tags=["feedback"], responses=problems)
    async def take_turn(turn: Turn) -> Reply:
        """Begin a loop, answer its question, or go on after a failure; the reply has the next question."""
        return await service.turns.take(turn)

    @router.post(
        "/turn/stream", tags=["feedback"], responses={**problems, **STREAMED}, response_class=StreamingResponse
    )
    async def stream_turn(turn: Turn, request: Request) -> StreamingResponse:
        """Take a turn and tell what happens meanwhile; the last event is the `reply`."""

        async def events() -> AsyncGenerator[Event, None]:
            async with aclosing(service.turns.events(turn)) as told:
                async for found in told:
                    if found["reply"] is not None:
                        yield {"event": "reply", "data": dict(found["reply"])}
                    elif found["event"] is not None:
                        data: dict[str, Any] = dict(found["event"])
                        yield {"event": data.pop("type"), "data": data}

        return await stream_of(request, events())

    @router.get("/threads/{thread_id}", tags=["feedback"], responses=responses(404))
    async def read_thread(thread_id: ThreadId) -> Reply:
        """Tell how a thread stands, and what it waits for."""
        return await service.turns.read(thread_id)

    @router.delete("/threads/{thread_id}", tags=["feedback"], responses=responses(404, 409), status_code=204)
    async def delete_thread(thread_id: ThreadId) -> None:
        """Delete a thread with all that was said in it."""
        await service.turns.forget(thread_id)


def add_prompts(router: APIRouter, service: Service) -> None:
    """Add the prompts that are stored under names."""

    @router.get("/prompts", tags=["prompts"], responses=responses())
    async def list_prompts() -> list[str]:
        """Return the names of all stored prompts."""
        return await service.prompts.anames()

    @router.get("/prompts/{name}", tags=["prompts"], responses=responses(404))
    async def read_prompt(name: StoredName, response: Response) -> dict[str, Any]:
        """Return a stored prompt as the JSON of an `AlignedPrompt`; its version is the header `ETag`."""
        found = await service.prompts.aget(name)
        response.headers["ETag"] = _tag_of(found)
        return found.model_dump(mode="json")

    @router.put("/prompts/{name}", tags=["prompts"], responses=responses(409, 412), status_code=204)
    async def store_prompt(
        name: StoredName, given: PromptToStore, response: Response, if_match: Annotated[str | None, Header()] = None
    ) -> None:
        """Store a prompt, in the place of an older one of that name; with `If-Match`, only of the version it names."""
        value = given.prompt
        aligned = AlignedPrompt.from_prompt(value) if isinstance(value, str) else AlignedPrompt.from_dict(value)
        expected = None if if_match is None else [tag.strip().strip('"') for tag in if_match.split(",")]
        try:
            await service.prompts.aput(name, aligned, expected=expected)
        except ConflictError as error:
            raise HTTPException(409 if expected is None else 412, str(error)) from error
        response.headers["ETag"] = _tag_of(aligned)

    @router.delete("/prompts/{name}", tags=["prompts"], responses=responses(404, 409), status_code=204)
    async def delete_prompt(name: StoredName) -> None:
        """Delete a stored prompt; loops that began from it go on with their own copy."""
        await service.prompts.adelete(name)

    @router.post("/prompts/{name}/invoke", tags=["prompts"], responses=responses(404, 502))
    async def answer(name: StoredName, given: Inputs) -> Answered:
        """Answer with a stored prompt as it stands now."""
        messages = (await service.prompts.aget(name)).fill(given.inputs)
        return Answered(response=(await service.caller.ask(messages)).text)


def _tag_of(prompt: AlignedPrompt) -> str:
    return f'"{version_of(prompt)}"'
