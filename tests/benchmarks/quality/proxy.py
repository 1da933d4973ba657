"""Between every method and the model: an OpenAI-compatible server that counts calls by arm and keeps answers.

The path tells whose call it is: `/RUN/PHASE/v1/chat/completions`, where the phase is `train` or `test`. An answer that
was kept counts as a call all the same, so that the budget of an arm does not depend on who ran before it.

Greedy requests (temperature 0) share their answers whoever asks. Sampled ones must differ where they are asked again:
their answer is kept by run and by how often the run has asked it before, and sampled with a seed made of both, so that
a run that is done again meets the same answers.
"""

import asyncio
import hashlib
import json
import sqlite3
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

_LONGEST_WAIT = 3600.0  # seconds
_START = 30.0


@dataclass
class Tally:
    """What one run asked in one phase."""

    calls: int = 0
    kept: int = 0
    """Calls of these that were answered from the file."""
    failed: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cached_in: int = 0
    """Tokens in that the model's server had read before, where it tells; of kept answers as it was then."""

    def add(self, answer: dict[str, Any]) -> None:
        used = answer.get("usage") or {}
        self.tokens_in += used.get("prompt_tokens") or 0
        self.tokens_out += used.get("completion_tokens") or 0
        self.cached_in += (used.get("prompt_tokens_details") or {}).get("cached_tokens") or 0

    def as_json(self) -> dict[str, int]:
        return asdict(self)


@dataclass
class Run:
    """One run of an arm: its counts, and how often it asked each sampled request."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)

    def tally(self, phase: str) -> Tally:
        return self.tallies.setdefault(phase, Tally())


class Answers:
    """Answers in a SQLite file, by the hash of what was asked."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT NOT NULL)")

    def get(self, key: str) -> dict[str, Any] | None:
        row = self._db.execute("SELECT answer FROM answers WHERE key = ?", (key,)).fetchone()
        return None if row is None else json.loads(row[0])

    def put(self, key: str, answer: dict[str, Any]) -> None:
        self._db.execute("INSERT OR REPLACE INTO answers VALUES (?, ?)", (key, json.dumps(answer)))

    def close(self) -> None:
        self._db.close()


class Proxy:
    """Counts and keeps; one for a whole measurement.

    Args:
        upstream: The model's server, with `/v1`.
        api_key: What that server asks for.
        answers: The file of kept answers.
        client: What the model's server is asked with; made at the first request where it is not given.
    """

    def __init__(self, upstream: str, api_key: str, answers: Path, client: httpx.AsyncClient | None = None) -> None:
        self._upstream = upstream.rstrip("/")
        self._headers = {"Authorization": f"Bearer {api_key}"}
        self._answers = Answers(answers)
        self._runs: dict[str, Run] = {}
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._client = client
        self.base_url = ""
        self.app = Starlette(
            routes=[
                Route("/{run}/{phase}/v1/chat/completions", self._complete, methods=["POST"]),
                Route("/{run}/{phase}/v1/models", self._models),
            ]
        )

    def begin(self, run: str) -> None:
        """Count a run from nothing."""
        self._runs[run] = Run()

    def tally(self, run: str, phase: str) -> Tally:
        """Return what a run asked in a phase."""
        return self._runs.setdefault(run, Run()).tally(phase)

    def url(self, run: str, phase: str) -> str:
        """Return the address that a run is to ask at in a phase."""
        return f"{self.base_url}/{run}/{phase}/v1"

    @contextmanager
    def serving(self) -> Iterator["Proxy"]:
        """Serve on a free port of the loopback interface, in a thread."""
        config = uvicorn.Config(self.app, host="127.0.0.1", port=0, log_level="warning", access_log=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, name="proxy", daemon=True)
        thread.start()
        until = time.monotonic() + _START
        while not server.started:
            if time.monotonic() > until or not thread.is_alive():
                raise RuntimeError("The counting proxy did not start.")
            time.sleep(0.02)
        port = server.servers[0].sockets[0].getsockname()[1]
        self.base_url = f"http://127.0.0.1:{port}"
        try:
            yield self
        finally:
            server.should_exit = True
            thread.join(_START)
            self._answers.close()

    async def _models(self, request: Request) -> Response:
        said = await self._http.get(f"{self._upstream}/models", headers=self._headers)
        return Response(said.content, said.status_code, media_type="application/json")

    async def _complete(self, request: Request) -> Response:
        run = self._runs.setdefault(request.path_params["run"], Run())
        tally = run.tally(request.path_params["phase"])
        asked = await request.json()
        tally.calls += 1
        if asked.get("stream"):
            tally.failed += 1
            return JSONResponse({"error": {"message": "This server does not stream."}}, 400)
        key, asked = _settled(request.path_params["run"], run, asked)
        while key in self._waiting:  # the same is being asked: its answer will be kept
            await self._waiting[key]
        if (answer := self._answers.get(key)) is not None:
            tally.kept += 1
            tally.add(answer)
            return JSONResponse(answer)
        waiting = self._waiting[key] = asyncio.get_running_loop().create_future()
        try:
            said = await self._http.post(f"{self._upstream}/chat/completions", json=asked, headers=self._headers)
            if said.status_code != httpx.codes.OK:
                tally.failed += 1
                return Response(said.content, said.status_code, media_type="application/json")
            answer = said.json()
            self._answers.put(key, answer)
            tally.add(answer)
            return JSONResponse(answer)
        finally:
            del self._waiting[key]
            waiting.set_result(None)

    @property
    def _http(self) -> httpx.AsyncClient:
        if self._client is None:  # made in the loop that uses it
            self._client = httpx.AsyncClient(timeout=_LONGEST_WAIT, trust_env=False)
        return self._client


def _settled(name: str, run: Run, asked: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the key of a request, and the request with a seed where it is sampled without one."""
    whole = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
    if not asked.get("temperature", 1.0):
        return whole, asked
    if "seed" in asked and asked["seed"] is not None:
        return whole, asked
    run.asked[whole] += 1
    key = hashlib.sha256(f"{whole} {name} {run.asked[whole]}".encode()).hexdigest()
    return key, {**asked, "seed": int(key[:7], 16)}


@contextmanager
def proxied(model: str, server: str | None, out: Path | None) -> Iterator[Proxy]:
    """Serve the proxy before a model.

    Args:
        model: A local model, which is fetched where it is not there, and started.
        server: An OpenAI-compatible server that runs already, to ask instead.
        out: The file of the results, beside which the answers are kept; they are not where it is None.
    """
    upstream, key = server, "none"
    if upstream is None:
        from langchain_model_alignment.local.server import start_server
        from langchain_model_alignment.local.weights import pull

        local = start_server(pull(model))
        upstream, key = local.base_url, local.api_key
    with tempfile.TemporaryDirectory() as folder:
        kept = out.with_suffix(".answers.sqlite") if out else Path(folder, "answers.sqlite")
        with Proxy(upstream, key, kept).serving() as proxy:
            yield proxy
