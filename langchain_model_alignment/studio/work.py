"""One prompt under work: what all tabs that show it share, and the turn that is under way.

It holds no logic of the loop: a turn goes to the feedback graph, and what the graph tells is kept for whoever looks.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing, suppress
from typing import Any, Literal

from langchain_model_alignment.constitution import Principle
from langchain_model_alignment.errors import AlignmentError, ConflictError
from langchain_model_alignment.feedback.adherence import adherence_table, check_adherence, create_adherence_chain
from langchain_model_alignment.feedback.conversation import input_key, inputs_of
from langchain_model_alignment.feedback.exchanges import Exchange
from langchain_model_alignment.feedback.loop_state import FeedbackEvent
from langchain_model_alignment.feedback.records import AlignedPrompt
from langchain_model_alignment.feedback.suggestions import create_critique_chain, create_kudos_chain
from langchain_model_alignment.integrations.serving.service import Service
from langchain_model_alignment.integrations.serving.turn import Question, Reply, Start, Turn

__all__ = ["Change", "Kind", "Work"]

Change = Literal["token", "step", "whole"]
"""What there is to draw anew: the answer that is being written, what the turn told, or all."""
Kind = Literal["critique", "kudos"]

logger = logging.getLogger(__name__)

_LOOK = 0.1  # seconds between two looks whether the model is there


class Work:
    """A prompt under work.

    Args:
        name: Its name, which is also that of its thread.
        service: The models and the threads.
    """

    def __init__(self, name: str, service: Service) -> None:
        self.name = name
        self.prompt: AlignedPrompt | None = None
        self.question: Question | None = None
        """What the graph asks; nothing while a turn is under way, and after one that failed."""
        self.told: list[FeedbackEvent] = []
        """What the turn under way tells, or the last one told."""
        self.streams: list[str] = []
        """The answers of the turn under way, as far as they are written."""
        self.problem = ""
        """Why the last turn failed, where it did."""
        self.followed: dict[str, tuple[int, int]] = {}
        """How often each principle applied and was followed, when that was last counted."""
        self._service = service
        self._watching: list[Callable[[Change], None]] = []
        self._turn: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._unsent: Turn | None = None
        self._ended = False
        self._messages: dict[int, str] = {}
        self._suggested: dict[tuple[str, int, Kind], asyncio.Task[list[str]]] = {}

    # -- what is to see ------------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether a turn is under way."""
        return self._turn is not None and not self._turn.done()

    @property
    def loading(self) -> bool:
        """Whether a model is still being made."""
        service = self._service
        return "loading" in (service.model.status, service.alignment_model.status)

    @property
    def stopped(self) -> bool:
        """Whether a turn ended half way, by a failure or by hand, and can go on."""
        return not self.busy and self.question is None and self.prompt is not None

    @property
    def review(self) -> dict[str, Any] | None:
        """The answers in front of the person, where the graph asks for a review of them."""
        return self.question["value"] if self.question is not None and self.question["type"] == "review" else None

    @property
    def exchange(self) -> Exchange | None:
        """The newest exchange."""
        if self.prompt is None or not self.prompt.exchanges:
            return None
        review = self.review
        here = [e for e in self.prompt.exchanges if review is not None and e.id == review["exchange"]]
        return here[0] if here else self.prompt.exchanges[-1]

    @property
    def principles(self) -> list[Principle]:
        """The principles as they stand, with what the turn under way has made of them."""
        for event in reversed(self.told if self.busy else []):
            if event["type"] == "principles":
                return [Principle.model_validate(one) for one in event["principles"]]
        return self.prompt.principles if self.prompt is not None else []

    def watch(self, look: Callable[[Change], None]) -> Callable[[], None]:
        """Have a function called at every change; returns what ends that."""
        self._watching.append(look)
        return lambda: self._watching.remove(look) if look in self._watching else None

    def _tell(self, change: Change) -> None:
        for look in list(self._watching):
            try:
                look(change)
            except Exception:  # a tab that cannot be drawn must not end the turn of all
                logger.exception("A tab that shows %s could not be drawn anew", self.name)

    # -- turns ---------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Read the prompt as soon as there is a model, and tell those who watch."""

        async def read() -> None:
            try:
                await self.read()
            except AlignmentError as error:
                self.problem = str(error)
            self._tell("whole")

        self._reading = asyncio.create_task(read())

    async def read(self) -> None:
        """Look how the thread stands.

        Raises:
            NotFoundError: There is no such prompt.
            UnavailableError: There is no model to be had.
        """
        await self._model_is_there()
        if not self.busy:
            self._take_in(await self._service.turns.read(self.name))

    def begin(self, prompt: str | dict[str, Any], inputs: dict[str, Any]) -> None:
        """Begin with a prompt, or the JSON of one, and have it answered.

        Raises:
            PromptError: The inputs do not fit its variables.
            ConflictError: A turn is under way.
        """
        given = AlignedPrompt.from_prompt(prompt) if isinstance(prompt, str) else AlignedPrompt.from_dict(prompt)
        given.effective.check_inputs(inputs)
        self.prompt = self.prompt or given
        self.take(Turn(thread_id=self.name, input=Start(prompt=prompt, inputs=inputs)))

    def answer(self, question: str, said: dict[str, Any]) -> None:
        """Answer a question of the graph: a review of the answers, or a decision.

        Args:
            question: Its id, as it stood on the page of the person who answers.
            said: The JSON of a `Review` or a `Decision`.

        Raises:
            ConflictError: Somebody else has answered, or does so at this moment.
        """
        if self.busy:
            raise _under_way()
        if self.question is None or self.question["id"] != question:
            raise ConflictError(
                "Somebody else changed this prompt a moment ago; look at how it stands now, then send yours again."
            )
        self.take(Turn(thread_id=self.name, resume=said, question=question))

    def go_on(self) -> None:
        """Go on where a turn ended half way."""
        if self._unsent is not None:
            self.take(self._unsent)
        elif self._ended and self.prompt is not None and self.exchange is not None:  # accepted, by another program
            self.begin(self.prompt.model_dump(mode="json"), inputs_of(self.prompt, self.exchange))
        else:
            self.take(Turn(thread_id=self.name))

    def take(self, turn: Turn) -> None:
        """Begin a turn; what comes of it is told to those who watch.

        Raises:
            ConflictError: One is under way.
        """
        if self.busy:
            raise _under_way()
        self.told, self.streams, self.problem, self._messages, self._unsent = [], [], "", {}, None
        self._turn = asyncio.create_task(self._run(turn), name=f"studio-{self.name}")
        self._tell("whole")

    async def stop(self) -> None:
        """Stop the turn under way; what was done stays, and it can go on."""
        for task in filter(None, (self._turn, self._reading)):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def take_back(self) -> None:
        """Give up a turn that ended half way: the question that it answered is asked again."""
        self._take_in(await self._service.turns.take_back(self.name))
        self.told, self.streams, self.problem = [], [], ""
        self._tell("whole")

    async def _model_is_there(self) -> None:
        while self.loading:  # noqa: ASYNC110  # it is made in a thread, which knows no event of this loop
            await asyncio.sleep(_LOOK)

    async def _run(self, turn: Turn) -> None:
        """Take a turn to its end, whether anybody looks or not."""
        asked, self.question = self.question, None
        try:
            await self._model_is_there()
            async with aclosing(self._service.turns.events(turn, tokens=True)) as events:
                async for event in events:
                    if event["reply"] is not None:
                        self._take_in(event["reply"])
                    elif event["event"] is not None:
                        self._hear(event["event"])
            await self._keep()
        except asyncio.CancelledError:
            self.problem = "Stopped."
            await self._look_again(turn, asked)
        except AlignmentError as error:
            self.problem = str(error)
            await self._look_again(turn, asked)
        except Exception as error:
            logger.exception("A turn of %s failed", self.name)
            self.problem = f"Unexpected {type(error).__name__}; this is a defect, and the log has more of it."
            await self._look_again(turn, asked)
        finally:
            self._turn = None
            self._tell("whole")

    def _hear(self, event: FeedbackEvent) -> None:
        if event["type"] != "token":
            self.told.append(event)
            if event["type"] == "answers":
                self.streams = list(event["candidates"])
            self._tell("step")
            return
        at = event["candidate"]
        self.streams += [""] * (at + 1 - len(self.streams))
        if self._messages.get(at) != event["message"]:  # the first piece, or of another try
            self._messages[at], self.streams[at] = event["message"], ""
        self.streams[at] += event["text"]
        self._tell("token")

    def _take_in(self, reply: Reply) -> None:
        given = reply["state"]["prompt"]
        self.prompt = AlignedPrompt.from_dict(given) if given else None
        self.question, self._ended = reply["waiting_for"], reply["status"] == "ended"

    async def _look_again(self, turn: Turn, asked: Question | None) -> None:
        """See what a turn that failed has left; where it could not even begin, it is kept to be sent again."""
        try:
            self._take_in(await self._service.turns.read(self.name))
        except AlignmentError:
            self.question, self._unsent = asked, turn

    async def _keep(self) -> None:
        """Keep the prompt under its name too, for the list of prompts and for `langchain-align serve`."""
        if self.prompt is not None:
            await self._service.prompts.aput(self.name, self.prompt)

    # -- what a person may want to read ----------------------------------------------------------------------------

    async def suggest(self, candidate: int, kind: Kind) -> list[str]:
        """Return three pieces of feedback that a person could give on an answer; thought of once.

        Raises:
            ModelError: The call failed.
        """
        exchange, prompt = self.exchange, self.prompt
        if exchange is None or prompt is None:
            return []
        key = (exchange.id, candidate, kind)
        task = self._suggested.get(key)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            make = {"critique": create_critique_chain, "kudos": create_kudos_chain}[kind]
            asked = {
                "prompt": prompt.description,
                "response": exchange.candidates[candidate],
                "inputs": inputs_of(prompt, exchange),
            }
            task = asyncio.create_task(make(self._service.alignment_model.get()).ainvoke(asked))
            self._suggested[key] = task
        return await asyncio.shield(task)  # another tab may wait for it too

    async def count_followed(self) -> None:
        """Count how often each principle applied to the newest answers, and was followed.

        Raises:
            ModelError: A call failed.
        """
        prompt = self.prompt
        if prompt is None:
            return
        await self._model_is_there()
        newest = {input_key(prompt, e): e for e in prompt.exchanges if e.candidates}
        answered = [e if e.response else e.model_copy(update={"response": e.candidates[0]}) for e in newest.values()]
        chain = create_adherence_chain(self._service.alignment_model.get())
        table = adherence_table(await check_adherence(chain, prompt, answered), prompt.constitution)
        self.followed = {
            row["principle_id"]: (int(row["applied"]), int(row["followed"])) for row in table.to_dict("records")
        }
        self._tell("whole")


def _under_way() -> ConflictError:
    return ConflictError("An answer is on its way; wait for it, or stop it, then send yours again.")
