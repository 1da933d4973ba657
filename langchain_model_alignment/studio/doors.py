"""Who comes in: this machine alone, or whoever gives the key."""

from fastapi import FastAPI

from langchain_model_alignment.integrations.serving.guard import OwnNamesOnly

__all__ = ["add_doors"]


def add_doors(app: FastAPI, key: str | None) -> None:
    """Let in this machine's own names and pages only, or with a key whoever gives it."""
    app.add_middleware(OwnNamesOnly)
