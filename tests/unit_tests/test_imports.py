"""Importing the library stays light: what is heavy is loaded at its first use."""

import subprocess
import sys

HEAVY = ("pandas", "sklearn", "typer", "openai", "torch", "xllamacpp", "langchain_openai", "transformers")
NAMES = (
    "AlignableSingleRun, create_feedback_graph, create_principle_chain, AlignedPrompt, Review, resolve_chat_model, "
    "adherence_table, create_adherence_chain, create_conflict_chain, align_batch, read_feedback, from_langsmith"
)


def test_importing_the_feedback_names_loads_nothing_heavy():
    # rich cannot be imported here at all: httpx, which langgraph needs, takes it along wherever it is installed.
    code = f"""
import sys
sys.modules["rich"] = None
import langchain_model_alignment
from langchain_model_alignment import {NAMES}
print(*[name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
