"""A training run that the studio shows: its folder on disk, and what it does now, the same for every tab."""

import asyncio
import contextlib
import logging
import sqlite3
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from langchain_model_alignment.cache import SQLiteCache
from langchain_model_alignment.errors import AlignmentError, ArtifactError, ConfigurationError, DataWarning
from langchain_model_alignment.integrations.serving.loading import LoadingModel
from langchain_model_alignment.labeling.additions import Additions, Correction, Suggestion, check_suggestion
from langchain_model_alignment.labeling.labeled_tables import about, read_table
from langchain_model_alignment.labeling.outcome import mistakes_met
from langchain_model_alignment.labeling.records import StepRecord
from langchain_model_alignment.labeling.rulebook import Rulebook
from langchain_model_alignment.labeling.run import FolderRun, read_state
from langchain_model_alignment.labeling.run_folder import Asked, Record, RunFolder
from langchain_model_alignment.labeling.state import LabelerEvent, doing_after
from langchain_model_alignment.labeling.task import Row
from langchain_model_alignment.usage import Usage

__all__ = ["TrainRun", "ready"]

logger = logging.getLogger(__name__)
_ONE_LISTENER = threading.Lock()  # what listens to warnings is one for the whole process


class TrainRun:
    """One run of the server; pages read it, and look again when `version` has changed.

    Args:
        folder: Where the run is kept.
        model: The model that labels.
        writer: The model that writes principles.

    Attributes:
        record: What was asked for.
        added: What people added to it.
        state: The run's state (`LabelerState`), as far as it is known.
        doing: What it does now, in words; empty while it stands.
        problem: Why it stopped, where something went wrong.
        notes: What is degraded, a sentence each.
        version: Grows with every change.

    Raises:
        ArtifactError: The folder holds no run.
    """

    def __init__(self, folder: RunFolder, model: LoadingModel, writer: LoadingModel) -> None:
        self.folder = folder
        self.name = folder.path.name
        self.record: Record = _record_in(folder)
        self.added = folder.additions()
        self.state: Mapping[str, Any] = {}
        self.doing = self.problem = ""
        self.notes: list[str] = []
        self.version = 0
        self.model, self._writer = model, writer
        self._usage: Usage | None = None
        self._run: FolderRun | None = None
        self._task: asyncio.Task[None] | None = None
        self._met: list[tuple[Row, int]] = []
        self._met_in: Any = None
        self._changing = asyncio.Lock()

    # -- what pages read ---------------------------------------------------------------------------------------

    @property
    def asked(self) -> Asked:
        """What was asked for."""
        return self.record.arguments

    @property
    def running(self) -> bool:
        """Whether it trains now."""
        return self._task is not None and not self._task.done()

    @property
    def usage(self) -> Usage:
        """What it has used so far, in all processes."""
        return self.folder.spent()[0] if self._usage is None else self._usage.snapshot()

    @property
    def history(self) -> Sequence[StepRecord]:
        """The steps that are done, the start among them."""
        found: Sequence[StepRecord] = self.state.get("history", ())
        return found

    def rulebook(self) -> Rulebook | None:
        """Return the best rulebook so far; None before one is scored."""
        best = self.state.get("best") or ()
        return Rulebook.from_dict(self.state["candidates"][best[0]]["rulebook"]) if best else None

    async def load(self) -> None:
        """Read how far the run is, unless it is known.

        Raises:
            ArtifactError: The checkpoints cannot be read.
        """
        if not self.state and not self.running:
            self.state = await read_state(self.folder)

    async def mistakes(self) -> list[tuple[Row, int]]:
        """Return the training rows that the last step found labeled wrongly, with the label that was given, or -1.

        Raises:
            DataError: The table is not what it was.
            ArtifactError: It cannot be read.
        """
        state = self.state
        if state.get("screening") != self._met_in:  # the rows are read again, and only the few that are wanted are held
            rows = self._run.rows if self._run is not None else await asyncio.to_thread(self._read_rows)
            self._met, self._met_in = mistakes_met(state, rows), state["screening"]  # type: ignore[arg-type]
        return self._met

    # -- what people do ----------------------------------------------------------------------------------------

    def start(self, *, steps: int, max_calls: int | None) -> None:
        """Train, or go on where the run stands; it runs on until it ends or is stopped.

        Args:
            steps: How many steps there are to be in all.
            max_calls: How many model calls it may make in all.

        Raises:
            ConfigurationError: The run was begun with another model.
            ArtifactError: run.json cannot be written.
        """
        if self.running:
            return
        if self.asked.model != self.model.name:
            raise ConfigurationError(
                f"This run was begun with the model {self.asked.model}, and the studio runs {self.model.name}; "
                f"start it with --model {self.asked.model} to go on."
            )
        update: dict[str, Any] = {"steps": steps, "budget": {**self.asked.budget, "max_calls": max_calls}}
        if not self.state.get("best"):  # nothing was scored on rows that would have to stay
            update["sized_for"] = max_calls
        asked = self.asked.model_copy(update=update)
        self.record = self.record.model_copy(update={"arguments": asked, "finished": False})
        self.folder.write(self.record)
        self.problem, self.notes = "", []
        self._task = asyncio.create_task(self._go())
        self._say("reading the rows")

    async def stop(self) -> None:
        """Stop it; what was answered is kept, and it goes on from there."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def suggest(self, suggestion: Suggestion) -> None:
        """Have a principle tried by the next step.

        Raises:
            DataError: It has no words, or its label is none of the task's.
            ArtifactError: It cannot be written down.
        """
        check_suggestion(suggestion, self.asked.labeling_task().labels)
        async with self._changing:
            self._add(self.added.suggesting(suggestion))
            if self._run is not None:
                self._run.suggestions.append(suggestion)

    async def correct(self, *corrections: Correction) -> None:
        """Let rows that a person labeled join the training rows when the run goes on next.

        Raises:
            ArtifactError: They cannot be written down.
        """
        async with self._changing:
            self._add(self.added.correcting(*corrections))

    # -- the run -----------------------------------------------------------------------------------------------

    def go_on(self, step: int, history: Sequence[StepRecord]) -> None:
        """Begin in the middle of the run."""
        self._say(f"going on with step {step}" if step else "going on where it stopped")

    def tell(self, event: LabelerEvent) -> None:
        """Take note of an event."""
        self._say(doing_after(event))

    def see(self, state: Mapping[str, Any]) -> None:
        """Take note of the state."""
        self.state = state
        self.version += 1

    async def _go(self) -> None:
        try:
            answerer = await ready(self.model, self._say)
            writer = await ready(self._writer, self._say)
            with SQLiteCache(self.folder.answers) as cache:
                labeler = self.asked.labeler(writer, answerer, cache)
                self._usage = labeler.usage
                self._run = await asyncio.to_thread(self._prepared, labeler)
                # What was suggested while the rows were read is in the file, and in its order.
                self._run.suggestions[:] = self.added.suggestions
                self._say("beginning")
                await self._run.run(self)
                self.record, self.state = self._run.record, self._run.state
                self.notes += [self._run.unreported] if self._run.unreported else []
        except AlignmentError as error:
            self.problem = str(error)
        except (OSError, sqlite3.Error) as error:
            self.problem = f"{self.folder.path} cannot be read or written ({error}); make room there, then go on."
        except Exception as error:  # told on the page; the server goes on
            logger.exception("Training stopped")
            self.problem = (
                f"Training stopped unexpectedly ({type(error).__name__}, see the log); what was done is kept."
            )
        finally:
            self._run = self._usage = None
            self._say("")

    def _prepared(self, labeler: Any) -> FolderRun:
        asked = self.asked
        needed = [*asked.inputs, asked.label]
        table = read_table(Path(asked.data), needed)
        validation = read_table(Path(asked.validation), needed) if asked.validation else None
        with _ONE_LISTENER, warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", DataWarning)
            run = FolderRun(labeler, self.folder, self.record, labeler.prepare(table, validation))
        self.notes = [str(warning.message) for warning in said]
        return run

    def _read_rows(self) -> list[Row]:
        path, task = Path(self.asked.data), self.asked.labeling_task()
        with about(path):
            rows = task.read(read_table(path, [*task.input_names, task.label_name]))
        return [*rows, *self.added.rows(task)]

    def _add(self, added: Additions) -> None:
        self.folder.write_additions(added)
        self.added = added
        self.version += 1

    def _say(self, doing: str) -> None:
        self.doing = doing
        self.version += 1


async def ready(model: LoadingModel, say: Callable[[str], None]) -> Any:
    """Wait until a model is there, and return it.

    Raises:
        UnavailableError: It cannot be made.
    """
    while model.status == "loading":
        say("waiting for the model")
        await asyncio.sleep(0.5)
    return model.get().llm


def _record_in(folder: RunFolder) -> Record:
    record = folder.record()
    if record is None:
        raise ArtifactError(f"{folder.path} holds no run; choose another.")
    return record
