"""Answers that were put are there, whatever happens to the process."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_model_alignment.cache import AnswerCache, MemoryCache, SQLiteCache
from langchain_model_alignment.errors import ArtifactError


@pytest.fixture(params=["memory", "sqlite"])
def cache(request: pytest.FixtureRequest, tmp_path: Path):
    if request.param == "memory":
        yield MemoryCache()
    else:
        with SQLiteCache(tmp_path / "folder" / "answers.sqlite") as opened:
            yield opened


def test_a_missing_key_is_none(cache: AnswerCache):
    assert cache.get("nothing") is None


def test_the_last_value_wins(cache: AnswerCache):
    cache.put("key", "1")
    cache.put("key", "2")
    assert cache.get("key") == "2"
    assert len(cache) == 1


def test_both_are_answer_caches(cache: AnswerCache):
    assert isinstance(cache, AnswerCache)


def test_it_is_thread_safe(cache: AnswerCache):
    def work(name: int) -> None:
        for number in range(30):
            cache.put(f"{name}-{number}", str(number))
            assert cache.get(f"{name}-{number}") == str(number)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(cache) == 180


@given(st.dictionaries(st.text("0123456789abcdef", min_size=1), st.text(st.characters(exclude_categories=["Cs"]))))
def test_what_goes_in_comes_out(entries: dict[str, str]):
    with SQLiteCache(":memory:") as cache:
        for key, value in entries.items():
            cache.put(key, value)
        assert {key: cache.get(key) for key in entries} == entries


def test_a_long_answer_is_kept_compressed_and_comes_out_as_it_went_in(tmp_path: Path):
    told = json.dumps([{"token": "no", "logprob": -0.125, "top": ["yes", "maybe ö \ud83d"]}] * 1_000)
    long = told + "\ud83d"
    with SQLiteCache(tmp_path / "a.sqlite") as cache:
        cache.put("key", long)
        assert cache.get("key") == long
        other = sqlite3.connect(tmp_path / "a.sqlite")
        kept = other.execute("SELECT value FROM answers").fetchone()[0]
        other.close()
    assert len(kept) < len(long) / 5


def test_a_long_answer_of_an_older_file_is_read(tmp_path: Path):
    with SQLiteCache(tmp_path / "a.sqlite") as cache:
        cache.put("key", "short")
        other = sqlite3.connect(tmp_path / "a.sqlite", isolation_level=None)
        other.execute("UPDATE answers SET value = ?", ("x" * 9_000,))
        other.execute("PRAGMA user_version = 1")
        other.close()
    with SQLiteCache(tmp_path / "a.sqlite") as cache:
        assert cache.get("key") == "x" * 9_000


def test_a_damaged_long_answer_is_refused_in_a_sentence(tmp_path: Path):
    with SQLiteCache(tmp_path / "a.sqlite") as cache:
        cache.put("key", "x" * 9_000)
        other = sqlite3.connect(tmp_path / "a.sqlite", isolation_level=None)
        other.execute("UPDATE answers SET value = ?", (b"nothing",))
        other.close()
        with pytest.raises(ArtifactError, match="cannot be used"):
            cache.get("key")


def test_two_objects_share_one_file(tmp_path: Path):
    with SQLiteCache(tmp_path / "a.sqlite") as one, SQLiteCache(str(tmp_path / "a.sqlite")) as two:
        one.put("key", "value")
        assert two.get("key") == "value"


def test_it_opens_again_after_close(tmp_path: Path):
    cache = SQLiteCache(tmp_path / "a.sqlite")
    cache.put("key", "value")
    cache.close()
    assert cache.get("key") == "value"
    cache.close()


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL here")
def test_what_was_put_survives_kill_9(tmp_path: Path):
    path = tmp_path / "a.sqlite"
    script = (
        "import os, signal, sys\n"
        "from langchain_model_alignment.cache import SQLiteCache\n"
        "cache = SQLiteCache(sys.argv[1])\n"
        "for number in range(50): cache.put(str(number), 'value')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    with SQLiteCache(path) as cache:
        assert len(cache) == 50


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_opens_its_own_connection(tmp_path: Path):
    with SQLiteCache(tmp_path / "a.sqlite") as cache:
        cache.put("parent", "1")
        child = os.fork()
        if child == 0:
            code = 1
            try:
                cache.put("child", "2")
                code = 0
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        assert cache.get("child") == "2"


def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path: Path):
    path = tmp_path / "notes.txt"
    path.write_text("my notes, long enough to be read as a header " * 5)
    with pytest.raises(ArtifactError, match=r"notes\.txt cannot be used"):
        SQLiteCache(path)
    assert path.read_text().startswith("my notes")


def test_somebody_elses_database_is_refused(tmp_path: Path):
    path = tmp_path / "theirs.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE people (name TEXT)")
    connection.commit()
    connection.close()
    with pytest.raises(ArtifactError, match="not an answer cache"):
        SQLiteCache(path)


def test_a_folder_as_path_is_refused(tmp_path: Path):
    with pytest.raises(ArtifactError, match="cannot be used"):
        SQLiteCache(tmp_path)
