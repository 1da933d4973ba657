"""Tables that people give to the studio: kept on disk, looked through once, and shown a page of rows at a time."""

import asyncio
import itertools
import re
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from langchain_model_alignment.errors import ArtifactError, NotFoundError
from langchain_model_alignment.labeling.labeled_tables import balance_of
from langchain_model_alignment.labeling.tables import Scan, check_suffix, read_entries, scan
from langchain_model_alignment.labeling.task import LabelValue

__all__ = ["Table", "Tables", "safe_name"]

_ID = re.compile(r"[0-9a-f]{8}")


class Table:
    """A file with rows; it is read from the disk whenever it is looked at, and never held.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._scan: Scan | None = None

    async def look(self) -> Scan:
        """Return its columns, how many rows it has and how many are broken.

        Raises:
            ArtifactError: It cannot be read.
            DataError: A column is there twice.
        """
        if self._scan is None:
            self._scan = await asyncio.to_thread(scan, self.path)
        return self._scan

    async def rows(self, start: int, n: int) -> list[dict[str, Any]]:
        """Return some of its rows.

        Args:
            start: How many to pass over.
            n: How many at most.

        Raises:
            ArtifactError: It cannot be read.
        """

        def read() -> list[dict[str, Any]]:
            whole = (entry.row for entry in read_entries(self.path) if entry.row is not None)
            return list(itertools.islice(whole, start, start + n))

        return await asyncio.to_thread(read)

    async def balance(self, column: str) -> list[tuple[LabelValue, int]]:
        """Return the labels in a column, with how many rows each has.

        Raises:
            DataError: There are fewer than two, or so many that they are none.
            ArtifactError: It cannot be read.
        """
        rows = ({column: entry.row.get(column)} for entry in read_entries(self.path) if entry.row is not None)
        return await asyncio.to_thread(balance_of, rows, column, Path(self.path.name))


class Tables:
    """The tables of a studio.

    Args:
        folder: Where they are kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._open: dict[str, Table] = {}

    async def take(self, name: str, chunks: AsyncIterator[bytes]) -> str:
        """Write a file as it arrives, a piece at a time, and return what it is called from now on.

        Args:
            name: What its owner calls it; how it is written is told by its end.
            chunks: Its bytes.

        Raises:
            DataError: The name ends in nothing known.
            ArtifactError: It cannot be written, for instance because the disk is full.
        """
        name = safe_name(name)
        check_suffix(Path(name))
        id = secrets.token_hex(4)
        path = self._folder / id / name
        try:
            path.parent.mkdir(parents=True)
            with path.open("wb") as file:
                async for chunk in chunks:
                    await asyncio.to_thread(file.write, chunk)
        except BaseException as error:
            path.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise ArtifactError(f"{name} cannot be kept ({error.strerror or error}); make room first.") from error
            raise
        return id

    def get(self, id: str) -> Table:
        """Return a table.

        Raises:
            NotFoundError: It is not there, or no longer.
        """
        found = sorted((self._folder / id).glob("*")) if _ID.fullmatch(id) else []
        if not found:
            raise NotFoundError("This table is not there any more; give the file again.")
        return self._open.setdefault(id, Table(found[0]))


def safe_name(name: str) -> str:
    """Return a file's name without what could lead out of a folder.

    Example:
        >>> safe_name("../my comments (1).csv"), safe_name(".csv")
        ('my-comments-1.csv', 'table.csv')
    """
    path = Path(name.replace("\\", "/"))
    stem, suffix = (path.stem, path.suffix) if path.suffix else ("", path.name)
    kept = re.sub(r"[^\w]+", "-", stem).strip("-")[:60] or "table"
    return kept + re.sub(r"[^\w.]+", "", suffix)[:10].lower()
