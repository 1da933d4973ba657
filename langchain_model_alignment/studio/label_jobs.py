"""The sheets of a studio: rows that were given to be labeled, each opened once for all tabs."""

import csv
import io
import re
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from langchain_model_alignment.errors import AlignmentError, DataError, NotFoundError
from langchain_model_alignment.labeling.task import LabelingTask
from langchain_model_alignment.studio.label_job import LabelJob
from langchain_model_alignment.studio.label_sheet import Sheet
from langchain_model_alignment.studio.train_run import TrainRun
from langchain_model_alignment.studio.train_runs import Runs

__all__ = ["Jobs", "pasted_rows"]

_ID = re.compile(r"[0-9a-f]{8}")
_FILE = "rows.sqlite"


class Jobs:
    """The sheets in a folder.

    Args:
        folder: Where they are kept, a folder each.
        runs: The training runs whose rulebooks label them.
    """

    def __init__(self, folder: Path, runs: Runs) -> None:
        self._folder, self._runs = folder, runs
        self._open: dict[str, LabelJob] = {}

    def latest(self, n: int) -> list[LabelJob]:
        """Return the sheets that were given last, the latest first; one whose run is gone is left out."""
        paths = sorted(self._folder.glob(f"*/{_FILE}"), key=lambda path: -path.parent.stat().st_mtime)
        found = []
        for path in paths[:n]:
            try:
                found.append(self.get(path.parent.name))
            except AlignmentError:  # told when it is opened by its address
                continue
        return found

    def get(self, id: str) -> LabelJob:
        """Return a sheet.

        Raises:
            NotFoundError: It is not there, or its run is not.
            ArtifactError: It cannot be read.
        """
        if id not in self._open:
            path = self._folder / id / _FILE
            if not _ID.fullmatch(id) or not path.exists():
                raise NotFoundError("These rows are not there any more; give them again.")
            sheet = Sheet(path)
            run = sheet.about().get("run", "")
            sheet.close()
            self._open[id] = LabelJob(path.parent, self._runs.get(run))
        return self._open[id]

    async def make(
        self, run: TrainRun, name: str, *, source: Path | None = None, rows: Iterable[Mapping[str, Any]] = ()
    ) -> LabelJob:
        """Make a sheet that is labeled by the rulebook that a run has now.

        Args:
            run: The run.
            name: What people call it.
            source: A file, which is read when the sheet is started.
            rows: Rows, where there is no file.

        Raises:
            DataError: The run has no rulebook yet.
            ArtifactError: It cannot be written.
        """
        await run.load()
        book = run.rulebook()
        if book is None:
            raise DataError("This training has no rulebook yet; let it finish its start first.")
        id = secrets.token_hex(4)
        sheet = Sheet(self._folder / id / _FILE)
        sheet.note(
            run=run.name,
            name=name,
            source=None if source is None else str(source),
            read=source is None,
            rulebook=book.model_dump(mode="json"),
        )
        sheet.add(rows)
        sheet.close()
        return self.get(id)


def pasted_rows(text: str, task: LabelingTask) -> list[dict[str, str]]:
    r"""Return pasted text as rows: a table with a line of names, or a row a line where the task reads one column.

    Raises:
        DataError: There is nothing, or a column is missing.

    Example:
        >>> task = LabelingTask(input_names=["text"], label_name="y", label_values=["a", "b"])
        >>> pasted_rows("one\n\ntwo, three\n", task)
        [{'text': 'one'}, {'text': 'two, three'}]
        >>> pasted_rows('id,text\n1,"two, three"\n', task)
        [{'text': 'two, three'}]
    """
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise DataError("There is nothing to label; paste at least one row.")
    needed = task.input_names
    delimiter = "\t" if "\t" in lines[0] else ","
    names = next(csv.reader([lines[0]], delimiter=delimiter))
    if set(needed) <= set(names):
        table = csv.DictReader(io.StringIO(text.lstrip(), newline=""), delimiter=delimiter)
        rows = [{name: row[name] or "" for name in needed} for row in table]
        if not rows:
            raise DataError("There is a line of names and no row below it; paste the rows as well.")
        return rows
    if len(needed) > 1:
        raise DataError(f"Paste a table whose first line names the columns: {', '.join(needed)}.")
    return [{needed[0]: line.strip()} for line in lines]
