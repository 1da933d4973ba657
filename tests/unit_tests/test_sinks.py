"""Rows into files; each kind can be read again, and at any moment."""

import json
from pathlib import Path
from typing import Any

import pytest

from langchain_model_alignment.errors import DataError
from langchain_model_alignment.labeling import sinks
from langchain_model_alignment.labeling.sinks import make_sink, schema_of
from langchain_model_alignment.labeling.sources import find_files
from langchain_model_alignment.labeling.tables import read_entries, scan, together

TABLE: list[dict[str, Any]] = [{"a": 'x, "y"\nz\u2028', "b": "é"}, {"a": "\udc9fhalf", "b": "2"}]


def read(path: Path) -> list[Any]:
    return [entry.row for entry in read_entries(path)]


@pytest.mark.parametrize("name", ["a.csv", "a.json", "a.jsonl"])
def test_what_is_written_is_read_again(tmp_path: Path, name: str):
    sink = make_sink(tmp_path / name, ["a", "b"])
    for row in TABLE:
        sink.write([row])
    sink.close()
    again = read(tmp_path / name)
    assert again[0] == TABLE[0]
    if name != "a.csv":  # half a surrogate pair is no UTF-8, but JSON has a way to write it
        assert again == TABLE


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_a_file_that_is_not_closed_holds_every_row_written(tmp_path: Path, name: str):
    sink = make_sink(tmp_path / name, ["a"])
    sink.write([{"a": "1"}, {"a": "2"}])
    assert read(tmp_path / name) == [{"a": "1"}, {"a": "2"}]
    sink.close()


def test_an_empty_json_file_is_an_empty_list(tmp_path: Path):
    make_sink(tmp_path / "a.json", []).close()
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == []


class TestParquet:
    """.parquet files, which have a type for each column."""

    @pytest.fixture(autouse=True)
    def _pyarrow(self):
        pytest.importorskip("pyarrow", reason='pip install -e ".[parquet]"')

    @staticmethod
    def schema(folder: Path, **files: str) -> Any:
        for name, text in files.items():
            (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
        found = together([scan(file, typed=True) for file in find_files(folder)])
        return schema_of(found, {"prediction": ["yes"], "principle_ids": [["p1"]]})

    def test_the_parts_of_a_long_file_are_joined_and_stand_by_themselves_until_then(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(sinks, "_GROUP", 10)
        monkeypatch.setattr(sinks, "_GROUPS", 2)
        table = [{"n": n, "prediction": "yes", "principle_ids": []} for n in range(95)]
        folder = tmp_path / "in"
        folder.mkdir()
        sink = make_sink(tmp_path / "a.parquet", [], self.schema(folder, x='{"n": 1}'))
        for at in range(0, 95, 5):
            sink.write([dict(row) for row in table[at : at + 5]])
        parts = sorted(tmp_path.glob("a.parquet.0*"))
        assert [row["n"] for part in parts[:-1] for row in read(part)] == list(range(80))
        sink.close()
        assert read(tmp_path / "a.parquet") == table
        assert not list(tmp_path.glob("a.parquet.0*"))

    def test_columns_keep_their_types_and_nested_ones_are_json(self, tmp_path: Path):
        schema = self.schema(
            tmp_path, x='{"i": 1, "f": 1, "b": true, "s": "x", "d": {"k": 1}, "n": null}', y='{"f": 0.5, "i": null}'
        )
        assert {f.name: str(f.type) for f in schema} == {
            "i": "int64",
            "f": "double",
            "b": "bool",
            "s": "string",
            "d": "string",
            "n": "string",
            "prediction": "string",
            "principle_ids": "list<item: string>",
        }
        sink = make_sink(tmp_path / "a.parquet", [], schema)
        sink.write([{"f": 1, "d": {"k": 1}}])
        sink.close()
        row = read(tmp_path / "a.parquet")[0]
        assert (row["f"], row["d"], row["i"]) == (1.0, '{"k": 1}', None)

    @pytest.mark.parametrize(
        ("files", "where"),
        [({"x": '{"n": 1}\n{"n": "one"}'}, "line 2 it is str"), ({"x": '{"n": 1}', "y": '{"n": "one"}'}, "line 1")],
    )
    def test_a_column_that_changes_its_type_is_told_with_its_lines(
        self, tmp_path: Path, files: dict[str, str], where: str
    ):
        with pytest.raises(DataError, match=f"'n' changes its type: .*x.jsonl, line 1 it is int, .*{where}"):
            self.schema(tmp_path, **files)

    def test_a_number_that_is_too_large_is_told(self, tmp_path: Path):
        sink = make_sink(tmp_path / "a.parquet", [], self.schema(tmp_path, x='{"n": 1}'))
        with pytest.raises(DataError, match="does not fit"):
            sink.write([{"n": 2**70}])
        sink.close()
