"""What the package exports, and that every sync form has an async twin that behaves the same."""

import ast
import asyncio
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import BaseMessage
from langchain_core.runnables import Runnable

import langchain_model_alignment
from langchain_model_alignment.constitution import Constitution
from langchain_model_alignment.feedback.adherence import create_adherence_chain
from langchain_model_alignment.feedback.conflicts import create_conflict_chain
from langchain_model_alignment.feedback.judging import create_intent_chain
from langchain_model_alignment.feedback.principles import create_principle_chain
from langchain_model_alignment.feedback.single_run import AlignableSingleRun
from langchain_model_alignment.feedback.suggestions import (
    create_critique_chain,
    create_kudos_chain,
    create_preference_chain,
)
from langchain_model_alignment.feedback.updates import create_direct_update_chain, create_prompt_update_chain
from langchain_model_alignment.labeling.classifier import create_classifier_chain
from langchain_model_alignment.labeling.labeler import Labeler
from langchain_model_alignment.labeling.records import TrainingResult
from langchain_model_alignment.templates import Template
from tests.fakes import ScriptedChatModel
from tests.simulated import TASK, book_of, maker_of, rows

PACKAGE = Path(langchain_model_alignment.__file__).parent

PUBLIC = sorted(
    [
        "AlignableSingleRun",
        "AlignedPrompt",
        "AlignmentError",
        "BatchResult",
        "Budget",
        "Caller",
        "Constitution",
        "ConstitutionLibrary",
        "EventCallback",
        "Feedback",
        "FeedbackRecord",
        "Gate",
        "Labeler",
        "LabelingTask",
        "MemoryCache",
        "Mixture",
        "MixtureOfExperts",
        "MixtureResult",
        "MultiLabelResult",
        "MultiLabelRulebook",
        "MultiLabeler",
        "Principle",
        "Review",
        "Rulebook",
        "SQLiteCache",
        "Template",
        "TrainingHyperparameters",
        "TrainingResult",
        "Usage",
        "WordLlamaEmbeddings",
        "aalign_batch",
        "adherence_table",
        "alabel_file",
        "align_batch",
        "areplay",
        "astream_labels",
        "create_intent_chain",
        "create_preference_chain",
        "replay",
        "create_adherence_chain",
        "create_batch_chain",
        "create_classifier_chain",
        "create_conflict_chain",
        "create_critique_chain",
        "create_direct_update_chain",
        "create_feedback_graph",
        "create_feedback_node",
        "create_feedback_tool",
        "create_kudos_chain",
        "create_labeler_graph",
        "create_live_prompt",
        "create_principle_chain",
        "create_prompt_update_chain",
        "create_turn_chain",
        "errors",
        "from_langsmith",
        "label_file",
        "label_dataset",
        "labeler",
        "hugging_face_chat_model",
        "local_chat_model",
        "prompt_from_model_alignment",
        "pull_prompt",
        "push_prompt",
        "read_feedback",
        "resolve_chat_model",
        "rulebook_from_model_alignment",
        "single_run",
        "write_report",
    ]
)

# Every method that asks a model, and a call of it.
MODEL_WORK: dict[str, tuple[Any, ...]] = {
    "send_input": ("scissors",),
    "generate_critiques": (),
    "generate_kudos": (),
    "critique_response": ("be brief",),
    "kudos_response": ("be brief",),
    "rewrite_response": ("Use brief words.",),
    "prefer_response": (0, "Another answer.", "be brief"),
    "score_response": (0.1, "be brief"),
    "explain_preference": (0, "Another answer."),
    "reply": ("And then?",),
    "update_model_description_from_principles": (),
    "update_model_description_from_feedback": ("be brief",),
}


def test_the_exported_names_are_these():
    assert sorted(langchain_model_alignment.__all__) == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_every_exported_name_is_there_and_explained(name: str):
    value = getattr(langchain_model_alignment, name)
    assert value.__doc__
    assert name in dir(langchain_model_alignment)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="Labeller"):
        _ = langchain_model_alignment.Labeller  # type: ignore[attr-defined]


@pytest.mark.parametrize("file", sorted(PACKAGE.rglob("*.py")), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_point_down_only(file: Path):
    """Ground, then feedback beside labeling, up to the command line; only the front names what lies above."""
    floor = {"feedback": 1, "labeling": 1, "integrations": 2, "studio": 3, "cli": 4}
    place = file.relative_to(PACKAGE).parts[0]
    if place == "__init__.py":
        pytest.skip("the front of the package")
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("langchain_model_alignment."):
            imported = str(node.module).split(".")[1]
            assert floor.get(imported, 0) <= floor.get(place, 0), f"line {node.lineno} imports {node.module}"
            sideways = {place, imported} == {"feedback", "labeling"}
            assert not sideways, f"line {node.lineno} imports {node.module}"


# -- the single run --------------------------------------------------------------------------------------------


def reply(messages: list[BaseMessage]) -> str:
    """One model for everything, the same whenever it is asked the same."""
    system = messages[0].text
    if "list of principles" in system:
        return json.dumps({"reason": "asked", "action": "add", "principle": "Be brief."})
    if "rewrite instructions" in system or "change instructions" in system:
        return json.dumps({"text": "Give three uses for {item}. Be brief."})
    if "numbered list of three" in system:
        return "1. Too dull.\n2. No sources.\n3. It is stiff."
    if "whether a prompt's new answer" in system:
        return json.dumps({"sayings": [{"number": 1, "kept": True}]})
    if "whether an answer follows principles" in system:
        return json.dumps({"items": [{"principle_id": "p1", "followed": True, "words": "Cut paper."}]})
    if "trouble among the principles" in system:
        return json.dumps({"conflicts": [{"kind": "duplicate", "ids": ["p1", "p2"]}]})
    return "Cut paper."


def prepared(method: str) -> AlignableSingleRun:
    run = AlignableSingleRun(ScriptedChatModel(reply))
    run.set_model_description("Give three uses for {item}.")
    if method != "send_input":
        run.set_input_output_pair("scissors", "Cut paper.")
    if method == "update_model_description_from_principles":
        run.critique_response("be brief")
    return run


def state(run: AlignableSingleRun) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(run.data.to_json())
    for revision in value["history"]["revisions"]:
        revision["time"] = ""
    return value


def methods() -> list[str]:
    return [name for name, _ in inspect.getmembers(AlignableSingleRun, inspect.isfunction) if not name.startswith("_")]


def test_every_method_that_asks_a_model_has_an_async_twin():
    coroutines = {n for n in methods() if inspect.iscoroutinefunction(getattr(AlignableSingleRun, n))}
    assert coroutines == {f"a{name}" for name in MODEL_WORK}


@pytest.mark.parametrize("name", sorted(MODEL_WORK))
def test_an_async_twin_takes_the_same_parameters(name: str):
    sync = inspect.signature(getattr(AlignableSingleRun, name))
    twin = inspect.signature(getattr(AlignableSingleRun, f"a{name}"))
    assert list(sync.parameters.values()) == list(twin.parameters.values())
    assert sync.return_annotation == twin.return_annotation
    assert "config" in sync.parameters


@pytest.mark.parametrize("name", sorted(MODEL_WORK))
def test_sync_and_async_give_the_same_and_leave_the_same(name: str):
    sync, twin = prepared(name), prepared(name)
    result = getattr(sync, name)(*MODEL_WORK[name])
    assert asyncio.run(getattr(twin, f"a{name}")(*MODEL_WORK[name])) == result
    assert state(twin) == state(sync)


@pytest.mark.parametrize("name", sorted(MODEL_WORK))
async def test_the_sync_form_works_inside_a_running_event_loop(name: str):
    run, twin = prepared(name), prepared(name)
    result = getattr(run, name)(*MODEL_WORK[name])
    assert result == await getattr(twin, f"a{name}")(*MODEL_WORK[name])
    assert state(run) == state(twin)


@pytest.mark.parametrize("name", sorted(MODEL_WORK))
def test_a_config_reaches_the_model(name: str):
    from langchain_core.callbacks import BaseCallbackHandler

    class Seen(BaseCallbackHandler):
        tags: list[str]

        def on_chat_model_start(self, *_: Any, tags: list[str] | None = None, **__: Any) -> None:
            self.tags = tags or []

    for prefix in ("", "a"):
        seen = Seen()
        result = getattr(prepared(name), prefix + name)(
            *MODEL_WORK[name], config={"callbacks": [seen], "tags": ["mine"]}
        )
        if inspect.isawaitable(result):
            asyncio.run(_awaited(result))
        assert "mine" in seen.tags


async def _awaited(value: Any) -> Any:
    return await value


# -- the labeler -----------------------------------------------------------------------------------------------

TABLE = rows(50)
LABELER_WORK: dict[str, tuple[Any, ...]] = {
    "initialize_checkpoint": (TABLE,),
    "train_step": (None, TABLE),
    "train": (TABLE,),
    "infer_checkpoint": (book_of({"yes": ["The text speaks of a yak."]}), TABLE[:9]),
}


def told(result: Any) -> Any:
    """What a method returned, without the seconds it took."""
    if not isinstance(result, TrainingResult):
        return result
    value = result.model_dump(mode="json", exclude={"usage": {"seconds"}})
    for record in value["history"]:
        record["seconds"] = 0
    return value


def labeler_methods() -> list[str]:
    return [name for name, _ in inspect.getmembers(Labeler, inspect.isfunction) if not name.startswith("_")]


def test_every_method_of_the_labeler_that_asks_a_model_has_an_async_twin():
    coroutines = {n for n in labeler_methods() if inspect.iscoroutinefunction(getattr(Labeler, n))}
    assert coroutines == {f"a{name}" for name in LABELER_WORK}


@pytest.mark.parametrize("name", sorted(LABELER_WORK))
def test_an_async_twin_of_the_labeler_takes_the_same_parameters(name: str):
    sync, twin = (inspect.signature(getattr(Labeler, prefix + name)) for prefix in ("", "a"))
    assert list(sync.parameters.values()) == list(twin.parameters.values())
    assert sync.return_annotation == twin.return_annotation
    assert "config" in sync.parameters


@pytest.mark.parametrize("name", sorted(LABELER_WORK))
def test_sync_and_async_of_the_labeler_give_the_same(name: str):
    result = getattr(maker_of(), name)(*LABELER_WORK[name])
    twin = asyncio.run(getattr(maker_of(), f"a{name}")(*LABELER_WORK[name]))
    assert told(result) == told(twin)


@pytest.mark.parametrize("name", sorted(LABELER_WORK))
async def test_the_sync_form_of_the_labeler_works_inside_a_running_event_loop(name: str):
    result = getattr(maker_of(), name)(*LABELER_WORK[name])
    assert told(result) == told(await getattr(maker_of(), f"a{name}")(*LABELER_WORK[name]))


# -- the chains ------------------------------------------------------------------------------------------------

TEMPLATE = Template.of("Give three uses for {item}.")
CHAINS: dict[str, tuple[Callable[..., Runnable[Any, Any]], list[dict[str, Any]]]] = {
    "principle": (
        create_principle_chain,
        [{"feedback": {"kind": kind, "text": "be brief"}, "prompt": "x"} for kind in ("critique", "kudos")],
    ),
    "prompt_update": (
        create_prompt_update_chain,
        [{"template": TEMPLATE, "principles": [{"id": id, "text": "Be brief."}]} for id in ("p1", "p2")],
    ),
    "direct_update": (
        create_direct_update_chain,
        [{"template": TEMPLATE, "feedback": text} for text in ("be brief", "brief, please")],
    ),
    "critique": (create_critique_chain, [{"prompt": "x", "response": text} for text in ("Cut paper.", "Cut hair.")]),
    "kudos": (create_kudos_chain, [{"prompt": "x", "response": text} for text in ("Cut paper.", "Cut hair.")]),
    "intent": (
        create_intent_chain,
        [{"feedback": {"kind": "kudos", "text": "be brief"}, "response": text} for text in ("Cut.", "Cut hair.")],
    ),
    "preference": (create_preference_chain, [{"better": text, "worse": "No."} for text in ("Cut paper.", "Cut.")]),
    "adherence": (
        create_adherence_chain,
        [{"constitution": Constitution.of("Be brief."), "response": text} for text in ("Cut paper.", "Cut hair.")],
    ),
    "conflicts": (
        create_conflict_chain,
        [{"constitution": Constitution.of("Be brief.", text)} for text in ("Be concise.", "Be short.")],
    ),
    "classify": (
        lambda llm: create_classifier_chain(llm, TASK, book_of({"yes": ["It cuts."]})),
        [{"text": "scissors"}, {"text": "rope"}],
    ),
}


@pytest.mark.parametrize("name", sorted(CHAINS))
def test_invoke_ainvoke_batch_and_abatch_agree(name: str):
    create, values = CHAINS[name]
    chain = create(ScriptedChatModel(reply))
    wanted = [chain.invoke(value) for value in values]
    assert chain.batch(values) == wanted
    assert asyncio.run(chain.abatch(values)) == wanted
    assert [asyncio.run(chain.ainvoke(value)) for value in values] == wanted


@pytest.mark.parametrize("name", sorted(CHAINS))
async def test_a_chain_works_inside_a_running_event_loop(name: str):
    create, values = CHAINS[name]
    chain = create(ScriptedChatModel(reply))
    assert chain.invoke(values[0]) == await chain.ainvoke(values[0])
    assert chain.batch(values) == await chain.abatch(values)
