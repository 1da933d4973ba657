"""`langchain-align feedback`: the loop in a terminal. All it shows and does goes through the feedback graph."""

import sqlite3
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from langchain_model_alignment.artifacts import make_place
from langchain_model_alignment.calls import Caller
from langchain_model_alignment.cli.session import Session
from langchain_model_alignment.cli.show import open_model, plain
from langchain_model_alignment.errors import AlignmentError, ArtifactError, PromptError
from langchain_model_alignment.feedback.graph import create_feedback_graph
from langchain_model_alignment.feedback.records import AlignedPrompt

_EARLIER = 3  # other inputs that are answered again after a change


def run_feedback(
    prompt_file: Annotated[Path, typer.Argument(help="A text file with the prompt, or an aligned prompt's JSON.")],
    model: Annotated[str, typer.Option(help="The model: local, provider:model, or a path to a .gguf.")] = "local",
    alignment_model: Annotated[
        str | None, typer.Option(help="The model that writes principles; the same, when absent.")
    ] = None,
    inputs: Annotated[
        list[str] | None, typer.Option("--input", help="A value for a variable, as name=value; repeat for more.")
    ] = None,
    candidates: Annotated[int, typer.Option(min=1, max=9, help="How many answers to choose from.")] = 1,
    out: Annotated[Path | None, typer.Option(help="The aligned prompt's JSON; beside the prompt, when absent.")] = None,
    checks: Annotated[
        bool, typer.Option(help="Judge new answers by what you said, and look after earlier inputs.")
    ] = True,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the session that is saved there.")] = False,
) -> None:
    """Align a prompt in the terminal: read an answer, say what is wrong or right, see what changes."""
    console = Console()
    target = out or prompt_file.with_name(f"{prompt_file.stem.removesuffix('.aligned')}.aligned.json")
    session = target.with_name(f"{target.name.removesuffix('.json')}.session.sqlite")
    if resume and not session.exists():
        if target.exists():
            raise ArtifactError(f"The session was accepted; begin a new one from it: langchain-align feedback {target}")
        raise ArtifactError(f"There is no session at {session} to go on with; leave --resume out to begin one.")
    if not resume and session.exists():
        raise ArtifactError(f"A session is saved at {session}; go on with --resume, or give another --out.")
    if not resume and target.exists() and not (target.suffix == ".json" and target.resolve() == prompt_file.resolve()):
        raise ArtifactError(
            f"{target} is there already; go on from it (langchain-align feedback {target}), or give another --out."
        )
    make_place(target)
    start = None if resume else _start(prompt_file, inputs or [])
    caller = Caller(open_model(model, console))
    aligner = Caller(open_model(alignment_model, console)) if alignment_model else caller
    graph = create_feedback_graph(
        caller,
        alignment_model=aligner,
        candidates=candidates,
        check_intent=checks,
        replay_inputs=_EARLIER if checks else 0,
    )
    try:
        Session(console, graph, aligner, target, session).run(start)
    except (OSError, sqlite3.Error) as error:
        raise ArtifactError(
            f"The session at {session} cannot be read or written ({error}); give another --out."
        ) from error
    except (KeyboardInterrupt, EOFError):
        console.print()
        _say_saved(console, target)
        raise typer.Exit(130) from None
    except AlignmentError:
        _say_saved(console, target)
        raise


def _start(prompt_file: Path, inputs: list[str]) -> dict[str, Any]:
    try:
        text = prompt_file.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ArtifactError(f"{prompt_file} cannot be read ({reason}); give a text file with the prompt.") from error
    if not text:
        raise PromptError(f"{prompt_file} is empty; write the prompt into it.")
    aligned = prompt_file.suffix == ".json"
    prompt = AlignedPrompt.load(prompt_file) if aligned else AlignedPrompt.from_prompt(text)
    values: dict[str, Any] = {}
    for pair in inputs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise PromptError(f"--input {pair!r} has no value; write it as name=value.")
        values[name.strip()] = value
    for name in prompt.effective.variables:
        if name not in values:
            values[name] = typer.prompt(f"A value for {{{name}}}")
    prompt.effective.check_inputs(values)
    return {"prompt": prompt.model_dump(mode="json"), "inputs": values}


def _say_saved(console: Console, target: Path) -> None:
    saved = f"Saved in {target}." if target.exists() else "Everything up to the last finished step is saved."
    console.print(plain(f"{saved} Go on with --resume.", "dim"))
