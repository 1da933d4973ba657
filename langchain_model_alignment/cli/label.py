"""`langchain-align label`: a rulebook labels the rows of files, however many."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from langchain_model_alignment.cache import SQLiteCache
from langchain_model_alignment.calls import Caller
from langchain_model_alignment.cli.progress import duration, kinds, percent
from langchain_model_alignment.cli.show import indented, open_model, plain
from langchain_model_alignment.errors import AlignmentError, ConfigurationError
from langchain_model_alignment.gate import Gate
from langchain_model_alignment.labeling.cascade import Saved
from langchain_model_alignment.labeling.outputs import unfinished
from langchain_model_alignment.labeling.rulebook import Rulebook
from langchain_model_alignment.labeling.scorecard import distance_text
from langchain_model_alignment.labeling.stream import FileLabels, Progress, check_files, label_file
from langchain_model_alignment.labeling.tally import Tally
from langchain_model_alignment.usage import Budget

_SHOWN_LABELS = 12
_TOLD = 60.0  # seconds between two lines where there is no terminal


class Engine(StrEnum):
    """Where rows are labeled."""

    HERE = "here"
    RAY = "ray"


_PRICES = {"input_price", "output_price", "large_input_price", "large_output_price"}
_UNKNOWN = {
    Engine.HERE: {"address", "workers", "calls_per_minute"},
    Engine.RAY: {"large_model", "below", "cache", "resume", *_PRICES},
}

Price = Annotated[float | None, typer.Option(min=0, help="Price of 1,000,000 tokens, to tell what a cascade saved.")]


def run_label(
    context: typer.Context,
    data: Annotated[list[str], typer.Argument(help="The rows: .csv, .json, .jsonl or .parquet files, folders, globs.")],
    rulebook: Annotated[Path, typer.Option(help="The rulebook.json of a training run.")],
    out: Annotated[
        Path, typer.Option(help="Where to write the rows with their labels: a file, or a folder for a file each.")
    ],
    model: Annotated[str, typer.Option(help="The model: local, provider:model, or a path to a .gguf.")] = "local",
    explain: Annotated[bool, typer.Option("--explain", help="Also ask which principles decided.")] = False,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Leave the label out where the confidence is below this.")
    ] = None,
    large_model: Annotated[
        str | None, typer.Option(help="A second model, asked where the first is not sure enough.")
    ] = None,
    below: Annotated[
        float, typer.Option(min=0, max=1, help="The confidence below which the second model is asked.")
    ] = 0.8,
    concurrency: Annotated[int, typer.Option(min=1, help="How many calls of each model run at once.")] = 32,
    cache: Annotated[
        Path | None, typer.Option(help="Keeps the models' answers for later runs too, with other settings.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume/--anew", help="Go on where the same command stopped, or forget that.")
    ] = True,
    engine: Annotated[
        Engine,
        typer.Option(
            help="Where: in this process, or on Ray, on this machine or a cluster. On Ray a broken line ends the run, "
            "and what was stopped begins anew, in a new folder."
        ),
    ] = Engine.HERE,
    address: Annotated[str | None, typer.Option(help="With Ray: the cluster's address, such as 10.0.0.5:6379.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="With Ray: how many processes label.")] = 2,
    calls_per_minute: Annotated[
        float | None, typer.Option(min=0.01, help="With Ray: calls begun in a minute, over all workers.")
    ] = None,
    input_price: Price = None,
    output_price: Price = None,
    large_input_price: Price = None,
    large_output_price: Price = None,
) -> None:
    """Label the rows of files by a rulebook. Stopped or killed, the same command goes on and pays nothing twice."""
    console = Console()
    _refuse_for(engine, context)
    if engine is Engine.RAY:
        if len(data) > 1:
            raise ConfigurationError("Ray reads one file, folder or glob; give a single one.")
        from langchain_model_alignment.cli.label_ray import label_with_ray

        label_with_ray(
            console,
            Path(data[0]),
            rulebook,
            out,
            model,
            explain=explain,
            threshold=threshold,
            concurrency=concurrency,
            workers=workers,
            calls_per_minute=calls_per_minute,
            address=address,
        )
        return
    book = Rulebook.load(rulebook)
    check_files(data, book, out)  # before a local model is fetched and started
    with ExitStack() as stack:
        kept = stack.enter_context(SQLiteCache(cache)) if cache else None

        def caller(name: str, input_price: float | None, output_price: float | None) -> Caller:
            budget = Budget(input_price=input_price, output_price=output_price)
            return Caller(open_model(name, console), gate=Gate(concurrency), cache=kept, budget=budget)

        small = caller(model, input_price, output_price)
        large = caller(large_model, large_input_price, large_output_price) if large_model else None
        try:
            with _shown(console) as tell:
                found = label_file(
                    data,
                    book,
                    small,
                    out,
                    large_model=large,
                    below=below,
                    explain=explain,
                    threshold=threshold,
                    anew=not resume,
                    tell=tell,
                )
        except (KeyboardInterrupt, AlignmentError) as error:
            if (folder := unfinished(out)).exists():
                console.print(plain(f"What is labeled so far is in {folder}; the same command goes on.", "dim"))
            if isinstance(error, KeyboardInterrupt):
                raise typer.Exit(130) from None
            raise
    _say(console, found, book)
    if found.tally.rows == sum(found.tally.failures.values()):
        raise typer.Exit(1)


def _refuse_for(engine: Engine, context: typer.Context) -> None:
    """Refuse options that would change nothing where the rows are labeled."""
    for option in context.command.params:
        source = context.get_parameter_source(option.name or "")
        if option.name in _UNKNOWN[engine] and source is not None and source.name != "DEFAULT":
            name = "/".join([*option.opts, *option.secondary_opts])
            if engine is Engine.RAY:
                raise ConfigurationError(f"{name} is not there on Ray; leave it out, or --engine ray.")
            raise ConfigurationError(f"{name} is there only on Ray; leave it out, or add --engine ray.")


@contextmanager
def _shown(console: Console) -> Iterator[Callable[[Progress], None]]:
    """Show how far it is: a bar in a terminal, else a line now and then."""
    if console.is_terminal:
        columns = (
            TextColumn("labeling"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
        )
        with Bar(*columns, console=console, transient=True) as bar:
            task = bar.add_task("", total=None)
            yield lambda p: bar.update(task, completed=p.done, total=p.total, description=_pace(p))
        return
    told = time.monotonic()

    def tell(progress: Progress) -> None:
        nonlocal told
        if time.monotonic() - told >= _TOLD:
            told = time.monotonic()
            console.print(plain(f"({progress.done:,} of {progress.total:,} rows, {_pace(progress)})", "dim"))

    console.print(plain("(labeling …)", "dim"))
    yield tell


def _pace(progress: Progress) -> str:
    left = "" if progress.left is None else f" · {duration(progress.left)} left"
    failed = f" · {progress.failed:,} failed" if progress.failed else ""
    return f"{progress.rate:,.0f} a second{left}{failed}"


def _say(console: Console, found: FileLabels, book: Rulebook) -> None:
    tally = found.tally
    shown = [f"{label} {n:,}" for label, n in list(tally.labels.items())[:_SHOWN_LABELS]]
    more = ["…"] if len(tally.labels) > _SHOWN_LABELS else []
    labeled = f"{sum(tally.labels.values()):,} of {tally.rows:,} rows: {', '.join(shown + more) or 'none'}"
    console.print(plain(f"Labeled {labeled}."))
    console.print(plain(f"Asked about {found.asked:,} of them, in {duration(found.seconds)}.", "dim"))
    if tally.abstained:
        console.print(plain(f"Left without a label, because none was sure or readable: {tally.abstained:,}.", "yellow"))
    if found.unreadable:
        console.print(plain(f"Left out, because they could not be read: {found.unreadable:,}.", "red"))
    if tally.failures:
        console.print(plain(f"Failed: {kinds(tally.failures)}. The first one:", "red"))
        console.print(indented(plain(tally.first_error or "")))
        console.print(plain("The same command asks about these again.", "dim"))
    if found.failures:
        console.print(plain(f"What failed is in {found.failures}."))
    if found.saved:
        _say_saved(console, found.saved)
    _say_score(console, tally, book.task.label_name)
    console.print(plain(f"The labels are in {found.out}."))


def _say_saved(console: Console, saved: Saved) -> None:
    console.print(plain(f"{saved.large_rows:,} of {saved.rows:,} rows went to the large model."))
    tokens = "" if saved.large_tokens is None else f" and about {saved.large_tokens:,} tokens"
    console.print(
        plain(
            f"That saved {saved.large_calls:,} of its rows{tokens}, for {saved.small_calls:,} calls and "
            f"{saved.small_tokens:,} tokens of the small one."
        )
    )
    if saved.money is not None:
        console.print(plain(f"In money, by the prices given: about {saved.money:,.4g}."))


def _say_score(console: Console, tally: Tally, label_name: str) -> None:
    card = tally.scorecard()
    if card is None:
        return
    low, high = card["accuracy_interval"]
    right = sum(row[at] for at, row in enumerate(card["confusion"]))
    console.print(
        plain(
            f"Of {card['n']:,} rows that have a {label_name}, {right:,} are right: "
            f"accuracy {percent(card['accuracy'])} (95% interval {percent(low)} to {percent(high)}), "
            f"macro F1 {percent(card['f1'])}{f', {far}' if (far := distance_text(card)) else ''}."
        )
    )
    if tally.unknown:
        console.print(plain(f"{tally.unknown:,} more have a {label_name} that is no label of the rulebook.", "yellow"))
