"""A sheet of rows at work: read from a file, labeled in the background, explained and corrected; one for all tabs."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from langchain_model_alignment.cache import SQLiteCache
from langchain_model_alignment.calls import Caller
from langchain_model_alignment.errors import AlignmentError, ConfigurationError, DataError
from langchain_model_alignment.gate import Gate
from langchain_model_alignment.gathering import gather_from
from langchain_model_alignment.labeling.additions import Correction
from langchain_model_alignment.labeling.classifier import Classifier, Labeled, check_some_taken
from langchain_model_alignment.labeling.rulebook import Rulebook
from langchain_model_alignment.labeling.tables import read_entries
from langchain_model_alignment.studio.label_sheet import Sheet, SheetRow
from langchain_model_alignment.studio.train_run import TrainRun, ready

__all__ = ["LabelJob"]

logger = logging.getLogger(__name__)
_WIDTH = 32  # calls at once
_BLOCK = 256  # rows taken out of the sheet at once


class LabelJob:
    """The rows of one sheet.

    Args:
        folder: Where it is kept.
        run: The training run whose rulebook labels, and whose training rows corrections join.

    Attributes:
        sheet: The rows.
        rulebook: What labels them.
        doing: What is done now, in words; empty while nothing is.
        problem: What went wrong, where something did.
        version: Grows with every change.

    Raises:
        ArtifactError: The sheet cannot be read.
    """

    def __init__(self, folder: Path, run: TrainRun) -> None:
        self.id = folder.name
        self.run = run
        self.sheet = Sheet(folder / "rows.sqlite")
        about = self.sheet.about()
        self.name: str = about.get("name", "rows")
        self.rulebook = Rulebook.from_dict(about["rulebook"], "The sheet's rulebook")
        self.doing = self.problem = ""
        self.version = 0
        self._cache = folder / "answers.sqlite"
        self._task: asyncio.Task[None] | None = None
        self._stopped, self._one_reader = threading.Event(), threading.Lock()

    @property
    def running(self) -> bool:
        """Whether rows are read or labeled now."""
        return self._task is not None and not self._task.done()

    @property
    def unread(self) -> bool:
        """Whether the rows of its file are not all in it yet."""
        return not self.sheet.about().get("read", True)

    def start(self, *, label: bool = True) -> None:
        """Read the rows that are not read yet and, where wanted, label those that have no label."""
        if not self.running:
            self.problem = ""
            self._stopped = threading.Event()
            self._task = asyncio.create_task(self._go(label))
            self._say("beginning")

    async def stop(self) -> None:
        """Stop; what was labeled is kept."""
        self._stopped.set()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def explain(self, number: int) -> tuple[str, ...]:
        """Return which principles decided a row; they are asked for once.

        Raises:
            AlignmentError: The model failed.
        """
        row = self.sheet.row(number)
        if row.principles is not None:
            return row.principles
        with SQLiteCache(self._cache) as cache:
            classifier = Classifier(await self._caller(cache), self.rulebook, explain=True)
            found = await classifier.label(self.rulebook.task.show(row.inputs))
        if found.error is not None:
            raise DataError(f"The principles could not be asked for: {found.error}")
        self.sheet.explain(number, found.principle_ids)
        self.version += 1
        return found.principle_ids

    async def give(self, number: int, label: int) -> None:
        """Give a row its label; it joins the training rows of the run.

        Raises:
            ArtifactError: It cannot be written down.
        """
        row, task = self.sheet.row(number), self.rulebook.task
        inputs = {name: row.inputs.get(name) for name in task.input_names}
        await self.run.correct(Correction(inputs=inputs, label=task.label_values[label]))
        self.sheet.give(number, label)
        self.version += 1

    def renew(self) -> None:
        """Label the rows that no person has labeled once more, by the rulebook that the run has now."""
        newest = self.run.rulebook()
        if newest is not None and not self.running:
            self.rulebook = newest
            self.sheet.note(rulebook=newest.model_dump(mode="json"))
            self.sheet.ask_again(failed_only=False)
            self.start()

    async def _go(self, label: bool) -> None:
        try:
            if self.unread:
                await asyncio.to_thread(self._read, self._stopped)
                self.version += 1
            if label:
                with SQLiteCache(self._cache) as cache:
                    await self._label(Classifier(await self._caller(cache), self.rulebook))
        except AlignmentError as error:
            self.problem = str(error)
        except Exception as error:  # told on the page; the server goes on
            logger.exception("Labeling stopped")
            self.problem = (
                f"Labeling stopped unexpectedly ({type(error).__name__}, see the log); what was done is kept."
            )
        finally:
            self._say("")

    async def _label(self, classifier: Classifier) -> None:
        task = self.rulebook.task

        async def ask(row: SheetRow) -> Labeled:
            found = await classifier.label(task.show(row.inputs))
            self.sheet.put(row.number, found)
            self.version += 1
            return found

        self._say("labeling")
        while rows := self.sheet.waiting(_BLOCK):
            check_some_taken(await gather_from(rows, ask, _WIDTH))

    async def _caller(self, cache: SQLiteCache) -> Caller:
        if self.run.asked.model != self.run.model.name:
            raise ConfigurationError(
                f"This rulebook was trained with the model {self.run.asked.model}, and the studio runs "
                f"{self.run.model.name}; start it with --model {self.run.asked.model} to label with it."
            )
        return Caller(await ready(self.run.model, self._say), gate=Gate(_WIDTH), cache=cache)

    def _read(self, stopped: threading.Event) -> None:
        """Read the file into the sheet, from its beginning; the thread outlives the task that waited for it."""
        with self._one_reader:
            self._say("reading the rows")
            self.sheet.clear()
            self._take(stopped)

    def _take(self, stopped: threading.Event) -> None:
        path, needed = Path(self.sheet.about()["source"]), self.rulebook.task.input_names
        broken: list[str] = []

        def rows() -> Iterable[Mapping[str, Any]]:
            for entry in read_entries(path):
                if stopped.is_set():
                    raise DataError("Reading was stopped; read the file again.")
                if entry.row is None:
                    broken.append(f"{entry.place} {entry.error}".replace(f"{path.parent}/", ""))
                    continue
                if missing := [name for name in needed if name not in entry.row]:
                    there = ", ".join(list(entry.row)[:20]) or "none"
                    raise DataError(
                        f"{path.name} has no column {', '.join(map(repr, missing))}, which the rulebook reads; its "
                        f"columns are: {there}."
                    )
                yield {name: entry.row[name] for name in needed}

        n = self.sheet.add(rows())
        if not n:
            raise DataError(f"{path.name} holds no rows that can be read; give at least one.")
        if broken:
            self.problem = f"{len(broken):,} rows could not be read and were left out; the first: {broken[0]}."
        self.sheet.note(read=True)

    def _say(self, doing: str) -> None:
        self.doing = doing
        self.version += 1
