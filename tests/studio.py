"""What the tests of the studio share: a model that answers word by word, and a studio in a process of its own."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk

from tests.fakes import ScriptedChatModel

ANSWERS = [
    "1. Cut paper snowflakes for the window.\n2. Trim the herbs on the balcony.\n3. Open a parcel without a knife.",
    "Scissors cut fabric for a quilt, they curl ribbon on a present, and they open stubborn packaging.",
    "You can use scissors to:\n– cut hair,\n– cut coupons,\n– cut flowers for a vase.",
]
CRITIQUES = ["It is longer than it needs to be.", "The uses are ordinary.", "It does not say how to do it."]
KUDOS = ["The list is numbered.", "Each use is concrete.", "It is friendly."]
PRINCIPLE = "Include a creative use in the list."


class StreamingChatModel(ScriptedChatModel):
    """A scripted model that answers word by word."""

    pause: float = 0.0
    """Seconds between two words."""
    breaks_after: int | None = None
    """The number of words after which answers break off."""

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        text = (await self._agenerate(messages, stop, None, **kwargs)).generations[0].message.text
        for number, word in enumerate(text.split(" ")):
            if number == self.breaks_after:
                raise ConnectionError("the line is gone")
            await asyncio.sleep(self.pause)
            chunk = ChatGenerationChunk(message=AIMessageChunk(content=word if number == 0 else f" {word}"))
            if run_manager is not None:
                await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk


class Mind:
    """Knows its part: answers in turn, suggests, writes the principle that was asked for, and finds wishes kept."""

    def __init__(self) -> None:
        self.answered = 0
        self.worse = False
        """Whether it finds earlier answers worse from now on."""

    def __call__(self, messages: list[BaseMessage]) -> str:
        system, told = messages[0].text, messages[-1].text
        if "list of principles" in system:
            return json.dumps({"reason": "the uses are ordinary", "action": "add", "principle": PRINCIPLE})
        if "rewrite instructions" in system:
            return json.dumps({"text": f"Give three uses for the following item: {{item}}. {PRINCIPLE}"})
        if "whether a prompt's new answer" in system:
            return json.dumps(
                {
                    "sayings": [{"number": 1, "kept": True, "reason": "One use is creative."}],
                    "worse": self.worse,
                    "reason": "It is off the request." if self.worse else "",
                }
            )
        if "criticisms" in system:
            return "\n".join(f"{n}. {one}" for n, one in enumerate(CRITIQUES, 1))
        if "different" in system and "answer" in system:
            return "\n".join(f"{n}. {one}" for n, one in enumerate(KUDOS, 1))
        self.answered += 1
        mark = " And fold a paper crane with the offcuts." if "creative" in told else ""
        return ANSWERS[self.answered % len(ANSWERS)] + mark


@asynccontextmanager
async def studio_of(model: Any, folder: Path, **options: Any) -> AsyncIterator[Callable[[], Any]]:
    """A studio without a socket; yields what makes a person with a browser of their own."""
    from nicegui import Client
    from nicegui.testing import User
    from nicegui.testing.general import nicegui_reset_globals

    from langchain_model_alignment.studio.app import create_studio

    with nicegui_reset_globals(), mock.patch.dict(os.environ, NICEGUI_USER_SIMULATION="true"):
        app = create_studio(model, folder, **options)
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client,
        ):
            try:
                yield lambda: User(client)
            finally:  # or the reset would have every module of the library imported anew
                Client.page_routes.clear()


async def press(user: Any, label: str) -> None:
    """Press the button with these words on it, or this label for screen readers, once it can be pressed."""
    from nicegui import ui
    from nicegui.testing import UserInteraction

    found = await _one(user, lambda e: isinstance(e, ui.button) and label in _names_of(e) and e.enabled, label)
    UserInteraction(user, {found}, None).click()


async def box(user: Any, label: str) -> Any:
    """The field with this label, once it is there."""
    from nicegui import ui

    return await _one(user, lambda e: isinstance(e, ui.textarea) and e.props["label"] == label, label)


async def _one(user: Any, wanted: Callable[[Any], bool], what: str) -> Any:
    for _ in range(200):
        found = [element for element in user.client.elements.values() if wanted(element)]
        if found:
            break
        await asyncio.sleep(0.05)
    assert len(found) == 1, f"{len(found)} are called {what!r}"
    return found[0]


def _names_of(button: Any) -> tuple[Any, Any]:
    return button.props.get("aria-label"), button.text
