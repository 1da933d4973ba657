"""Files that last: JSON read with one sentence for what is wrong, and written so that the old file stays whole."""

import errno
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from langchain_model_alignment.errors import ArtifactError, DataError

M = TypeVar("M", bound=BaseModel)


def read_json(path: str | Path) -> Any:
    """Return the value in a JSON file.

    Raises:
        ArtifactError: The file is not there, cannot be read, or is not JSON.
    """
    return parse_json(read_bytes(path), str(path))


def read_bytes(path: str | Path) -> bytes:
    """Return what is in a file.

    Raises:
        ArtifactError: The file is not there, or cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read ({error.strerror or error}); check the path.") from error


def parse_json(text: str | bytes, where: str = "The text") -> Any:
    """Return the value that a JSON text stands for.

    Args:
        text: The JSON.
        where: What to call it when it is not JSON.

    Raises:
        ArtifactError: It is not JSON.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(
            f"{where} is not JSON ({type(error).__name__}); give a file written by this library."
        ) from error


def json_of(value: BaseModel, indent: int = 2) -> str:
    """Return a value as the JSON text of a file, with numbers as they are: NaN stays NaN."""
    return json.dumps(value.model_dump(mode="json"), ensure_ascii=False, indent=indent) + "\n"


def read_as(kind: type[M], value: Any, where: str, name: str) -> M:
    """Return what plain data stands for.

    Args:
        kind: What it should be.
        value: The data, as out of a JSON file.
        where: What to call the data when they are none.
        name: What to call what they should be.

    Raises:
        ArtifactError: They are none.
    """
    try:
        return kind.model_validate(value)
    except (ValidationError, DataError, UnicodeEncodeError) as error:  # the last, where half a character is quoted
        raise ArtifactError(
            f"{where} is no {name} of this version ({one_line(error)}); give a file that this library saved one to."
        ) from error


def write_text(path: str | Path, text: str) -> Path:
    """Write a text file whole or not at all.

    Raises:
        ArtifactError: It cannot be written.
    """
    path = Path(path)
    make_place(path)
    real = path.resolve()  # a link stays a link
    part = None
    try:
        # Half of a character, as a careless cut leaves it, has no UTF-8; written like this it is JSON for itself.
        content = text.encode("utf-8", "backslashreplace")
        # Readable by its owner alone, as a new file here always is, until it takes over what the old one allowed.
        with tempfile.NamedTemporaryFile(
            dir=real.parent, prefix=f".{real.name}.", suffix=".part", delete=False
        ) as file:
            part = Path(file.name)
            file.write(content)
        if real.exists():
            shutil.copymode(real, part)
        os.replace(part, real)
    except OSError as error:
        if part is not None:
            part.unlink(missing_ok=True)
        raise _unwritable(path, error) from error
    return path


def make_place(path: Path) -> None:
    """Make the folder that a file is to be written into.

    Raises:
        ArtifactError: It cannot be made, or not be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(path.parent, os.W_OK):
            raise PermissionError(errno.EACCES, "it is read-only")
    except OSError as error:
        raise _unwritable(path, error) from error


def one_line(error: Exception) -> str:
    """Return what a validation found, in one line and without the values it found it in."""
    if isinstance(error, ValidationError):
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        return f"{where}: {first['msg']}".strip(": ").rstrip(".")
    return str(error).rstrip(".")


def _unwritable(path: Path, error: OSError) -> ArtifactError:
    return ArtifactError(f"{path} cannot be written ({error.strerror or error}); choose another place.")
