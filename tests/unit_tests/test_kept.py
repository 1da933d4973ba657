"""Labels kept on disk: nothing that was put is lost, whenever the process dies."""

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from langchain_model_alignment.errors import ArtifactError
from langchain_model_alignment.labeling import kept as module
from langchain_model_alignment.labeling.classifier import Labeled
from langchain_model_alignment.labeling.kept import Kept, key_of

FOUND = [Labeled(1, confidence=0.25, principle_ids=("p1", "p2")), Labeled(None), Labeled(0)]


def put(kept: Kept, n: int, start: int = 0) -> None:
    for at in range(start, start + n):
        kept.put(key_of(str(at)), FOUND[at % 3])


def got(kept: Kept, n: int) -> list[Labeled | None]:
    return [kept.get(key_of(str(at))) for at in range(n)]


@pytest.fixture(autouse=True)
def _often_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FOLD", 10)


def test_what_was_put_is_there_at_once_and_after_it_is_opened_again(tmp_path: Path):
    with Kept(tmp_path, "x") as kept:
        put(kept, 25)
        assert got(kept, 26) == [FOUND[at % 3] for at in range(25)] + [None]
        assert len(kept) == 25
    with Kept(tmp_path, "x") as kept:
        assert got(kept, 26) == [FOUND[at % 3] for at in range(25)] + [None]
        assert len(kept) == 25


def test_a_process_that_dies_loses_nothing_that_was_put(tmp_path: Path):
    folder, dead = tmp_path / "a", tmp_path / "b"
    folder.mkdir()
    with Kept(folder, "x") as kept:
        put(kept, 25)
        shutil.copytree(folder, dead)  # what is on disk while it lives
    with (dead / "labels.log").open("ab") as log:
        log.write(key_of("25").hex().encode() + b" [1,0.")  # it died in the middle of a line
    with Kept(dead, "x") as kept:
        assert len(kept) == 25
        assert got(kept, 26)[-2:] == [FOUND[0], None]
        put(kept, 3, 25)
    with Kept(dead, "x") as kept:
        assert got(kept, 28) == [FOUND[at % 3] for at in range(28)]


def test_labels_of_something_else_are_not_mixed_in(tmp_path: Path):
    with Kept(tmp_path, "x") as kept:
        put(kept, 1)
    with pytest.raises(ArtifactError, match="another rulebook, another model or other settings"):
        Kept(tmp_path, "y")


@pytest.mark.parametrize("about", ["x", "y"])
def test_labels_are_forgotten_on_demand_those_in_the_log_too(tmp_path: Path, about: str):
    with Kept(tmp_path, "x") as kept:
        put(kept, 15)
    with Kept(tmp_path, about, anew=True) as kept:
        assert (len(kept), got(kept, 15)) == (0, [None] * 15)
        put(kept, 1)
    with Kept(tmp_path, about) as kept:
        assert len(kept) == 1


def test_labels_that_another_process_is_adding_to_are_not_forgotten(tmp_path: Path):
    with Kept(tmp_path, "x") as kept:
        put(kept, 15)
        with pytest.raises(ArtifactError, match="Another process is using"):
            Kept(tmp_path, "x", anew=True)
        put(kept, 1, 15)
    with Kept(tmp_path, "x") as kept:
        assert len(kept) == 16


def test_a_second_process_is_told_to_wait(tmp_path: Path):
    with Kept(tmp_path, "x"), pytest.raises(ArtifactError, match="Another process is using"):
        Kept(tmp_path, "x")


def test_a_file_that_is_no_index_is_told(tmp_path: Path):
    (tmp_path / "labels.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(ArtifactError, match="cannot be read or added to"):
        Kept(tmp_path, "x")


def test_a_full_disk_is_told_and_leaves_what_was_put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with Kept(tmp_path, "x") as kept:
        put(kept, 3)

        def full(*_: Any) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with monkeypatch.context() as patched:
            patched.setattr("langchain_model_alignment.labeling.kept.os.write", full)
            with pytest.raises(ArtifactError, match="No space left on device"):
                put(kept, 1, 3)
    with Kept(tmp_path, "x") as kept:
        assert len(kept) == 3
