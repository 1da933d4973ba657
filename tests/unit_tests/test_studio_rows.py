"""What the Train and Label pages stand on: tables on disk, runs that go on, sheets of rows; without a browser."""

import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nicegui", reason='pip install -e ".[studio]"')

from typer.testing import CliRunner

from langchain_model_alignment.cli.app import app
from langchain_model_alignment.errors import ConfigurationError, DataError, NotFoundError
from langchain_model_alignment.labeling.additions import Suggestion
from langchain_model_alignment.labeling.classifier import Labeled
from langchain_model_alignment.studio.label import as_csv
from langchain_model_alignment.studio.label_jobs import Jobs, pasted_rows
from langchain_model_alignment.studio.label_sheet import Sheet
from langchain_model_alignment.studio.train_run import TrainRun
from langchain_model_alignment.studio.train_tables import Tables, safe_name
from tests.fakes import ScriptedChatModel, http_error
from tests.simulated import QUESTION, TASK, LogprobModel, LogprobWorld, SimulatedWorld, rows
from tests.training_runs import asked, ended, runs_of, trained, until, with_an_ended_run, write


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write(tmp_path / "animals.csv", rows(60))


# -- tables


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_a_file_is_taken_piece_by_piece_and_shown_a_page_at_a_time(tmp_path: Path):
    tables = Tables(tmp_path)
    given = tables.get(await tables.take("my rows.csv", chunks(b"text,label\na,1\n", b"b,2\nc,", b"1\n")))
    found = await given.look()
    assert (given.path.name, found.columns, found.rows) == ("my-rows.csv", ["text", "label"], 3)
    assert [row["text"] for row in await given.rows(1, 2)] == ["b", "c"]
    assert await given.balance("label") == [("1", 2), ("2", 1)]


class GoneError(Exception):
    """The browser has gone away."""


async def test_a_file_that_breaks_off_leaves_nothing(tmp_path: Path):
    async def broken() -> AsyncIterator[bytes]:
        yield b"text\n"
        raise GoneError

    with pytest.raises(GoneError):
        await Tables(tmp_path).take("rows.csv", broken())
    assert not list(tmp_path.rglob("*.csv"))  # noqa: ASYNC240


async def test_a_name_that_tells_nothing_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match="its name must end in"):
        await Tables(tmp_path).take("rows.xlsx", chunks(b"x"))


@pytest.mark.parametrize("id", ["../runs", "0123456z", "01234567"])
def test_no_other_place_can_be_named(tmp_path: Path, id: str):
    with pytest.raises(NotFoundError, match="not there any more"):
        Tables(tmp_path).get(id)


def test_a_name_leads_nowhere_else():
    assert safe_name("..\\..\\etc/pass wd.CSV") == "pass-wd.csv"


# -- training


async def test_a_run_trains_in_the_background_and_leaves_what_the_command_line_leaves(tmp_path: Path, table: Path):
    run = await trained(tmp_path, table)
    assert (run.problem, run.record.finished) == ("", True)
    assert run.folder.result().rulebook == run.rulebook()
    assert len(run.history) == 2
    assert run.usage.calls > 0
    assert run.folder.report.exists()


async def test_a_run_that_is_stopped_goes_on_in_another_server_and_ends_the_same(tmp_path: Path, table: Path):
    whole = await trained(tmp_path / "whole", table, steps=2)
    first = runs_of(tmp_path, ScriptedChatModel(SimulatedWorld(), latency=0.002))
    run = await first.begin(table, asked(table))
    run.start(steps=2, max_calls=None)
    await until(lambda: len(run.history) == 1)
    await run.stop()
    assert not run.running
    assert not run.record.finished

    again = runs_of(tmp_path).get(run.name)
    await again.load()
    assert len(again.history) >= 1
    again.start(steps=2, max_calls=None)
    await ended(again)
    assert again.rulebook() == whole.rulebook()


async def test_a_spent_budget_is_said_and_more_of_it_goes_on(tmp_path: Path, table: Path):
    runs = runs_of(tmp_path)
    run = await runs.begin(table, asked(table))
    run.start(steps=2, max_calls=5)
    await ended(run)
    assert "max_calls=5" in run.problem
    run.start(steps=2, max_calls=None)
    await ended(run)
    assert (run.problem, len(run.history)) == ("", 3)


async def test_a_model_that_stops_is_said_and_loses_nothing(tmp_path: Path, table: Path):
    calls, world = iter(range(10_000)), SimulatedWorld()
    model = ScriptedChatModel(lambda messages: world(messages) if next(calls) < 60 else http_error(401))
    run = await trained(tmp_path, table, model)
    assert run.problem
    assert run.doing == ""
    assert run.usage.calls >= 60


async def test_a_run_of_another_model_is_not_gone_on_with(tmp_path: Path, table: Path):
    runs, run = with_an_ended_run(tmp_path)
    run.record = run.record.model_copy(update={"arguments": run.asked.model_copy(update={"model": "openai:other"})})
    with pytest.raises(ConfigurationError, match="begun with the model openai:other"):
        run.start(steps=5, max_calls=None)
    assert runs.all() == [run]


def test_the_command_line_goes_on_with_a_run_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    _, run = with_an_ended_run(tmp_path)
    model = ScriptedChatModel(SimulatedWorld())
    monkeypatch.setattr("langchain_model_alignment.cli.train.open_model", lambda *_: model)
    what = ["--input", "text", "--label", "label", "--task", QUESTION, "--model", "scripted", "--steps", "2"]
    said = CliRunner().invoke(app, ["train", run.asked.data, *what, "--out", str(run.folder.path)])
    assert "Going on with step 2 of 2." in said.output
    assert len(run.folder.result().history) == 3


async def test_one_label_only_begins_no_run(tmp_path: Path):
    path = write(tmp_path / "one.csv", [{"text": "a", "label": "yes"}] * 9)
    with pytest.raises(DataError, match="no example of no"):
        await runs_of(tmp_path).begin(path, asked(path))
    assert not (tmp_path / "runs").exists()


async def test_a_suggested_principle_is_tried_when_the_run_goes_on(tmp_path: Path, table: Path):
    _, run = with_an_ended_run(tmp_path)
    await run.load()
    await run.suggest(Suggestion(label="yes", text="The text speaks of a yak."))
    run.start(steps=2, max_calls=None)
    await ended(run)
    assert "person" in {c["origin"] for c in run.history[2]["candidates"]}


async def test_the_mistakes_of_the_last_step_are_read_with_their_rows(tmp_path: Path, table: Path):
    _, run = with_an_ended_run(tmp_path)
    await run.load()
    met = await run.mistakes()
    assert met
    assert all(row.text.startswith("text: ") for row, _ in met)


# -- sheets of rows


def test_doubtful_rows_come_first_and_those_that_a_person_labeled_last(tmp_path: Path):
    sheet = Sheet(tmp_path / "rows.sqlite")
    sheet.add({"text": str(n)} for n in range(1, 6))
    for number, found in enumerate(
        (Labeled(0, confidence=0.9), Labeled(1, confidence=0.6), Labeled(None), Labeled(0, confidence=0.55)), 1
    ):
        sheet.put(number, found)
    sheet.give(4, 1)
    assert [row.number for row in sheet.page(0, 9)] == [3, 2, 1, 5, 4]
    assert [row.number for row in sheet.page(1, 2, doubtful_first=False)] == [2, 3]
    counts = sheet.counts()
    assert (counts.rows, counts.asked, counts.given, dict(counts.labels)) == (5, 4, 1, {0: 1, 1: 2})
    sheet.close()


async def test_rows_are_labeled_and_a_correction_joins_the_training_rows(tmp_path: Path, table: Path):
    runs, run = with_an_ended_run(tmp_path)
    jobs = Jobs(tmp_path / "sheets", runs)
    job = await jobs.make(run, "pasted", rows=[{"text": "a chair and a cat"}, {"text": "a lamp"}])
    job.start()
    await ended(job)
    assert [row.label for row in job.sheet] == [1, 0]
    await job.give(2, 1)
    assert [c.inputs for c in run.folder.additions().corrections] == [{"text": "a lamp"}]
    run.start(steps=2, max_calls=None)
    await ended(run)
    assert run.history[2]["corrected"] == 1


async def test_a_sheet_is_there_after_the_server_was_killed(tmp_path: Path, table: Path):
    runs, run = with_an_ended_run(tmp_path)
    job = await Jobs(tmp_path / "sheets", runs).make(run, "animals.csv", source=table)
    job.start()
    await until(lambda: job.sheet.counts().asked > 3)
    await job.stop()
    again = Jobs(tmp_path / "sheets", runs_of(tmp_path)).get(job.id)
    again.start()
    await ended(again)
    assert again.sheet.counts().asked == 60


async def test_the_principles_that_decided_are_asked_for_once(tmp_path: Path, table: Path):
    model = ScriptedChatModel(SimulatedWorld())
    runs, run = with_an_ended_run(tmp_path, model)
    job = await Jobs(tmp_path / "sheets", runs).make(run, "pasted", rows=[{"text": "a koi"}])
    job.start()
    await ended(job)
    before = model.calls
    told = await job.explain(1)
    assert model.calls == before + 1
    assert (await job.explain(1), model.calls) == (told, before + 1)


async def test_a_file_without_the_column_is_said(tmp_path: Path, table: Path):
    runs, run = with_an_ended_run(tmp_path)
    path = write(tmp_path / "other.csv", [{"words": "a cat"}])
    job = await Jobs(tmp_path / "sheets", runs).make(run, "other.csv", source=path)
    job.start(label=False)
    await ended(job)
    assert "other.csv has no column 'text'" in job.problem


async def test_reading_that_was_stopped_doubles_no_row_when_it_is_begun_again(tmp_path: Path):
    runs, run = with_an_ended_run(tmp_path)
    path = write(tmp_path / "many.csv", [{"text": f"a cat {n}"} for n in range(30_000)])
    job = await Jobs(tmp_path / "sheets", runs).make(run, "many.csv", source=path)
    job.start(label=False)
    await until(lambda: job.sheet.counts().rows > 0 or not job.running)
    await job.stop()
    job.start(label=False)
    await ended(job)
    assert (job.sheet.counts().rows, job.problem, job.unread) == (30_000, "", False)


async def test_a_rulebook_of_another_model_labels_nothing(tmp_path: Path):
    runs, run = with_an_ended_run(tmp_path)
    run.record = run.record.model_copy(update={"arguments": run.asked.model_copy(update={"model": "openai:other"})})
    job = await Jobs(tmp_path / "sheets", runs).make(run, "pasted", rows=[{"text": "a cat"}])
    job.start()
    await ended(job)
    assert "trained with the model openai:other" in job.problem
    assert job.sheet.counts().asked == 0
    with pytest.raises(ConfigurationError, match="openai:other"):
        await job.explain(1)


async def test_what_is_suggested_while_the_rows_are_read_is_tried_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    _, run = with_an_ended_run(tmp_path)
    prepared, may_go, there = TrainRun._prepared, threading.Event(), threading.Event()

    def slowly(self: TrainRun, labeler: Any) -> Any:
        found = prepared(self, labeler)
        there.set()
        may_go.wait(60)
        return found

    monkeypatch.setattr(TrainRun, "_prepared", slowly)
    run.start(steps=2, max_calls=None)
    await until(there.is_set)
    await run.suggest(Suggestion(label="yes", text="The text speaks of a yak."))
    may_go.set()
    await ended(run)
    assert [c["origin"] for c in run.history[2]["candidates"]].count("person") == 1


async def test_values_are_written_as_they_are(tmp_path: Path):
    runs, run = with_an_ended_run(tmp_path)
    job = await Jobs(tmp_path / "sheets", runs).make(run, "pasted", rows=[{"text": 0}, {"text": None}, {"text": 0.5}])
    assert [line.split(",")[0] for line in "".join(as_csv(job)).splitlines()[1:]] == ["0", "", "0.5"]


async def test_a_sheet_that_cannot_be_read_hides_no_other(tmp_path: Path):
    runs, run = with_an_ended_run(tmp_path)
    jobs = Jobs(tmp_path / "sheets", runs)
    kept, broken = [await jobs.make(run, name, rows=[{"text": "a cat"}]) for name in ("one", "two")]
    broken.sheet.close()
    (tmp_path / "sheets" / broken.id / "rows.sqlite").write_bytes(b"no database at all" * 99)
    found = Jobs(tmp_path / "sheets", runs_of(tmp_path)).latest(5)
    assert [job.id for job in found] == [kept.id]


async def test_confidences_are_kept_where_the_model_tells_them(tmp_path: Path, table: Path):
    run = await trained(tmp_path, table, LogprobModel(LogprobWorld()))
    runs = runs_of(tmp_path, LogprobModel(LogprobWorld()))
    job = await Jobs(tmp_path / "sheets", runs).make(run, "pasted", rows=[{"text": "a cat"}])
    job.start()
    await ended(job)
    [row] = job.sheet
    assert row.confidence is not None
    assert 0.5 <= row.confidence <= 1


def test_pasted_text_without_a_needed_column_is_refused():
    two = TASK.model_copy(update={"input_names": ("title", "text")})
    with pytest.raises(DataError, match="first line names the columns: title, text"):
        pasted_rows("just a line", two)


async def test_a_training_whose_budget_scored_nothing_goes_on_with_the_rows_of_a_larger_one(tmp_path: Path):
    table = write(tmp_path / "animals.csv", rows(60))
    run = await runs_of(tmp_path).begin(table, asked(table, steps=1, sized_for=1))
    run.start(steps=1, max_calls=1)
    await ended(run)
    assert "max_calls=1" in run.problem
    run.start(steps=1, max_calls=2_000)
    await ended(run)
    assert not run.problem
    score = run.folder.result().rulebook.score
    assert score is not None
    assert score.rows > 5
