"""`langchain-align demo`: the whole job once, on a local model, with a scripted person."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from langchain_model_alignment.artifacts import make_place
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
from langchain_model_alignment.feedback.single_run import AlignableSingleRun

PROMPT = "Give three uses for the following item: {item}"
ITEM = "scissors"
CRITIQUE = "the list doesn't include any creative uses"


def run_demo(
    model: Annotated[str, typer.Option(help="The model: local, provider:model, or a path to a .gguf.")] = "local",
    out: Annotated[Path, typer.Option(help="The folder for aligned.json.")] = Path("align-demo"),
    no_train: Annotated[bool, typer.Option("--no-train", help="Leave out the part that trains a labeler.")] = False,
) -> None:
    """Align a prompt with one critique, on a local model and without any key."""
    console = Console()
    path = out / "aligned.json"
    make_place(path)
    console.print(plain("One prompt, one critique, start to end: a minute or two on a laptop. Ctrl-C stops it.", "dim"))
    llm = open_model(model, console)
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
    console.print(plain("Now your own: langchain-align feedback PROMPT.txt --input name=value"))


def _heading(console: Console, number: int, words: str) -> None:
    console.print(f"\n{number}  {words}", style="bold", markup=False, highlight=False)
