"""`langchain-align train`: labels become a rulebook, in a folder that the same command goes on from."""

import shlex
import sqlite3
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from langchain_model_alignment.artifacts import make_place
from langchain_model_alignment.cache import SQLiteCache
from langchain_model_alignment.cli.progress import show_result
from langchain_model_alignment.cli.show import open_model, plain
from langchain_model_alignment.cli.training import TrainingRun
from langchain_model_alignment.errors import AlignmentError, ArtifactError, BudgetError, DataError
from langchain_model_alignment.labeling.labeled_tables import Rows, about, labels_in, read_table
from langchain_model_alignment.labeling.records import TrainingResult
from langchain_model_alignment.labeling.run import read_state
from langchain_model_alignment.labeling.run_folder import Asked, Record, RunFolder
from langchain_model_alignment.labeling.scorecard import make_metric
from langchain_model_alignment.labeling.splits import check_labels, data_fingerprint
from langchain_model_alignment.labeling.task import LabelingTask, Row
from langchain_model_alignment.loop import run_sync
from langchain_model_alignment.usage import Budget, Usage


class Metric(StrEnum):
    """What rulebooks are compared by."""

    accuracy = "accuracy"
    f1 = "f1"
    f1_binary = "f1_binary"
    balanced_accuracy = "balanced_accuracy"
    kappa = "kappa"
    quadratic_kappa = "quadratic_kappa"
    mae = "mae"


class Evaluation(StrEnum):
    """Whether candidates leave early."""

    race = "race"
    full = "full"


def run_train(
    data: Annotated[Path, typer.Argument(help="Labeled rows to learn from: .csv, .json or .jsonl.")],
    inputs: Annotated[
        list[str], typer.Option("--input", help="A column that the label is told from; repeat for more.")
    ],
    label: Annotated[str, typer.Option(help="The column that holds the label.")],
    out: Annotated[Path, typer.Option(help="The run's folder; the same command goes on with what is there.")],
    labels: Annotated[str | None, typer.Option(help='The labels, as "a,b"; those in the column, when absent.')] = None,
    ordered: Annotated[
        bool, typer.Option("--ordered", help="The --labels stand in order, as grades do; scores tell how far off.")
    ] = False,
    task: Annotated[str, typer.Option(help="The question, in a sentence.")] = "",
    model: Annotated[
        str, typer.Option(help="The model that labels: local, provider:model, or a path to a .gguf.")
    ] = "local",
    train_model: Annotated[str | None, typer.Option(help="The model that writes; the same, when absent.")] = None,
    validation: Annotated[
        Path | None, typer.Option(help="Labeled rows to compare rulebooks on; some of DATA, when absent.")
    ] = None,
    test: Annotated[Path | None, typer.Option(help="Labeled rows that are only scored, at the end.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="How many steps at most.")] = 5,
    seed: Annotated[int, typer.Option(help="Another seed samples other rows.")] = 0,
    metric: Annotated[Metric, typer.Option(help="What rulebooks are compared by.")] = Metric.accuracy,
    pos_label: Annotated[str | None, typer.Option(help="For f1_binary: the label whose F1 counts.")] = None,
    evaluation: Annotated[Evaluation, typer.Option(help="race lets candidates leave early.")] = Evaluation.race,
    max_precedents: Annotated[
        int, typer.Option(min=0, help="Training rows that the rulebook may show with their labels.")
    ] = 0,
    concurrency: Annotated[int, typer.Option(min=1, help="How many calls run at once.")] = 32,
    max_calls: Annotated[int | None, typer.Option(min=1, help="Model calls that the run may make.")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="Tokens that it may use, in and out.")] = None,
    max_seconds: Annotated[float | None, typer.Option(min=0, help="Seconds that it may take.")] = None,
    max_cost: Annotated[float | None, typer.Option(min=0, help="What it may cost; needs both prices.")] = None,
    input_price: Annotated[float | None, typer.Option(min=0, help="Price of 1,000,000 input tokens.")] = None,
    output_price: Annotated[float | None, typer.Option(min=0, help="Price of 1,000,000 output tokens.")] = None,
    print_: Annotated[bool, typer.Option("--print", help="Print the rulebook at the end.")] = False,
) -> None:
    """Train a rulebook on a table of labeled rows. Stopped or killed, the same command goes on."""
    console = Console()
    budget = Budget(
        max_calls=max_calls,
        max_tokens=max_tokens,
        max_seconds=max_seconds,
        max_cost=max_cost,
        input_price=input_price,
        output_price=output_price,
    )
    if ordered and not labels:
        raise DataError('--ordered needs the labels in their order; give them, as in --labels "bad,fair,good".')
    train_rows = read_table(data, [*inputs, label])
    with about(data):
        named = tuple(name.strip() for name in labels.split(",") if name.strip()) if labels else None
        asked = Asked(
            data=str(data),
            inputs=inputs,
            label=label,
            labels=list(named or labels_in(train_rows, label, data)),
            ordered=ordered,
            task=task,
            model=model,
            train_model=train_model,
            validation=None if validation is None else str(validation),
            test=None if test is None else str(test),
            steps=steps,
            seed=seed,
            metric=metric.value,
            pos_label=pos_label,
            evaluation=evaluation.value,
            max_precedents=max_precedents,
            concurrency=concurrency,
            budget=budget.model_dump(),
            sized_for=max_calls,
        )
        what = asked.labeling_task()
        make_metric(metric.value, what, pos_label)
        read = what.read(train_rows)
        check_labels(what, read)
    validation_rows, read_too = _labeled(validation, what)
    test_rows, tested = _labeled(test, what)
    folder = RunFolder(out)
    make_place(folder.record_file)
    record = Record(
        task_fingerprint=what.fingerprint(), data_fingerprint=data_fingerprint(read, read_too), arguments=asked
    )
    old = folder.record()
    if old is not None:
        folder.check(old, record)
        if run_sync(read_state(folder)).get("best"):  # what was scored on its rows is compared on them further
            asked.sized_for = old.arguments.sized_for
    trained = old is not None and _is_done(console, folder, old, asked, budget)
    if old is not None and trained:
        record = old
    test_fingerprint = data_fingerprint(tested)
    if trained and (test_rows is None or (record.test is not None and record.test.data == test_fingerprint)):
        console.print(plain(f"This run has ended before; more --steps go on with it. It is in {out}.", "dim"))
        _finish(console, folder, folder.result(), record if test_rows else record.model_copy(update={"test": None}))
    else:
        if not trained:
            folder.write(record)
        _note_shared(console, [*read, *read_too], tested)
        writer = open_model(train_model, console) if train_model else None
        answerer = open_model(model, console)
        with SQLiteCache(folder.answers) as cache:
            labeler = asked.labeler(writer or answerer, answerer, cache)
            given = None if test_rows is None else (test_rows, test_fingerprint)
            run = TrainingRun(console, labeler, folder, record, (train_rows, validation_rows), given)
            result, record = _guarded(console, folder, run, trained=trained)
        _finish(console, folder, result, record)
    if print_:
        console.print()
        console.print(plain(folder.result().rulebook.as_text()))


def _labeled(path: Path | None, task: LabelingTask) -> tuple[Rows | None, list[Row]]:
    if path is None:
        return None, []
    rows = read_table(path, [*task.input_names, task.label_name])
    with about(path):
        return rows, task.read(rows)


def _note_shared(console: Console, known: list[Row], test: list[Row]) -> None:
    texts = {row.text for row in known}
    if shared := sum(row.text in texts for row in test):
        words = "test row is" if shared == 1 else "test rows are"
        console.print(plain(f"{shared} {words} among the rows that training sees; its score means less.", "yellow"))


def _is_done(console: Console, folder: RunFolder, old: Record, asked: Asked, budget: Budget) -> bool:
    """Whether the run has nothing left to do under what is asked now."""
    if not old.finished or not folder.training.exists():
        return False
    if old.out_of_budget and asked.budget != old.arguments.budget:
        usage = Usage()
        usage.go_on(*folder.spent())
        try:
            budget.check(usage)
        except BudgetError as error:
            console.print(plain(str(error), "yellow"))
            return True
        return False
    return asked.steps <= old.arguments.steps or old.out_of_budget


def _guarded(console: Console, folder: RunFolder, run: TrainingRun, *, trained: bool) -> tuple[TrainingResult, Record]:
    kept = plain(f"What was done is kept in {folder.path}; the same command goes on.", "dim")
    try:
        return run_sync(run.run(trained=trained))
    except (OSError, sqlite3.Error) as error:
        raise ArtifactError(f"{folder.path} cannot be read or written ({error}); give another --out.") from error
    except KeyboardInterrupt:
        console.print()
        console.print(kept)
        raise typer.Exit(130) from None
    except AlignmentError:
        console.print(kept)
        raise


def _finish(console: Console, folder: RunFolder, result: TrainingResult, record: Record) -> None:
    show_result(console, result, record.test)
    there = [folder.rulebook.name, folder.training.name, *([folder.report.name] if folder.report.exists() else [])]
    console.print(plain(f"In {folder.path}: {', '.join(there)}."))
    model, book = shlex.quote(record.arguments.model), shlex.quote(str(folder.rulebook))
    console.print(plain("Now label new rows:"))
    command = f"langchain-align label NEW.csv --rulebook {book} --model {model} --out labels.csv"
    console.print(plain(command, "bold"), soft_wrap=True)
