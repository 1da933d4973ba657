"""One pass over files: each row is read, asked about where nothing is known of it, written, counted and told of."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from langchain_core.runnables import RunnableConfig

from langchain_model_alignment.errors import BadRequestError
from langchain_model_alignment.gathering import stream_from
from langchain_model_alignment.labeling.cascade import Cascade
from langchain_model_alignment.labeling.cells import cells_of, flat, written_labels
from langchain_model_alignment.labeling.classifier import Classifier, Labeled
from langchain_model_alignment.labeling.kept import Kept, key_of
from langchain_model_alignment.labeling.outputs import Output
from langchain_model_alignment.labeling.rulebook import Rulebook
from langchain_model_alignment.labeling.tables import Entry, read_entries
from langchain_model_alignment.labeling.tally import Tally

__all__ = ["AHEAD", "FilePass", "Labels", "Progress", "classifiers_of"]

AHEAD = 32  # rows that may wait for a slow one before them, for each call at once
_TOLD = 0.2  # seconds between two reports of progress
_WINDOW = 30.0  # seconds over which the rate is taken
_REFUSED = 100  # rows that are all refused as they stand: the others would be too

Labels = Classifier | Cascade


@dataclass(frozen=True, slots=True)
class Progress:
    """How far labeling is.

    Attributes:
        done: Rows that are written.
        total: Rows that there are.
        rate: Rows a second, lately.
        failed: Rows that could not be read or labeled.
    """

    done: int
    total: int
    rate: float
    failed: int

    @property
    def left(self) -> float | None:
        """Seconds that the rest will take at this rate; None while nothing is known."""
        return (self.total - self.done) / self.rate if self.rate else None


class FilePass:
    """One pass over the files: who is asked, what is written, what is told."""

    def __init__(
        self,
        labels: Labels,
        book: Rulebook,
        output: Output,
        kept: Kept,
        rows: int,
        tell: Callable[[Progress], None] | None,
    ) -> None:
        self.tally = Tally(book.task)
        self.asked = self.unreadable = 0
        self._labels, self._book, self._output, self._kept = labels, book, output, kept
        self._written = written_labels(book.task)
        self._rows = rows
        self._tell = tell
        self._in_flight: dict[bytes, asyncio.Future[Labeled]] = {}
        self._begun = time.monotonic()
        self._times = deque([(self._begun, 0)])

    def seconds(self) -> float:
        """Since its beginning."""
        return time.monotonic() - self._begun

    async def label(self, files: Iterable[Path], config: RunnableConfig | None) -> None:
        """Label every row, and write it."""

        async def work(entry: Entry) -> tuple[Entry, Labeled | None]:
            return entry, None if entry.row is None else await self._found(self._book.task.show(entry.row), config)

        entries = (entry for file in files for entry in read_entries(file))
        width = sum(gate.max_concurrency for gate in {c.caller.gate for c in classifiers_of(self._labels)})
        async with aclosing(stream_from(entries, work, width, AHEAD * width)) as batches:
            async for batch in batches:
                for entry, found in batch:
                    self._take(entry, found)
                self._report()
        self._report(last=True)

    async def _found(self, text: str, config: RunnableConfig | None) -> Labeled:
        """Return what is known of a row; else ask, once for all rows that are equal."""
        key = key_of(text)
        if (known := self._kept.get(key)) is not None:
            return known
        if (others := self._in_flight.get(key)) is not None:
            return await asyncio.shield(others)
        mine = self._in_flight[key] = asyncio.get_running_loop().create_future()
        self.asked += 1
        try:
            found = await self._labels.label(text, config)
            if found.error is None:
                self._kept.put(key, found)
        except BaseException as error:
            if isinstance(error, Exception):
                mine.set_exception(error)
                mine.exception()  # seen, also where no other row waits for it
            else:
                mine.cancel()
            raise
        finally:
            del self._in_flight[key]
        mine.set_result(found)
        return found

    def _take(self, entry: Entry, found: Labeled | None) -> None:
        if entry.row is None or found is None:
            self.unreadable += 1
            self._output.fail(entry, "UnreadableRow", f"{entry.place} {entry.error}.")
            return
        if found.error is not None:
            self._output.fail(entry, found.kind, found.error)
        self.tally.add(entry.row, found)
        if self.tally.failures[BadRequestError.__name__] == self.tally.rows >= min(_REFUSED, self._rows):
            raise BadRequestError(self.tally.first_error or "The model refused every request.")
        cells = cells_of(self._written, found)
        if self._output.place_of(entry).suffix.lower() == ".csv":
            cells["principle_ids"] = flat(cells["principle_ids"])
        entry.row.update(cells)
        self._output.write(entry, entry.row)

    def _report(self, *, last: bool = False) -> None:
        now = time.monotonic()
        if self._tell is None or (now - self._times[-1][0] < _TOLD and not last):
            return
        done = self.tally.rows
        while now - self._times[0][0] > _WINDOW and len(self._times) > 1:
            self._times.popleft()
        since, before = self._times[0]
        self._times.append((now, done))
        rate = (done - before) / (now - since) if now > since else 0.0
        self._tell(Progress(done, self._rows, rate, self._output.failures))


def classifiers_of(labels: Labels) -> tuple[Classifier, ...]:
    """Return the classifier, or the two of a cascade."""
    return (labels.small, labels.large) if isinstance(labels, Cascade) else (labels,)
