"""What a model object holds in confidence is told to nobody: no log, no trace, no file, no error, no report."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import BaseMessage
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.types import Command
from pydantic import Field, SecretStr

from langchain_model_alignment import (
    AlignableSingleRun,
    Caller,
    Labeler,
    SQLiteCache,
    create_feedback_graph,
    label_file,
    write_report,
)
from langchain_model_alignment.errors import ModelError
from langchain_model_alignment.redaction import redact
from tests.fakes import ScriptedChatModel, http_error
from tests.simulated import QUESTION, SimulatedWorld, book_of, chance, rows
from tests.unit_tests.test_public import reply

WRAPPED, PLAIN, HEADER, NESTED = "wrapped-0815-wrapped", "plain-0816-plain", "header-0817-header", "nested-0818-nested"
SECRETS = (WRAPPED, PLAIN, HEADER, NESTED)
TOLD = f"refused for {WRAPPED}, {PLAIN}, {HEADER} and {NESTED}"
"""What a careless provider writes into its errors."""


class KeyedChatModel(ScriptedChatModel):
    """A model with secrets of every kind."""

    openai_api_key: SecretStr = SecretStr(WRAPPED)
    api_key: str = PLAIN
    default_headers: dict[str, str] = Field(default_factory=lambda: {"Authorization": f"Basic {HEADER}"})
    model_kwargs: dict[str, Any] = Field(default_factory=lambda: {"extra": [{"access_token": NESTED}]})

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.model_name, "api_key": self.api_key, "default_headers": self.default_headers}


def failing(share: float, world: Any) -> KeyedChatModel:
    """A model that fails for a share of its requests, and tells its secrets then."""

    def answer(messages: list[BaseMessage]) -> Any:
        text = "|".join(message.text for message in messages)
        if chance("fails", text) >= share:
            return world(messages)
        return http_error(503 if chance("how", text) < 0.3 else 400, TOLD)

    return KeyedChatModel(answer)


class Told(BaseCallbackHandler):
    """Keeps the tags and the metadata of all runs."""

    run_inline = True

    def __init__(self) -> None:
        self.marks: list[Any] = []

    def on_chat_model_start(self, *_: Any, tags: Any = None, metadata: Any = None, **__: Any) -> None:
        self.marks += [tags, metadata]

    def on_chain_start(self, *_: Any, tags: Any = None, metadata: Any = None, **__: Any) -> None:
        self.marks += [tags, metadata]


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Iterator[list[str]]:
    """What is said elsewhere; at the end all of it, with logs, output and files, is searched for the secrets."""
    caplog.set_level(logging.DEBUG)
    more: list[str] = []
    yield more
    logs = [f"{record.getMessage()} {record.exc_text}" for record in caplog.records if ours(record)]
    files = [path.read_bytes().decode(errors="replace") for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    everything = "\n".join([*more, *logs, *capsys.readouterr(), *files])
    assert not [secret for secret in SECRETS if secret in everything]


def ours(record: logging.LogRecord) -> bool:
    return record.name.startswith("langchain_model_alignment")


def marks(handler: Told) -> str:
    assert handler.marks
    return json.dumps(handler.marks, default=str)


def test_training_tells_none(said: list[str], tmp_path: Path):
    told = Told()
    with SQLiteCache(tmp_path / "answers.sqlite") as cache:
        model = Caller(failing(0.2, SimulatedWorld()), cache=cache, max_retries=1)
        maker = Labeler(["text"], "label", ["yes", "no"], QUESTION, model)
        result = maker.train(rows(60), rows(30, 1), steps=1, checkpoint=book_of({}), config={"callbacks": [told]})
    assert sum(result.history[0]["failures"].values()) > 0
    result.save(tmp_path / "training.json")
    result.rulebook.save(tmp_path / "rulebook.json")
    pytest.importorskip("matplotlib", reason='not installed: pip install "langchain-model-alignment[report]"')
    write_report(result, tmp_path / "report.html")
    said += [marks(told), repr(maker), repr(model)]


def test_labeling_a_file_tells_none(said: list[str], tmp_path: Path):
    source = tmp_path / "rows.jsonl"
    source.write_text("\n".join(json.dumps(row) for row in rows(40)), encoding="utf-8")
    caller = Caller(failing(0.3, SimulatedWorld()), max_retries=1)
    found = label_file(source, book_of({}), caller, tmp_path / "labels.csv")
    assert found.failures is not None
    assert "[secret]" in found.failures.read_text(encoding="utf-8")
    said += [repr(found), found.tally.first_error or ""]


def test_the_feedback_loop_tells_none(said: list[str], tmp_path: Path):
    told = Told()
    config: Any = {"callbacks": [told], "configurable": {"thread_id": "1"}}
    with SqliteSaver.from_conn_string(str(tmp_path / "checkpoints.sqlite")) as saver:
        graph = create_feedback_graph(failing(0, reply)).compile(checkpointer=saver)
        graph.invoke({"prompt": "Give three uses for {item}.", "inputs": {"item": "a rope"}}, config)
        graph.invoke(Command(resume={"action": "critique", "text": "be brief"}), config)
        broken = create_feedback_graph(failing(1, reply)).compile(checkpointer=saver)
        with pytest.raises(ModelError) as caught:
            broken.invoke(Command(resume={"action": "critique", "text": "use no knives"}), config)
    said += [marks(told), str(caught.value)]


def test_the_object_of_a_notebook_tells_none(said: list[str], tmp_path: Path):
    run = AlignableSingleRun(failing(0, reply))
    run.set_model_description("Give three uses for {item}.")
    run.send_input("a rope")
    run.critique_response("be brief")
    run.data.save(tmp_path / "prompt.json")
    run.data.save(tmp_path / "prompt.md")
    said += [repr(run), repr(run.data)]


@pytest.mark.parametrize("secret", SECRETS)
def test_an_error_tells_none(secret: str):
    model = failing(1, reply)
    assert secret not in redact(TOLD, model)
    assert secret in redact(TOLD)


def test_an_address_with_a_password_loses_it():
    assert redact("no answer from https://me:pass4711@host/v1") == "no answer from https://[secret]@host/v1"


@pytest.mark.parametrize("text", ["task_description", "risk-assessment", "mask-rcnn-large"])
def test_ordinary_words_stay(text: str):
    assert redact(text) == text


@pytest.mark.parametrize(
    "address", ["https://h/x?api_key=abcdef123", "https://h/x?api-key=abcdef123", "https://ghp_abcdef123@h/x"]
)
def test_a_key_in_an_address_goes(address: str):
    assert "abcdef123" not in redact(address)
