"""What the tests of the studio in a real browser share: a studio in a process of its own, a page, its faults.

A module that imports this is skipped where the browser or what drives it is missing. Where the pictures go: the folder
in STUDIO_SCREENSHOTS, else one that pytest keeps for a while.
"""

import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

INSTALL = 'pip install "langchain-model-alignment[studio,browser]" and the system\'s chromium (apt install chromium)'
pytest.importorskip("nicegui", reason=f"not installed: {INSTALL}")
pytest.importorskip("playwright.sync_api", reason=f"not installed: {INSTALL}")
pytest.importorskip("axe_playwright_python.sync_playwright", reason=f"not installed: {INSTALL}")

from axe_playwright_python.sync_playwright import Axe  # brings axe-core (MPL-2.0) along; none of it is copied here
from playwright.sync_api import sync_playwright

from tests.serving import process, python

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
if CHROMIUM is None:
    pytest.skip(f"there is no Chromium: {INSTALL}", allow_module_level=True)

PATIENCE = 60_000  # milliseconds; a machine that is busy takes its time


@contextmanager
def studio(folder: Path, program: str, port: int | None = None) -> Iterator[str]:
    """A studio in a process of its own; it ends with the block.

    Args:
        folder: Where it keeps everything.
        program: The Python that runs it: the command line, with another model in place of the named one.
        port: Where it listens; a free one, when absent.
    """
    port = port or free_port()
    command = python(program, "studio", "--no-browser", "--port", str(port), "--folder", str(folder))
    with process(command, ready="The studio is at"):
        _wait_for(port)
        yield f"http://127.0.0.1:{port}"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _wait_for(port: int) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return


@contextmanager
def launched() -> Iterator[Any]:
    """The browser."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


def page_of(browser: Any, *, width: int = 1280, height: int = 860, dark: bool = False) -> tuple[Any, list[str]]:
    """A page, and what went wrong in it."""
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light", reduced_motion="reduce"
    )
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on(
        "request",
        lambda asked: None if "127.0.0.1" in asked.url or ":" not in asked.url[:6] else wrong.append(asked.url),
    )
    return page, wrong


def faults(page: Any, within: str | None = None) -> list[str]:
    """What axe finds serious or critical."""
    found = Axe().run(page, context=within).response["violations"]
    return [
        f"{one['id']}: {node['html'][:160]}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


def show_all_ways(page: Any, pictures: Path, name: str) -> None:
    """Keep pictures of a page on a laptop and on a phone, light and dark; on none may anybody be shut out of it."""
    size = page.viewport_size
    for width, height, where in ((1280, 860, ""), (390, 844, "-phone")):
        page.set_viewport_size({"width": width, "height": height})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.mouse.move(0, 400)
            page.wait_for_timeout(400)  # colours change slowly
            page.screenshot(path=pictures / f"{name}{where}{'-dark' * (scheme == 'dark')}.png", full_page=True)
            assert not faults(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(size)


def button(page: Any, name: str) -> Any:
    return page.get_by_role("button", name=name, exact=True)


def begin(page: Any, address: str) -> None:
    """Begin with an example on the Align page, and see the answers."""
    page.goto(f"{address}/align")
    button(page, "Uses for a thing").click()
    page.get_by_role("textbox", name="item").wait_for()
    button(page, "Show three answers").click()
    button(page, "Critique answer 1").wait_for()


def slow() -> float:
    """How many programs wait for each processor: on a busy machine everything takes so many times longer."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
