"""Files into files: in order, each row paid for once, and going on where a run stopped."""

import asyncio
import csv
import errno
import json
import os
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import BaseMessage

from langchain_model_alignment import alabel_file, astream_labels, label_file
from langchain_model_alignment.calls import Caller, Gate
from langchain_model_alignment.errors import (
    ArtifactError,
    BadRequestError,
    BudgetError,
    DataError,
)
from langchain_model_alignment.labeling.outputs import failures_of, unfinished
from langchain_model_alignment.labeling.rulebook import Rulebook
from langchain_model_alignment.labeling.stream import FileLabels, Progress
from langchain_model_alignment.labeling.tables import read_entries, scan
from langchain_model_alignment.usage import Budget
from tests.fakes import ScriptedChatModel, http_error
from tests.simulated import ANIMALS, TASK, SimulatedWorld, book_of, row_in, rows

BOOK = book_of({"yes": [f"The text speaks of a {name}." for name in ANIMALS]})
OUT = Path("out.csv")


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(path: str, table: list[dict[str, Any]]) -> Path:
    file = Path(path)
    file.parent.mkdir(exist_ok=True, parents=True)
    if file.suffix == ".csv":
        with file.open("w", encoding="utf-8", newline="") as opened:
            writer = csv.DictWriter(opened, list(table[0]))
            writer.writeheader()
            writer.writerows(table)
    elif file.suffix == ".parquet":
        pa = pytest.importorskip("pyarrow", reason='pip install -e ".[parquet]"')
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(table), file)
    else:
        lines = [json.dumps(row) for row in table]
        file.write_text("\n".join(lines) if file.suffix == ".jsonl" else f"[{','.join(lines)}]", encoding="utf-8")
    return file


def read(path: str | Path) -> list[Any]:
    return [entry.row for entry in read_entries(Path(path))]


def model(reply: Any = None, **more: Any) -> ScriptedChatModel:
    return ScriptedChatModel(reply or SimulatedWorld(), **more)


def label(source: Any = "in.csv", llm: Any = None, out: str | Path = OUT, width: int = 4, **options: Any) -> FileLabels:
    caller = Caller(llm or model(), gate=Gate(width), max_retries=0, budget=options.pop("budget", None))
    return label_file(source, BOOK, caller, out, **options)


# -- what is written ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [".csv", ".jsonl", ".json", ".parquet"])
@pytest.mark.parametrize("wanted", [".csv", ".jsonl", ".json", ".parquet"])
def test_every_kind_of_file_becomes_every_other(given: str, wanted: str):
    if wanted == ".parquet":
        pytest.importorskip("pyarrow", reason='pip install -e ".[parquet]"')
    table = rows(30)
    found = label(write(f"in{given}", table), out=f"out{wanted}")
    written = read(f"out{wanted}")
    assert [(row["text"], row["prediction"]) for row in written] == [(row["text"], row["label"]) for row in table]
    assert list(written[0]) == ["text", "label", "prediction", "confidence", "principle_ids", "error"]
    assert found.tally.labels == {"yes": 15, "no": 15}
    assert sorted(path.name for path in Path().iterdir()) == [f"in{given}", f"out{wanted}"]


def test_rows_come_out_in_their_order_whatever_the_order_of_arrival():
    table = rows(60)

    class Uneven(ScriptedChatModel):
        async def _agenerate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> Any:
            await asyncio.sleep(0.01 * (int(row_in(messages[1]).split("x")[-1]) % 7 == 0))
            return await super()._agenerate(messages, *args, **kwargs)

    label(write("in.jsonl", table), Uneven(SimulatedWorld()), out="out.jsonl", width=8)
    assert [row["text"] for row in read("out.jsonl")] == [row["text"] for row in table]


def test_rows_that_show_the_model_the_same_are_paid_for_once():
    table = [{"id": n, **row} for n, row in enumerate(rows(10) * 5)]
    llm = model(latency=0.001)
    found = label(write("in.csv", table), llm)
    assert (llm.calls, found.asked, len(read(OUT))) == (10, 10, 50)
    assert [row["prediction"] for row in read(OUT)] == [row["label"] for row in table]


def test_a_folder_becomes_one_file_or_a_folder_of_the_same_files():
    table = rows(30)
    write("in/a.csv", table[:10])
    write("in/more/b.jsonl", table[10:20])
    write("in/z.csv", [{"text": row["text"]} for row in table[20:]])
    label("in")
    assert [row["text"] for row in read(OUT)] == [row["text"] for row in table]
    label("in", out="labeled")
    assert [len(read(f"labeled/{name}")) for name in ("a.csv", "more/b.jsonl", "z.csv")] == [10, 10, 10]
    assert read("labeled/more/b.jsonl")[0]["principle_ids"] == []
    assert "label" not in read("labeled/z.csv")[0]
    assert not unfinished(Path("labeled")).exists()


def test_columns_that_come_late_are_there_from_the_beginning():
    write("in.jsonl", [{"text": "a cat"}, {"text": "a lamp", "more": 1}])
    label("in.jsonl")
    assert [row["more"] for row in read(OUT)] == ["", "1"]


@pytest.mark.parametrize("out", ["far", "far/labels.csv", "link.csv"])
def test_the_place_may_be_on_another_file_system(out: str, monkeypatch: pytest.MonkeyPatch):
    write("in/a.csv", rows(3))
    Path("far").mkdir()
    Path("link.csv").symlink_to("far/labels.csv")
    real = os.replace

    def replace(old: Path, new: Path) -> None:
        if ("far" in Path(old).parts) != ("far" in Path(new).parts):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        real(old, new)

    monkeypatch.setattr(os, "replace", replace)
    found = label("in", out=out)
    assert [row["prediction"] for row in read(out if Path(out).suffix else f"{out}/a.csv")] == ["no", "yes", "no"]
    assert not unfinished(found.out).exists()
    assert len(list(Path("far").iterdir())) == 1
    assert Path("link.csv").is_symlink()


def test_what_cannot_be_copied_to_another_file_system_leaves_nothing_half_there(monkeypatch: pytest.MonkeyPatch):
    write("in.csv", rows(3))

    def far(*_: Any) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    def full(_: Path, new: Path) -> None:
        new.write_text("half", encoding="utf-8")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", far)
        patched.setattr(shutil, "copyfile", full)
        with pytest.raises(ArtifactError, match=r"No space left on device.*same command"):
            label()
    assert sorted(path.name for path in Path().iterdir()) == ["in.csv", "out.csv.unfinished"]
    llm = model()
    label(llm=llm)
    assert (llm.calls, len(read(OUT))) == (0, 3)


@pytest.mark.parametrize("kind", [".csv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("labels", [(True, "unsure"), (1, "unsure")])
def test_labels_of_several_kinds_are_text_in_every_kind_of_file(kind: str, labels: tuple[Any, Any]):
    if kind == ".parquet":
        pytest.importorskip("pyarrow", reason='pip install -e ".[parquet]"')
    write("in.csv", rows(2))
    task = TASK.model_copy(update={"label_values": labels})
    answers = iter(task.labels)
    label_file("in.csv", Rulebook.of(task, {}), model(lambda _: next(answers)), f"out{kind}")
    assert [row["prediction"] for row in read(f"out{kind}")] == [str(value) for value in labels]


def test_half_a_character_in_what_a_provider_said_does_not_end_a_run_into_parquet():
    pytest.importorskip("pyarrow", reason='pip install -e ".[parquet]"')
    write("in.csv", rows(2))
    label(llm=model(lambda m: http_error(400, "odd \udc9f") if "0x1" in m[1].text else "no"), out="out.parquet")
    assert "odd ?" in read("out.parquet")[1]["error"]


# -- what goes wrong ---------------------------------------------------------------------------------------------


def test_a_broken_row_in_the_middle_goes_to_the_failures_with_its_line_and_the_rest_goes_on():
    Path("in.csv").write_text("text\na cat\na dog, or two\na lamp\n", encoding="utf-8")
    found = label()
    assert [row["prediction"] for row in read(OUT)] == ["yes", "no"]
    assert (found.unreadable, found.failures) == (1, failures_of(OUT))
    (failed,) = read(failures_of(OUT))
    assert (failed["file"], failed["line"], failed["text"]) == ("in.csv", 3, "a dog, or two")
    assert failed["error"].startswith("in.csv, line 3 cannot be read as a .csv (it has 2 cells")


def test_a_failed_call_is_written_told_and_asked_again_by_the_same_call():
    table = rows(20)
    write("in.csv", table)

    def odd(messages: list[BaseMessage]) -> Any:
        return http_error(500, "down") if "0x5" in row_in(messages[1]) else SimulatedWorld()(messages)

    label(llm=model(odd))
    assert ["down" in row["error"] for row in read(OUT)] == [n == 5 for n in range(20)]
    (failed,) = read(failures_of(OUT))
    assert (failed["line"], failed["kind"], failed["row"]) == (7, "UnavailableError", table[5])
    llm = model()
    found = label(llm=llm)
    assert (llm.calls, found.failures) == (1, None)
    assert [row["prediction"] for row in read(OUT)] == [row["label"] for row in table]
    assert sorted(path.name for path in Path().iterdir()) == ["in.csv", "out.csv"]


def test_a_model_that_refuses_every_request_ends_it_early():
    write("in.csv", rows(500))
    llm = model(http_error(400, "no such parameter"))
    with pytest.raises(BadRequestError, match="no such parameter"):
        label(llm=llm)
    assert llm.calls < 250
    assert not OUT.exists()
    assert not unfinished(OUT).exists()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "in.csv holds no rows; give at least a few"),
        ("text\n", "in.csv holds no rows"),
        ("text\na,b\n", "holds no rows that can be read: in.csv, line 2 cannot be read"),
        ("words\na\n", "in.csv has no column 'text'; its columns are: words"),
        ("text,error\na,b\n", "in.csv has a column 'error' already"),
    ],
)
def test_files_that_do_not_fit_are_told_in_a_sentence_before_a_model_is_asked(content: str, told: str):
    Path("in.csv").write_text(content, encoding="utf-8")
    llm = model()
    with pytest.raises(DataError, match=told):
        label(llm=llm)
    assert llm.calls == 0
    assert [path.name for path in Path().iterdir()] == ["in.csv"]


def test_one_file_of_a_folder_with_other_columns_is_named():
    write("in/a.csv", rows(5))
    write("in/b.csv", [{"words": "x"}])
    with pytest.raises(DataError, match=r"in/b\.csv has no column 'text'"):
        label("in")


def test_a_column_that_changes_its_type_matters_only_where_it_must():
    table = [{"text": "a cat", "n": 1}, {"text": "a lamp", "n": "one"}]
    write("in.jsonl", table)
    label("in.jsonl", out="out.jsonl")
    assert [row["n"] for row in read("out.jsonl")] == [1, "one"]
    pytest.importorskip("pyarrow", reason='pip install -e ".[parquet]"')
    llm = model()
    with pytest.raises(DataError, match="'n' changes its type"):
        label("in.jsonl", llm, out="out.parquet")
    assert llm.calls == 0


@pytest.mark.parametrize("out", ["in.csv", "./in.csv", "link.csv", "in", "in.xlsx"])
def test_what_is_read_is_never_written_over(out: str):
    write("in.csv", rows(3))
    Path("link.csv").symlink_to("in.csv")
    write("in/a.csv", rows(3))
    with pytest.raises(DataError):
        label(["in.csv", "in"], out=out)
    assert len(read("in.csv")) == len(read("in/a.csv")) == 3


def test_tables_named_from_a_folder_beside_them_land_in_the_folder_that_was_given(monkeypatch: pytest.MonkeyPatch):
    table = rows(3)
    write("x/a.csv", table)
    write("project/y/b.csv", table)
    monkeypatch.chdir("project")
    label(["../x", "y"], out="../labels")
    assert read("../x/a.csv") == table
    assert [len(read(f"../labels/{name}")) for name in ("x/a.csv", "project/y/b.csv")] == [3, 3]


def test_a_place_in_the_folder_that_leads_back_to_a_table_is_refused():
    write("in/a.csv", rows(3))
    Path("labeled").mkdir()
    Path("labeled/a.csv").symlink_to(Path("in/a.csv").resolve())
    with pytest.raises(DataError, match=r"labeled/a\.csv is a table to be labeled"):
        label("in", out="labeled")


@pytest.mark.parametrize(
    ("source", "out"),
    [
        ("in", "in/labels.csv"),
        ("in", "in/labeled"),
        ("in/*.csv", "in/labels.csv"),
        ("in/*.*", "in/labels.csv"),
        ("in/**/*.csv", "in/labeled"),
        ("**/rows/*", "labels.csv"),
        ("*/*.jsonl", "in/labels.csv"),
        (".", "labels.csv"),
    ],
)
def test_what_is_written_never_lies_where_it_would_be_read_the_next_time(source: str, out: str):
    write("in/a.csv", rows(3))
    write("in/a.jsonl", rows(3))
    write("in/rows/a.csv", rows(3))
    llm = model()
    with pytest.raises(DataError, match="would lie among the tables to be labeled"):
        label(source, llm, out=out)
    assert llm.calls == 0
    assert sorted(path.name for path in Path("in").iterdir()) == ["a.csv", "a.jsonl", "rows"]


def test_a_table_with_the_name_of_the_failures_is_not_written_over():
    write("out.csv.failures.jsonl", rows(3))
    with pytest.raises(DataError, match=r"out\.csv\.failures\.jsonl is a table to be labeled"):
        label("out.csv.failures.jsonl")
    assert len(read("out.csv.failures.jsonl")) == 3


# -- going on ----------------------------------------------------------------------------------------------------


def killed(at: int, then: Callable[[], None]) -> ScriptedChatModel:
    """A model at whose `at`th call something happens."""
    asked: list[Any] = []

    def reply(messages: list[BaseMessage]) -> Any:
        asked.append(messages)
        if len(asked) == at:
            then()
        return SimulatedWorld()(messages)

    return model(reply, latency=0.001)


@pytest.mark.parametrize("kind", [".csv", ".jsonl", ".parquet"])
def test_a_killed_run_goes_on_pays_for_nothing_twice_and_writes_the_same(kind: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("langchain_model_alignment.labeling.kept._FOLD", 15)
    write(f"in{kind}", rows(60))
    whole, out = Path(f"whole{kind}"), Path(f"out{kind}")
    # What is on the disk at one moment is what a process leaves that is killed at that moment.
    label(f"in{kind}", killed(40, lambda: shutil.copytree(unfinished(whole), unfinished(out))), out=whole)
    llm = model()
    found = label(f"in{kind}", llm, out=out)
    assert llm.calls == found.asked <= 60 - 40 + 4
    assert out.read_bytes() == whole.read_bytes()


def test_what_a_stopped_run_leaves_can_be_read_as_it_is():
    write("in.csv", rows(60))
    with pytest.raises(BudgetError):
        label(budget=Budget(max_calls=30))
    written = read(unfinished(OUT) / "rows" / "out.csv")
    assert [row["text"] for row in written] == [row["text"] for row in rows(60)[:30]]
    llm = model()
    label(llm=llm)
    assert (llm.calls, len(read(OUT))) == (30, 60)


@pytest.mark.parametrize("where", ["sinks.JsonSink.write", "kept.Kept.put"])
def test_a_full_disk_is_one_sentence_and_what_was_labeled_stays(where: str, monkeypatch: pytest.MonkeyPatch):
    write("in.jsonl", rows(60))
    calls: list[int] = []
    owner, name = where.rsplit(".", 1)
    target = f"langchain_model_alignment.labeling.{where}"
    module, cls = owner.split(".")
    real = getattr(getattr(__import__(f"langchain_model_alignment.labeling.{module}", fromlist=[cls]), cls), name)

    def full(self: Any, *args: Any) -> None:
        calls.append(1)
        if name == "put" and len(calls) <= 30:
            return real(self, *args)
        error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        raise self._unusable(error) if name == "put" else error

    with monkeypatch.context() as patched:
        patched.setattr(target, full)
        with pytest.raises(ArtifactError, match=r"No space left on device.*same command"):
            label("in.jsonl", out="out.jsonl")
    llm = model()
    label("in.jsonl", llm, out="out.jsonl")
    assert llm.calls <= 30
    assert len(read("out.jsonl")) == 60


def test_an_unfinished_run_of_another_rulebook_is_refused_unless_it_is_to_be_forgotten():
    write("in.csv", rows(20))
    with pytest.raises(BudgetError):
        label(budget=Budget(max_calls=10))
    other = book_of({"yes": ["The text names something alive."]})
    with pytest.raises(ArtifactError, match="another rulebook"):
        label_file("in.csv", other, model(), OUT)
    llm = model()
    label_file("in.csv", other, llm, OUT, anew=True)
    assert llm.calls == 20


@pytest.mark.parametrize("anew", [False, True])
def test_a_run_that_is_going_on_is_left_alone_by_a_second_one(anew: bool):
    write("in.csv", rows(20))
    refused = []

    def second() -> None:
        other = alabel_file("in.csv", BOOK, model(), OUT, anew=anew)
        with ThreadPoolExecutor(1) as pool:  # a thread of its own has a loop of its own, as another process has
            error = pool.submit(asyncio.run, other).exception()
        refused.append(isinstance(error, ArtifactError) and "Another process is using" in str(error))

    label("in.csv", killed(10, second))
    assert refused == [True]
    assert [row["prediction"] for row in read(OUT)] == [row["label"] for row in rows(20)]


def test_rows_of_a_stopped_run_are_not_taken_for_rows_of_a_table_that_is_empty_by_now():
    write("in/a.csv", rows(10))
    write("in/b.csv", rows(10, seed=1))
    with pytest.raises(BudgetError):
        label("in", out="labeled", budget=Budget(max_calls=15))
    Path("in/b.csv").write_text("text,label\n", encoding="utf-8")
    label("in", out="labeled")
    assert [path.name for path in Path("labeled").iterdir()] == ["a.csv"]


# -- the rest ----------------------------------------------------------------------------------------------------


def test_progress_is_told_up_to_the_last_row():
    write("in.csv", rows(20))
    told: list[Progress] = []
    label(tell=told.append)
    assert (told[-1].done, told[-1].total, told[-1].left) == (20, 20, 0.0)
    assert told[-1].rate > 0
    assert Progress(5, 20, 0.5, 0).left == 30.0
    assert Progress(0, 20, 0.0, 0).left is None


async def test_the_async_form_takes_and_gives_the_same_and_both_work_in_a_running_loop():
    import inspect

    assert inspect.signature(label_file) == inspect.signature(alabel_file)
    write("in.csv", rows(20))
    one = label_file("in.csv", BOOK, model(), "one.csv")
    two = await alabel_file("in.csv", BOOK, model(), "two.csv")
    assert read("one.csv") == read("two.csv")
    assert one.tally.labels == two.tally.labels


async def test_the_callers_loop_goes_on_while_the_files_are_looked_through(monkeypatch: pytest.MonkeyPatch):
    write("in.csv", rows(3))
    went_on = threading.Event()

    def slow(file: Path, **options: Any) -> Any:
        assert went_on.wait(5), "the loop stands still"
        return scan(file, **options)

    monkeypatch.setattr("langchain_model_alignment.labeling.stream.scan", slow)
    running = asyncio.create_task(alabel_file("in.csv", BOOK, model(), OUT))
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_later(0.01, went_on.set)
    assert (await running).tally.rows == 3


def test_a_cascade_labels_files_and_tells_what_it_saved():
    from tests.simulated import LogprobModel, LogprobWorld

    write("in.csv", rows(20))
    book = BOOK.model_copy(update={"scoring": "logprob"})
    large = model()
    found = label_file("in.csv", book, LogprobModel(LogprobWorld()), OUT, large_model=large, below=0.8)
    assert found.saved is not None
    assert (found.saved.rows, found.saved.large_rows, large.calls) == (20, 10, 10)
    assert [row["prediction"] for row in read(OUT)] == [row["label"] for row in rows(20)]


async def test_rows_out_of_a_generator_come_with_their_predictions_in_order_and_in_bounded_number():
    taken = 0

    def source() -> Any:
        nonlocal taken
        for row in rows(400):
            taken += 1
            yield row

    seen = []
    async for row, prediction in astream_labels(source(), BOOK, Caller(model(), gate=Gate(2))):
        seen.append((row["label"], prediction["prediction"]))
        assert taken - len(seen) <= 64
    assert len(seen) == 400
    assert all(own == given for own, given in seen)


async def test_a_stream_that_is_left_early_stops_asking():
    llm = model(latency=0.001)
    stream = astream_labels(rows(400), BOOK, Caller(llm, gate=Gate(2)))
    async for _ in stream:
        break
    await stream.aclose()
    asked = llm.calls
    await asyncio.sleep(0.01)
    assert llm.calls == asked < 100


async def test_a_row_that_lacks_an_input_ends_a_stream_after_the_rows_before_it():
    seen = []

    async def read_all() -> None:
        async for row, _ in astream_labels([*rows(3), {"words": "x"}], BOOK, model()):
            seen.append(row)

    with pytest.raises(DataError, match="A row lacks text; its columns are: words"):
        await read_all()
    assert len(seen) == 3
