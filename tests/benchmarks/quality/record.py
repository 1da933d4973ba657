"""What was measured so far, in a JSON file that every finished part is added to."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.peers.environments import PEERS, Environment, describe_peers
from tests.benchmarks.shown import describe, write_json

Part = tuple[str, int, str]
"""Set, seed and arm."""
_FIELDS = ("set", "seed", "arm")


class RecordError(Exception):
    """The file does not fit this run."""


class Record:
    """The results by part, kept in a file.

    Args:
        path: The file; nothing is kept where it is None.
        settings: What must be the same in every run that adds to it.
        resume: Whether to go on with a file that is there.
        fields: What each field of a part is called in the file.
        peers: Whose versions the file names.

    Raises:
        RecordError: A file is there and is not to be gone on with, or is of other settings.
    """

    def __init__(
        self,
        path: Path | None,
        settings: dict[str, Any],
        resume: bool,
        fields: Sequence[str] = _FIELDS,
        peers: Sequence[Environment] = PEERS,
    ) -> None:
        self._path, self.settings, self._fields, self._peers = path, settings, fields, peers
        self.results: dict[Any, dict[str, Any]] = {}
        self.summary: dict[str, Any] = {}
        if path is None or not path.exists():
            return
        if not resume:
            raise RecordError(f"{path} is there already: give --resume to go on with it, or another --out.")
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["settings"] != settings:
            raise RecordError(
                f"{path} was measured with {kept['settings']}, not {settings}: give the same, or another --out."
            )
        self.results = {tuple(r[field] for field in fields): r for r in kept["results"]}

    def done(self, part: tuple[Any, ...]) -> bool:
        """Whether a part was measured; one that failed is tried again."""
        return part in self.results and "error" not in self.results[part]

    def add(self, part: tuple[Any, ...], found: dict[str, Any]) -> None:
        """Keep what came out of a part, before the next one begins."""
        self.results[part] = {**dict(zip(self._fields, part, strict=True)), **found}
        self.save()

    def save(self) -> None:
        """Write the file, with the newest summary."""
        if self._path is not None:
            found = {"settings": self.settings, "summary": self.summary, "results": list(self.results.values())}
            write_json({**describe(), **describe_peers(self._peers), **found}, self._path)
