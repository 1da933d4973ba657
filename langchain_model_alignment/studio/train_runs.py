"""The training runs of a studio: folders on disk, each opened once for all tabs."""

import asyncio
import re
from pathlib import Path

from langchain_model_alignment.errors import AlignmentError, NotFoundError
from langchain_model_alignment.integrations.serving.loading import LoadingModel
from langchain_model_alignment.labeling.labeled_tables import about, read_table
from langchain_model_alignment.labeling.run_folder import Asked, Record, RunFolder
from langchain_model_alignment.labeling.splits import check_labels, data_fingerprint
from langchain_model_alignment.studio.train_run import TrainRun

__all__ = ["Runs"]

_NAME = re.compile(r"[\w-]{1,80}")


class Runs:
    """The runs in a folder; those that `langchain-align train` left there too.

    Args:
        folder: Where they are kept, a folder each.
        model: The model that labels.
        writer: The model that writes principles.
    """

    def __init__(self, folder: Path, model: LoadingModel, writer: LoadingModel) -> None:
        self.folder = folder
        self.model, self.writer = model, writer
        self._open: dict[str, TrainRun] = {}

    def all(self) -> list[TrainRun]:
        """Return the runs, the latest first; a folder that cannot be read is no run."""
        found = sorted(self.folder.glob("*/run.json"), key=lambda path: -path.stat().st_mtime)
        runs = []
        for path in found:
            try:
                runs.append(self.get(path.parent.name))
            except AlignmentError:
                continue
        return runs

    def get(self, name: str) -> TrainRun:
        """Return a run.

        Raises:
            NotFoundError: There is none of this name.
            ArtifactError: Its folder cannot be read.
        """
        if name not in self._open:
            folder = RunFolder(self.folder / name)
            if not _NAME.fullmatch(name) or not folder.record_file.exists():
                raise NotFoundError(f"There is no training called {name!r}; choose one from the list.")
            self._open[name] = TrainRun(folder, self.model, self.writer)
        return self._open[name]

    async def begin(self, table: Path, asked: Asked) -> TrainRun:
        """Make a run's folder, after a look at the rows; it does not train yet.

        Args:
            table: The labeled rows.
            asked: What is asked for.

        Raises:
            DataError: The task makes no sense, or the rows do not fit it.
            ArtifactError: The table cannot be read, or the folder not be written.
        """
        record = await asyncio.to_thread(_record_of, table, asked)
        name, number = table.stem, 1
        while (self.folder / name).exists():
            number += 1
            name = f"{table.stem}-{number}"
        folder = RunFolder(self.folder / name)
        folder.write(record)
        return self.get(name)


def _record_of(table: Path, asked: Asked) -> Record:
    task = asked.labeling_task()
    rows = read_table(table, [*task.input_names, task.label_name])
    with about(Path(table.name)):
        read = task.read(rows)
        check_labels(task, read)
    return Record(task_fingerprint=task.fingerprint(), data_fingerprint=data_fingerprint(read, []), arguments=asked)
