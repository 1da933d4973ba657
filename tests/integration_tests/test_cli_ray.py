"""Labeling a table on Ray from the command line: what is written, what is said, what stays."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import typer
from langchain_core.messages import BaseMessage
from rich.console import Console

pytest.importorskip("ray", reason='needs Ray: pip install "langchain-model-alignment[ray]"')
from pyarrow import Table, parquet

from langchain_model_alignment import Rulebook, label_file
from langchain_model_alignment.cli.label_ray import label_with_ray
from langchain_model_alignment.errors import ArtifactError, AuthenticationError, DataError
from langchain_model_alignment.integrations.ray_session import ray_session
from langchain_model_alignment.labeling.tables import read_entries
from tests.fakes import ScriptedChatModel, http_error
from tests.integration_tests.ray_cases import RAY_WARNINGS
from tests.simulated import TASK, LogprobModel, SimulatedWorld, book_of, logprob_message, rows

pytestmark = pytest.mark.filterwarnings(*RAY_WARNINGS)

Label = Callable[..., str]


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    with ray_session() as session:
        yield session


@pytest.fixture
def label(ray: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Label:
    """Labels in a folder with a rulebook, and returns what was said."""
    monkeypatch.chdir(tmp_path)
    book_of({"yes": ["The text speaks of a lynx."]}).save("rulebook.json")

    def run(data: str, model: Any = None, out: str = "out", **options: Any) -> str:
        said = io.StringIO()
        console = Console(file=said, width=200)
        made = model or world
        label_with_ray(console, Path(data), Path("rulebook.json"), Path(out), made, workers=1, **options)
        return said.getvalue()

    return run


def world() -> ScriptedChatModel:
    return ScriptedChatModel(SimulatedWorld())


def mixed(messages: list[BaseMessage]) -> Any:
    return http_error(400, "too odd") if "0x7 " in f"{messages[1].text} " else SimulatedWorld()(messages)


def one_fails() -> ScriptedChatModel:
    return ScriptedChatModel(mixed)


def all_fail() -> ScriptedChatModel:
    return ScriptedChatModel(http_error(400, "too odd"))


def late_wrong_key(messages: list[BaseMessage]) -> Any:
    return http_error(401, "no such key") if "0x2999" in messages[1].text else SimulatedWorld()(messages)


def loses_its_key() -> ScriptedChatModel:
    return ScriptedChatModel(late_wrong_key)


def write_csv(path: str, table: list[dict[str, Any]]) -> None:
    Path(path).parent.mkdir(exist_ok=True)
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)


def write(path: str, table: list[dict[str, Any]]) -> None:
    if path.endswith(".csv"):
        write_csv(path, table)
    elif path.endswith(".jsonl"):
        Path(path).write_text("".join(f"{json.dumps(row)}\n" for row in table), "utf-8")
    else:
        parquet.write_table(Table.from_pylist(table), path)


def read_csv(folder: str) -> list[dict[str, str]]:
    found = []
    for path in Path(folder).iterdir():
        with path.open(encoding="utf-8", newline="") as file:
            found += list(csv.DictReader(file))
    return found


def test_a_folder_of_csv_files_keeps_its_cells_as_they_are(label: Label):
    table = [{"id": f"0{at}", "empty": "", "note": 'a "word",\nand NA', **row} for at, row in enumerate(rows(20))]
    write_csv("rows/a.csv", table[:12])
    write_csv("rows/b.csv", table[12:])
    said = label("rows", one_fails)
    found = {row["id"]: row for row in read_csv("out")}
    assert len(found) == 20
    for row in table:
        written = found[row["id"]]
        assert {name: written[name] for name in row} == row
        assert (written["prediction"] == "") == bool(written["error"]) == (row["id"] == "07")
    assert "Labeled 19 of 20 rows: " in said
    assert "Failed: 1. One of them:" in said
    assert "The labels are in out." in said


def test_lines_of_jsonl_keep_whatever_they_hold(label: Label):
    odd = [None, 1, 1.5, "01", "2024-01-01", [1, "a"], {"b": [None]}, "\u2028 \x85", True, 2**60]
    table = [{"id": at, "odd": odd[at % len(odd)], **row} for at, row in enumerate(rows(20))]
    Path("rows.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in table), "utf-8")
    label("rows.jsonl")
    written = [line for path in Path("out").iterdir() for line in path.read_text("utf-8").split("\n") if line]
    found = {row["id"]: row for row in map(json.loads, written)}
    added = {"confidence": None, "principle_ids": [], "error": None}
    assert all(found[row["id"]] == {**row, "prediction": found[row["id"]]["prediction"], **added} for row in table)
    assert {row["prediction"] for row in found.values()} == {"yes", "no"}


def test_parquet_keeps_its_types(label: Label):
    table = Table.from_pylist([{"id": at, "n": None if at % 2 else at, **row} for at, row in enumerate(rows(20))])
    parquet.write_table(table, "rows.parquet")
    label("rows.parquet")
    written = parquet.read_table("out").sort_by("id")
    assert written.select(table.column_names).equals(table)
    assert written.column_names[-4:] == ["prediction", "confidence", "principle_ids", "error"]


def answer(shares: dict[str, float], messages: list[BaseMessage]) -> Any:
    first, second = shares
    return logprob_message(
        shares if messages[1].text[-1] in "02468" else {first: shares[second], second: shares[first]}
    )


def answering(shares: dict[str, float]) -> LogprobModel:
    return LogprobModel(partial(answer, shares))


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("values", [(True, False), (1, 0.5), (True, "unsure"), ("yes", "no")], ids=str)
def test_what_is_added_is_the_same_as_without_ray(label: Label, values: tuple[Any, Any], kind: str):
    write("rows." + kind, rows(6))
    task = TASK.model_copy(update={"label_values": values})
    book = Rulebook.of(task, {}, scoring="logprob")
    book.save("rulebook.json")
    make = partial(answering, {task.labels[0]: 0.7123456789, task.labels[1]: 0.2876543211})
    label(f"rows.{kind}", make)
    label_file(f"rows.{kind}", book, make(), f"here.{kind}")
    there = {entry.row["text"]: entry.row for file in Path("out").iterdir() for entry in read_entries(file)}
    here = [entry.row for entry in read_entries(Path(f"here.{kind}"))]
    assert repr([there[row["text"]] for row in here]) == repr(here)  # 1 is not 1.0 in a file
    assert len({row["prediction"] for row in here} - {None, ""}) == 2


def test_when_every_row_fails_the_rows_are_written_and_the_exit_code_is_1(label: Label):
    write_csv("rows.csv", rows(3))
    with pytest.raises(typer.Exit) as caught:
        label("rows.csv", all_fail)
    assert caught.value.exit_code == 1
    assert [bool(row["error"]) for row in read_csv("out")] == [True] * 3


def test_what_was_finished_before_the_run_ended_stays(label: Label):
    write_csv("rows.csv", rows(3000))
    with pytest.raises(AuthenticationError) as caught:
        label("rows.csv", loses_its_key)
    assert str(caught.value) == "The key was not accepted; check it for the model scripted (401): no such key."
    found = read_csv("out")
    assert 1000 < len(found) < 3000
    assert all(row["prediction"] for row in found)


def test_a_broken_line_is_named(label: Label):
    Path("rows.csv").write_text("text,label\na cat,yes\na,b,c\n")
    with pytest.raises(ArtifactError, match=r"rows\.csv cannot be read \(CSV parse error: .*\); correct that line"):
        label("rows.csv")
    Path("rows.jsonl").write_text('{"text": "a cat"}\n{"text": \n')
    with pytest.raises(ArtifactError, match=r"^rows\.jsonl: The line '\{\"text\": ' is not JSON; correct it\.$"):
        label("rows.jsonl", out="out2")


def test_a_rulebook_for_other_columns_is_named(label: Label):
    write_csv("rows.csv", [{"comment": "A cat."}])
    with pytest.raises(DataError, match=r"^rows\.csv: The table has no column 'text'; its columns are: comment\.$"):
        label("rows.csv")


def test_a_folder_with_files_is_not_written_into(label: Label):
    write_csv("rows.csv", rows(3))
    write_csv("out/old.csv", rows(3))
    for out in ("out", "out.csv", "rulebook.json"):
        with pytest.raises(DataError, match=rf"Ray writes a folder of files; {out} is none that is new or empty"):
            label("rows.csv", out=out)


def test_a_table_without_rows(label: Label):
    Path("rows.csv").write_text("text,label\n")
    with pytest.raises(DataError, match=r"rows\.csv holds no rows"):
        label("rows.csv")
    Path("rows.csv").write_text("")
    with pytest.raises(ArtifactError, match=r"rows\.csv cannot be read \(Empty CSV file"):
        label("rows.csv", out="out2")


def test_a_table_that_is_not_there_or_of_no_known_kind(label: Label):
    with pytest.raises(ArtifactError, match="nothing is no file"):
        label("nothing")
    with pytest.raises(DataError, match=r"ends? in \.json; give one of \.csv, \.jsonl, \.parquet"):
        label("rulebook.json")
