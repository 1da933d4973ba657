"""An environment of its own for each peer, installed once and kept in the user's cache folder."""

import os
import subprocess
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs


@dataclass(frozen=True)
class Environment:
    """What a peer needs.

    Attributes:
        name: Of the folder; a new version takes another name.
        packages: To install, with their dependencies.
        alone: To install without dependencies.
        stubs: Modules by path that stand in for dependencies which the work never touches.
    """

    name: str
    packages: tuple[str, ...]
    alone: tuple[str, ...] = ()
    stubs: Mapping[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return Path(platformdirs.user_cache_dir("langchain-model-alignment")) / "benchmarks" / self.name

    @property
    def python(self) -> Path:
        return self.folder / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    @property
    def variables(self) -> dict[str, str]:
        """What a process in it is told on top of its own environment."""
        return {"PYTHONPATH": str(self.folder / "stubs")} if self.stubs else {}

    def install(self) -> None:
        """Install it where that was not done yet.

        Raises:
            OSError: No environment can be made here.
            subprocess.CalledProcessError: A package cannot be had.
        """
        ready = self.folder / "ready"
        if ready.exists():
            return
        venv.create(self.folder / "venv", with_pip=True, clear=True)
        pip = [str(self.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        if self.alone:
            subprocess.run([*pip, "--no-deps", *self.alone], check=True, capture_output=True)
        subprocess.run([*pip, *self.packages], check=True, capture_output=True)
        for name, text in self.stubs.items():
            file = self.folder / "stubs" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        ready.touch()


# Its dependencies for Gemini and Gemma (google-genai, keras-nlp) are gigabytes that the work never touches: empty
# modules stand in for them, so that it imports.
MODEL_ALIGNMENT = Environment(
    "model-alignment-0.3",
    packages=("jinja2", "numpy", "pandas", "scikit-learn", "tqdm"),
    alone=("model-alignment==0.3",),
    stubs={
        "keras_nlp.py": "",
        "google/__init__.py": "",
        "google/genai/__init__.py": "from google.genai import types\n",
        "google/genai/types.py": "",
    },
)
DSPY = Environment("dspy-3.4.1", packages=("dspy[optuna]==3.4.1", "gepa==0.1.4"))
PROMPTOLUTION = Environment("promptolution-2.3.0", packages=("promptolution[api]==2.3.0",))
LANGMEM = Environment("langmem-0.0.30", packages=("langmem==0.0.30",))
PEERS = (MODEL_ALIGNMENT, DSPY, PROMPTOLUTION)


def describe_peers(peers: Sequence[Environment] = PEERS) -> dict[str, str]:
    """Tell which versions are compared."""
    return {"peers": ", ".join(environment.name for environment in peers)}
