"""Labeling as many rows as there are: a stream of them, or files into files, in constant memory.

Every label is kept beside the output the moment it is there (`kept.py`), under a hash of what the model was shown. That
one record makes equal rows cost once and makes a killed run go on: the same command reads the files again from their
beginning, which takes seconds, asks only about rows that have no label yet, and writes the same file.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langchain_core.runnables import RunnableConfig

from langchain_model_alignment.calls import Caller, ChatModelLike, as_caller
from langchain_model_alignment.constitution import digest
from langchain_model_alignment.errors import AlignmentError, DataError
from langchain_model_alignment.gathering import stream_from
from langchain_model_alignment.labeling.cascade import Cascade, Saved
from langchain_model_alignment.labeling.cells import ADDED, samples_of
from langchain_model_alignment.labeling.classifier import Classifier, Prediction
from langchain_model_alignment.labeling.file_pass import AHEAD, FilePass, Labels, Progress, classifiers_of
from langchain_model_alignment.labeling.kept import Kept
from langchain_model_alignment.labeling.outputs import Output, check_out, failures_of
from langchain_model_alignment.labeling.rulebook import Rulebook
from langchain_model_alignment.labeling.sources import Source, find_files
from langchain_model_alignment.labeling.tables import Scan, pyarrow, scan
from langchain_model_alignment.labeling.tally import Tally
from langchain_model_alignment.loop import run_sync

__all__ = ["FileLabels", "Progress", "alabel_file", "astream_labels", "check_files", "label_file"]


@dataclass(frozen=True, slots=True)
class FileLabels:
    """What came of labeling files.

    Attributes:
        out: Where the rows are.
        failures: Where the rows are that could not be read or labeled; None where there are none.
        tally: How many rows got which label, and how many are right where that is known.
        unreadable: Rows that are left out, because they could not be read.
        asked: Rows that the model was asked about; the others are equal to one of them, or were known from before.
        saved: What a cascade saved.
        seconds: How long it took.
    """

    out: Path
    failures: Path | None
    tally: Tally
    unreadable: int
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
) -> AsyncGenerator[tuple[Mapping[str, Any], Prediction], None]:
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
        >>> import asyncio
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

    async with aclosing(stream_from(rows, label, width, AHEAD * width)) as batches:
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
        >>> _ = rows.write_text("comment" + chr(10) + "What a lovely day")
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
    scans = await asyncio.to_thread(check_files, source, book, out)  # it reads every row, and the loop is the caller's
    labels = _labels(book, as_caller(model), large_model, below, explain=explain, threshold=threshold)
    output = Output(out, scans, samples_of(book.task))
    with Kept(output.folder, _about(labels), anew=anew) as kept:  # from here on no other process is at work there
        output.begin()
        run = FilePass(labels, book, output, kept, sum(found.rows for found in scans.values()), tell)
        try:
            await run.label(scans, config)
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
        unreadable=run.unreadable,
        asked=run.asked,
        saved=labels.saved() if isinstance(labels, Cascade) else None,
        seconds=run.seconds(),
    )


def check_files(source: Source, book: Rulebook, out: Path) -> dict[Path, Scan]:
    """Look through files, and refuse what cannot be labeled by this rulebook or be written there.

    Returns:
        The files, and what is in each.

    Raises:
        DataError: As for `label_file`.
        ArtifactError: A file as a whole cannot be read, or nothing can be written there.
        ConfigurationError: A .parquet file is given or wanted, and pyarrow is not installed.
    """
    files = find_files(source)
    check_out(out, source, files)
    if typed := out.suffix.lower() == ".parquet":
        pyarrow()
    scans = {file: scan(file, typed=typed) for file in files}
    for file, found in scans.items():
        if missing := [name for name in book.task.input_names if name not in found.columns and found.rows]:
            raise DataError(
                f"{file} has no column {', '.join(map(repr, missing))}; its columns are: "
                f"{', '.join(found.columns[:20])}."
            )
        if clash := [name for name in ADDED if name in found.columns]:
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


def _about(labels: Labels) -> str:
    """Name all that decides what is found for a row."""
    told: list[Any] = [labels.below, labels.explain] if isinstance(labels, Cascade) else []
    for classifier in classifiers_of(labels):
        book = classifier.rulebook
        calibration = book.calibration and book.calibration.model_dump(include={"bias", "slope", "weights"})
        told += [book.fingerprint(), calibration, classifier.threshold, classifier.explain]
        told.append(classifier.caller.traits.identity)
    return digest(told)
