"""A Postgres server for tests, started where its programs are found; nothing is installed."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

INSTALL = "no Postgres here: apt-get install postgresql"


def programs() -> Path | None:
    """The folder with initdb and pg_ctl; Debian keeps them off the path."""
    places = [Path(found).parent for name in ("initdb",) if (found := shutil.which(name))]
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "initdb").exists() and (place / "pg_ctl").exists()), None)


def another_user() -> list[str] | None:
    """What runs a program as somebody else, since Postgres refuses root; [] where we are not root."""
    if os.geteuid() != 0:
        return []
    runuser = shutil.which("runuser")
    names = {user.pw_name for user in pwd.getpwall()}
    name = next((name for name in ("postgres", "nobody") if name in names), None)
    return [runuser, "-u", name, "--"] if runuser and name else None


def reason_to_skip() -> str:
    """Why there is none; empty where one can be started."""
    if programs() is None:
        return INSTALL
    return "" if another_user() is not None else "Postgres does not run as root, and there is nobody else to run it"


@contextmanager
def server() -> Iterator[str]:
    """Start a server that listens on a socket in a folder of its own, and yield its address."""
    found, user = programs(), another_user()
    assert found is not None
    assert user is not None
    # Directly below /tmp: the path of a socket has to be short, and another user must reach it.
    folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
    try:
        if user:
            shutil.chown(folder, user[2])
        data, quiet = folder / "data", {"check": True, "capture_output": True, "timeout": 120, "cwd": "/"}
        subprocess.run(
            [*user, str(found / "initdb"), "-D", str(data), "-U", "tester", "-A", "trust", "-E", "UTF8", "-N"],
            **quiet,  # type: ignore[call-overload]
        )
        options = f"-k {folder} -c listen_addresses='' -c fsync=off -c max_connections=50"
        pg_ctl = [*user, str(found / "pg_ctl"), "-D", str(data), "-w"]
        with open(os.devnull, "w") as nowhere:  # the server would hold a pipe open
            subprocess.run(
                [*pg_ctl, "-o", options, "-l", str(folder / "log"), "start"],
                check=True,
                timeout=120,
                cwd="/",
                stdout=nowhere,
                stderr=nowhere,
            )
        try:
            yield f"postgresql://tester@/postgres?host={folder}"
        finally:
            subprocess.run([*pg_ctl, "-m", "immediate", "stop"], **quiet)  # type: ignore[call-overload]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
