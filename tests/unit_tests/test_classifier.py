"""A rulebook at work: the very label, abstentions, explanations, and failures of single rows."""

import asyncio
import json
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage

from langchain_model_alignment.cache import MemoryCache
from langchain_model_alignment.calls import Caller
from langchain_model_alignment.constitution import Set
from langchain_model_alignment.errors import (
    ArtifactError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    DataError,
)
from langchain_model_alignment.labeling.calibration import Calibration
from langchain_model_alignment.labeling.classifier import create_classifier_chain
from langchain_model_alignment.labeling.labeler import Labeler
from langchain_model_alignment.labeling.rulebook import Rulebook
from langchain_model_alignment.labeling.task import LabelingTask
from tests.fakes import ScriptedChatModel, SyncOnlyChatModel, http_error
from tests.simulated import TASK, LogprobModel, book_of, logprob_message

RULES = {"yes": ["It names a cat."], "no": ["It names a chair."]}


def task_of(*labels: Any) -> LabelingTask:
    return LabelingTask(input_names=["text"], label_name="y", label_values=labels)


def predict(reply: Any, *, task: LabelingTask = TASK, row: Any = "a cat", rules: Any = None, **options: Any) -> Any:
    model = options.pop("model", ScriptedChatModel)(reply)
    book = Rulebook.of(task, RULES if rules is None else rules, **options.pop("book", {}))
    return create_classifier_chain(model, task, book, **options).invoke({"text": row})


# -- labels


@pytest.mark.parametrize(
    ("labels", "answer", "wanted"),
    [((True, False), "false", False), ((0, 1), "1.", 1), ((0.5, 2.0), "2", 2.0), (("Yes", "No"), "yes", "Yes")],
)
def test_the_prediction_is_the_very_object_from_the_label_values(labels: Any, answer: str, wanted: Any):
    found = predict(answer, task=task_of(*labels), rules={})["prediction"]
    assert (type(found), found) == (type(wanted), wanted)


@pytest.mark.parametrize("answer", ["", "maybe", "yes and no", "not yes"])
def test_an_answer_without_a_label_is_an_abstention(answer: str):
    found = predict(answer)
    assert (found["prediction"], found["error"], found["raw_prediction"]) == ("", None, answer)


def test_a_prediction_tells_what_was_asked_and_answered():
    found = predict("Yes.")
    assert found["raw_prediction"] == "Yes."
    assert found["request"].startswith(TASK.question)
    assert found["request"].endswith("text: a cat")
    assert (found["confidence"], found["principle_ids"]) == (None, [])
    assert json.dumps(found)


def test_a_row_may_hold_more_than_the_inputs():
    chain = create_classifier_chain(ScriptedChatModel("yes"), TASK, book_of(RULES))
    assert chain.invoke({"text": "a cat", "label": "no", "id": 7})["prediction"] == "yes"


def test_a_row_without_an_input_is_one_sentence():
    chain = create_classifier_chain(ScriptedChatModel("yes"), TASK, book_of(RULES))
    with pytest.raises(DataError, match="lacks text"):
        chain.invoke({"txt": "a cat"})


@pytest.mark.parametrize("kind", [ScriptedChatModel, SyncOnlyChatModel])
def test_sync_async_and_batch_agree(kind: type[Any]):
    chain = create_classifier_chain(kind("yes"), TASK, book_of(RULES))
    row = {"text": "a cat"}
    wanted = chain.invoke(row)
    assert chain.batch([row, row]) == [wanted, wanted]
    assert asyncio.run(chain.ainvoke(row)) == wanted


def test_the_chain_shows_what_goes_in_and_comes_out():
    chain = create_classifier_chain(ScriptedChatModel("yes"), TASK, book_of(RULES))
    assert chain.get_input_jsonschema()["properties"].keys() == {"text"}
    told = chain.get_output_jsonschema()["properties"]
    assert told.keys() >= {"prediction", "confidence", "principle_ids", "error"}


def test_a_rulebook_of_another_task_is_refused():
    with pytest.raises(ArtifactError, match="another task"):
        create_classifier_chain(ScriptedChatModel("yes"), task_of("yes", "no"), book_of(RULES))


# -- the request


def requests(texts: list[str], book: Rulebook) -> list[list[BaseMessage]]:
    model = ScriptedChatModel("yes")
    create_classifier_chain(model, book.task, book).batch([{"text": text} for text in texts])
    return [request.messages for request in model.requests]


def test_the_prefix_is_equal_for_all_rows_and_the_row_stands_last():
    sent = requests(["a cat", "a chair", "{x}"], book_of(RULES))
    assert len({messages[0].text for messages in sent}) == 1
    assert [len(messages) for messages in sent] == [2, 2, 2]
    for messages, row in zip(sorted(sent, key=lambda m: m[1].text), ["a cat", "a chair", "{x}"], strict=True):
        assert messages[1].text == f"text: {row}"
        assert row not in messages[0].text.replace("a cat.", "").replace("a chair.", "")


def test_braces_in_rows_labels_and_principles_are_text():
    task = task_of("{yes}", "{no}")
    book = Rulebook.of(task, {"{yes}": ['Has {"a": {0}} and {text}.']})
    system, human = requests(["{yes} {{ }} %s"], book)[0]
    assert 'Has {"a": {0}} and {text}.' in system.text
    assert "{no}" in system.text
    assert human.text == "text: {yes} {{ }} %s"


def test_a_label_in_braces_is_read():
    assert predict("{no}", task=task_of("{yes}", "{no}"), rules={})["prediction"] == "{no}"


def test_an_output_limit_has_room_for_the_longest_label():
    model = LogprobModel("yes")
    task = task_of("x" * 200, "y")
    create_classifier_chain(model, task, Rulebook.of(task, {})).invoke({"text": "a"})
    assert model.last.kwargs["max_tokens"] >= 200


# -- which principle decided


def explained(number: str, rules: Any = None, book: Any = None) -> Any:
    return predict(lambda m: number if len(m) > 2 else "yes", rules=rules, explain=True, book=book or {})


def test_the_principles_that_decided_are_named_by_their_ids():
    assert explained("1")["principle_ids"] == ["p1"]
    assert explained("2, 1")["principle_ids"] == ["p2", "p1"]


@pytest.mark.parametrize("answer", ["0", "none", "17", ""])
def test_no_principle_is_no_error(answer: str):
    found = explained(answer)
    assert (found["prediction"], found["principle_ids"], found["error"]) == ("yes", [], None)


def test_a_number_counts_the_principles_that_are_shown():
    book = book_of(RULES).apply([Set(id="p1", field="enabled", value=False)])
    model = ScriptedChatModel(lambda m: "1" if len(m) > 2 else "no")
    chain = create_classifier_chain(model, TASK, book, explain=True)
    assert chain.invoke({"text": "a chair"})["principle_ids"] == ["p2"]


def test_the_question_for_the_principle_goes_on_from_the_same_request():
    model = ScriptedChatModel(lambda m: "1" if len(m) > 2 else "yes")
    create_classifier_chain(model, TASK, book_of(RULES), explain=True).invoke({"text": "a cat"})
    first, second = (request.messages for request in model.requests)
    assert second[:2] == first
    assert second[2].text == "yes"


def test_nothing_is_explained_where_nothing_was_decided():
    model = ScriptedChatModel("maybe")
    create_classifier_chain(model, TASK, book_of(RULES), explain=True).invoke({"text": "a cat"})
    create_classifier_chain(model, TASK, book_of({}), explain=True).invoke({"text": "a cat"})
    assert model.calls == 2


def test_a_failed_explanation_keeps_the_label():
    found = predict(lambda m: http_error(400, "odd") if len(m) > 2 else "yes", explain=True)
    assert (found["prediction"], found["principle_ids"]) == ("yes", [])
    assert "odd" in found["error"]


# -- log probabilities


def scored(shares: dict[str, float], *, text: str | None = None, **options: Any) -> Any:
    book = {"scoring": "logprob", **options.pop("book", {})}
    return predict(logprob_message(shares, text), model=LogprobModel, book=book, **options)


def test_the_likeliest_label_wins_over_the_word_that_was_sampled():
    found = scored({"no": 0.7, "yes": 0.3}, text="yes")
    assert found["prediction"] == "no"
    assert found["confidence"] == pytest.approx(0.7)


def test_one_token_is_asked_for_with_its_alternatives():
    model = LogprobModel(logprob_message({"yes": 0.9, "no": 0.1}))
    create_classifier_chain(model, TASK, book_of(RULES, scoring="logprob")).invoke({"text": "a"})
    assert model.last.kwargs == {"logprobs": True, "top_logprobs": 20, "max_tokens": 1}


def test_the_bias_takes_the_lean_off():
    shares = {"yes": 0.7, "no": 0.3}
    assert scored(shares)["prediction"] == "yes"
    assert scored(shares, book={"calibration": Calibration(bias=(2.0, 0.0))})["prediction"] == "no"


def test_labels_that_collide_are_answered_by_codes():
    found = scored({"B": 0.8, "A": 0.2}, task=task_of("1", "10"), rules={"10": ["Long."]})
    assert found["prediction"] == "10"
    assert "B: Long." in found["request"]


def test_below_the_threshold_is_an_abstention():
    shares = {"yes": 0.6, "no": 0.4}
    assert scored(shares, threshold=0.7)["prediction"] == ""
    assert scored(shares, threshold=0.5)["prediction"] == "yes"
    assert scored(shares, book={"threshold": 0.7})["prediction"] == ""
    assert scored(shares, threshold=0.7)["confidence"] == pytest.approx(0.6)


def test_a_server_that_tells_no_alternatives_is_read_as_text():
    found = predict(AIMessage("No"), model=LogprobModel, book={"scoring": "logprob"})
    assert (found["prediction"], found["confidence"]) == ("no", None)


def test_a_rulebook_by_log_probabilities_needs_a_model_that_gives_them():
    with pytest.raises(ConfigurationError, match="log probabilities"):
        predict("yes", book={"scoring": "logprob"})


def test_a_threshold_needs_log_probabilities():
    with pytest.raises(ConfigurationError, match="threshold"):
        predict("yes", threshold=0.5)


# -- failures


def labeled(reply: Any, texts: list[str]) -> Any:
    maker = Labeler(["text"], "label", ["yes", "no"], TASK.task_description, ScriptedChatModel(reply))
    return maker.infer_checkpoint(maker.rulebook(RULES), [{"text": text} for text in texts])


def test_a_row_that_fails_costs_only_itself():
    def reply(messages: list[BaseMessage]) -> Any:
        return http_error(400, "odd row") if "bad" in messages[-1].text else "yes"

    found = labeled(reply, ["a", "bad", "c"])
    assert [p["prediction"] for p in found] == ["yes", "", "yes"]
    assert [bool(p["error"]) for p in found] == [False, True, False]
    assert "odd row" in found[1]["error"]


def test_a_refusal_is_the_rows_own_error():
    refusal = AIMessage("", additional_kwargs={"refusal": "I will not."})
    found = labeled(lambda m: refusal if "bad" in m[-1].text else "no", ["bad", "b"])
    assert [(p["prediction"], bool(p["error"])) for p in found] == [("", True), ("no", False)]


def test_a_bad_key_fails_at_once():
    model = ScriptedChatModel(lambda _: http_error(401, "invalid api key"), latency=0.01)
    maker = Labeler(["text"], "label", ["yes", "no"], train_model=model, max_concurrency=4)
    with pytest.raises(AuthenticationError, match="key"):
        maker.infer_checkpoint(maker.rulebook({}), [{"text": str(i)} for i in range(500)])
    assert model.calls <= 4


def test_a_model_that_refuses_every_request_as_it_stands_is_one_error():
    with pytest.raises(BadRequestError, match="no such model"):
        labeled(lambda _: http_error(404, "no such model"), ["a", "b", "c"])


def test_predictions_come_in_the_order_of_the_rows():
    def reply(messages: list[BaseMessage]) -> str:
        return "yes" if int(messages[-1].text.split()[-1]) % 3 else "no"

    found = labeled(reply, [f"row {i}" for i in range(100)])
    assert [p["prediction"] for p in found] == ["yes" if i % 3 else "no" for i in range(100)]


def test_an_equal_row_is_asked_once():
    model = ScriptedChatModel("yes")
    maker = Labeler(["text"], "label", ["yes", "no"], train_model=model)
    assert len(maker.infer_checkpoint(maker.rulebook({}), [{"text": "same"}] * 50)) == 50
    assert model.calls == 1


def test_a_caller_brings_its_own_cache():
    model, cache = ScriptedChatModel("yes"), MemoryCache()
    for _ in range(2):
        chain = create_classifier_chain(Caller(model, cache=cache), TASK, book_of(RULES))
        chain.invoke({"text": "a cat"})
    assert model.calls == 1
