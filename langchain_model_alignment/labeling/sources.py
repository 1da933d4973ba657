"""The files that a path, a folder or a glob stands for."""

import glob
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from langchain_model_alignment.errors import DataError
from langchain_model_alignment.labeling.tables import SUFFIXES, check_suffix

__all__ = ["Source", "find_files", "finds"]

Source = str | Path | Sequence[str | Path]
"""A file, a folder, a glob such as `data/*.csv`, or several of them."""


def find_files(source: Source) -> list[Path]:
    """Return the files that a source names.

    In a folder and the folders in it those count whose names end in a known suffix and do not begin with `.` or `_`;
    they and the files of a glob come in the order of their names.

    Raises:
        ArtifactError: There is no such file.
        DataError: A folder or a glob holds no table, or a file is none.
    """
    if not isinstance(source, str | Path):
        return list(dict.fromkeys(file for one in source for file in find_files(one)))
    path = Path(source)
    if path.is_dir():
        found = [p for p in sorted(path.rglob("*")) if _counts(p.relative_to(path)) and p.is_file()]
    elif _is_glob(source):
        found = [p for p in map(Path, sorted(glob.glob(str(source), recursive=True))) if p.is_file()]
    else:
        found = [path]
    if not found:
        raise DataError(f"{source} holds no table; the names of tables end in {', '.join(SUFFIXES)}.")
    for one in found:
        check_suffix(one)
    return found


def finds(source: Source, path: Path) -> bool:
    """Whether a folder or a glob in a source stands for a file, or would if the file were there.

    Example:
        >>> finds("data/*.csv", Path("data/labels.csv")), finds("data/*.csv", Path("data/more/labels.csv"))
        (True, False)
    """
    if not isinstance(source, str | Path):
        return any(finds(one, path) for one in source)
    real = path.parent.resolve() / path.name
    if Path(source).is_dir():
        folder = Path(source).resolve()
        return folder in real.parents and _counts(real.relative_to(folder))
    if not _is_glob(source):
        return False
    parts = Path(source).parts
    plain = next(at for at, part in enumerate(parts) if glob.has_magic(part))
    folder = Path(*parts[:plain]).resolve()
    return folder in real.parents and _matches(real.relative_to(folder).parts, parts[plain:])


def _is_glob(source: str | Path) -> bool:
    return not Path(source).exists() and glob.has_magic(str(source))


def _counts(path: Path) -> bool:
    """Whether a file of a folder is a table that is meant."""
    return path.suffix.lower() in SUFFIXES and not any(part[0] in "._" for part in path.parts)


def _matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether the parts of a path match those of a glob, in which no wildcard stands for a dot at the beginning."""
    if not pattern or not parts:
        return not parts and all(part == "**" for part in pattern)
    plain = not parts[0].startswith(".")
    if pattern[0] == "**":
        return _matches(parts, pattern[1:]) or (plain and _matches(parts[1:], pattern))
    fits = fnmatchcase(parts[0], pattern[0]) and (plain or pattern[0].startswith("."))
    return fits and _matches(parts[1:], pattern[1:])
