"""`langchain-align label`: a rulebook labels the rows of a table."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer
from langchain_core.runnables import RunnableConfig
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from langchain_model_alignment.artifacts import make_place
from langchain_model_alignment.cache import SQLiteCache
from langchain_model_alignment.calls import Caller
from langchain_model_alignment.cli.progress import kinds, percent
from langchain_model_alignment.cli.show import indented, open_model, plain
from langchain_model_alignment.cli.tables import Rows, about, check_suffix, is_missing, read_table, write_table
from langchain_model_alignment.errors import AlignmentError, DataError
from langchain_model_alignment.gate import Gate
from langchain_model_alignment.labeling.classifier import Classifier, Labeled, label_rows
from langchain_model_alignment.labeling.rulebook import Rulebook
from langchain_model_alignment.labeling.scorecard import make_scorecard
from langchain_model_alignment.labeling.task import LabelingTask, Row
from langchain_model_alignment.loop import run_sync

_ADDED = ("prediction", "confidence", "principle_ids", "error")
_SHOWN_LABELS = 12


def run_label(
    data: Annotated[Path, typer.Argument(help="The rows: .csv, .json or .jsonl.")],
    rulebook: Annotated[Path, typer.Option(help="The rulebook.json of a training run.")],
    out: Annotated[Path, typer.Option(help="Where to write the rows with their labels: .csv, .json or .jsonl.")],
    model: Annotated[str, typer.Option(help="The model: local, provider:model, or a path to a .gguf.")] = "local",
    explain: Annotated[bool, typer.Option("--explain", help="Also ask which principles decided.")] = False,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Leave the label out where the confidence is below this.")
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="How many calls run at once.")] = 32,
    cache: Annotated[
        Path | None, typer.Option(help="Where answers are kept; beside --out and until the end, when absent.")
    ] = None,
) -> None:
    """Label the rows of a table by a rulebook. Stopped or killed, the same command goes on."""
    console = Console()
    book = Rulebook.load(rulebook)
    check_suffix(out)
    rows = read_table(data, book.task.input_names)
    if clash := [name for name in _ADDED if any(name in row for row in rows)]:
        raise DataError(f"{data} has a column {clash[0]!r} already, which would be overwritten; rename it.")
    if out.exists() and out.samefile(data):
        raise DataError(f"{out} is the table to be labeled; give --out another file.")
    make_place(out)
    with about(data):
        read = book.task.read(rows, labeled=False)
    answers = cache or out.with_name(f"{out.name}.answers.sqlite")
    llm = open_model(model, console)
    with SQLiteCache(answers) as kept:
        caller = Caller(llm, gate=Gate(concurrency), cache=kept)
        classifier = _Counting(caller, book, explain=explain, threshold=threshold)
        try:
            found = _label(console, classifier, read)
        except (KeyboardInterrupt, AlignmentError) as error:
            console.print(plain(f"The answers so far are kept in {answers}; the same command goes on.", "dim"))
            if isinstance(error, KeyboardInterrupt):
                raise typer.Exit(130) from None
            raise
    flat = out.suffix.lower() == ".csv"
    write_table(out, [{**row, **_cells(book.task, f, flat)} for row, f in zip(rows, found, strict=True)])
    if cache is None:
        for suffix in ("", "-wal", "-shm"):
            answers.with_name(answers.name + suffix).unlink(missing_ok=True)
    _say(console, book.task, rows, found)
    console.print(plain(f"The labels are in {out}."))
    if all(f.error is not None for f in found):
        raise typer.Exit(1)


class _Counting(Classifier):
    """Tells how many rows are done."""

    done = 0

    def tell(self) -> None:
        """Show it."""

    async def label(self, row: str, config: RunnableConfig | None = None) -> Labeled:
        """Label a row, and count it."""
        found = await super().label(row, config)
        self.done += 1
        self.tell()
        return found


def _label(console: Console, classifier: _Counting, rows: list[Row]) -> list[Labeled]:
    if not console.is_terminal:
        console.print(plain(f"(labeling {len(rows)} rows …)", "dim"))
        return run_sync(label_rows(classifier, rows))
    columns = (TextColumn("labeling"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=len(rows))
        classifier.tell = lambda: bar.update(task, completed=classifier.done)  # type: ignore[method-assign]
        return run_sync(label_rows(classifier, rows))


def _cells(task: LabelingTask, found: Labeled, flat: bool) -> dict[str, Any]:
    ids = list(found.principle_ids)
    return {
        "prediction": None if found.label is None else task.label_values[found.label],
        "confidence": None if found.confidence is None else round(found.confidence, 6),
        "principle_ids": " ".join(ids) if flat else ids,
        "error": found.error,
    }


def _say(console: Console, task: LabelingTask, rows: Rows, found: list[Labeled]) -> None:
    counts = Counter(task.labels[f.label] for f in found if f.label is not None)
    shown = [f"{label} {n}" for label, n in counts.most_common(_SHOWN_LABELS)]
    more = ["…"] if len(counts) > _SHOWN_LABELS else []
    console.print(plain(f"Labeled {sum(counts.values())} of {len(found)} rows: {', '.join(shown + more) or 'none'}."))
    if abstained := sum(f.label is None and f.error is None for f in found):
        console.print(plain(f"Left without a label, because none was sure or readable: {abstained}.", "yellow"))
    failures = Counter(f.kind for f in found if f.error is not None)
    if failures:
        first = next(f.error for f in found if f.error is not None)
        console.print(plain(f"Failed: {kinds(failures)}. The first one:", "red"))
        console.print(indented(plain(first or "")))
    known = [
        (task.index_of(row.get(task.label_name)), f)
        for row, f in zip(rows, found, strict=True)
        if not is_missing(row.get(task.label_name))
    ]
    pairs = [(true, f) for true, f in known if true is not None]
    if not pairs:
        return
    true, given = [t for t, _ in pairs], [-1 if f.label is None else f.label for _, f in pairs]
    card = make_scorecard(task, true, given, sum(f.error is not None for _, f in pairs))
    low, high = card["accuracy_interval"]
    right = sum(t == g for t, g in zip(true, given, strict=True))
    console.print(
        plain(
            f"Of {len(pairs)} rows that have a {task.label_name}, {right} are right: "
            f"accuracy {percent(card['accuracy'])} "
            f"(95% interval {percent(low)} to {percent(high)}), macro F1 {percent(card['f1'])}."
        )
    )
    if unknown := len(known) - len(pairs):
        console.print(plain(f"{unknown} more have a {task.label_name} that is no label of the rulebook.", "yellow"))
