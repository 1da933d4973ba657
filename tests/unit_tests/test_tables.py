"""Rows out of files, one at a time; what is broken is told with its line, and the rest goes on."""

from pathlib import Path
from typing import Any

import pytest

from langchain_model_alignment.errors import ArtifactError, ConfigurationError, DataError
from langchain_model_alignment.labeling import tables
from langchain_model_alignment.labeling.sources import find_files, finds
from langchain_model_alignment.labeling.tables import Entry, read_entries, scan


def entries(path: Path, content: str | bytes) -> list[Entry]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(read_entries(path))


def told(found: list[Entry]) -> list[Any]:
    """The rows by their values; for a broken one its line and what is wrong."""
    return [list(e.row.values()) if e.row is not None else (e.number, e.error.split(" (")[0]) for e in found]


WRONG_CSV = "cannot be read as a .csv"


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ("a,b\n1,2\n\n3,4\n", [["1", "2"], ["3", "4"]]),
        ('a,b\n"x\r\ny",2\n3,4\n', [["x\r\ny", "2"], ["3", "4"]]),
        ("\ufeffa,b\r\n1,\r\n", [["1", ""]]),
        ("a,b\n1,2,3\n4,5\n", [(2, WRONG_CSV), ["4", "5"]]),
        ("a,b\n1\n4,5\n", [(2, WRONG_CSV), ["4", "5"]]),
        ('a,b\n"open,2\n3,4\n"5",6\n', [(2, WRONG_CSV), ["3", "4"], ["5", "6"]]),
        ('a,b\n1,2\n"open,2\n3,4\n', [["1", "2"], (3, WRONG_CSV), ["3", "4"]]),
        (b"a,b\n1,caf\xe9\n3,4\n", [(2, "is not UTF-8 text"), ["3", "4"]]),
        (b'a,b\n"1\n\xe9",2\n3,4\n', [(2, "is not UTF-8 text"), (3, "is not UTF-8 text"), ["3", "4"]]),
    ],
)
def test_a_broken_row_of_a_csv_is_told_and_the_rows_after_it_are_read(tmp_path: Path, content: Any, rows: list[Any]):
    assert told(entries(tmp_path / "x.csv", content)) == rows


def test_a_row_after_a_broken_one_keeps_its_line(tmp_path: Path):
    found = entries(tmp_path / "x.csv", 'a,b\n"two\nlines",2\n"open,2\n3,4\n')
    assert [(e.number, e.text) for e in found] == [(2, ""), (4, '"open,2'), (5, "")]


def test_a_long_cell_is_read(tmp_path: Path):
    assert told(entries(tmp_path / "x.csv", f"a,b\n{'x' * 200_000},2\n"))[0][1] == "2"


def test_a_broken_line_of_json_lines_is_told_and_the_lines_after_it_are_read(tmp_path: Path):
    content = b'\xef\xbb\xbf{"a": 1}\n{"a"\n\n[1]\n"\xe9"\n{"a": "\xe2\x80\xa8"}'
    assert told(entries(tmp_path / "x.jsonl", content)) == [
        [1],
        (2, "is not JSON"),
        (4, "holds no rows: it is no object from column to value"),
        (5, "is not UTF-8 text"),
        ["\u2028"],
    ]


def test_a_json_file_is_a_list_of_objects(tmp_path: Path):
    assert told(entries(tmp_path / "x.json", '[{"a": 1}, 2, {"a": null}]')) == [
        [1],
        (2, "is no object from column to value"),
        [None],
    ]
    with pytest.raises(ArtifactError, match="holds no rows; write a list of objects"):
        entries(tmp_path / "x.json", '{"a": 1}')
    with pytest.raises(ArtifactError, match="is not JSON"):
        entries(tmp_path / "x.json", "[1")


def test_a_parquet_file_gives_its_values_with_their_types(tmp_path: Path):
    pa = pytest.importorskip("pyarrow", reason='pip install -e ".[parquet]"')
    import pyarrow.parquet as pq

    table = [{"a": 1, "b": ["x"], "c": None}, {"a": 2, "b": [], "c": 0.5}]
    pq.write_table(pa.Table.from_pylist(table), tmp_path / "x.parquet")
    assert [e.row for e in read_entries(tmp_path / "x.parquet")] == table
    assert (scan(tmp_path / "x.parquet").rows, scan(tmp_path / "x.parquet").columns) == (2, ["a", "b", "c"])
    (tmp_path / "y.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(ArtifactError, match=r"y\.parquet cannot be read as a \.parquet file"):
        scan(tmp_path / "y.parquet")


def test_without_pyarrow_parquet_names_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ConfigurationError, match=r"pip install .*\[parquet\]"):
        scan(tmp_path / "x.parquet")


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match="has the column 'a' twice"):
        entries(tmp_path / "x.csv", "a,b,a\n1,2,3\n")


def test_a_folder_and_a_glob_give_their_tables_in_the_order_of_their_names(tmp_path: Path):
    for name in ("b.csv", "a.jsonl", "_c.csv", ".d.csv", "notes.txt", "_hidden/e.csv", "more/f.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    names = ["a.jsonl", "b.csv", "more/f.csv"]
    assert [str(p.relative_to(tmp_path)) for p in find_files(tmp_path)] == names
    assert find_files(f"{tmp_path}/*.csv") == [tmp_path / ".d.csv", tmp_path / "_c.csv", tmp_path / "b.csv"][1:]
    assert find_files([tmp_path / "b.csv", tmp_path]) == [tmp_path / n for n in ("b.csv", "a.jsonl", "more/f.csv")]


def test_a_name_with_brackets_is_a_name_where_there_is_such_a_file(tmp_path: Path):
    (tmp_path / "x[1].csv").touch()
    assert find_files(tmp_path / "x[1].csv") == [tmp_path / "x[1].csv"]


@pytest.mark.parametrize("source", ["", "*.csv", "notes.txt"])
def test_a_source_without_tables_is_told(tmp_path: Path, source: str):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataError, match=r"no table"):
        find_files(f"{tmp_path}/{source}")


def test_the_longest_cell_is_bounded_so_that_an_open_quote_does_not_swallow_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import csv

    before = csv.field_size_limit(100)
    monkeypatch.setattr(tables, "_LONGEST_CELL", 100)
    try:
        content = 'a,b\n"open,2\n' + "3,4\n" * 100
        assert len(told(entries(tmp_path / "x.csv", content))) == 101
    finally:
        csv.field_size_limit(before)


@pytest.mark.parametrize(
    "path", ["a.csv", "b/a.csv", "b/c/a.csv", "b/c/.a.csv", ".b/a.csv", "b/_c/a.csv", "b/a.jsonl", "B/A.CSV"]
)
@pytest.mark.parametrize(
    "source", ["", "b", "*.csv", "b/*.csv", "**/*.csv", "b/**/a.*", "[bx]/?.csv", "../in/*.csv", "**"]
)
def test_whether_a_source_would_find_a_file_is_known_before_the_file_is_there(tmp_path: Path, source: str, path: str):
    folder, file = tmp_path / "in", tmp_path / "in" / path
    (folder / "b").mkdir(parents=True)
    told = finds(f"{folder}/{source}", file)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    try:
        found = file.resolve() in [one.resolve() for one in find_files(f"{folder}/{source}")]
    except DataError:
        found = False
    assert told == found
