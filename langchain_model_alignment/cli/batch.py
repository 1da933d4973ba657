"""`langchain-align batch`: a table of feedback aligns a prompt in one go."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from langchain_model_alignment.artifacts import make_place
from langchain_model_alignment.cache import SQLiteCache
from langchain_model_alignment.calls import Caller
from langchain_model_alignment.cli.show import indented, open_model, plain, prompt_diff, waiting
from langchain_model_alignment.errors import AlignmentError, ArtifactError, DataWarning, PromptError
from langchain_model_alignment.feedback.batch.align import BatchResult, align_batch
from langchain_model_alignment.feedback.batch.records import FeedbackRecord, UnusedRecord
from langchain_model_alignment.feedback.judging import Judge
from langchain_model_alignment.feedback.records import AlignedPrompt
from langchain_model_alignment.feedback.replay import ReplayReport, replay_prompt
from langchain_model_alignment.gate import Gate
from langchain_model_alignment.integrations.feedback_tables import read_feedback
from langchain_model_alignment.integrations.tables import columns_of, read_rows
from langchain_model_alignment.labeling.labeled_tables import about
from langchain_model_alignment.loop import run_sync
from langchain_model_alignment.usage import Budget

_SHOWN = 10


def run_batch(
    prompt_file: Annotated[Path, typer.Argument(help="A text file with the prompt, or an aligned prompt's JSON.")],
    feedback: Annotated[Path, typer.Argument(help="What people said: .csv or .jsonl.")],
    model: Annotated[str, typer.Option(help="The model: local, provider:model, or a path to a .gguf.")] = "local",
    inputs: Annotated[
        list[str] | None, typer.Option("--input", help="A column that holds a variable's value; repeat for more.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The aligned prompt's JSON; beside the prompt, when absent.")] = None,
    max_principles: Annotated[int, typer.Option(min=1, help="How many principles there may be in the end.")] = 30,
    concurrency: Annotated[int, typer.Option(min=1, help="How many calls run at once.")] = 32,
    max_calls: Annotated[int | None, typer.Option(min=1, help="Model calls that it may make.")] = None,
    again: Annotated[
        int, typer.Option("--replay", min=0, help="Inputs to answer again with the new prompt, and judge; 0 for none.")
    ] = 10,
) -> None:
    """Align a prompt with a table of feedback. Stopped or killed, the same command goes on."""
    console = Console()
    prompt = _read_prompt(prompt_file)
    target = out or prompt_file.with_name(f"{prompt_file.stem.removesuffix('.aligned')}.aligned.json")
    if target.exists() and not target.samefile(prompt_file):
        raise ArtifactError(
            f"{target} is there already; go on from it (langchain-align batch {target} {feedback}), or give another "
            "--out."
        )
    records = _read_records(console, feedback, prompt, inputs)
    make_place(target)
    answers = target.with_name(f"{target.name.removesuffix('.json')}.answers.sqlite")
    llm = open_model(model, console)
    with SQLiteCache(answers) as cache:
        caller = Caller(llm, gate=Gate(concurrency), cache=cache, budget=Budget(max_calls=max_calls))
        try:
            result = _align(console, caller, prompt, records, max_principles)
        except (KeyboardInterrupt, AlignmentError) as error:
            console.print(plain(f"The answers so far are kept in {answers}; the same command goes on.", "dim"))
            if isinstance(error, KeyboardInterrupt):
                raise typer.Exit(130) from None
            raise
        result.prompt.save(target)
        _show(console, prompt, result, len(records))
        _show_replay(console, _replay(console, caller, result.prompt, again))
    for suffix in ("", "-wal", "-shm"):
        answers.with_name(answers.name + suffix).unlink(missing_ok=True)
    console.print(plain(f"\nThe aligned prompt is in {target}."))


def _read_prompt(path: Path) -> AlignedPrompt:
    if path.suffix == ".json":
        return AlignedPrompt.load(path)
    try:
        text = path.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ArtifactError(f"{path} cannot be read ({reason}); give a text file with the prompt.") from error
    if not text:
        raise PromptError(f"{path} is empty; write the prompt into it.")
    return AlignedPrompt.from_prompt(text)


def _read_records(
    console: Console, path: Path, prompt: AlignedPrompt, inputs: Sequence[str] | None
) -> list[FeedbackRecord]:
    """The feedback in a table; columns named as the prompt's variables hold their values."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", DataWarning)
        rows = read_rows(path)
        with about(path):
            columns = columns_of(rows)
            named = [name for name in prompt.effective.variables if name in columns]
            records = read_feedback(rows, inputs=inputs or (named if "inputs" not in columns else None))
    for warning in said:
        console.print(plain(str(warning.message), "yellow"))
    return records


def _align(
    console: Console, caller: Caller, prompt: AlignedPrompt, records: list[FeedbackRecord], most: int
) -> BatchResult:
    if not console.is_terminal:
        console.print(plain(f"(reading {len(records)} pieces of feedback …)", "dim"))
        return align_batch(caller, prompt, records, max_principles=most)
    columns = (TextColumn("reading feedback"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task("", total=len(records))
        return align_batch(
            caller,
            prompt,
            records,
            max_principles=most,
            progress=lambda done: bar.update(task, completed=done),
        )


def _replay(console: Console, caller: Caller, prompt: AlignedPrompt, most: int) -> ReplayReport:
    """Answer the newest inputs again; the aligned prompt is saved already, so that a failure here costs only this."""
    if not most or not prompt.exchanges:
        return ReplayReport()
    judge = Judge(caller)
    with waiting(console, "answering inputs again with the new prompt"):
        try:
            return run_sync(replay_prompt(caller, judge, prompt, prompt.exchanges[-most:], {}, None))
        except KeyboardInterrupt:
            return ReplayReport()
        except AlignmentError as error:
            console.print(plain(f"The new prompt was not tried on earlier inputs: {error}", "yellow"))
            return ReplayReport()


def _show_replay(console: Console, report: ReplayReport) -> None:
    if not report.items:
        return
    console.print("\nTried again", style="bold")
    console.print(indented(plain(report.summary())))
    for line in report.troubles[:_SHOWN]:
        console.print(indented(plain(line, "red")))


def _show(console: Console, before: AlignedPrompt, result: BatchResult, records: int) -> None:
    console.print("\nPrinciples", style="bold")
    table = Table.grid(padding=(0, 2))
    for group in result.groups:
        count = len(group.records)
        table.add_row(plain(group.id or ""), plain(group.text), plain(f"{count} of {records}", "dim"))
    console.print(indented(plain("(none)", "dim")) if not result.groups else table)
    if result.left_out:
        first = result.left_out[0]
        some = "1 more was" if len(result.left_out) == 1 else f"{len(result.left_out)} more were"
        console.print(
            plain(
                f"{some} left out, having the least support (--max-principles); the first of them: "
                f"{first.text} ({len(first.records)} of {records})",
                "yellow",
            )
        )
    if result.conflicts:
        console.print("\nContradictions", style="bold")
        for sentence in result.conflicts:
            console.print(indented(plain(sentence, "yellow")))
    _show_unused(console, "Skipped", "dim", result.skipped)
    _show_unused(console, "Failed", "red", result.failed)
    console.print("\nPrompt", style="bold")
    console.print(prompt_diff(before.description, result.prompt.description))


def _show_unused(console: Console, title: str, style: str, unused: Sequence[UnusedRecord]) -> None:
    if not unused:
        return
    console.print(plain(f"\n{title}: {len(unused)}", "bold"))
    for one in unused[:_SHOWN]:
        console.print(indented(plain(f"{one.id}: {one.reason}", style)))
    if len(unused) > _SHOWN:
        console.print(indented(plain("…", style)))
