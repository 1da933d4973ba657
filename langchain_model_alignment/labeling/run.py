"""A training run in its folder: begun, gone on with and written down, whoever looks on."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from langchain_model_alignment.errors import ArtifactError, BudgetError
from langchain_model_alignment.labeling.graph import create_training_graph
from langchain_model_alignment.labeling.labeler import Labeler
from langchain_model_alignment.labeling.outcome import result_of
from langchain_model_alignment.labeling.records import StepRecord, TrainingResult
from langchain_model_alignment.labeling.run_folder import Record, RunFolder
from langchain_model_alignment.labeling.state import LabelerEvent
from langchain_model_alignment.labeling.task import Row
from langchain_model_alignment.labeling.training import Training
from langchain_model_alignment.usage import Budget

__all__ = ["FolderRun", "Onlooker", "read_state", "stream"]

_NAME = "training"
_THREAD: Any = {"configurable": {"thread_id": _NAME}}
_EVERY = 0.25  # seconds between two notes of what was spent


class Onlooker(Protocol):
    """Shows a run while it goes on."""

    def go_on(self, step: int, history: Sequence[StepRecord]) -> None:
        """Begin in the middle of a run, with a step; 0 where only the beginning is under way."""
        ...

    def tell(self, event: LabelerEvent) -> None:
        """Show an event."""
        ...

    def see(self, state: Mapping[str, Any]) -> None:
        """Show the run's state (`LabelerState`) as it is after a node."""
        ...


class FolderRun:
    """One run and its folder.

    What people added to the run (`RunFolder.additions`) takes part: corrected rows are trained on, and suggested
    principles are tried.

    Args:
        labeler: The task, the models and the settings; its cache is the folder's.
        folder: Where the run is kept.
        record: What run.json says; it is kept up to date.
        training: The rows as the labeler has read and split them (`Labeler.prepare`).

    Attributes:
        record: What run.json says now.
        suggestions: The principles that people suggested; one that is appended is tried by the next step.
        state: The state that training ended with.
        unreported: Why no report was written, where there is none.

    Raises:
        ArtifactError: What the folder holds is not readable.
    """

    def __init__(self, labeler: Labeler, folder: RunFolder, record: Record, training: Training) -> None:
        added = folder.additions()
        if rows := added.rows(labeler.task):
            training = training.revised(rows)
        self.suggestions = training.suggestions = list(added.suggestions)
        self.record = record
        self.state: Mapping[str, Any] = {}
        self.unreported = ""
        self._labeler = labeler
        self._folder = folder
        self._training = training
        labeler.usage.go_on(*folder.spent())
        self._graph: Any = create_training_graph(training)

    @property
    def rows(self) -> Sequence[Row]:
        """The rows that mistakes come from."""
        return self._training.training

    async def run(self, onlooker: Onlooker, *, trained: bool = False) -> TrainingResult:
        """Train to the end and write down what came of it; only read it where training ended before.

        Raises:
            ArtifactError: The checkpoints are of other data.
            AlignmentError: The model failed.
        """
        async with AsyncSqliteSaver.from_conn_string(str(self._folder.checkpoints)) as saver, self.noting():
            try:
                graph = self._graph.compile(checkpointer=saver)
                if trained:
                    self.state = (await graph.aget_state(_THREAD)).values
                else:
                    self.state = await self._train(graph, saver, onlooker)
            finally:
                # A write that was cut off half-way would keep the file locked for as long as anybody holds its cursor.
                await saver.conn.rollback()
        # What a killed process paid for is in no step, but it was paid for.
        used = self._labeler.usage.snapshot()
        result = result_of(self._training, self.state).model_copy(update={"usage": used})  # type: ignore[arg-type]
        if not trained:
            self._folder.write_spent(used)
            self.unreported = await asyncio.to_thread(self._folder.keep, result)
            ended = {"finished": True, "out_of_budget": bool(self.state["budget"]), "test": None}
            self.record = self.record.model_copy(update=ended)
            self._folder.write(self.record)
        return result

    @asynccontextmanager
    async def noting(self) -> AsyncIterator[None]:
        """Keep writing down what is spent, so that a budget outlives the process."""

        async def note() -> None:
            last = None
            while True:
                usage = self._labeler.usage.snapshot()
                if usage.calls != last:
                    last = usage.calls
                    self._folder.write_spent(usage)
                await asyncio.sleep(_EVERY)

        task = asyncio.create_task(note())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            self._folder.write_spent(self._labeler.usage.snapshot())

    async def _train(self, graph: Any, saver: AsyncSqliteSaver, onlooker: Onlooker) -> dict[str, Any]:
        steps = self.record.arguments.steps
        state = await graph.aget_state(_THREAD)
        values = state.values  # `state.next` leaves out a step that was killed after its writes; its tasks do not
        others = values.get("data", self._training.fingerprint) != self._training.fingerprint
        if others and values.get("best"):
            raise ArtifactError(
                f"{self._folder.checkpoints} is of other data or another task (fingerprint "
                f"{values['data']}, these have {self._training.fingerprint}): give the same again, or another folder."
            )
        spent_before = bool(values.get("budget"))
        if (others or spent_before) and not values.get("best"):  # nothing was scored then; the answers are kept
            await saver.adelete_thread(_NAME)
            state = await graph.aget_state(_THREAD)
        elif values.get("stopped") and not state.tasks and self._has_ended(values):
            return dict(values)  # it was killed before it wrote down what came of it
        if state.values.get("data"):
            under_way = values["current"]["step"] if state.tasks else values["step"] + 1
            onlooker.go_on(under_way, values["history"])
        start = None if state.tasks else {"steps": steps}
        while True:
            await stream(graph, start, _THREAD, onlooker)
            values = (await graph.aget_state(_THREAD)).values
            # What was gone on with had the steps and the budget of its own command.
            more = values["step"] < steps and (values["steps"] < steps or spent_before)
            if start is not None or not more:
                return dict(values)
            start = {"steps": steps}

    def _has_ended(self, values: dict[str, Any]) -> bool:
        asked = self.record.arguments
        if not values["budget"]:
            return bool(values["steps"] >= asked.steps)
        try:
            Budget.model_validate(asked.budget).check(self._labeler.usage)
        except BudgetError:
            return True
        return False


async def stream(graph: Any, start: dict[str, Any] | None, config: Any, onlooker: Onlooker) -> dict[str, Any]:
    """Run the graph, show its events, and return its last values."""
    values: dict[str, Any] = {}
    async for mode, event in graph.astream(start, config, stream_mode=["custom", "values"]):
        if mode == "custom":
            onlooker.tell(event)
        else:
            values = event
            onlooker.see(values)
    return values


async def read_state(folder: RunFolder) -> dict[str, Any]:
    """Return the state that a run stood in last, without its models; empty where none was begun.

    Raises:
        ArtifactError: The checkpoints cannot be read.
    """
    if not folder.checkpoints.exists():
        return {}
    try:
        async with AsyncSqliteSaver.from_conn_string(str(folder.checkpoints)) as saver:
            found = await saver.aget_tuple(_THREAD)
    except sqlite3.Error as error:
        raise ArtifactError(f"{folder.checkpoints} cannot be read ({error}); check the file.") from error
    return {} if found is None else dict(found.checkpoint["channel_values"])
