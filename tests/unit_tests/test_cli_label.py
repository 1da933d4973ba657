"""`langchain-align label`: what is written, what is said, and what is kept when it is stopped; with scripted models."""

import csv
import itertools
import json
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from langchain_core.messages import BaseMessage
from typer.testing import CliRunner

from langchain_model_alignment.cli.app import app
from langchain_model_alignment.errors import ArtifactError, AuthenticationError, ConfigurationError, DataError
from tests.fakes import ScriptedChatModel, http_error
from tests.simulated import ANIMALS, LogprobModel, LogprobWorld, SimulatedWorld, book_of, rows

Run = Callable[..., Result]


@pytest.fixture
def label(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `langchain-align label` in a folder with a rulebook and twenty rows."""
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.chdir(tmp_path)
    book_of({"yes": [f"The text speaks of a {name}." for name in ANIMALS]}).save("rulebook.json")
    write(Path("rows.csv"), [{"id": f"0{n}", **row} for n, row in enumerate(rows(20))])

    def run(
        *options: str, reply: Any = None, model: Any = None, data: str = "rows.csv", out: str = "out.csv"
    ) -> Result:
        used = model or ScriptedChatModel(reply or SimulatedWorld(), latency=0.001)
        opened = used if isinstance(used, Iterator) else itertools.repeat(used)
        monkeypatch.setattr("langchain_model_alignment.cli.label.open_model", lambda *_: next(opened))
        fixed = ["label", data, "--rulebook", "rulebook.json", "--out", out]
        return CliRunner().invoke(app, [*fixed, *options])

    return run


def write(path: Path, table: list[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)


def written(path: str = "out.csv") -> list[dict[str, str]]:
    with Path(path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def ctrl_c() -> None:
    """The person presses Ctrl-C, whatever thread this is."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def flat(result: Result) -> str:
    return " ".join(result.output.split())


def odd(messages: list[BaseMessage]) -> Any:
    """Row 3 gets no label, row 5 fails."""
    if "0x3" in messages[1].text:
        return "I cannot tell."
    return http_error(400, "too odd") if "0x5" in messages[1].text else SimulatedWorld()(messages)


def test_the_rows_are_written_as_they_were_with_their_labels(label: Run):
    result = label()
    assert result.exit_code == 0, result.output
    table = written()
    assert [row["prediction"] for row in table] == [row["label"] for row in rows(20)]
    assert list(table[0]) == ["id", "text", "label", "prediction", "confidence", "principle_ids", "error"]
    assert [row["id"] for row in table][:2] == ["00", "01"]
    assert {(row["confidence"], row["principle_ids"], row["error"]) for row in table} == {("", "", "")}
    assert "Labeled 20 of 20 rows: " in result.output
    assert "The labels are in out.csv." in result.output


def test_a_label_column_that_is_there_is_scored(label: Run):
    assert "Of 20 rows that have a label, 20 are right: accuracy 100% (95% interval" in flat(label())


def test_a_label_column_that_is_partly_there_is_scored_as_far_as_it_goes(label: Run):
    table = rows(20)
    table[0]["label"], table[1]["label"] = "", "maybe"
    write(Path("rows.csv"), table)
    said = flat(label())
    assert "Of 18 rows that have a label, 18 are right" in said
    assert "1 more have a label that is no label of the rulebook" in said


def test_rows_without_a_label_column_are_labeled_and_not_scored(label: Run):
    write(Path("rows.csv"), [{"text": row["text"]} for row in rows(20)])
    result = label()
    assert result.exit_code == 0
    assert "accuracy" not in result.output


def test_abstentions_and_failures_are_empty_told_apart_and_counted(label: Run):
    result = label(reply=odd)
    assert result.exit_code == 0
    table = written()
    assert (table[3]["prediction"], table[3]["error"]) == ("", "")
    assert table[5]["prediction"] == ""
    assert "too odd" in table[5]["error"]
    said = flat(result)
    assert "Labeled 18 of 20 rows" in said
    assert "none was sure or readable: 1." in said
    assert "Failed: 1 call (BadRequestError 1). The first one:" in said
    assert "18 are right" in said


def test_json_lines_keep_types_and_have_null_for_what_is_not_there(label: Run):
    lines = [json.dumps({"text": row["text"], "n": n}) for n, row in enumerate(rows(20))]
    Path("rows.jsonl").write_text("\n".join(lines), encoding="utf-8")
    assert label(data="rows.jsonl", out="out.jsonl", reply=odd).exit_code == 0
    table = [json.loads(line) for line in Path("out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert table[3] == {
        "text": rows(20)[3]["text"],
        "n": 3,
        "prediction": None,
        "confidence": None,
        "principle_ids": [],
        "error": None,
    }


def test_explained_rows_name_the_principles_that_decided(label: Run):
    assert label("--explain").exit_code == 0
    for row in written():
        named = [f"p{at}" for at, name in enumerate(ANIMALS, 1) if name in row["text"].split()]
        assert row["principle_ids"] == (named[0] if named else "")


def test_a_threshold_leaves_out_what_is_not_sure(label: Run):
    book_of({"yes": ["The text speaks of a newt."]}, scoring="logprob").save("rulebook.json")
    result = label("--threshold", "0.8", model=LogprobModel(LogprobWorld()))
    assert result.exit_code == 0, result.output
    table = written()
    assert {row["prediction"] for row in table} == {"yes", ""}
    assert {row["confidence"] for row in table} == {"0.9", "0.6"}


def test_a_threshold_without_confidences_is_refused(label: Run):
    assert isinstance(label("--threshold", "0.8").exception, ConfigurationError)


def test_when_every_row_fails_the_exit_code_says_so(label: Run):
    result = label(reply=lambda messages: http_error(500, "down"))
    assert result.exit_code == 1
    assert "Labeled 0 of 20 rows: none." in flat(result)
    assert "Failed: 20 calls (UnavailableError 20)" in flat(result)
    assert len(written()) == 20


def test_the_table_itself_is_never_overwritten(label: Run):
    before = Path("rows.csv").read_bytes()
    for out in ("rows.csv", "./rows.csv"):
        assert isinstance(label(out=out).exception, DataError)
    Path("link.csv").symlink_to("rows.csv")
    assert isinstance(label(out="link.csv").exception, DataError)
    assert Path("rows.csv").read_bytes() == before


def test_a_column_that_would_be_overwritten_is_named(label: Run):
    assert label().exit_code == 0
    refused = label(data="out.csv", out="again.csv")
    assert isinstance(refused.exception, DataError)
    assert "'prediction'" in str(refused.exception)


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({"data": "missing.csv"}, ArtifactError, "missing.csv cannot be read"),
        ({"out": "out.xlsx"}, DataError, "must end in"),
        ({"out": "rows.csv/x.csv"}, ArtifactError, "cannot be written"),
        ({"data": "other.csv"}, DataError, "no column 'text'; its columns are: words"),
        ({"data": "rulebook.json"}, ArtifactError, "holds no rows"),
    ],
)
def test_what_does_not_fit_is_told_before_the_model_is_asked(
    label: Run, options: dict[str, str], error: type[Exception], told: str
):
    write(Path("other.csv"), [{"words": "a"}])
    model = ScriptedChatModel()
    result = label(model=model, **options)
    assert isinstance(result.exception, error), result.output
    assert told in str(result.exception)
    assert model.calls == 0


def test_a_file_that_is_no_rulebook_is_refused(label: Run):
    Path("rulebook.json").write_text("{}", encoding="utf-8")
    assert "no rulebook" in str(label().exception)


def test_ctrl_c_keeps_what_was_answered_and_the_same_command_pays_only_for_the_rest(label: Run):
    write(Path("rows.csv"), rows(60))
    asked: list[Any] = []

    def reply(messages: list[BaseMessage]) -> Any:
        asked.append(messages)
        if len(asked) == 40:
            ctrl_c()
        return SimulatedWorld()(messages)

    stopped = label("--concurrency", "4", model=ScriptedChatModel(reply, latency=0.02))
    assert stopped.exit_code == 130
    assert "the same command goes on" in flat(stopped)
    assert not Path("out.csv").exists()
    begun, model = len(asked), ScriptedChatModel(SimulatedWorld())
    assert begun < 60
    assert label(model=model).exit_code == 0
    assert model.calls <= 60 - begun + 4
    assert not list(Path().glob("*.sqlite*"))


def test_a_wrong_key_ends_it_in_a_sentence(label: Run):
    result = label(reply=lambda messages: http_error(401))
    assert isinstance(result.exception, AuthenticationError)
    assert not Path("out.csv").exists()


def test_a_cache_that_is_named_stays_and_serves_the_next_time(label: Run):
    assert label("--cache", "answers.sqlite").exit_code == 0
    model = ScriptedChatModel(SimulatedWorld())
    assert label("--cache", "answers.sqlite", model=model, out="again.csv").exit_code == 0
    assert model.calls == 0
    assert Path("again.csv").read_bytes() == Path("out.csv").read_bytes()


def test_what_goes_wrong_does_not_steer_the_terminal(label: Run):
    result = label(reply=lambda messages: http_error(400, "\x1b[2J[red]odd[/red]"))
    said = result.output + str(result.exception)
    assert "\x1b" not in result.output
    assert "[red]odd[/red]" in said


def test_broken_rows_are_left_out_counted_and_told_in_a_file(label: Run):
    with Path("rows.csv").open("a", encoding="utf-8") as file:
        file.write("one cell\n")
    result = label()
    assert result.exit_code == 0, result.output
    assert len(written()) == 20
    assert "could not be read: 1." in flat(result)
    assert "What failed is in out.csv.failures.jsonl." in flat(result)


def test_rows_that_failed_are_asked_again_by_the_same_command(label: Run):
    assert "The same command asks about these again." in flat(label(reply=odd))
    model = ScriptedChatModel(SimulatedWorld())
    assert label(model=model).exit_code == 0
    assert model.calls == 1
    assert not Path("out.csv.unfinished").exists()


def test_what_a_stopped_run_left_can_be_forgotten(label: Run):
    label(reply=odd)
    model = ScriptedChatModel(SimulatedWorld())
    label("--anew", model=model)
    assert model.calls == 20


def test_a_folder_is_labeled_into_a_folder(label: Run):
    Path("tables").mkdir()
    for name in ("a.csv", "b.csv"):
        write(Path("tables", name), rows(20))
    assert label(data="tables", out="labeled").exit_code == 0
    assert [len(written(f"labeled/{name}")) for name in ("a.csv", "b.csv")] == [20, 20]


def test_a_cascade_tells_what_it_saved(label: Run):
    book_of({"yes": ["The text speaks of a newt."]}, scoring="logprob").save("rulebook.json")
    both = iter([LogprobModel(LogprobWorld()), ScriptedChatModel(SimulatedWorld())])
    prices = ("--input-price", "1", "--output-price", "1", "--large-input-price", "9", "--large-output-price", "9")
    result = label("--large-model", "large", "--below", "0.8", *prices, model=both)
    assert result.exit_code == 0, result.output
    said = flat(result)
    assert "rows went to the large model" in said
    assert "In money, by the prices given: about" in said


@pytest.mark.parametrize(
    ("option", "name"),
    [
        (["--large-model", "local"], "--large-model"),
        (["--cache", "a.sqlite"], "--cache"),
        (["--anew"], "--resume/--anew"),
        (["--below", "0.8"], "--below"),
        (["--input-price", "1"], "--input-price"),
        (["--output-price", "1"], "--output-price"),
        (["--large-input-price", "1"], "--large-input-price"),
        (["--large-output-price", "1"], "--large-output-price"),
    ],
)
def test_what_is_not_there_on_ray_is_refused_before_anything_starts(label: Run, option: list[str], name: str):
    result = label("--engine", "ray", *option)
    assert result.exit_code == 1
    assert f"{name} is not there on Ray" in str(result.exception or result.output)


@pytest.mark.parametrize("option", [["--workers", "3"], ["--address", "x:1"], ["--calls-per-minute", "9"]])
def test_what_is_there_only_on_ray_is_refused_without_it(label: Run, option: list[str]):
    result = label(*option)
    assert result.exit_code == 1
    assert f"{option[0]} is there only on Ray" in str(result.exception or result.output)
    assert not Path("out.csv").exists()
