"""Sync methods behave like the async ones, wherever they are called."""

import asyncio
import contextvars
import os
import signal
import threading
import time
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from pydantic import BaseModel
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from langchain_model_alignment.loop import make_runnable, run_sync
from tests.fakes import ScriptedChatModel

colour: contextvars.ContextVar[str] = contextvars.ContextVar("colour", default="none")


async def _double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


def test_run_sync_returns_the_result():
    assert run_sync(_double(21)) == 42


def test_run_sync_raises_what_the_coroutine_raises():
    async def fail() -> None:
        raise KeyError("gone")

    with pytest.raises(KeyError, match="gone"):
        run_sync(fail())


async def test_run_sync_works_while_a_loop_runs_on_the_calling_thread():
    assert run_sync(_double(4)) == 8


def test_all_calls_share_one_daemon_thread():
    async def where() -> threading.Thread:
        return threading.current_thread()

    first, second = run_sync(where()), run_sync(where())
    assert first is second
    assert first.daemon
    assert first is not threading.current_thread()


def test_calls_from_many_threads_run_side_by_side():
    async def nap() -> None:
        await asyncio.sleep(0.1)

    threads = [threading.Thread(target=lambda: run_sync(nap())) for _ in range(10)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.perf_counter() - start < 0.8


def test_the_callers_context_variables_go_along():
    async def read() -> str:
        return colour.get()

    token = colour.set("red")
    try:
        assert run_sync(read()) == "red"
    finally:
        colour.reset(token)
    assert run_sync(read()) == "none"


def test_called_on_its_own_loop_it_refuses_instead_of_hanging():
    async def nested() -> int:
        return run_sync(_double(1))

    with pytest.raises(RuntimeError, match="await its async form"):
        run_sync(nested())


def test_work_in_an_executor_thread_may_call_run_sync():
    async def outer() -> int:
        return await asyncio.get_running_loop().run_in_executor(None, lambda: run_sync(_double(3)))

    assert run_sync(outer()) == 6


def test_ctrl_c_cancels_the_task_and_is_raised_again():
    seen: list[str] = []

    async def long() -> None:
        threading.Timer(0.05, signal.raise_signal, [signal.SIGINT]).start()
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    with pytest.raises(KeyboardInterrupt):
        run_sync(long())
    assert seen == ["cancelled"]
    assert run_sync(_double(1)) == 2


def test_a_keyboard_interrupt_inside_the_coroutine_leaves_the_loop_alive():
    async def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_sync(interrupted())
    assert run_sync(_double(1)) == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_gets_a_loop_of_its_own():
    assert run_sync(_double(1)) == 2
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if run_sync(_double(5)) == 10 else 1
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0


class Question(BaseModel):
    text: str


class Reply(TypedDict):
    answer: str


def _chain(model: ScriptedChatModel) -> Any:
    async def answer(question: Question, config: RunnableConfig) -> Reply:
        return {"answer": (await model.ainvoke([HumanMessage(question.text)], config)).text}

    return make_runnable(answer, name="answerer", input_type=Question, output_type=Reply)


class Recorder(BaseCallbackHandler):
    def __init__(self) -> None:
        self.starts: list[tuple[str, Any, Any]] = []
        self.parents: list[Any] = []

    def on_chain_start(self, serialized: Any, inputs: Any, **kwargs: Any) -> None:
        self.starts.append((kwargs.get("name", ""), kwargs.get("tags"), kwargs.get("metadata")))

    def on_chat_model_start(self, serialized: Any, messages: Any, **kwargs: Any) -> None:
        self.starts.append(("model", kwargs.get("tags"), kwargs.get("metadata")))
        self.parents.append(kwargs.get("parent_run_id"))


def test_a_typed_dict_becomes_a_model_whose_fields_have_the_names_of_its_keys():
    keys = ["comment", "json", "my text", "_id", "key_2"]
    row: Any = TypedDict("Row", dict.fromkeys(keys, str))  # type: ignore[misc]

    async def same(value: Any, config: RunnableConfig) -> Any:
        return value

    model = make_runnable(same, name="same", input_type=row, output_type=row).get_input_schema()
    assert list(model.model_json_schema()["properties"]) == keys
    assert next(iter(model.model_fields)) == "comment"


def test_a_runnable_shows_its_schemas():
    chain = _chain(ScriptedChatModel())
    assert chain.get_input_jsonschema()["properties"]["text"]["type"] == "string"
    assert chain.get_output_jsonschema()["properties"]["answer"]["type"] == "string"
    assert chain.get_name() == "answerer"


@pytest.mark.parametrize("form", ["sync", "async"])
def test_callbacks_tags_and_metadata_reach_the_child_calls(form: str):
    recorder = Recorder()
    config: RunnableConfig = {"callbacks": [recorder], "tags": ["blue"], "metadata": {"who": "me"}}
    chain, question = _chain(ScriptedChatModel("yes")), Question(text="?")
    if form == "sync":
        assert chain.invoke(question, config) == {"answer": "yes"}
    else:
        assert asyncio.run(chain.ainvoke(question, config)) == {"answer": "yes"}
    (chain_name, _, _), (_, tags, metadata) = recorder.starts
    assert chain_name == "answerer"
    assert "blue" in tags
    assert metadata["who"] == "me"
    assert recorder.parents[0] is not None


async def test_invoke_inside_a_running_loop_gives_the_same_as_ainvoke():
    chain = _chain(ScriptedChatModel("yes"))
    assert chain.invoke(Question(text="?")) == await chain.ainvoke(Question(text="?"))


def test_batch_and_abatch_keep_the_order():
    chain = _chain(ScriptedChatModel(lambda messages: messages[-1].text.upper()))
    questions = [Question(text=letter) for letter in "abcde"]
    expected = [{"answer": letter} for letter in "ABCDE"]
    assert chain.batch(questions) == expected
    assert asyncio.run(chain.abatch(questions)) == expected
