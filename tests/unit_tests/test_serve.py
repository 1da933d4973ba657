"""The FastAPI app: a whole loop over HTTP, and for whatever goes wrong a status and one sentence."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason='not installed: pip install "langchain-model-alignment[serve]"')

from fastapi import FastAPI
from httpx import AsyncClient, Response

from langchain_model_alignment import AlignedPrompt, Caller, Gate, create_classifier_chain
from langchain_model_alignment.errors import ConfigurationError, ModelNameError
from langchain_model_alignment.integrations.serving import ServeSettings, create_app, create_router
from langchain_model_alignment.integrations.serving.rulebooks import as_done
from tests.fakes import ScriptedChatModel, http_error
from tests.serving import ACCEPT, CRITIQUE, START, client_of, events_in, mind, play_at_once, rulebook

BEGIN = {"thread_id": "t", "input": START}
ROW, INSULT = {"comment": "what a lovely day"}, {"comment": "you idiot"}


def app_of(folder: Path, model: Any = None, **settings: Any) -> FastAPI:
    told = ServeSettings(database=str(folder), **settings)
    return create_app(model or ScriptedChatModel(mind), rulebooks={"toxic": rulebook()}, settings=told)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[AsyncClient]:
    async with client_of(app_of(tmp_path)) as client:
        yield client


def answer(resume: Any, question: str | None = None) -> dict[str, Any]:
    return {"thread_id": "t", "resume": resume, "question": question}


def problem(response: Response) -> tuple[int, str]:
    """The status and the sentence, which is all there is."""
    assert set(response.json()) == {"detail"}
    assert response.json()["detail"].endswith(".")
    return response.status_code, response.json()["detail"]


# -- the loop ---------------------------------------------------------------------------------------------------


async def test_a_whole_loop_over_http(client: AsyncClient) -> None:
    first = (await client.post("/turn", json=BEGIN)).json()
    assert first["waiting_for"]["value"]["response"] == "<Give three uses for rope.>"
    second = (await client.post("/turn", json=answer(CRITIQUE, first["waiting_for"]["id"]))).json()
    assert [p["text"] for p in second["waiting_for"]["value"]["principles"]] == ["Be brief."]
    last = (await client.post("/turn", json=answer(ACCEPT, second["waiting_for"]["id"]))).json()
    assert last["status"] == "ended"
    assert AlignedPrompt.from_dict(last["state"]["prompt"]).description == "Give three uses for {item}. Be brief."


async def test_a_thread_tells_how_it_stands_and_outlives_the_server(tmp_path: Path) -> None:
    async with client_of(app_of(tmp_path)) as client:
        reply = (await client.post("/turn", json=BEGIN)).json()
        assert (await client.get("/threads/t")).json() == reply
    async with client_of(app_of(tmp_path)) as client:
        assert (await client.get("/threads/t")).json() == reply
        assert (await client.post("/turn", json=answer(ACCEPT))).json()["status"] == "ended"


async def test_a_deleted_thread_is_gone(client: AsyncClient) -> None:
    await client.post("/turn", json=BEGIN)
    assert (await client.delete("/threads/t")).status_code == 204
    assert problem(await client.get("/threads/t"))[0] == 404
    assert problem(await client.delete("/threads/t"))[0] == 404


async def test_a_turn_is_streamed_as_server_sent_events(client: AsyncClient) -> None:
    await client.post("/turn", json=BEGIN)
    response = await client.post("/turn/stream", json=answer(CRITIQUE))
    assert response.headers["content-type"].startswith("text/event-stream")
    told = events_in(response.text)
    assert [name for name, _ in told] == ["principles", "prompt", "answers", "verdicts", "reply"]
    assert told[-1][1] == (await client.get("/threads/t")).json()


async def test_a_turn_is_streamed_as_lines_of_json_where_they_are_accepted(client: AsyncClient) -> None:
    response = await client.post("/turn/stream", json=BEGIN, headers={"accept": "application/x-ndjson"})
    told = [json.loads(line) for line in response.text.splitlines()]
    assert [event["event"] for event in told] == ["answers", "reply"]


async def test_what_fails_in_the_middle_of_a_stream_is_its_last_event(tmp_path: Path) -> None:
    model = ScriptedChatModel(lambda m: http_error(400) if "rewrite instructions" in m[0].text else mind(m))
    async with client_of(app_of(tmp_path, model)) as client:
        await client.post("/turn", json=BEGIN)
        told = events_in((await client.post("/turn/stream", json=answer(CRITIQUE))).text)
        assert [name for name, _ in told] == ["principles", "error"]
        assert (await client.get("/threads/t")).json()["status"] == "stopped"


async def test_threads_at_once_do_not_see_one_another(tmp_path: Path) -> None:
    async with client_of(app_of(tmp_path)) as client:
        await play_at_once(client, 5)


# -- stored prompts ---------------------------------------------------------------------------------------------


async def test_a_stored_prompt_answers_as_it_stands_now(client: AsyncClient) -> None:
    await client.put("/prompts/uses", json={"prompt": "Uses of {item}?"})
    asked = {"inputs": {"item": "rope"}}
    assert (await client.post("/prompts/uses/invoke", json=asked)).json() == {"response": "<Uses of rope?>"}
    await client.put("/prompts/uses", json={"prompt": "Three uses of {item}?"})
    assert (await client.post("/prompts/uses/invoke", json=asked)).json() == {"response": "<Three uses of rope?>"}
    assert (await client.get("/prompts")).json() == ["uses"]


async def test_what_a_loop_came_to_is_stored_and_read_back(client: AsyncClient) -> None:
    await client.post("/turn", json=BEGIN)
    await client.post("/turn", json=answer(CRITIQUE))
    aligned = (await client.post("/turn", json=answer(ACCEPT))).json()["state"]["prompt"]
    assert (await client.put("/prompts/uses", json={"prompt": aligned})).status_code == 204
    assert (await client.get("/prompts/uses")).json() == aligned
    begun = await client.post("/turn", json={"thread_id": "u", "input": {"stored": "uses", "inputs": {"item": "a"}}})
    assert begun.json()["waiting_for"]["value"]["response"] == "<Give three uses for a. Be brief.>"


async def test_a_prompt_that_somebody_else_stored_meanwhile_is_not_overwritten(client: AsyncClient) -> None:
    first = (await client.put("/prompts/uses", json={"prompt": "Uses of {item}?"})).headers["etag"]
    assert (await client.get("/prompts/uses")).headers["etag"] == first
    match = {"if-match": first}
    second = await client.put("/prompts/uses", json={"prompt": "Ann's uses of {item}?"}, headers=match)
    assert second.status_code == 204
    late = await client.put("/prompts/uses", json={"prompt": "Bo's uses of {item}?"}, headers=match)
    assert problem(late) == (
        412,
        'The stored prompt "uses" is not the one that was read; read it again, then store yours.',
    )
    assert (await client.get("/prompts/uses")).headers["etag"] == second.headers["etag"]
    other = await client.put("/prompts/other", json={"prompt": "New."}, headers=match)
    assert problem(other)[0] == 412
    assert (await client.get("/prompts")).json() == ["uses"]


async def test_of_several_who_store_what_follows_one_version_one_wins(client: AsyncClient) -> None:
    read = (await client.put("/prompts/uses", json={"prompt": "Uses of {item}?"})).headers["etag"]
    match = {"if-match": f'"another", {read}'}
    both = [client.put("/prompts/uses", json={"prompt": f"{who}: {{item}}?"}, headers=match) for who in "abcd"]
    assert sorted(r.status_code for r in await asyncio.gather(*both)) == [204, 412, 412, 412]


async def test_a_stored_prompt_that_is_deleted_while_in_use_is_told_and_its_loops_go_on(client: AsyncClient) -> None:
    await client.put("/prompts/uses", json={"prompt": "Give three uses for {item}."})
    await client.post("/turn", json={"thread_id": "t", "input": {"stored": "uses", "inputs": {"item": "rope"}}})
    assert (await client.delete("/prompts/uses")).status_code == 204
    gone = (404, 'There is no stored prompt "uses", or it was deleted; store one of that name.')
    assert problem(await client.post("/prompts/uses/invoke", json={"inputs": {"item": "rope"}})) == gone
    assert problem(await client.delete("/prompts/uses")) == gone
    assert (await client.post("/turn", json=answer(CRITIQUE))).status_code == 200


# -- rulebooks --------------------------------------------------------------------------------------------------


async def test_a_rulebook_labels_one_row(client: AsyncClient) -> None:
    found = (await client.post("/rulebooks/toxic/invoke", json={"row": INSULT})).json()
    assert (found["prediction"], found["error"]) == (True, None)


async def test_a_rulebook_labels_rows_in_their_order(client: AsyncClient) -> None:
    found = (await client.post("/rulebooks/toxic/batch", json={"rows": [ROW, INSULT, ROW]})).json()
    assert [prediction["prediction"] for prediction in found] == [False, True, False]


async def test_a_rulebook_tells_each_row_as_it_is_done(client: AsyncClient) -> None:
    response = await client.post("/rulebooks/toxic/stream", json={"rows": [ROW, INSULT]})
    told = events_in(response.text)
    assert {data["index"]: data["prediction"] for name, data in told if name == "prediction"} == {0: False, 1: True}
    assert told[-1] == ("end", {"rows": 2})


async def test_when_the_reader_of_a_stream_goes_the_rest_is_not_asked_for() -> None:
    model, book = ScriptedChatModel(mind, latency=0.01), rulebook()
    chain = create_classifier_chain(Caller(model, gate=Gate(1)), book.task, book)
    told = as_done(chain, [{"comment": f"comment {number}"} for number in range(50)])
    await anext(told)
    await told.aclose()
    await asyncio.sleep(0.1)
    assert model.calls <= 3


async def test_a_rulebook_tells_what_it_labels_and_by_which_principles(client: AsyncClient) -> None:
    assert (await client.get("/rulebooks")).json() == ["toxic"]
    told = (await client.get("/rulebooks/toxic")).json()
    assert (told["label_values"], told["input_names"]) == ([True, False], ["comment"])
    assert [p["text"] for p in told["principles"]] == ["It insults a person."]


async def test_a_row_without_the_columns_and_an_unknown_rulebook_are_told(client: AsyncClient) -> None:
    assert problem(await client.post("/rulebooks/toxic/invoke", json={"row": {"text": "x"}}))[0] == 422
    assert problem(await client.post("/rulebooks/toxic/stream", json={"rows": [{"text": "x"}]}))[0] == 422
    assert problem(await client.post("/rulebooks/nice/invoke", json={"row": ROW})) == (
        404,
        'There is no rulebook "nice"; served are: toxic.',
    )


def test_a_rulebook_needs_a_name_that_can_stand_in_an_address() -> None:
    with pytest.raises(ConfigurationError, match="a/b"):
        create_router(ScriptedChatModel(mind), rulebooks={"a/b": rulebook()})


# -- who comes in ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Basic secret", "Bearer", "secret", "Bearer s\xe9cret"])
async def test_a_wrong_key_is_told_before_anything_is_read(tmp_path: Path, header: str | None) -> None:
    async with client_of(app_of(tmp_path, api_key="secret")) as client:
        headers = {
            "content-type": "application/json",
            **({"authorization": header.encode("latin-1")} if header else {}),
        }
        response = await client.post("/turn", content=b"{", headers=headers)  # type: ignore[arg-type]
        assert problem(response)[0] == 401
        assert response.headers["www-authenticate"] == "Bearer"
        assert (await client.get("/healthz")).status_code == 200


async def test_the_right_key_opens_under_any_name(tmp_path: Path) -> None:
    app = app_of(tmp_path, api_key="secret")
    async with client_of(app, "http://align.example", headers={"authorization": "Bearer secret"}) as client:
        assert (await client.post("/turn", json=BEGIN)).status_code == 200


async def test_without_a_key_only_this_machines_own_names_are_answered(tmp_path: Path) -> None:
    async with client_of(app_of(tmp_path), "http://rebound.example") as client:
        assert problem(await client.post("/turn", json=BEGIN))[0] == 403
        assert (await client.get("/healthz", headers={"host": "localhost:8000"})).status_code == 200
        assert (await client.get("/healthz", headers={"host": "[::1]:8000"})).status_code == 200


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "null", "http://[", "http://localhost.example"])
async def test_without_a_key_no_page_from_elsewhere_is_answered(client: AsyncClient, origin: str) -> None:
    response = await client.post("/turn", json=BEGIN, headers={"origin": origin})
    assert problem(response)[0] == 403
    assert problem(await client.get("/threads/t"))[0] == 404


async def test_a_page_of_this_machine_is_answered_and_with_a_key_any_page(tmp_path: Path) -> None:
    async with client_of(app_of(tmp_path / "open")) as client:
        own = {"origin": "http://localhost:3000"}
        assert (await client.post("/turn", json=BEGIN, headers=own)).status_code == 200
    async with client_of(app_of(tmp_path / "keyed", api_key="secret")) as client:
        told = {"origin": "https://elsewhere.example", "authorization": "Bearer secret"}
        assert (await client.post("/turn", json=BEGIN, headers=told)).status_code == 200


@pytest.mark.parametrize("kind", [None, "", "text/plain", "application/x-www-form-urlencoded", "application/jsonp"])
async def test_a_body_that_a_page_may_send_unasked_is_no_turn(tmp_path: Path, kind: str | None) -> None:
    app = FastAPI(strict_content_type=False)  # as older releases are
    app.include_router(create_router(ScriptedChatModel(mind), settings=ServeSettings(database=str(tmp_path))))
    async with client_of(app) as client:
        headers = {} if kind is None else {"content-type": kind}
        response = await client.post("/turn", content=json.dumps(BEGIN), headers=headers)
        assert problem(response)[0] == 415
        assert problem(await client.get("/threads/t"))[0] == 404


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON", "application/vnd.x+json"])
async def test_json_is_taken_by_each_of_its_names(client: AsyncClient, kind: str) -> None:
    response = await client.post("/turn", content=json.dumps(BEGIN), headers={"content-type": kind})
    assert response.status_code == 200


async def test_a_body_that_is_too_large_is_refused_also_in_chunks(tmp_path: Path) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * 500

    async with client_of(app_of(tmp_path, max_body=1_000)) as client:
        json_type = {"content-type": "application/json"}
        for content in (b"x" * 1_001, chunks()):
            status, sentence = problem(await client.post("/turn", content=content, headers=json_type))
            assert (status, "1,000 bytes" in sentence) == (413, True)
        assert (await client.post("/turn", json=BEGIN)).status_code == 200


async def test_more_requests_than_are_answered_at_once_are_told_to_come_back(tmp_path: Path) -> None:
    model = ScriptedChatModel(mind, latency=0.05)
    async with client_of(app_of(tmp_path, model, max_in_flight=2)) as client:
        asked = [client.post("/rulebooks/toxic/stream", json={"rows": [ROW, INSULT]}) for _ in range(3)]
        found = await asyncio.gather(*asked, client.get("/healthz"))
        assert sorted(response.status_code for response in found) == [200, 200, 200, 503]
        late = next(response for response in found if response.status_code == 503)
        assert "2 requests" in problem(late)[1]
        assert late.headers["retry-after"] == "1"
        assert (await client.post("/rulebooks/toxic/invoke", json={"row": ROW})).status_code == 200


# -- what does not fit --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"{", 422),
        (b"", 422),
        (b"[" * 100_000, 400),
        (b"\xff", 400),
        (b'{"thread_id": "a b"}', 422),
        (b'{"thread_id": "t", "input": {"prompt": "x", "inputs": {"item": NaN}}}', 422),
        (b'{"thread_id": "t", "input": {"prompt": "half \\ud800"}}', 422),
        (b'{"thread_id": "t", "input": {"prompt": "a\\u0000b"}}', 422),
        (b'{"thread_id": "t", "input": {"prompt": {"kind": 1}}}', 422),
        (b'{"thread_id": "t", "input": {"prompt": "Greet {name}."}}', 422),
        (b'{"thread_id": "t", "resume": {"action": "accept"}}', 404),
    ],
)
async def test_a_body_that_cannot_be_used_is_told_in_a_sentence(
    client: AsyncClient, content: bytes, status: int
) -> None:
    response = await client.post("/turn", content=content, headers={"content-type": "application/json"})
    assert problem(response)[0] == status
    assert (await client.post("/turn", json=BEGIN)).status_code == 200


async def test_an_answer_to_what_was_answered_is_told(client: AsyncClient) -> None:
    question = (await client.post("/turn", json=BEGIN)).json()["waiting_for"]["id"]
    await client.post("/turn", json=answer(CRITIQUE, question))
    assert problem(await client.post("/turn", json=answer(CRITIQUE, question)))[0] == 409
    await client.post("/turn", json=answer(ACCEPT))
    assert problem(await client.post("/turn", json=answer(ACCEPT)))[0] == 409
    assert problem(await client.post("/turn/stream", json=answer(ACCEPT)))[0] == 409


async def test_of_two_answers_at_once_one_wins_and_the_other_is_told(tmp_path: Path) -> None:
    async with client_of(app_of(tmp_path, ScriptedChatModel(mind, latency=0.02))) as client:
        await client.post("/turn", json=BEGIN)
        both = [client.post("/turn", json=answer(CRITIQUE)) for _ in range(2)]
        statuses = sorted(response.status_code for response in await asyncio.gather(*both))
        assert statuses == [200, 409]
        told = (await client.get("/threads/t")).json()
        assert len(told["waiting_for"]["value"]["principles"]) == 1


async def test_an_answer_that_does_not_fit_leaves_the_question_pending(client: AsyncClient) -> None:
    reply = (await client.post("/turn", json=BEGIN)).json()
    assert problem(await client.post("/turn", json=answer({"action": "shout"})))[0] == 422
    assert problem(await client.post("/turn/stream", json=answer({"action": "shout"})))[0] == 422
    assert (await client.get("/threads/t")).json() == reply


async def test_a_path_and_a_method_that_are_not_there_are_told(client: AsyncClient) -> None:
    assert problem(await client.get("/nowhere"))[0] == 404
    response = await client.get("/turn")
    assert problem(response)[0] == 405
    assert response.headers["allow"] == "POST"
    assert (await client.patch("/prompts/uses")).headers["allow"] == "DELETE, GET, PUT"


@pytest.mark.parametrize(
    ("reply", "status"),
    [(http_error(401), 502), (http_error(400), 502), (http_error(503), 503), (RuntimeError("no"), 502)],
)
async def test_a_model_that_fails_is_told_and_the_server_goes_on(tmp_path: Path, reply: Any, status: int) -> None:
    failing = [True]
    model = ScriptedChatModel(lambda messages: reply if failing else mind(messages))
    async with client_of(app_of(tmp_path, model)) as client:
        assert problem(await client.post("/turn", json=BEGIN))[0] == status
        failing.clear()
        assert (await client.post("/turn", json={"thread_id": "t"})).json()["status"] == "waiting"


async def test_a_defect_is_a_500_that_tells_no_secrets(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    app = app_of(tmp_path)
    async with client_of(app) as client:
        await client.put("/prompts/uses", json={"prompt": "x"})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(AlignedPrompt, "fill", lambda *_: {}["a secret"])
            response = await client.post("/prompts/uses/invoke", json={})
        assert problem(response) == (500, "The server failed (KeyError); its log tells more.")
        assert (await client.post("/prompts/uses/invoke", json={})).status_code == 200


async def test_a_database_that_fails_is_a_503_and_the_server_goes_on(
    client: AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.MonkeyPatch.context() as patch:

        async def fails(*_: Any, **__: Any) -> None:
            raise sqlite3.OperationalError("disk I/O error")

        patch.setattr("langgraph.checkpoint.sqlite.aio.AsyncSqliteSaver.aget_tuple", fails)
        assert problem(await client.post("/turn", json=BEGIN))[0] == 503
    assert (await client.post("/turn", json=BEGIN)).status_code == 200


# -- models that are not there --------------------------------------------------------------------------------------


async def told_of_model(client: AsyncClient, until: Callable[[str], bool]) -> dict[str, Any]:
    for _ in range(500):
        health = (await client.get("/healthz")).json()
        if until(health["model"]):
            return health
        await asyncio.sleep(0.01)
    raise AssertionError(health)


async def test_a_model_that_cannot_be_made_is_a_503_with_the_sentence(tmp_path: Path) -> None:
    async with client_of(app_of(tmp_path, "nowhere:model")) as client:
        health = await told_of_model(client, lambda status: status != "loading")
        assert health["model"] == "failed"
        status, sentence = problem(await client.post("/turn", json=BEGIN))
        assert (status, health["problem"] in sentence) == (503, True)
        assert problem(await client.post("/rulebooks/toxic/invoke", json={"row": ROW}))[0] == 503
        assert (await client.get("/openapi.json")).status_code == 200


async def test_while_a_model_loads_the_server_answers_already(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    there = threading.Event()

    def slow(name: str) -> ScriptedChatModel:
        if not there.wait(10):
            raise ModelNameError("It never came.")
        return ScriptedChatModel(mind)

    monkeypatch.setattr("langchain_model_alignment.models.resolve_chat_model", slow)
    async with client_of(app_of(tmp_path, "local")) as client:
        assert (await client.get("/healthz")).json()["model"] == "loading"
        response = await client.post("/turn", json=BEGIN)
        assert problem(response) == (503, "The model is still loading; try again in a while.")
        assert response.headers["retry-after"]
        there.set()
        await told_of_model(client, lambda status: status == "ready")
        assert (await client.post("/turn", json=BEGIN)).status_code == 200


# -- in an app of one's own ------------------------------------------------------------------------------------------


async def test_the_router_brings_key_limits_and_sentences_into_an_app_of_ones_own(tmp_path: Path) -> None:
    app = FastAPI()

    @app.get("/mine")
    async def mine() -> str:
        return "mine"

    told = ServeSettings(database=str(tmp_path), api_key="secret", max_body=1_000)
    app.include_router(create_router(ScriptedChatModel(mind), settings=told), prefix="/align")
    async with client_of(app, "http://mine.example") as client:
        assert (await client.get("/mine")).json() == "mine"
        assert problem(await client.post("/align/turn", json=BEGIN))[0] == 401
        client.headers["authorization"] = "Bearer secret"
        assert problem(await client.post("/align/turn", content=b"x" * 2_000))[0] == 413
        assert problem(await client.post("/align/turn", json={}))[0] == 422
        assert (await client.post("/align/turn", json=BEGIN)).json()["status"] == "waiting"
        assert "/align/turn" in (await client.get("/openapi.json")).json()["paths"]
