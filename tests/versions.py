"""The tests that touch each hard dependency, with the oldest versions that are allowed, or with the newest.

`python -m tests.versions oldest` (or `newest`) makes an environment of its own, which has no extra, and removes it.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

RESOLUTION = {"oldest": "lowest-direct", "newest": "highest"}
TOOLS = ("pytest>=8.3", "pytest-asyncio>=1", "pytest-socket>=0.7", "hypothesis>=6.120")
TESTS = (
    *("calls", "chains", "graph", "structured", "retries"),  # langchain-core, langgraph, tenacity
    *("constitution", "records", "files", "rulebook"),  # pydantic, pyyaml
    *("task", "labeler_graph", "scorecard", "calibration"),  # pandas, scikit-learn, scipy
    *("cli_train", "cli_label", "weights"),  # langgraph-checkpoint-sqlite, typer, rich, platformdirs
)
UV = (sys.executable, "-m", "uv")
ROOT = Path(__file__).parents[1]


def main(which: str) -> int:
    """Install, and run the tests."""
    with tempfile.TemporaryDirectory() as folder:
        python = Path(folder, "bin", "python")
        subprocess.run([*UV, "venv", "--quiet", "--python", sys.executable, folder], check=True)
        into = ["--quiet", "--python", str(python)]
        # What is older than a Python has no wheel for it; compiled here it would tell nothing of us.
        wheels = ["--only-binary", ":all:", "--no-binary", "langchain-model-alignment"]
        install = [*UV, "pip", "install", *into, "--resolution", RESOLUTION[which], *wheels]
        subprocess.run([*install, "--editable", str(ROOT)], check=True)
        subprocess.run([*UV, "pip", "install", *into, *TOOLS], check=True)
        files = [f"tests/unit_tests/test_{name}.py" for name in TESTS]
        # Old packages warn on a newer Python, which is no fault of ours.
        command = [str(python), "-m", "pytest", "-o", "filterwarnings=default", "-p", "no:cacheprovider", *files]
        return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    if sys.argv[1:] not in [[name] for name in RESOLUTION]:
        raise SystemExit(f"Say which versions: python -m tests.versions {'|'.join(RESOLUTION)}")
    raise SystemExit(main(sys.argv[1]))
