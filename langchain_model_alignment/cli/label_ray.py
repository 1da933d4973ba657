"""`langchain-align label --engine ray`: Ray Data reads a table, workers label it, Ray Data writes a folder."""

import glob
import json
import logging
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from langchain_model_alignment.artifacts import make_place
from langchain_model_alignment.cli.show import indented, plain
from langchain_model_alignment.errors import AlignmentError, ArtifactError, DataError
from langchain_model_alignment.integrations.ray import check_columns, label_dataset
from langchain_model_alignment.integrations.ray_models import ModelSource
from langchain_model_alignment.integrations.ray_session import one_sentence, ray_session
from langchain_model_alignment.labeling.cells import ADDED, flat, written_labels
from langchain_model_alignment.labeling.rulebook import Rulebook
from langchain_model_alignment.labeling.task import LabelingTask, as_text

if TYPE_CHECKING:
    import pyarrow as pa
    from ray.data import Dataset

__all__ = ["label_with_ray"]

_KINDS = {".csv": "csv", ".jsonl": "jsonl", ".parquet": "parquet"}
_ROWS_PER_FILE = 1024  # at least; what is in no file yet is lost when the whole run is killed
_LINE = "(line)"  # the column that holds a row of .jsonl as it was
_LONGEST_LINE = 16 * 2**20  # bytes
_SHOWN_LABELS, _SHOWN = 12, 60


def label_with_ray(
    console: Console,
    data: Path,
    rulebook: Path,
    out: Path,
    model: ModelSource = "local",
    *,
    explain: bool = False,
    threshold: float | None = None,
    concurrency: int = 32,
    workers: int = 2,
    calls_per_minute: float | None = None,
    address: str | None = None,
) -> None:
    """Label the rows of a table by a rulebook on Ray, and say what came out.

    The rows are written as they were, with their labels, into files of the table's own kind: several files, in no
    order. What a run that fails has written stays. On a cluster all machines must see the table and the folder under
    these paths.

    Args:
        console: Where to speak.
        data: The rows: a .csv, .jsonl or .parquet file, a folder of such files, or a pattern such as `rows/*.csv`.
        rulebook: The rulebook's file.
        out: The folder to write into, new or empty.
        model: The model's name, or a function without arguments that makes it.
        explain: Also ask which principles decided.
        threshold: Leave the label out where the confidence is below it.
        concurrency: How many calls run at once, over all workers.
        workers: How many processes label.
        calls_per_minute: How many calls are begun in a minute, over all workers.
        address: Where the cluster is; without it Ray runs on this machine alone.

    Raises:
        AlignmentError: The table, the folder or the rulebook does not fit, no cluster is at the address, or the run
            ended early.
        typer.Exit: Every row failed.
    """
    book = Rulebook.load(rulebook)
    files, kind = _files(data)
    if out.suffix.lower() in _KINDS or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
        raise DataError(f"Ray writes a folder of files; {out} is none that is new or empty, so give --out such a one.")
    make_place(out / "rows")
    with ray_session(address) as ray:
        _quieten(ray, console)
        console.print(plain(f"(labeling with {workers} workers on Ray …)", "dim"))
        try:
            rows = _read(ray, files, kind, book.task)
            labeled = label_dataset(
                rows,
                book,
                model,
                workers=workers,
                max_concurrency=concurrency,
                calls_per_minute=calls_per_minute,
                explain=explain,
                threshold=threshold,
            )
            _write(labeled, out, kind, book.task)
        except (Exception, KeyboardInterrupt) as error:
            if any(out.iterdir()):
                console.print(plain(f"The rows that were finished are in {out}.", "dim"))
            if isinstance(error, KeyboardInterrupt):
                raise typer.Exit(130) from None
            raise _about(data, error) from error
    if not any(out.iterdir()):
        raise DataError(f"{data} holds no rows; give at least a few.")
    _say(console, out, kind)


def _about(data: Path, error: Exception) -> AlignmentError:
    """Return one sentence for what ended the run, which names the table where the table is at fault."""
    from pyarrow import ArrowInvalid

    cause = getattr(error, "cause", None) or error
    if isinstance(cause, ArrowInvalid):
        reason = str(cause).splitlines()[0].rstrip(".")
        return ArtifactError(f"{data} cannot be read ({reason}); correct that line.")
    said = one_sentence(error)
    return type(said)(f"{data}: {said}") if isinstance(said, DataError | ArtifactError) else said


def _files(data: Path) -> tuple[list[str], str]:
    """Return the files that a path stands for, and what kind they all are."""
    found = list(data.iterdir()) if data.is_dir() else [Path(name) for name in glob.glob(str(data))]
    files = sorted(path for path in found if path.is_file() and not path.name.startswith((".", "_")))
    if not files:
        raise ArtifactError(f"{data} is no file, nor a folder with files; check the path.")
    suffixes = {path.suffix.lower() for path in files}
    if len(suffixes) > 1 or not suffixes <= _KINDS.keys():
        raise DataError(f"{data} has files that end in {', '.join(sorted(suffixes))}; give one of {', '.join(_KINDS)}.")
    return [str(path.resolve()) for path in files], _KINDS[suffixes.pop()]


def _quieten(ray: Any, console: Console) -> None:
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = console.is_terminal
    context.raise_original_map_exception = True
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # what fails is said by us
    warnings.filterwarnings("ignore", "The minimum number of concurrent actors", UserWarning)  # a short table


def _read(ray: Any, files: list[str], kind: str, task: LabelingTask) -> "Dataset":
    """Read the files as they are: neither the cells of a .csv nor what is in a line of .jsonl changes its type."""
    if kind == "parquet":
        return ray.data.read_parquet(files)
    from pyarrow import csv, string

    if kind == "csv":
        with csv.open_csv(files[0]) as first:
            names = first.schema.names
        parsing, reading = csv.ParseOptions(newlines_in_values=True), csv.ReadOptions()
    else:  # a line is one cell: JSON leaves no control character bare
        names = [_LINE]
        parsing = csv.ParseOptions(delimiter="\x01", quote_char=False)
        reading = csv.ReadOptions(column_names=names, block_size=_LONGEST_LINE)
    text = csv.ConvertOptions(column_types=dict.fromkeys(names, string()), strings_can_be_null=False)
    rows: Dataset = ray.data.read_csv(
        files, parse_options=parsing, read_options=reading, convert_options=text, file_extensions=None
    )
    if kind == "csv":
        return rows
    parse = partial(_parsed, task=task)
    return rows.map_batches(parse, batch_size=None, batch_format="pyarrow", zero_copy_batch=True)


def _parsed(block: "pa.Table", task: LabelingTask) -> "pa.Table":
    """Put the inputs beside each line, as text; the line itself is kept, and written as it was."""
    import pyarrow as pa

    rows = [_object_in(line) for line in block[_LINE].to_pylist()]
    check_columns(task, list(dict.fromkeys(name for row in rows for name in row)))
    for name in task.input_names:
        cells = [None if row.get(name) is None else as_text(row[name]) for row in rows]
        block = block.append_column(pa.field(name, pa.string()), pa.array(cells, pa.string()))
    return block


def _object_in(line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"The line {line[:_SHOWN]!r} is not JSON; correct it.") from error
    if not isinstance(row, dict):
        raise ArtifactError(f"The line {line[:_SHOWN]!r} is no row; write an object on each, from column to value.")
    return row


def _write(labeled: "Dataset", out: Path, kind: str, task: LabelingTask) -> None:
    place = str(out.resolve())
    if kind == "parquet":
        labeled.write_parquet(place, min_rows_per_file=_ROWS_PER_FILE)
    elif kind == "csv":
        as_cells = partial(_flat, task=task)
        cells = labeled.map_batches(as_cells, batch_size=None, batch_format="pyarrow", zero_copy_batch=True)
        cells.write_csv(place, min_rows_per_file=_ROWS_PER_FILE)
    else:
        labeled.write_datasink(_json_lines(place, task))


def _flat(block: "pa.Table", task: LabelingTask) -> "pa.Table":
    """Write our cells as they are written without Ray: Arrow has another text for a bool, and none for a list."""
    import pyarrow as pa

    given = _given(task)
    texts: tuple[tuple[str, Callable[[Any], str]], ...] = (
        ("prediction", lambda label: str(given[label])),
        ("confidence", str),
        ("principle_ids", flat),
    )
    for name, text in texts:
        cells = [None if value is None else text(value) for value in block[name].to_pylist()]
        block = block.set_column(block.column_names.index(name), name, pa.array(cells, pa.string()))
    return block


def _given(task: LabelingTask) -> dict[Any, Any]:
    """The labels by what comes out of an Arrow column, which holds 1 as 1.0 where another label is 0.5."""
    return {label: label for label in written_labels(task)}


def _json_lines(place: str, task: LabelingTask) -> Any:
    """Return a sink for .jsonl; Ray's own goes through pandas, which would change whole numbers, dates and lists."""
    from ray.data.block import BlockAccessor
    from ray.data.datasource import BlockBasedFileDatasink

    given = {None: None, **_given(task)}

    class JsonLines(BlockBasedFileDatasink):  # type: ignore[misc]
        def write_block_to_file(self, block: BlockAccessor, file: Any) -> None:
            for cells in block.to_arrow().select([_LINE, *ADDED]).to_pylist():
                row = {**json.loads(cells.pop(_LINE)), **cells, "prediction": given[cells["prediction"]]}
                # Half a surrogate pair, which JSON may hold, is no UTF-8; written this way it is JSON again.
                file.write((json.dumps(row, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace"))

    return JsonLines(place, file_format="jsonl", min_rows_per_file=_ROWS_PER_FILE)


def _results(out: Path, kind: str) -> Iterator[tuple[Any, str | None]]:
    """Yield the label and the error of each row that was written."""
    if kind == "jsonl":
        for path in sorted(out.iterdir()):
            with path.open(encoding="utf-8", newline="\n") as file:
                yield from ((row["prediction"], row["error"]) for row in map(json.loads, file))
        return
    import pyarrow as pa
    from pyarrow import dataset

    words = pa.schema([("prediction", pa.string()), ("error", pa.string())]) if kind == "csv" else None
    for batch in dataset.dataset(str(out), format=kind, schema=words).to_batches(columns=["prediction", "error"]):
        yield from zip(batch["prediction"].to_pylist(), batch["error"].to_pylist(), strict=True)


def _say(console: Console, out: Path, kind: str) -> None:
    labels: Counter[str] = Counter()
    failed, first, n = 0, "", 0
    for label, error in _results(out, kind):
        n += 1
        if error:
            failed, first = failed + 1, first or error
        elif label not in (None, ""):
            labels[str(label)] += 1
    shown = [f"{label} {count}" for label, count in labels.most_common(_SHOWN_LABELS)]
    more = ["…"] if len(labels) > _SHOWN_LABELS else []
    console.print(plain(f"Labeled {labels.total()} of {n} rows: {', '.join(shown + more) or 'none'}."))
    if failed:
        console.print(plain(f"Failed: {failed}. One of them:", "red"))
        console.print(indented(plain(first)))
    console.print(plain(f"The labels are in {out}."))
    if n and failed == n:
        raise typer.Exit(1)
