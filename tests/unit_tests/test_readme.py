"""The README's Python runs as it stands; a scripted model takes the place of the local one."""

import re
from pathlib import Path
from typing import Any

import pytest

import langchain_model_alignment
from tests.fakes import ScriptedChatModel

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def scripted(messages: list[Any]) -> str:
    """Answer each kind of request with something of the right form."""
    asked = messages[-1].content
    if "principle_id" in asked:
        return '{"reason": "asked", "action": "add", "principle": "Do it in a creative, short way of 30 words."}'
    if '"text"' in asked:
        return '{"text": "Give three uses for {item}, in a creative, short way of 30 words."}'
    return "1. It is too long.\n2. It lacks examples.\n3. It sounds stiff."


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_the_code_runs(block: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(
        langchain_model_alignment, "local_chat_model", lambda: ScriptedChatModel(reply=scripted), raising=False
    )
    (tmp_path / "examples").symlink_to(Path(__file__).parents[2] / "examples")
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "README.md", "exec"), {})  # noqa: S102 (our own page)


def test_there_is_code_to_run() -> None:
    assert len(BLOCKS) >= 3
