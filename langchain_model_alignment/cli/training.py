"""A training run in its folder: begun, gone on with, scored on a test table, and written down."""

import asyncio
import contextlib
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from rich.console import Console

from langchain_model_alignment.cli.progress import TrainingDisplay
from langchain_model_alignment.cli.run_folder import Record, RunFolder, TestScores
from langchain_model_alignment.cli.show import plain
from langchain_model_alignment.cli.tables import Rows
from langchain_model_alignment.errors import ArtifactError, BudgetError, ConfigurationError, DataWarning
from langchain_model_alignment.labeling.graph import create_training_graph
from langchain_model_alignment.labeling.labeler import Labeler, result_of
from langchain_model_alignment.labeling.records import TrainingResult
from langchain_model_alignment.labeling.report import write_report
from langchain_model_alignment.labeling.rulebook import Rulebook
from langchain_model_alignment.usage import Budget

__all__ = ["TrainingRun", "prepare", "score_on", "stream", "write_artifacts"]

_THREAD: Any = {"configurable": {"thread_id": "training"}}
_EVERY = 0.25  # seconds between two notes of what was spent


class TrainingRun:
    """One run and its folder.

    Args:
        console: Where to show it.
        labeler: The task, the models and the settings; its cache is the folder's.
        folder: Where the run is kept.
        record: What run.json says; it is kept up to date.
        tables: The training rows, and the validation rows where there is a table of them.
        test: Rows to score on at the end, with their fingerprint.
    """

    def __init__(
        self,
        console: Console,
        labeler: Labeler,
        folder: RunFolder,
        record: Record,
        tables: tuple[Rows, Rows | None],
        test: tuple[Rows, str] | None,
    ) -> None:
        self._console = console
        self._labeler = labeler
        self._folder = folder
        self._record = record
        self._test = test
        self._training = prepare(console, labeler, *tables)
        labeler.usage.go_on(*folder.spent())
        self._graph: Any = create_training_graph(self._training)
        self._display = TrainingDisplay(console, labeler.usage, self._training.metric_name, record.arguments.steps)

    async def run(self, *, trained: bool) -> tuple[TrainingResult, Record]:
        """Train to the end, or only score on the test rows where training ended before.

        Raises:
            ArtifactError: The checkpoints are of other data.
            AlignmentError: The model failed.
        """
        async with AsyncSqliteSaver.from_conn_string(str(self._folder.checkpoints)) as saver:
            try:
                graph = self._graph.compile(checkpointer=saver)
                with self._display:
                    async with self._noting():
                        values: Any = (
                            (await graph.aget_state(_THREAD)).values if trained else await self._train(graph, saver)
                        )
                        # What a killed process paid for is in no step, but it was paid for.
                        used = self._labeler.usage.snapshot()
                        result = result_of(self._training, values).model_copy(update={"usage": used})
                        if not trained:
                            self._keep(result, out_of_budget=bool(values["budget"]))
                        await self._score(result, values)
            finally:
                # A write that was cut off half-way would keep the file locked for as long as anybody holds its cursor.
                await saver.conn.rollback()
        return result, self._record

    async def _train(self, graph: Any, saver: AsyncSqliteSaver) -> dict[str, Any]:
        steps = self._record.arguments.steps
        state = await graph.aget_state(_THREAD)
        values = state.values
        if values.get("data", self._training.fingerprint) != self._training.fingerprint:
            raise ArtifactError(
                f"{self._folder.checkpoints} is of other data or another task (fingerprint "
                f"{values['data']}, these have {self._training.fingerprint}): give the same again, or another --out."
            )
        spent_before = bool(values.get("budget"))
        if spent_before and not values.get("best"):  # nothing was scored then; the answers are kept
            await saver.adelete_thread("training")
            state = await graph.aget_state(_THREAD)
        elif values.get("stopped") and not state.next and self._has_ended(values):
            return dict(values)  # it was killed before it wrote down what came of it
        if state.values.get("data"):
            under_way = values["current"]["step"] if state.next else values["step"] + 1
            self._display.go_on(under_way, values["history"])
        start = None if state.next else {"steps": steps}
        while True:
            await stream(graph, start, _THREAD, self._display)
            values = (await graph.aget_state(_THREAD)).values
            # What was gone on with had the steps and the budget of its own command.
            more = values["step"] < steps and (values["steps"] < steps or spent_before)
            if start is not None or not more:
                return dict(values)
            start = {"steps": steps}

    def _has_ended(self, values: dict[str, Any]) -> bool:
        asked = self._record.arguments
        if not values["budget"]:
            return bool(values["steps"] >= asked.steps)
        try:
            Budget.model_validate(asked.budget).check(self._labeler.usage)
        except BudgetError:
            return True
        return False

    def _keep(self, result: TrainingResult, *, out_of_budget: bool) -> None:
        self._folder.write_spent(self._labeler.usage.snapshot())
        write_artifacts(self._console, self._folder, result)
        self._record = self._record.model_copy(update={"finished": True, "out_of_budget": out_of_budget, "test": None})
        self._folder.write(self._record)

    async def _score(self, result: TrainingResult, values: dict[str, Any]) -> None:
        if self._test is None:
            return
        rows, fingerprint = self._test
        self._display.doing(f"scoring {len(rows)} test rows")
        empty = next(
            (c["rulebook"] for c in values["candidates"].values() if c["record"]["origin"] == "zero-shot"), None
        )
        try:
            score, interval = await score_on(self._labeler, result.rulebook, rows)
            zero = None if empty is None else (await score_on(self._labeler, Rulebook.from_dict(empty), rows))[0]
        except BudgetError as error:
            self._console.print(plain(f"The test rows were not scored: {error}", "yellow"))
            return
        test = TestScores(data=fingerprint, rows=len(rows), trained=score, interval=interval, zero_shot=zero)
        self._record = self._record.model_copy(update={"test": test})
        self._folder.write(self._record)

    @asynccontextmanager
    async def _noting(self) -> AsyncIterator[None]:
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


def prepare(console: Console, labeler: Labeler, train: Rows, validation: Rows | None) -> Any:
    """Read and split the tables; what is degraded is said in a line."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", DataWarning)
        training = labeler.prepare(train, validation)
    for warning in said:
        console.print(plain(str(warning.message), "yellow"))
    return training


async def stream(graph: Any, start: dict[str, Any] | None, config: Any, display: TrainingDisplay) -> dict[str, Any]:
    """Run the graph, show its events, and return its last values."""
    values: dict[str, Any] = {}
    async for mode, event in graph.astream(start, config, stream_mode=["custom", "values"]):
        if mode == "custom":
            display.tell(event)
        else:
            values = event
    return values


async def score_on(labeler: Labeler, rulebook: Rulebook, rows: Rows) -> tuple[float, tuple[float, float]]:
    """Return a rulebook's score on rows, and the interval of its accuracy."""
    predictions = await labeler.ainfer_checkpoint(rulebook, rows)
    low, high = labeler.get_scorecard(rows, predictions)["accuracy_interval"]
    return labeler.get_score(rows, predictions), (low, high)


def write_artifacts(console: Console, folder: RunFolder, result: TrainingResult) -> None:
    """Write the rulebook, the result and the report."""
    result.rulebook.save(folder.rulebook)
    result.save(folder.training)
    try:
        write_report(result, folder.report)
    except ConfigurationError as error:
        if isinstance(error, ArtifactError):
            raise
        console.print(plain(f"No report was written: {error}", "yellow"))
