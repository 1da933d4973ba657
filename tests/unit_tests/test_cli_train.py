"""`langchain-align train` and `report`: what a run keeps, how it goes on, and what it says; with scripted models."""

import csv
import io
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from langchain_core.messages import BaseMessage
from pydantic import SecretStr
from rich.console import Console
from typer.testing import CliRunner

from langchain_model_alignment import Rulebook, TrainingResult, Usage
from langchain_model_alignment.cli.app import app
from langchain_model_alignment.cli.demo import TASK
from langchain_model_alignment.cli.progress import TrainingDisplay
from langchain_model_alignment.errors import (
    AlignmentError,
    ArtifactError,
    AuthenticationError,
    BudgetError,
    ConfigurationError,
    DataError,
)
from langchain_model_alignment.labeling.labeled_tables import read_table
from tests.fakes import ScriptedChatModel, http_error
from tests.simulated import QUESTION, CaseWorld, SimulatedWorld, rows

Run = Callable[..., Result]

SECRET = "sk-never-on-disk-4711"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with three tables."""
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.chdir(tmp_path)
    for name, n, seed in (("train", 90, 1), ("validation", 40, 2), ("test", 30, 3)):
        write_csv(tmp_path / f"{name}.csv", rows(n, seed))
    return tmp_path


@pytest.fixture
def train(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `langchain-align train`; each call is a new process as far as state goes."""

    def run(*options: str, model: Any = None, data: str = "train.csv", task: str = QUESTION) -> Result:
        open_instead(monkeypatch, "train", model or a_model())
        fixed = ["train", data, "--input", "text", "--label", "label", "--task", task, "--out", "run"]
        result = CliRunner().invoke(app, [*fixed, "--validation", "validation.csv", "--steps", "2", *options])
        if result.exit_code and Path("run").is_dir():
            # Of a process that ended no connection is left; in this one a cut-off write may still hold its file.
            shutil.copytree("run", "fresh")
            shutil.rmtree("run")
            Path("fresh").rename("run")
        return result

    return run


def a_model(reply: Any = None, **more: Any) -> ScriptedChatModel:
    return ScriptedChatModel(reply or SimulatedWorld(noise=0.05), **more)


def open_instead(monkeypatch: pytest.MonkeyPatch, command: str, model: Any) -> None:
    monkeypatch.setattr(f"langchain_model_alignment.cli.{command}.open_model", lambda *_: model)


def write_csv(path: Path, table: Sequence[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)


def trained(where: str = "run") -> Rulebook:
    return Rulebook.load(Path(where) / "rulebook.json")


def ctrl_c() -> None:
    """The person presses Ctrl-C, whatever thread this is."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def flat(result: Result) -> str:
    return " ".join(result.output.split())


def after(at: int, happens: Callable[[int], Any]) -> Callable[[list[BaseMessage]], Any]:
    """A model that answers `at` times; then something happens, and is told how often it has."""
    world, count = SimulatedWorld(noise=0.05), itertools.count(1 - at)

    def reply(messages: list[BaseMessage]) -> Any:
        over = next(count)
        return (happens(over) if over > 0 else None) or world(messages)

    return reply


def interrupted(at: int) -> ScriptedChatModel:
    """A model during whose work the person presses Ctrl-C, once."""
    return a_model(after(at, lambda over: ctrl_c() if over == 1 else None), latency=0.02)


# -- a run from start to end -----------------------------------------------------------------------------------


def test_a_run_leaves_its_rulebook_its_result_and_its_report(train: Run):
    result = train()
    assert result.exit_code == 0, result.output
    assert {path.name for path in Path("run").iterdir()} >= {
        "run.json",
        "answers.sqlite",
        "checkpoints.sqlite",
        "rulebook.json",
        "training.json",
        "report.html",
    }
    assert TrainingResult.load("run/training.json").rulebook == trained()
    assert "emu" in trained().as_text()


def test_a_run_tells_its_steps_its_scores_why_it_stopped_and_what_comes_next(train: Run):
    output = train("--test", "test.csv", "--print").output
    result = TrainingResult.load("run/training.json")
    first, best = result.history[0]["score"], result.history[-1]["score"]
    assert first < best
    assert f"Start: accuracy {100 * first:g}%" in output
    assert "Step 2 of 2" in output
    assert "40 validation rows" in output
    assert "30 test rows" in output
    assert "95% interval" in output
    assert "Stopped: all 2 steps are done." in output
    assert f"{result.usage.calls} calls" in output
    assert "langchain-align label NEW.csv --rulebook run/rulebook.json --model local --out labels.csv" in output
    assert output.endswith(f"{result.rulebook.as_text()}\n")


def test_the_test_rows_are_scored_with_and_without_principles(train: Run):
    train("--test", "test.csv")
    test = json.loads(Path("run/run.json").read_text(encoding="utf-8"))["test"]
    assert test["zero_shot"] < test["trained"]
    assert test["interval"][0] < test["trained"] < test["interval"][1]


def test_two_models_share_the_work(train: Run, monkeypatch: pytest.MonkeyPatch):
    made = {"local": a_model(model_name="labeler"), "openai:large": a_model(model_name="writer")}
    train("--train-model", "openai:large", model=None)  # both are the same one: it works
    monkeypatch.setattr("langchain_model_alignment.cli.train.open_model", lambda name, _: made[name])
    fixed = ["train", "train.csv", "--input", "text", "--label", "label", "--task", QUESTION, "--out", "two"]
    result = CliRunner().invoke(app, [*fixed, "--train-model", "openai:large", "--steps", "1"])
    assert result.exit_code == 0
    assert all(request.messages[0].text.startswith(QUESTION) for request in made["local"].requests)
    assert 0 < made["openai:large"].calls < made["local"].calls
    assert not any(r.messages[0].text.startswith(QUESTION) for r in made["openai:large"].requests)


def test_validation_rows_that_are_training_rows_are_spoken_of_in_a_line(train: Run):
    write_csv(Path("validation.csv"), [*rows(40, 2), *rows(90, 1)[:3]])
    result = train()
    assert result.exit_code == 0
    assert "3 validation rows are among the training rows" in flat(result)


def test_test_rows_that_are_training_rows_are_spoken_of_in_a_line(train: Run):
    write_csv(Path("test.csv"), [*rows(30, 3), *rows(90, 1)[:2]])
    assert "2 test rows are among the rows that training sees" in flat(train("--test", "test.csv"))


def test_calls_that_fail_for_good_are_told_by_their_kind(train: Run):
    world = SimulatedWorld(noise=0.05)
    result = train(model=a_model(lambda m: http_error(400) if "number 2x7" in m[-1].text else world(m)))
    assert result.exit_code == 0
    assert "(BadRequestError " in flat(result)


def test_without_matplotlib_training_ends_all_the_same(train: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = train()
    assert result.exit_code == 0
    assert flat(result).count("matplotlib") == 1
    assert not Path("run/report.html").exists()
    assert trained()


def test_what_a_model_or_a_table_says_does_not_steer_the_terminal(train: Run):
    def reply(messages: list[BaseMessage]) -> Any:
        said = world(messages)
        escape = "\\u001b[31m" if said.startswith("{") else "\x1b[31m"
        return said.replace("speaks of", f"[red]speaks{escape}[/red] of")

    world = SimulatedWorld(noise=0.05)
    result = train("--print", model=a_model(reply), task=f"{QUESTION} \x1b[2J[bold]")
    assert result.exit_code == 0
    assert "[red]speaks[31m[/red] of" in result.output
    assert "\x1b" not in result.output


def test_no_secret_is_anywhere_in_the_folder(train: Run, monkeypatch: pytest.MonkeyPatch):
    class Keyed(ScriptedChatModel):
        openai_api_key: SecretStr = SecretStr(SECRET)

        @property
        def _identifying_params(self) -> dict[str, Any]:
            return {"model_name": self.model_name, "api_key": SECRET}

    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    assert train("--test", "test.csv", model=Keyed(SimulatedWorld())).exit_code == 0
    assert not [path for path in Path("run").rglob("*") if SECRET.encode() in path.read_bytes()]


# -- going on --------------------------------------------------------------------------------------------------


def test_a_finished_run_is_shown_again_without_a_model(train: Run, monkeypatch: pytest.MonkeyPatch):
    before = train("--test", "test.csv").output
    written = Path("run/training.json").read_bytes()
    monkeypatch.setattr("langchain_model_alignment.cli.train.TrainingRun", None)
    again = train("--test", "test.csv")
    assert again.exit_code == 0
    assert "has ended before" in again.output
    assert again.output.partition("accuracy ")[2] in before
    assert Path("run/training.json").read_bytes() == written


def test_a_finished_run_is_scored_on_test_rows_that_come_later(train: Run):
    train()
    model = a_model()
    result = train("--test", "test.csv", model=model)
    assert "30 test rows" in result.output
    assert 0 < model.calls <= 60


def test_more_steps_go_on_as_if_they_had_been_asked_for_at_once(train: Run):
    train("--steps", "1", "--test", "test.csv")
    went_on = train("--steps", "3", "--test", "test.csv")
    assert went_on.exit_code == 0
    assert "Going on with step 2 of 3" in went_on.output
    result = TrainingResult.load("run/training.json")
    train("--steps", "3", "--test", "test.csv", "--out", "whole")
    whole = TrainingResult.load("whole/training.json")
    assert trained() == trained("whole")
    assert [step["step"] for step in result.history] == [0, 1, 2, 3]
    assert [step["calls"] for step in result.history[:2]] == [step["calls"] for step in whole.history[:2]]
    assert all(step["calls"] >= 0 for step in result.history)


@pytest.mark.parametrize("options", [("--steps", "9"), ("--max-calls", "150"), ()])
def test_a_run_that_was_killed_before_it_wrote_its_result_writes_it(train: Run, options: tuple[str, ...]):
    train(*options, model=a_model(SimulatedWorld()))
    written = TrainingResult.load("run/training.json")
    Path("run/training.json").unlink()
    model = a_model(SimulatedWorld())
    assert train(*options, model=model).exit_code == 0
    assert model.calls == 0
    assert TrainingResult.load("run/training.json") == written


KILLED = """
    import os, sys
    from langchain_model_alignment.cli import main, train
    from tests.fakes import ScriptedChatModel
    from tests.simulated import SimulatedWorld
    world, at, left = SimulatedWorld(noise=0.05), int(sys.argv.pop(1)), 0
    def reply(messages):
        global left
        left += 1
        if left > at:
            os._exit(9)
        return world(messages)
    train.open_model = lambda *_: ScriptedChatModel(reply, latency=0.001)
    main()
"""


def test_a_run_that_is_killed_again_and_again_ends_with_the_same_rulebook_and_pays_nothing_twice(train: Run):
    model = a_model()
    train("--out", "whole", model=model)
    code = textwrap.dedent(KILLED)
    options = ["--input", "text", "--label", "label", "--task", QUESTION, "--out", "run"]
    command = ["train", "train.csv", *options, "--validation", "validation.csv", "--steps", "2"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    kills = (1, 90, 120)
    for at in kills:
        done = subprocess.run([sys.executable, "-c", code, str(at), *command], env=environment, capture_output=True)
        assert done.returncode == 9, done.stderr
    last = a_model()
    assert train(model=last).exit_code == 0
    assert trained() == trained("whole")
    assert sum(kills) + last.calls <= model.calls + 32 * len(kills)
    result, whole = TrainingResult.load("run/training.json"), TrainingResult.load("whole/training.json")
    assert [step["score"] for step in result.history] == [step["score"] for step in whole.history]


def test_ctrl_c_says_how_to_go_on_and_the_same_command_does(train: Run):
    train("--out", "whole")
    stopped = train(model=interrupted(150))
    assert stopped.exit_code == 130
    assert "the same command goes on" in flat(stopped)
    assert not Path("run/training.json").exists()
    again = train()
    assert again.exit_code == 0
    assert "Going on" in again.output
    assert trained() == trained("whole")


def test_a_failure_of_the_model_says_how_to_go_on(train: Run):
    failed = train(model=a_model(after(150, lambda _: http_error(401))))
    assert isinstance(failed.exception, AuthenticationError)
    assert "the same command goes on" in flat(failed)
    assert train().exit_code == 0


def test_a_run_that_was_stopped_goes_on_to_more_steps(train: Run):
    train(model=interrupted(150))
    assert train("--steps", "3").exit_code == 0
    assert [step["step"] for step in TrainingResult.load("run/training.json").history] == [0, 1, 2, 3]


# -- what may not be mixed -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"task": "Is it an animal?"}, "another task"),
        ({"data": "test.csv"}, "other data"),
    ],
)
def test_a_folder_of_another_run_is_refused_with_both_fingerprints(train: Run, options: dict[str, str], told: str):
    train("--steps", "1")
    record = json.loads(Path("run/run.json").read_text(encoding="utf-8"))
    known = record["task_fingerprint" if "task" in options else "data_fingerprint"]
    model = a_model()
    refused = train(model=model, **options)
    assert isinstance(refused.exception, ArtifactError)
    assert told in str(refused.exception)
    assert str(refused.exception).count("fingerprint") == 1
    assert known in str(refused.exception)
    assert model.calls == 0


@pytest.mark.parametrize(
    ("option", "told"),
    [
        (("--seed", "1"), "--seed 0, not 1"),
        (("--model", "openai:x"), "--model local, not openai:x"),
        (("--metric", "f1"), "--metric accuracy, not f1"),
        (("--max-precedents", "2"), "--max-precedents 0, not 2"),
        (("--train-model", "openai:x"), "--train-model left out, not openai:x"),
    ],
)
def test_a_folder_of_other_settings_is_refused(train: Run, option: tuple[str, str], told: str):
    train("--steps", "1")
    refused = train(*option)
    assert isinstance(refused.exception, ArtifactError)
    assert told in str(refused.exception)


def test_a_run_from_before_there_were_precedents_goes_on(train: Run):
    train("--steps", "1")
    record = json.loads(Path("run/run.json").read_text(encoding="utf-8"))
    del record["arguments"]["max_precedents"]
    Path("run/run.json").write_text(json.dumps(record), encoding="utf-8")
    assert train("--steps", "1").exit_code == 0
    assert trained().precedents == ()


def test_precedents_are_shown_where_they_are_asked_for(train: Run):
    result = train("--max-precedents", "3", "--print", model=a_model(CaseWorld()))
    assert result.exit_code == 0
    assert 0 < len(trained().precedents) <= 3
    assert "= Precedents =" in result.output
    assert trained().precedents[0].row in result.output


def test_checkpoints_that_are_left_over_from_other_data_are_refused(train: Run):
    train("--steps", "1")
    Path("run/run.json").unlink()
    refused = train(data="test.csv")
    assert isinstance(refused.exception, ArtifactError)
    assert "checkpoints.sqlite" in str(refused.exception)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"version": 9}'])
def test_a_damaged_run_json_is_refused_in_a_sentence(train: Run, text: str):
    train("--steps", "1")
    Path("run/run.json").write_text(text, encoding="utf-8")
    assert isinstance(train().exception, ArtifactError)


# -- budgets ---------------------------------------------------------------------------------------------------


def test_a_spent_budget_keeps_the_best_so_far_and_a_larger_one_goes_on(train: Run):
    stopped = train("--max-calls", "150")
    assert stopped.exit_code == 0
    assert "Stopped: The budget of max_calls=150 is spent" in flat(stopped)
    assert trained()
    model = a_model()
    again = train("--max-calls", "150", model=model)
    assert (again.exit_code, model.calls) == (0, 0)
    assert "The budget of max_calls=150 is spent" in flat(again)
    assert "spent" in flat(train("--max-calls", "140", model=model))
    assert model.calls == 0
    assert train("--max-calls", "2000", "--steps", "3", model=model).exit_code == 0
    assert model.calls > 0
    result = TrainingResult.load("run/training.json")
    assert result.stopped_because == "all 3 steps are done"
    assert all(step["calls"] >= 0 for step in result.history)


def test_a_budget_counts_what_earlier_processes_spent(train: Run):
    first = interrupted(100)
    train(model=first)
    second = a_model()
    assert "is spent" in flat(train("--max-calls", "150", model=second))
    assert second.calls <= 50


def test_a_budget_that_does_not_pay_for_a_score_goes_on_with_a_larger_one_as_if_it_had_been_given_at_once(train: Run):
    train("--out", "whole")
    for calls in ("1", "4"):
        failed = train("--max-calls", calls)
        assert isinstance(failed.exception, AlignmentError)
        assert f"max_calls={calls}" in str(failed.exception)
    assert train().exit_code == 0
    assert trained() == trained("whole")


def test_a_run_that_was_scored_stays_on_its_rows_when_the_budget_is_raised(train: Run):
    train("--max-calls", "40")
    scored = trained().score
    assert scored is not None
    train("--max-calls", "2000")
    assert (trained().score.rows, trained().score.data) == (scored.rows, scored.data)


def test_a_cost_is_told_in_the_currency_of_the_prices(train: Run):
    prices = ("--max-cost", "5", "--input-price", "100", "--output-price", "100")
    assert ", cost " in train(*prices).output


def test_a_budget_for_money_without_prices_is_refused(train: Run):
    refused = train("--max-cost", "5")
    assert isinstance(refused.exception, BudgetError)
    assert "price" in str(refused.exception)


# -- tables that do not fit ------------------------------------------------------------------------------------


def refusal(train: Run, *options: str, **more: Any) -> str:
    """What is said, before any model is asked."""
    model = a_model()
    result = train(*options, model=model, **more)
    assert isinstance(result.exception, ConfigurationError), result.output
    assert model.calls == 0
    assert not Path("run/run.json").exists()
    return str(result.exception)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "holds no rows"),
        ("text,label\n", "holds no rows"),
        ("text,other\na,b\n", "no column 'label'; its columns are: text, other"),
        ("label\na\n", "no column 'text'"),
        ("text,label\na,yes\nb,yes\n", "only the label 'yes'"),
        ("text,label\na,\nb,\n", "no label"),
        ("text,label\na,yes\nb,no\nc,\n", "have no label (rows 2"),
        ("text,label\na,yes,x\n", "cannot be read as a .csv"),
        ('text,label\n"a,yes\n', "cannot be read as a .csv"),
    ],
)
def test_a_table_that_does_not_fit_is_told_in_a_sentence(train: Run, text: str, told: str):
    Path("bad.csv").write_text(text, encoding="utf-8")
    said = refusal(train, data="bad.csv")
    assert said.startswith("bad.csv")
    assert told in said
    assert "\n" not in said


def test_a_label_that_is_not_named_is_told_with_its_file(train: Run):
    write_csv(Path("validation.csv"), [*rows(10, 2), {"text": "x", "label": "maybe"}])
    assert refusal(train).startswith("validation.csv: ")
    assert "'maybe'" in refusal(train)
    assert "only" not in refusal(train, "--labels", "yes,perhaps")


def test_labels_that_are_named_must_have_examples(train: Run):
    assert "hold no example of perhaps" in refusal(train, "--labels", "yes,no,perhaps")


def test_a_label_among_the_inputs_is_refused(train: Run):
    assert "among the inputs" in refusal(train, "--input", "label")


def test_a_column_of_texts_is_no_label(train: Run):
    write_csv(Path("many.csv"), [{"text": str(n), "label": f"text {n}"} for n in range(150)])
    assert "more than 100 different values" in refusal(train, data="many.csv")


def test_a_positive_label_that_is_none_is_refused(train: Run):
    assert "maybe" in refusal(train, "--metric", "f1_binary", "--pos-label", "maybe")


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("latin.csv", "text,label\ncafé,yes\n".encode("latin-1"), "not UTF-8"),
        ("wide.csv", "text,label\na,yes\n".encode("utf-16"), "not UTF-8"),
        ("rows.jsonl", b'{"text": "a", "label": "yes"}\n{"text"\n', "rows.jsonl, line 2 is not JSON"),
        ("rows.jsonl", b"[1]\n", "line 1 holds no rows"),
        ("rows.json", b'{"text": "a"}', "rows.json holds no rows"),
        ("rows.xlsx", b"PK", "must end in"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_in_a_sentence(train: Run, name: str, content: bytes, told: str):
    Path(name).write_bytes(content)
    assert told in refusal(train, data=name)


def test_a_file_that_is_not_there_and_a_folder_are_told(train: Run):
    Path("folder.csv").mkdir()
    assert "missing.csv" in refusal(train, data="missing.csv")
    assert "folder.csv" in refusal(train, data="folder.csv")


def test_rows_come_from_json_lines_too_with_labels_that_are_no_text(train: Run):
    for name, n, seed in (("train", 90, 1), ("validation", 40, 2)):
        table = [{"text": row["text"], "label": row["label"] == "yes"} for row in rows(n, seed)]
        Path(f"{name}.jsonl").write_text("\n".join(map(json.dumps, table)), encoding="utf-8")
    world = SimulatedWorld(noise=0.05)
    words = {"yes": "true", "no": "False."}

    def reply(messages: list[BaseMessage]) -> Any:
        said = world(messages)
        return words.get(said, said)

    options = ("--validation", "validation.jsonl", "--steps", "1")
    result = train(*options, model=a_model(reply), data="train.jsonl")
    assert result.exit_code == 0, result.output
    assert trained().task.label_values == (False, True)


def test_a_table_with_a_byte_order_mark_is_read_and_no_value_is_taken_for_missing(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_bytes('text,label\r\n"two\r\nlines",NA\r\n007,None\r\n'.encode("utf-8-sig"))
    assert read_table(path) == [{"text": "two\r\nlines", "label": "NA"}, {"text": "007", "label": "None"}]


# -- the terminal ----------------------------------------------------------------------------------------------


def test_a_terminal_shows_the_step_the_candidates_the_best_score_and_what_was_used():
    console = Console(file=io.StringIO(), force_terminal=True, width=160, legacy_windows=False)
    usage = Usage(calls=12, input_tokens=3400)
    with TrainingDisplay(console, usage, "accuracy", 3) as display:
        display.go_on(2, [a_step(0, 0.5, 3.0), a_step(1, 0.75, 100.0)])
        display.tell({"type": "mistakes", "step": 2, "sampled": 32, "wrong": 7})
        display.tell({"type": "candidates", "step": 2, "alive": 4})
        shown = console.render_lines(display._status())
    line = "".join(part.text for part in shown[0])
    for words in ("step 2 of 3", "4 candidates", "best 75%", "12 calls", "3,400 tokens", "3 min 20 s left"):
        assert words in line


def a_step(step: int, score: float, seconds: float) -> Any:
    return {"step": step, "score": score, "seconds": seconds, "candidates": [], "gained": True, "calls": 1}


# -- ordered labels --------------------------------------------------------------------------------------------


def test_ordered_labels_are_compared_by_their_distance_and_stay_ordered(train: Run):
    told = flat(train("--ordered", "--labels", "no,yes", "--metric", "mae"))
    assert re.search(r"Start: negative mae -0\.\d{3} \(", told)
    assert re.search(
        r"In their order, on the validation rows: mean absolute error 0\.\d{3} of 1 steps, quadratic", told
    )
    assert trained().task.ordered
    assert trained().task.labels == ("no", "yes")
    assert TrainingResult.load("run/training.json").scorecard["mean_absolute_error"] < 0.3
    assert "--ordered True, not False" in str(train("--labels", "no,yes").exception)


def test_an_order_needs_its_labels_and_a_metric_of_it_needs_the_order(train: Run):
    assert "--ordered needs the labels in their order" in refusal(train, "--ordered")
    assert "quadratic_kappa needs labels in order" in refusal(train, "--metric", "quadratic_kappa")
    assert not Path("run").exists()


# -- report ----------------------------------------------------------------------------------------------------


def test_the_report_is_written_anew_and_its_place_is_printed(train: Run):
    train()
    page = Path("run/report.html").read_bytes()
    Path("run/report.html").unlink()
    result = CliRunner().invoke(app, ["report", "run"])
    assert result.output == "run/report.html\n"
    assert Path("run/report.html").read_bytes() == page
    printed = CliRunner().invoke(app, ["report", "run", "--print"])
    assert trained().as_text() in printed.output


def test_a_folder_without_a_finished_run_has_no_report(folder: Path):
    refused = CliRunner().invoke(app, ["report", "run"])
    assert isinstance(refused.exception, ArtifactError)
    assert "no finished run" in str(refused.exception)


# -- demo ------------------------------------------------------------------------------------------------------


def test_the_demo_trains_a_rulebook_and_tells_what_it_is_worth(folder: Path, monkeypatch: pytest.MonkeyPatch):
    money = ("£", "price", "pay", "fee", "refund", "cost", "charge", "pound", "fine", "cheque", "discount", "deposit")

    def reply(messages: list[BaseMessage]) -> str:
        text = messages[-1].text
        if messages[0].text.startswith(TASK):
            if len(messages) > 2:
                return "1"
            knows = "It is about money" in messages[0].text
            return "heron" if knows and any(word in text for word in money) else "falcon"
        if "labeling principles" in messages[0].text:
            return "It is about money." if "heron" in text.rsplit("abel", 1)[1] else "It is about other things."
        return "1. Too dull.\n2. Too long.\n3. Too short."

    open_instead(monkeypatch, "demo", ScriptedChatModel(reply))
    result = CliRunner().invoke(app, ["demo", "--train"])
    assert result.exit_code == 0, result.output
    assert "Without principles, 50% of the 60 test rows are right" in flat(result)
    assert "p1: It is about money." in result.output
    assert "without, 50%." in flat(result)
    assert Rulebook.load("align-demo/rulebook.json").task.labels == ("heron", "falcon")
    assert CliRunner().invoke(app, ["report", "align-demo"]).exit_code == 0


def test_the_demo_has_its_rows_with_it_half_of_each_label():
    from langchain_model_alignment.cli.demo import _desks

    tables = _desks()
    assert {name: len(table) for name, table in tables.items()} == {"train": 70, "validation": 30, "test": 60}
    for table in tables.values():
        assert sum(row["desk"] == "heron" for row in table) == len(table) / 2


def test_a_table_error_is_a_data_error():
    with pytest.raises(DataError):
        read_table(Path("x.txt"))
