"""A training run in a terminal: shown while it goes on, scored on a test table, and what became of it said."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from langchain_model_alignment.cli.progress import TrainingDisplay
from langchain_model_alignment.cli.show import plain
from langchain_model_alignment.errors import BudgetError, DataWarning
from langchain_model_alignment.labeling.labeled_tables import Rows
from langchain_model_alignment.labeling.labeler import Labeler
from langchain_model_alignment.labeling.records import TrainingResult
from langchain_model_alignment.labeling.rulebook import Rulebook
from langchain_model_alignment.labeling.run import FolderRun
from langchain_model_alignment.labeling.run_folder import Record, RunFolder, TestScores

__all__ = ["TrainingRun", "saying_warnings", "score_on"]


class TrainingRun:
    """One run and its folder, in a terminal.

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
        self._test = test
        with saying_warnings(console):
            training = labeler.prepare(*tables)
            self._run = FolderRun(labeler, folder, record, training)
        self._display = TrainingDisplay(console, labeler.usage, training.metric_name, record.arguments.steps)

    async def run(self, *, trained: bool) -> tuple[TrainingResult, Record]:
        """Train to the end, or only score on the test rows where training ended before.

        Raises:
            ArtifactError: The checkpoints are of other data.
            AlignmentError: The model failed.
        """
        with self._display:
            result = await self._run.run(self._display, trained=trained)
            if self._run.unreported:
                self._console.print(plain(self._run.unreported, "yellow"))
            async with self._run.noting():
                return result, await self._score(result)

    async def _score(self, result: TrainingResult) -> Record:
        record = self._run.record
        if self._test is None:
            return record
        rows, fingerprint = self._test
        self._display.doing(f"scoring {len(rows)} test rows")
        candidates = self._run.state["candidates"].values()
        empty = next((c["rulebook"] for c in candidates if c["record"]["origin"] == "zero-shot"), None)
        try:
            score, interval = await score_on(self._labeler, result.rulebook, rows)
            zero = None if empty is None else (await score_on(self._labeler, Rulebook.from_dict(empty), rows))[0]
        except BudgetError as error:
            self._console.print(plain(f"The test rows were not scored: {error}", "yellow"))
            return record
        test = TestScores(data=fingerprint, rows=len(rows), trained=score, interval=interval, zero_shot=zero)
        record = record.model_copy(update={"test": test})
        self._folder.write(record)
        return record


@contextmanager
def saying_warnings(console: Console) -> Iterator[None]:
    """Say what is degraded in a table, a line each."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", DataWarning)
        yield
    for warning in said:
        console.print(plain(str(warning.message), "yellow"))


async def score_on(labeler: Labeler, rulebook: Rulebook, rows: Rows) -> tuple[float, tuple[float, float]]:
    """Return a rulebook's score on rows, and the interval of its accuracy."""
    predictions = await labeler.ainfer_checkpoint(rulebook, rows)
    low, high = labeler.get_scorecard(rows, predictions)["accuracy_interval"]
    return labeler.get_score(rows, predictions), (low, high)
