"""Every chain is a LangChain Runnable through and through: schemas, names, and all that LangChain does with one."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.runnables import ConfigurableField, Runnable, RunnableLambda, RunnablePassthrough
from typing_extensions import TypedDict

import langchain_model_alignment
from langchain_model_alignment.errors import UnavailableError
from langchain_model_alignment.feedback.batch.align import create_batch_chain
from langchain_model_alignment.labeling.classifier import create_classifier_chain
from langchain_model_alignment.labeling.rulebook import Rulebook
from langchain_model_alignment.labeling.task import LabelingTask
from langchain_model_alignment.loop import make_runnable
from tests.fakes import ScriptedChatModel, http_error
from tests.unit_tests.test_public import CHAINS, reply

Create = Callable[..., Runnable[Any, Any]]

RECORDS = [{"id": "1", "response": "…", "feedback": {"kind": "critique", "text": "be brief"}}]
ALL: dict[str, tuple[Create, list[dict[str, Any]]]] = {
    **CHAINS,
    "batch": (create_batch_chain, [{"prompt": f"Speak on {{x}}, {n}.", "records": RECORDS} for n in (1, 2)]),
}
every_chain = pytest.mark.parametrize("name", sorted(ALL))


def chain_of(name: str, llm: Any = None) -> Runnable[Any, Any]:
    return ALL[name][0](llm or ScriptedChatModel(reply))


def dead() -> ScriptedChatModel:
    return ScriptedChatModel(lambda _: http_error(400, "no such model"))


def told(result: Any) -> Any:
    """A result as JSON, without what differs from run to run: times, and the calls that others made meanwhile."""
    value = json.loads(json.dumps(result, default=lambda model: model.model_dump(mode="json")))
    if isinstance(value, dict) and "calls" in value:
        value["calls"] = 0
    for revision in value["prompt"]["history"]["revisions"] if isinstance(value, dict) and "prompt" in value else ():
        revision["time"] = ""
    return value


def test_every_public_chain_is_here():
    made = {create.__name__ for create, _ in ALL.values()} - {"<lambda>"} | {"create_classifier_chain"}
    public = {n for n in langchain_model_alignment.__all__ if n.startswith("create_") and n.endswith("_chain")}
    assert made == public - {"create_turn_chain"}  # which wraps a graph, not a model: test_turn.py


# -- schemas ---------------------------------------------------------------------------------------------------


@every_chain
def test_the_input_schema_names_what_goes_in(name: str):
    schema = chain_of(name).get_input_jsonschema()
    assert set(schema["properties"]) >= set(ALL[name][1][0])


@every_chain
def test_the_output_schema_names_what_comes_out(name: str):
    result = chain_of(name).invoke(ALL[name][1][0])
    schema = chain_of(name).get_output_jsonschema()
    if isinstance(result, list):
        assert schema["items"]["type"] == "string"
    elif schema.get("anyOf"):  # a verdict, or none
        assert schema["anyOf"][0] == {"$ref": "#/$defs/Verdict"}
        assert schema["$defs"]["Verdict"]["properties"]
    else:
        assert set(schema["properties"]) == set(told(result))


@every_chain
@pytest.mark.parametrize(
    "wrap",
    [
        lambda chain: chain.with_retry(stop_after_attempt=2),
        lambda chain: chain.with_config(tags=["mine"]),
        lambda chain: chain.with_fallbacks([chain]),
        lambda chain: chain | RunnablePassthrough(),
        lambda chain: chain.with_retry().with_config(run_name="mine"),
    ],
)
def test_a_wrapped_chain_keeps_its_input_schema(name: str, wrap: Any):
    chain = chain_of(name)
    assert wrap(chain).get_input_jsonschema()["properties"] == chain.get_input_jsonschema()["properties"]


@pytest.mark.parametrize("column", ["my text", "_id", "json", "copy", "model_name", "schema", "class", "größe"])
def test_a_column_may_be_called_anything(column: str):
    task = LabelingTask(input_names=[column], label_name="toxic", label_values=["yes", "no"])
    chain = create_classifier_chain(ScriptedChatModel("no"), task, Rulebook.of(task, {"yes": ["It insults."]}))
    assert list(chain.get_input_jsonschema()["properties"]) == [column]
    assert chain.get_input_jsonschema()["required"] == [column]
    assert chain.invoke({column: "What a day"})["prediction"] == "no"


def test_a_key_that_may_be_absent_is_not_required():
    class Value(TypedDict, total=False):
        """What goes in."""

        text: str

    async def shout(value: Value, config: Any) -> str:
        return value.get("text", "").upper()

    schema = make_runnable(shout, name="shout", input_type=Value, output_type=str).get_input_jsonschema()
    assert (schema["title"], schema["description"]) == ("Value", "What goes in.")
    assert "required" not in schema


# -- what LangChain does with a Runnable -----------------------------------------------------------------------


@every_chain
async def test_stream_and_astream_give_the_result_in_one_piece(name: str):
    chain, value = chain_of(name), ALL[name][1][0]
    wanted = [told(chain.invoke(value))]
    assert [told(piece) for piece in chain.stream(value)] == wanted
    assert [told(piece) async for piece in chain.astream(value)] == wanted


@every_chain
async def test_batches_keep_their_order(name: str):
    chain, values = chain_of(name), ALL[name][1]
    wanted = [told(chain.invoke(value)) for value in values]
    assert [told(result) for result in chain.batch(values)] == wanted
    assert [told(result) for result in await chain.abatch(values)] == wanted


@every_chain
async def test_a_chain_stands_between_others(name: str):
    value = ALL[name][1][0]
    around = RunnableLambda(lambda wrapped: wrapped["value"]) | chain_of(name) | RunnableLambda(told)
    wanted = told(chain_of(name).invoke(value))
    assert around.invoke({"value": value}) == wanted
    assert await around.ainvoke({"value": value}) == wanted
    assert [piece async for piece in around.astream({"value": value})] == [wanted]


@every_chain
async def test_the_alternative_that_is_configured_answers(name: str):
    value = ALL[name][1][0]
    chain = chain_of(name, dead()).configurable_alternatives(  # type: ignore[attr-defined]
        ConfigurableField(id="writer"), default_key="dead", alive=chain_of(name)
    )
    alive = chain.with_config(configurable={"writer": "alive"})
    wanted = told(chain_of(name).invoke(value))
    assert told(alive.invoke(value)) == told(await alive.ainvoke(value)) == wanted
    assert alive.get_input_jsonschema()["properties"] == chain_of(name).get_input_jsonschema()["properties"]


@pytest.mark.parametrize("name", sorted(ALL.keys() - {"classify"}))  # whose failures are part of the row
async def test_a_fallback_takes_over(name: str):
    value = ALL[name][1][0]
    chain = chain_of(name, dead()).with_fallbacks([chain_of(name)])
    wanted = told(chain_of(name).invoke(value))
    assert told(chain.invoke(value)) == told(await chain.ainvoke(value)) == wanted


@pytest.mark.parametrize("name", sorted(ALL.keys() - {"classify", "prompt_update", "direct_update"}))
async def test_a_retry_asks_once_more(name: str):
    def failing_once() -> Runnable[Any, Any]:
        before: list[Any] = []

        def answer(messages: Any) -> Any:
            before.append(messages)
            return http_error(503) if len(before) <= 6 else reply(messages)  # our own retries are six calls

        return chain_of(name, ScriptedChatModel(answer)).with_retry(
            retry_if_exception_type=(UnavailableError,), wait_exponential_jitter=False, stop_after_attempt=2
        )

    value = ALL[name][1][0]
    wanted = told(chain_of(name).invoke(value))
    assert told(failing_once().invoke(value)) == told(await failing_once().ainvoke(value)) == wanted


# -- in a trace ------------------------------------------------------------------------------------------------


async def runs_of(chain: Runnable[Any, Any], value: Any, **config: Any) -> list[dict[str, Any]]:
    return [e async for e in chain.astream_events(value, {**config}, version="v2") if e["event"].endswith("_start")]


@every_chain
async def test_a_trace_shows_the_chain_by_its_name_and_below_it_the_model(name: str):
    runs = await runs_of(chain_of(name), ALL[name][1][0])
    assert runs[0]["name"] == name
    inside = {run["name"] for run in runs[1:]}
    assert inside <= {"ScriptedChatModel", *ALL}
    assert "ScriptedChatModel" in inside
    assert all(runs[0]["run_id"] in run["parent_ids"] for run in runs[1:])


@every_chain
async def test_tags_and_metadata_reach_every_run(name: str):
    runs = await runs_of(chain_of(name), ALL[name][1][0], tags=["mine"], metadata={"team": "red"})
    assert all("mine" in run["tags"] and run["metadata"]["team"] == "red" for run in runs)


@every_chain
async def test_a_run_takes_another_name(name: str):
    runs = await runs_of(chain_of(name).with_config(run_name="mine"), ALL[name][1][0])
    assert runs[0]["name"] == "mine"


@every_chain
def test_a_drawing_of_a_chain_names_it(name: str):
    names = [node.name for node in chain_of(name).get_graph().nodes.values()]
    assert name in names
    assert not [n for n in names if n.startswith("Runnable")]


async def test_the_model_of_a_chain_streams_its_tokens_as_events():
    events = [e async for e in chain_of("critique").astream_events(ALL["critique"][1][0], version="v2")]
    ends = [e for e in events if e["event"] == "on_chat_model_end"]
    assert ends
    assert isinstance(ends[0]["data"]["output"], AIMessage)
