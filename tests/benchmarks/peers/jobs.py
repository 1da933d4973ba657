"""A job as a JSON file in, what came out as a JSON file: how a method is asked that runs in another environment.

Nothing but the standard library: every environment imports this.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[3]
_SAID = 2_000

Job = dict[str, Any]
Result = dict[str, Any]


class JobError(Exception):
    """A method did not do its job."""


def ask(python: Path, module: str, job: Job, environment: Mapping[str, str] | None = None) -> Result:
    """Have a module do a job in a process of its own.

    Args:
        python: The interpreter, which tells the environment.
        module: A module that calls `answer`.
        job: What it is to do.
        environment: Variables on top of this process's own.

    Raises:
        JobError: It failed; with the end of what it said.
    """
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder, "job.json"), Path(folder, "result.json")
        given.write_text(json.dumps(job), encoding="utf-8")
        variables = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        variables |= environment or {}
        variables["PYTHONPATH"] = os.pathsep.join(filter(None, (variables.get("PYTHONPATH"), str(_ROOT))))
        done = subprocess.run(
            [str(python), "-m", module, str(given), str(made)],
            cwd=folder, env=variables, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode or not made.exists():
            raise JobError(f"{module} did not do its job:\n{done.stdout[-_SAID:]}\n{done.stderr[-_SAID:]}")
        found: Result = json.loads(made.read_text(encoding="utf-8"))
        return found


def answer(work: Callable[[Job], Result]) -> None:
    """Do the job named on the command line; what a module calls when it is run."""
    given, made = map(Path, sys.argv[1:3])
    found = work(json.loads(given.read_text(encoding="utf-8")))
    made.write_text(json.dumps(found), encoding="utf-8")
