"""A labeling process that is really killed, again and again, until the same command comes to the end."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.simulated import rows

ROWS, WIDTH = 400, 8

PROGRAM = """
import sys
from langchain_model_alignment import Caller, Gate, label_file
from tests.fakes import ScriptedChatModel
from tests.simulated import SimulatedWorld, book_of

def reply(messages):
    with open("calls.txt", "a") as calls:
        calls.write(messages[1].text + "\\n")
    return SimulatedWorld()(messages)

caller = Caller(ScriptedChatModel(reply, latency=0.02), gate=Gate(int(sys.argv[2])))
label_file("in.csv", book_of({"yes": ["The text speaks of a newt."]}), caller, sys.argv[1])
"""


def start(folder: Path, out: str) -> subprocess.Popen[bytes]:
    root = str(Path(__file__).parents[2])
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, out, str(WIDTH)],
        cwd=folder,
        env={"PYTHONPATH": root, "PATH": ""},
        stderr=subprocess.PIPE,
    )


def calls(folder: Path) -> list[str]:
    file = folder / "calls.txt"
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_run_killed_twice_ends_with_the_same_file_and_repeats_only_what_was_in_flight(tmp_path: Path):
    lines = [f"{row['text']},{row['label']}" for row in rows(ROWS)]
    (tmp_path / "in.csv").write_text("\n".join(["text,label", *lines]), encoding="utf-8")
    for share in (ROWS // 4, ROWS // 2):
        process = start(tmp_path, "out.csv")
        while len(calls(tmp_path)) < share and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert not (tmp_path / "out.csv").exists()
    _, said = (last := start(tmp_path, "out.csv")).communicate()
    assert last.returncode == 0, said.decode()
    asked = calls(tmp_path)
    assert len(set(asked)) == ROWS
    assert len(asked) <= ROWS + 2 * WIDTH
    _, said = (whole := start(tmp_path, "whole.csv")).communicate()
    assert whole.returncode == 0, said.decode()
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
