"""Labeling as many rows as there are: a stream of them, or files into files, in constant memory.

Every label is kept beside the output the moment it is there (`kept.py`), under a hash of what the model was shown. That
one record makes equal rows cost once and makes a killed run go on: the same command reads the files again from their
beginning, which takes seconds, asks only about rows that have no label yet, and writes the same file.
"""

import asyncio
import shutil
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langchain_core.runnables import RunnableConfig

from langchain_model_alignment.calls import Caller, ChatModelLike, as_caller
from langchain_model_alignment.constitution import digest
from langchain_model_alignment.errors import AlignmentError, BadRequestError, DataError
from langchain_model_alignment.gathering import stream_from
from langchain_model_alignment.labeling.cascade import Cascade, Saved
from langchain_model_alignment.labeling.classifier import Classifier, Labeled, Prediction
from langchain_model_alignment.labeling.kept import Kept, key_of
from langchain_model_alignment.labeling.outputs import Output, check_out, failures_of, unfinished
from langchain_model_alignment.labeling.rulebook import Rulebook
from langchain_model_alignment.labeling.tables import Entry, Scan, Source, find_files, read_entries, scan, together
from langchain_model_alignment.labeling.tally import Tally
from langchain_model_alignment.loop import run_sync

__all__ = ["FileLabels", "Progress", "alabel_file", "astream_labels", "label_file"]

_AHEAD = 32  # rows that may wait for a slow one before them, for each call at once
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


@dataclass(frozen=True, slots=True)
class FileLabels:
    """What came of labeling files.

    Attributes:
        out: Where the rows are.
        failures: Where the rows are that could not be read or labeled; None where there are none.
        tally: How many rows got which label, and how many are right where that is known.
        asked: Rows that the model was asked about; the others are equal to one of them, or were known from before.
        saved: What a cascade saved.
        seconds: How long it took.
    """

    out: Path
    failures: Path | None
    tally: Tally
    asked: int
    saved: Saved | None
    seconds: float


async def astream_labels(
    rows: Iterable[Mapping[str, Any]],
    rulebook: Rulebook,
    model: ChatModelLike,
    *,
    explain: bool = False,
    threshold: float | None = None,
    config: RunnableConfig | None = None,
) -> AsyncIterator[tuple[Mapping[str, Any], Prediction]]:
    """Label rows one after the other as they come, several at once, in constant memory.

    Args:
        rows: Dicts with the task's inputs, such as a generator of them.
        rulebook: The principles.
        model: The model; a `Caller` sets how many calls run at once.
        explain: Also ask which principles decided.
        threshold: Abstain below this confidence.
        config: Callbacks, tags and metadata for the calls.

    Yields:
        Each row and its prediction, in the order of the rows; a failed call is the prediction's `error`.

    Raises:
        DataError: A row lacks an input.
        AuthenticationError: The key is wrong.
        BudgetError: The budget is spent; what was labeled before is yielded first.

    Example:
        >>> from langchain_core.language_models import FakeListChatModel
        >>> from langchain_model_alignment import LabelingTask
        >>> task = LabelingTask(input_names=["comment"], label_name="toxic", label_values=[True, False])
        >>> async def main():
        ...     model = FakeListChatModel(responses=["False"])
        ...     rows = ({"comment": f"Have a nice day, number {n}"} for n in range(3))
        ...     return [found["prediction"] async for _, found in astream_labels(rows, Rulebook.of(task, {}), model)]
        >>> asyncio.run(main())
        [False, False, False]
    """
    classifier = Classifier(as_caller(model), rulebook, explain=explain, threshold=threshold)
    width = classifier.caller.gate.max_concurrency

    async def label(row: Mapping[str, Any]) -> tuple[Mapping[str, Any], Prediction]:
        if missing := [name for name in rulebook.task.input_names if name not in row]:
            raise DataError(f"A row lacks {', '.join(missing)}; its columns are: {', '.join(map(str, row)) or 'none'}.")
        text = rulebook.task.show(row)
        return row, classifier.prediction(text, await classifier.label(text, config))

    async with aclosing(stream_from(rows, label, width, _AHEAD * width)) as batches:
        async for batch in batches:
            for labeled in batch:
                yield labeled


def label_file(
    source: Source,
    rulebook: Rulebook | str | Path,
    model: ChatModelLike,
    out: str | Path,
    *,
    large_model: ChatModelLike | None = None,
    below: float = 0.8,
    explain: bool = False,
    threshold: float | None = None,
    anew: bool = False,
    tell: Callable[[Progress], None] | None = None,
    config: RunnableConfig | None = None,
) -> FileLabels:
    """Label the rows of files, however many, in constant memory.

    The rows come out in their order with four columns more: `prediction`, `confidence`, `principle_ids`, `error`. Rows
    that show the model the same are paid for once. Stopped, killed or out of disk, the same call goes on and pays for
    nothing twice; what there is until then lies in `OUT.unfinished`. It stays after the end where calls failed, so
    that the same call asks those rows again. Rows that cannot be read are left out, and they and the failed ones are
    told in `OUT.failures.jsonl`.

    Args:
        source: A .csv, .jsonl, .json or .parquet file, a folder of them, a glob, or several of these.
        rulebook: The principles, or their file.
        model: The model; a `Caller` sets how many calls run at once, a budget, and a cache.
        out: A file for all rows, of any of these kinds; or a folder (a name without an ending) for a file each.
        large_model: Asked in a second step, where the first model is not sure.
        below: The confidence below which it is asked.
        explain: Also ask which principles decided.
        threshold: Abstain below this confidence.
        anew: Forget what an unfinished run left.
        tell: Called with the progress, a few times a second.
        config: Callbacks, tags and metadata for the calls.

    Returns:
        What came of it.

    Raises:
        DataError: The files hold no rows or lack a column, a column of ours is there already, or `out` is one of them.
        ArtifactError: A file cannot be read or written, or `OUT.unfinished` is of another rulebook or model.
        ConfigurationError: The model does not give what the rulebook, the threshold or the cascade needs.
        AuthenticationError: The key is wrong.
        BadRequestError: The model refused every single request as it stands.
        BudgetError: The budget is spent; what was labeled stays.

    Example:
        >>> import tempfile
        >>> from langchain_core.language_models import FakeListChatModel
        >>> from langchain_model_alignment import LabelingTask
        >>> task = LabelingTask(input_names=["comment"], label_name="toxic", label_values=[True, False])
        >>> folder = tempfile.TemporaryDirectory()
        >>> rows, out = Path(folder.name, "rows.csv"), Path(folder.name, "labels.csv")
        >>> _ = rows.write_text("comment\\nWhat a lovely day\\n")
        >>> found = label_file(rows, Rulebook.of(task, {}), FakeListChatModel(responses=["False"]), out)
        >>> found.tally.labels, out.read_text().splitlines()[1]
        ({'False': 1}, 'What a lovely day,False,,,')
        >>> folder.cleanup()
    """
    return run_sync(
        alabel_file(
            source,
            rulebook,
            model,
            out,
            large_model=large_model,
            below=below,
            explain=explain,
            threshold=threshold,
            anew=anew,
            tell=tell,
            config=config,
        )
    )


async def alabel_file(
    source: Source,
    rulebook: Rulebook | str | Path,
    model: ChatModelLike,
    out: str | Path,
    *,
    large_model: ChatModelLike | None = None,
    below: float = 0.8,
    explain: bool = False,
    threshold: float | None = None,
    anew: bool = False,
    tell: Callable[[Progress], None] | None = None,
    config: RunnableConfig | None = None,
) -> FileLabels:
    """Label the rows of files; see `label_file`."""
    book = rulebook if isinstance(rulebook, Rulebook) else Rulebook.load(rulebook)
    out = Path(out)
    files = find_files(source)
    check_out(out, files)
    scans = _scanned(files, book, typed=out.suffix.lower() == ".parquet")
    labels = _labels(book, as_caller(model), large_model, below, explain=explain, threshold=threshold)
    if anew:
        shutil.rmtree(unfinished(out), ignore_errors=True)
    output = Output(out, scans, _added(book))
    with Kept(output.folder, _about(labels)) as kept:
        run = _Run(labels, book, output, kept, together(list(scans.values())), tell)
        try:
            await run.label(files, config)
        except BaseException:
            with suppress(AlignmentError):
                output.close()
            if not len(kept):
                output.discard()
            raise
        output.finish()
    if not run.tally.failures:
        output.discard()
    return FileLabels(
        out=out,
        failures=failures_of(out) if output.failures else None,
        tally=run.tally,
        asked=run.asked,
        saved=labels.saved() if isinstance(labels, Cascade) else None,
        seconds=run.seconds(),
    )


class _Run:
    """One pass over the files: who is asked, what is written, what is told."""

    def __init__(
        self,
        labels: Labels,
        book: Rulebook,
        output: Output,
        kept: Kept,
        there: Scan,
        tell: Callable[[Progress], None] | None,
    ) -> None:
        self.tally = Tally(book.task)
        self.asked = 0
        self._labels, self._book, self._output, self._kept = labels, book, output, kept
        self._rows, self._total = there.rows, there.rows + there.broken
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
        width = _width(self._labels)
        async with aclosing(stream_from(entries, work, width, _AHEAD * width)) as batches:
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
            self._output.fail(entry, "UnreadableRow", f"{entry.place} {entry.error}.")
            return
        if found.error is not None:
            self._output.fail(entry, found.kind, found.error)
        self.tally.add(entry.row, found)
        if self.tally.failures[BadRequestError.__name__] == self.tally.rows >= min(_REFUSED, self._rows):
            raise BadRequestError(self.tally.first_error or "The model refused every request.")
        flat = self._output.place_of(entry).suffix.lower() == ".csv"
        entry.row.update(_cells(self._book, found, flat=flat))
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


def _scanned(files: Iterable[Path], book: Rulebook, *, typed: bool) -> dict[Path, Scan]:
    """Look through the files, and refuse those that cannot be labeled by this rulebook."""
    scans = {file: scan(file, typed=typed or file.suffix.lower() == ".parquet") for file in files}
    for file, found in scans.items():
        if missing := [name for name in book.task.input_names if name not in found.columns and found.rows]:
            raise DataError(
                f"{file} has no column {', '.join(map(repr, missing))}; its columns are: "
                f"{', '.join(found.columns[:20])}."
            )
        if clash := [name for name in _added(book) if name in found.columns]:
            raise DataError(f"{file} has a column {clash[0]!r} already, which would be overwritten; rename it.")
    if not any(found.rows for found in scans.values()):
        first = next((found.first_broken for found in scans.values() if found.first_broken), None)
        why = f" that can be read: {first.place} {first.error}; correct it" if first else "; give at least a few"
        raise DataError(f"{', '.join(str(file) for file in list(scans)[:3])} holds no rows{why}.")
    return scans


def _labels(
    book: Rulebook, caller: Caller, large: ChatModelLike | None, below: float, *, explain: bool, threshold: float | None
) -> Labels:
    if large is None:
        return Classifier(caller, book, explain=explain, threshold=threshold)
    return Cascade(caller, as_caller(large), book, below=below, explain=explain, threshold=threshold)


def _width(labels: Labels) -> int:
    """How many rows are worked on at once: as many as fill every gate."""
    gates = {c.caller.gate for c in _classifiers(labels)}
    return sum(gate.max_concurrency for gate in gates)


def _classifiers(labels: Labels) -> tuple[Classifier, ...]:
    return (labels.small, labels.large) if isinstance(labels, Cascade) else (labels,)


def _about(labels: Labels) -> str:
    """Name all that decides what is found for a row."""
    told: list[Any] = [labels.below, labels.explain] if isinstance(labels, Cascade) else []
    for classifier in _classifiers(labels):
        book = classifier.rulebook
        calibration = book.calibration and book.calibration.model_dump(include={"bias", "slope"})
        told += [book.fingerprint(), calibration, classifier.threshold, classifier.explain]
        told.append(classifier.caller.traits.identity)
    return digest(told)


def _added(book: Rulebook) -> dict[str, list[Any]]:
    """The columns that rows get, each with values that tell its type."""
    values = list(book.task.label_values)
    kinds = {type(value) for value in values}
    alike = len(kinds) == 1 or kinds == {int, float}
    labels = values if alike else [str(value) for value in values]
    return {"prediction": labels, "confidence": [0.5], "principle_ids": [["p1"]], "error": [""]}


def _cells(book: Rulebook, found: Labeled, *, flat: bool) -> dict[str, Any]:
    ids = list(found.principle_ids)
    return {
        "prediction": None if found.label is None else book.task.label_values[found.label],
        "confidence": None if found.confidence is None else round(found.confidence, 6),
        "principle_ids": " ".join(ids) if flat else ids,
        "error": found.error,
    }
