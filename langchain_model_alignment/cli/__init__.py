"""The command line, `langchain-align`."""

import io
import os
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line; what goes wrong is one sentence, and the exit code 1."""
    from langchain_model_alignment.cli.app import app
    from langchain_model_alignment.errors import AlignmentError

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a character gets another one
    try:
        app()
    except AlignmentError as error:
        _fail(str(error))
    except Exception as error:
        if os.environ.get("LANGCHAIN_ALIGN_DEBUG"):
            raise
        _fail(f"Unexpected {type(error).__name__}: {error}. This is a defect; LANGCHAIN_ALIGN_DEBUG=1 shows where.")


def _fail(sentence: str) -> None:
    from rich.console import Console

    Console(stderr=True).print(sentence, style="red", markup=False, highlight=False)
    sys.exit(1)
