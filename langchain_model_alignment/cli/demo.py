"""`langchain-align demo`: the whole job once, on a local model, with a scripted person and a small table of labels."""

import csv
import io
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer
from langchain_core.language_models import BaseChatModel
from rich.console import Console

from langchain_model_alignment.artifacts import make_place
from langchain_model_alignment.cli.progress import TrainingDisplay, percent, spent
from langchain_model_alignment.cli.show import (
    answer_panel,
    changes,
    indented,
    numbered,
    open_model,
    plain,
    prompt_diff,
    show_author,
    waiting,
)
from langchain_model_alignment.cli.training import saying_warnings, score_on
from langchain_model_alignment.feedback.single_run import AlignableSingleRun
from langchain_model_alignment.labeling.graph import create_training_graph
from langchain_model_alignment.labeling.labeled_tables import Rows
from langchain_model_alignment.labeling.labeler import Labeler, result_of
from langchain_model_alignment.labeling.run import stream
from langchain_model_alignment.labeling.run_folder import RunFolder
from langchain_model_alignment.loop import run_sync

PROMPT = "Give three uses for the following item: {item}"
ITEM = "scissors"
CRITIQUE = "the list doesn't include any creative uses"
TASK = "Which desk should the message go to?"
STEPS = 2
HPARAMS = {  # small, so that two cores need minutes
    "n_calibration_examples": 30,
    "n_mining_examples": 24,
    "max_candidates": 2,
    "n_incorrect_predictions_to_sample": 2,
    "n_evidence_examples": 4,
    "patience": 2,
}


def run_demo(
    model: Annotated[str, typer.Option(help="The model: local, provider:model, or a path to a .gguf.")] = "local",
    out: Annotated[Path, typer.Option(help="The folder for aligned.json.")] = Path("align-demo"),
    train: Annotated[
        bool, typer.Option("--train/--no-train", help="Also train a labeler on labeled messages.")
    ] = False,
) -> None:
    """Align a prompt with one critique, then train a labeler, on a local model and without any key."""
    console = Console()
    path = out / "aligned.json"
    make_place(path)
    console.print(plain("One prompt, one critique, start to end: a minute or two on a laptop. Ctrl-C stops it.", "dim"))
    if train:
        console.print(plain("Then labels train a rulebook: ten to fifteen minutes more.", "dim"))
    llm = open_model(model, console)
    _align(console, llm, path)
    if train:
        _train(console, llm, out)
    console.print(plain("\nNow your own:"))
    console.print(plain("  langchain-align feedback PROMPT.txt --input name=value"))
    console.print(plain("  langchain-align train DATA.csv --input COLUMN --label COLUMN --out run"))


def _align(console: Console, llm: BaseChatModel, path: Path) -> None:
    run = AlignableSingleRun(llm)
    run.set_model_description(PROMPT)

    _heading(console, 1, "A prompt, and what the model answers")
    console.print(indented(plain(PROMPT)), indented(plain(f"item = {ITEM}", "dim")), sep="")
    with waiting(console, "answering"):
        answer = run.send_input({"item": ITEM})
    console.print(answer_panel(answer, "Answer"))

    _heading(console, 2, "Critiques that the model itself suggests")
    with waiting(console, "reading the answer"):
        suggestions = run.generate_critiques()
    console.print(numbered(suggestions))

    _heading(console, 3, "A person's critique becomes a principle")
    console.print(indented(plain(f"“{CRITIQUE}”")))
    before = run.data
    with waiting(console, "finding the principle"):
        run.critique_response(CRITIQUE)
    console.print(changes(before.constitution.diff(run.data.constitution)))
    show_author(console, run.data.history.revisions[-1].author)

    _heading(console, 4, "The principle becomes part of the prompt")
    with waiting(console, "rewriting the prompt"):
        run.update_model_description_from_principles()
    console.print(prompt_diff(before.description, run.get_model_description()))

    _heading(console, 5, "The same item, with the aligned prompt")
    with waiting(console, "answering again"):
        answer = run.send_input({"item": ITEM})
    console.print(answer_panel(answer, "Answer"))

    run.data.save(path)
    console.print(plain(f"\nThe prompt, its principle and its history are in {path}."))


def _train(console: Console, llm: BaseChatModel, out: Path) -> None:
    tables = _desks()
    train, validation, test = tables["train"], tables["validation"], tables["test"]
    maker = Labeler(["message"], "desk", ["heron", "falcon"], TASK, llm, hparams=HPARAMS)

    _heading(console, 6, "Labels train a rulebook")
    console.print(indented(plain(f"The question: {TASK}")))
    console.print(indented(plain("The labels: heron, falcon. Their names say nothing; only the examples do, such as")))
    shown = [row for label in ("heron", "falcon") for row in [r for r in train if r["desk"] == label][:2]]
    for row in shown:
        console.print(indented(plain(f"  {row['desk']}: {row['message']}", "dim")))
    told = f"{len(train)} rows to learn from, {len(validation)} to compare rulebooks on, {len(test)} to test with."
    console.print(indented(plain(told)))
    with saying_warnings(console):
        training = maker.prepare(train, validation)

    async def begin() -> float:
        empty = await training.calibrate(await training.begin(None), None)
        return (await score_on(maker, empty, test))[0]

    with waiting(console, "labeling the test rows without any principle"):
        zero_shot = run_sync(begin())
    console.print(plain(f"Without principles, {percent(zero_shot)} of the {len(test)} test rows are right."))
    with TrainingDisplay(console, maker.usage, training.metric_name, STEPS) as display:
        graph = create_training_graph(training).compile()
        result = result_of(training, run_sync(stream(graph, {"steps": STEPS}, None, display)))  # type: ignore[arg-type]

    _heading(console, 7, "The rulebook that was learned")
    console.print(indented(plain(result.rulebook.as_text())))
    with waiting(console, "labeling the test rows by it"):
        trained = run_sync(score_on(maker, result.rulebook, test))[0]
    sentence = (
        f"With the rulebook, {percent(trained)} of the {len(test)} test rows are right; without, {percent(zero_shot)}."
    )
    console.print(plain(f"\n{sentence}", "bold"))
    console.print(plain(f"Spent: {spent(maker.usage)}.", "dim"))
    folder = RunFolder(out)
    if unreported := folder.keep(result):
        console.print(plain(unreported, "yellow"))
    report = f" and its report in {folder.report}" if folder.report.exists() else ""
    console.print(plain(f"\nThe rulebook is in {folder.rulebook}{report}."))


def _desks() -> dict[str, Rows]:
    text = files("langchain_model_alignment.cli").joinpath("demo_desks.csv").read_text(encoding="utf-8")
    tables: dict[str, Rows] = {}
    for row in csv.DictReader(io.StringIO(text, newline="")):
        tables.setdefault(row.pop("split"), []).append(dict(row))
    return tables


def _heading(console: Console, number: int, words: str) -> None:
    console.print(f"\n{number}  {words}", style="bold", markup=False, highlight=False)
