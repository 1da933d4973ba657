"""`langchain-align batch`: what is read, shown and saved, and how it goes on; with scripted models."""

import io
import json
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from rich.console import Console
from typer.testing import CliRunner

from langchain_model_alignment import AlignedPrompt
from langchain_model_alignment.calls import Caller
from langchain_model_alignment.cli.app import app
from langchain_model_alignment.cli.batch import _align
from langchain_model_alignment.errors import ArtifactError, AuthenticationError, BudgetError, DataError, PromptError
from langchain_model_alignment.integrations.feedback_tables import read_feedback
from tests.fakes import ScriptedChatModel, http_error
from tests.unit_tests.test_batch import PROMPT, Mind, odd

Run = Callable[..., Result]
ROWS = (
    "message,response,rating,comment\n"
    "Where is it?,It depends.,👎,Use at most 40 words.\n"
    "Why?,Because.,bad,Use at most 40 words!\n"
    "When?,Soon.,👎,Write at least 200 words.\n"
    "Who?,We.,👍,Be polite.\n"
    "How?,Well.,👍,\n"
)


@pytest.fixture
def batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `langchain-align batch` in a folder with a prompt and five rows."""
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.chdir(tmp_path)
    Path("reply.txt").write_text(f"{PROMPT}\n", encoding="utf-8")
    Path("said.csv").write_text(ROWS, encoding="utf-8")

    def run(
        *options: str,
        mind: Any = None,
        model: Any = None,
        prompt: str = "reply.txt",
        data: str = "said.csv",
        again: int = 0,
    ) -> Result:
        used = model or ScriptedChatModel(mind or Mind())
        monkeypatch.setattr("langchain_model_alignment.cli.batch.open_model", lambda *_: used)
        return CliRunner().invoke(app, ["batch", prompt, data, "--replay", str(again), *options])

    return run


def flat(result: Result) -> str:
    return " ".join(result.output.split())


def saved(path: str = "reply.aligned.json") -> AlignedPrompt:
    return AlignedPrompt.load(path)


def test_principles_their_support_contradictions_and_the_prompt_are_shown(batch: Run):
    result = batch()
    assert result.exit_code == 0, result.output
    said = flat(result)
    assert "1 row has no words to learn from, such as a rating without a comment; it is left out." in said
    assert "p1 Use at most 40 words. 2 of 4" in said
    assert "p2 Be polite. 1 of 4" in said
    assert "“Write at least 200 words.” (asked once) contradicts “Use at most 40 words.” (asked 2 times)" in said
    assert f"- {PROMPT}" in said
    assert f"+ {PROMPT} Use at most 40 words. Be polite." in said
    assert "The aligned prompt is in reply.aligned.json." in said


def test_inputs_are_answered_again_with_the_new_prompt_and_judged(batch: Run):
    mind = Mind()

    def reply(messages: list[Any]) -> Any:
        if "whether a prompt's new answer" in messages[0].text:
            kept = "Use at most" not in messages[-1].text
            return json.dumps({"sayings": [{"number": 1, "kept": kept, "reason": "It is long."}]})
        return "A new answer." if len(messages) == 1 else mind(messages)

    result = flat(batch(mind=reply, again=2))
    assert "Tried again 2 earlier inputs answered again: 2 changed" in result


def test_the_aligned_prompt_is_saved_with_its_exchanges_and_nothing_else_stays_behind(batch: Run, tmp_path: Path):
    batch()
    prompt = saved()
    assert [p.text for p in prompt.principles] == ["Use at most 40 words.", "Be polite."]
    assert [e.inputs for e in prompt.exchanges][:2] == [{"message": "Where is it?"}, {"message": "Why?"}]
    assert {file.name for file in tmp_path.iterdir()} == {"reply.txt", "said.csv", "reply.aligned.json"}


def test_json_lines_with_a_dict_of_inputs_are_read_too(batch: Run):
    rows = [{"inputs": {"message": "Hi"}, "response": "Yo.", "critique": "Be polite.", "kudos": "It is short"}]
    Path("said.jsonl").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    assert batch(data="said.jsonl").exit_code == 0
    assert [(e.id, e.inputs) for e in saved().exchanges] == [
        ("row1.critique", {"message": "Hi"}),
        ("row1.kudos", {"message": "Hi"}),
    ]


def test_columns_of_inputs_may_be_named(batch: Run):
    batch("--input", "message", "--input", "rating", "--out", "other.json")
    assert saved("other.json").exchanges[0].inputs == {"message": "Where is it?", "rating": "👎"}


def test_an_aligned_prompt_goes_on_from_where_it_is_and_skips_what_it_knows(batch: Run):
    batch()
    Path("said.csv").write_text(ROWS + "Whose?,Ours.,👎,Name the price.\n", encoding="utf-8")
    mind = Mind()
    result = batch(prompt="reply.aligned.json", mind=mind)
    assert result.exit_code == 0, result.output
    assert mind.asked == ["extract", "weave"]
    assert "Skipped: 4" in result.output
    assert [p.text for p in saved().principles] == ["Use at most 40 words.", "Be polite.", "Name the price."]


def test_no_more_principles_than_asked_for_are_kept_and_that_is_said(batch: Run):
    said = flat(batch("--max-principles", "1"))
    assert "2 more were left out, having the least support (--max-principles)" in said
    assert len(saved().principles) == 1


def test_a_failed_record_is_named(batch: Run):
    Path("said.csv").write_text(ROWS.replace("Be polite.", "fail"), encoding="utf-8")
    result = batch(mind=Mind(extract=odd))
    assert result.exit_code == 0
    assert "Failed: 1" in result.output
    assert "row4: " in result.output
    assert "too odd" in result.output


def test_what_is_written_steers_no_terminal(batch: Run):
    Path("said.csv").write_text(ROWS.replace("Be polite.", "Be \x1b[31m[red]polite."), encoding="utf-8")
    result = batch()
    assert "\x1b" not in result.output
    assert "[red]polite" in result.output


def test_after_a_failure_the_same_command_goes_on(batch: Run):
    class Killed(Mind):
        def __call__(self, messages: Any) -> Any:
            return http_error(401, "killed") if len(self.asked) >= 2 else super().__call__(messages)

    result = batch("--concurrency", "1", mind=Killed())
    assert isinstance(result.exception, AuthenticationError)
    assert "The answers so far are kept in reply.aligned.answers.sqlite; the same command goes on." in flat(result)
    assert not Path("reply.aligned.json").exists()
    model = ScriptedChatModel(Mind())
    assert batch(model=model).exit_code == 0
    assert model.calls == 3
    assert not Path("reply.aligned.answers.sqlite").exists()


def test_ctrl_c_keeps_the_answers(batch: Run):
    class Stopped(Mind):
        def __call__(self, messages: Any) -> Any:
            if len(self.asked) == 2:
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            return super().__call__(messages)

    result = batch("--concurrency", "1", model=ScriptedChatModel(Stopped(), latency=0.05))
    assert result.exit_code == 130
    assert "the same command goes on" in flat(result)


def test_a_terminal_shows_how_far_it_is():
    console = Console(file=io.StringIO(), force_terminal=True, width=120, legacy_windows=False)
    model = ScriptedChatModel(Mind(), latency=0.2)
    given = read_feedback([{"response": "A.", "critique": "Be polite."}, {"response": "B.", "critique": "Be brief."}])
    _align(console, Caller(model), AlignedPrompt.from_prompt(PROMPT), given, 30)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "reading feedback" in shown
    assert "2/2" in shown


def test_a_spent_budget_says_what_to_do(batch: Run):
    result = batch("--max-calls", "2")
    assert isinstance(result.exception, BudgetError)
    assert "raise it to go on" in str(result.exception)


def test_a_prompt_that_is_there_already_is_not_written_over(batch: Run):
    Path("reply.aligned.json").write_text("{}", encoding="utf-8")
    result = batch()
    assert isinstance(result.exception, ArtifactError)
    assert "langchain-align batch reply.aligned.json said.csv" in str(result.exception)


@pytest.mark.parametrize(
    ("files", "error", "words"),
    [
        ({"reply.txt": " \n"}, PromptError, "reply.txt is empty"),
        ({"said.csv": "a,b\n1,2\n"}, DataError, "said.csv: The columns (a, b) are no feedback"),
        ({"said.csv": ROWS.replace("Soon.", "")}, DataError, "said.csv: Row 3 has feedback but no response"),
        ({"said.csv": ROWS.replace("bad", "meh")}, DataError, "said.csv: Row 2 has the rating 'meh'"),
        ({"said.csv": "response,critique\n"}, DataError, "The table holds no rows"),
    ],
)
def test_what_does_not_fit_is_one_sentence_and_nothing_is_asked(
    batch: Run, files: dict[str, str], error: type[Exception], words: str
):
    for name, text in files.items():
        Path(name).write_text(text, encoding="utf-8")
    mind = Mind()
    result = batch(mind=mind)
    assert isinstance(result.exception, error)
    assert words in str(result.exception)
    assert mind.asked == []


def test_files_that_are_not_there_are_named(batch: Run):
    assert "nothing.txt cannot be read" in str(batch(prompt="nothing.txt").exception)
    assert "nothing.csv cannot be read" in str(batch(data="nothing.csv").exception)
    assert "must end in .csv or .jsonl" in str(batch(data="reply.txt").exception)
