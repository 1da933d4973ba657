"""The browser, and where the pictures that it takes are kept."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")  # not longer: while it is there, no test in the same thread has an event loop
def browser() -> Iterator[Any]:
    from tests.browser import launched

    with launched() as running:
        yield running


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    kept = Path(os.environ.get("STUDIO_SCREENSHOTS") or tmp_path)
    kept.mkdir(parents=True, exist_ok=True)
    return kept
