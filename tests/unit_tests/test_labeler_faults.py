"""A model that fails, and tables that do not fit: one bad thing stays one bad thing."""

import json
from typing import Any

import pandas as pd
import pytest
from langchain_core.messages import AIMessage, BaseMessage

from langchain_model_alignment.calls import Caller
from langchain_model_alignment.errors import AlignmentError, AuthenticationError, DataError, ModelError
from langchain_model_alignment.labeling.describing import first_principles
from langchain_model_alignment.labeling.labeler import Labeler
from langchain_model_alignment.labeling.rulebook import Rulebook
from langchain_model_alignment.loop import run_sync
from tests.fakes import ScriptedChatModel, http_error
from tests.simulated import (
    QUESTION,
    TASK,
    LogprobModel,
    LogprobWorld,
    SimulatedWorld,
    book_of,
    chance,
    kind_of,
    maker_of,
    rows,
    rows_in,
    truth,
)

TABLE, VALIDATION = rows(90), rows(40, seed=1)
REFUSAL = AIMessage("", additional_kwargs={"refusal": "I would rather not."})


class FaultyWorld(SimulatedWorld):
    """Fails for three rows in ten: over the limit once, never in time, talking nonsense, or refusing."""

    def __init__(self, share: float = 0.3) -> None:
        super().__init__()
        self.share = share
        self.once: set[str] = set()

    def fault(self, text: str) -> str:
        at = chance("fault", text) / self.share if self.share else 1.0
        return ["limit", "timeout", "nonsense", "refusal"][int(4 * at)] if at < 1 else ""

    def __call__(self, messages: list[BaseMessage]) -> Any:
        text = messages[-1].text if kind_of(messages) == "label" else "|".join(m.text for m in messages)
        fault = self.fault(text)
        if fault == "limit" and text not in self.once:
            self.once.add(text)
            return http_error(429, "slow down", retry_after=0)
        if fault == "timeout":
            return TimeoutError("no answer in time")
        if fault == "nonsense":
            return "As a language model I like turtles {}."
        return REFUSAL if fault == "refusal" else super().__call__(messages)


def faulty_maker(world: Any = None, **settings: Any) -> Labeler:
    caller = Caller(ScriptedChatModel(world or FaultyWorld()), max_retries=2)
    return Labeler(["text"], "label", ["yes", "no"], QUESTION, caller, **settings)


def faults(table: Any) -> list[str]:
    world = FaultyWorld()
    return [world.fault(f"text: {row['text']}") for row in table]


def failures_of(kinds: list[str]) -> dict[str, int]:
    found = {"UnavailableError": kinds.count("timeout"), "RefusalError": kinds.count("refusal")}
    return {kind: count for kind, count in found.items() if count}


# -- a model that fails


def test_a_run_with_a_model_that_fails_three_times_in_ten_ends():
    result = faulty_maker().train(
        TABLE, VALIDATION, steps=3, checkpoint=book_of({"yes": ["The text speaks of a cat."]})
    )
    assert result.rulebook.score is not None
    assert len(result.history) == 4
    assert result.scorecard["n"] == 40


def test_the_failures_of_validation_are_counted_by_kind():
    wanted = failures_of(faults(VALIDATION))
    assert set(wanted) == {"UnavailableError", "RefusalError"}
    result = faulty_maker().train(TABLE, VALIDATION, steps=0, checkpoint=book_of({}))
    assert result.history[0]["failures"] == wanted
    assert result.scorecard["n_errors"] == sum(wanted.values())


def test_the_failures_of_a_step_are_counted_by_kind():
    """Mining fails for some rows; nothing is proposed or raced."""

    class Silent(FaultyWorld):
        def __call__(self, messages: list[BaseMessage]) -> Any:
            return super().__call__(messages) if kind_of(messages) == "label" else json.dumps({"edits": []})

    maker = faulty_maker(Silent(), hparams={"n_mining_examples": 500, "n_evidence_examples": 0})
    result = maker.train(TABLE, VALIDATION, steps=1, checkpoint=book_of({}))
    assert result.history[1]["failures"] == failures_of(faults(TABLE))
    assert result.history[1]["sampled"] == 90 - sum(failures_of(faults(TABLE)).values())


def test_a_proposal_that_fails_is_counted_and_costs_only_itself():
    class Refusing(SimulatedWorld):
        groups = 0

        def __call__(self, messages: list[BaseMessage]) -> Any:
            if kind_of(messages) == "edits":
                self.groups += 1
                return REFUSAL if self.groups == 1 else super().__call__(messages)
            return super().__call__(messages)

    result = maker_of(Refusing()).train(TABLE, VALIDATION, steps=1)
    assert result.history[1]["failures"] == {"RefusalError": 1}
    assert result.history[1]["candidates"]


def test_every_proposal_that_fails_leaves_the_rulebook_as_it_was():
    class Refusing(SimulatedWorld):
        def __call__(self, messages: list[BaseMessage]) -> Any:
            return REFUSAL if kind_of(messages) == "edits" else super().__call__(messages)

    maker = maker_of(Refusing())
    book = maker.initialize_checkpoint(TABLE)
    assert maker.train_step(book, TABLE, VALIDATION).constitution == book.constitution


def test_a_first_principle_that_fails_is_replaced_and_the_run_goes_on():
    class Refusing(SimulatedWorld):
        def __call__(self, messages: list[BaseMessage]) -> Any:
            if kind_of(messages) == "sentence" and truth(rows_in(messages)[0]) == "no":
                return REFUSAL
            return super().__call__(messages)

    book = maker_of(Refusing()).initialize_checkpoint(TABLE)
    assert [p.label for p in book.constitution] == ["yes", "no"]


def test_a_model_that_never_answers_ends_the_beginning_with_its_error():
    with pytest.raises(ModelError, match="no answer"):
        faulty_maker(lambda _: TimeoutError("no answer")).initialize_checkpoint(TABLE)


def test_a_fault_that_passes_changes_nothing_in_the_end():
    class Limited(SimulatedWorld):
        def __init__(self) -> None:
            super().__init__()
            self.once: set[str] = set()

        def __call__(self, messages: list[BaseMessage]) -> Any:
            text = "|".join(m.text for m in messages)
            if chance("limit", text) < 0.3 and text not in self.once:
                self.once.add(text)
                return http_error(429, "slow down", retry_after=0)
            return super().__call__(messages)

    limited = maker_of(Limited()).train(TABLE, VALIDATION, steps=2)
    calm = maker_of().train(TABLE, VALIDATION, steps=2)
    assert limited.rulebook.to_json() == calm.rulebook.to_json()
    assert limited.usage.retries > 20
    assert not any(record["failures"] for record in limited.history)


def test_predictions_of_a_faulty_model_are_one_for_each_row():
    kinds = faults(TABLE)
    predictions = faulty_maker().infer_checkpoint(book_of({}), TABLE)
    assert [bool(p["error"]) for p in predictions] == [kind in ("timeout", "refusal") for kind in kinds]
    assert all(p["prediction"] == "" for p, kind in zip(predictions, kinds, strict=True) if kind == "nonsense")
    assert all(p["prediction"] for p, kind in zip(predictions, kinds, strict=True) if kind in ("", "limit"))
    card = faulty_maker().get_scorecard(TABLE, predictions)
    assert card["n_errors"] == kinds.count("timeout") + kinds.count("refusal")
    assert card["n_empty"] == card["n_errors"] + kinds.count("nonsense")


def test_a_row_that_failed_is_asked_again_next_time():
    class Recovering(SimulatedWorld):
        down = True

        def __call__(self, messages: list[BaseMessage]) -> Any:
            return TimeoutError("down") if self.down else super().__call__(messages)

    world = Recovering()
    maker = faulty_maker(world)
    assert all(p["error"] for p in maker.infer_checkpoint(book_of({}), VALIDATION))
    world.down = False
    assert not any(p["error"] for p in maker.infer_checkpoint(book_of({}), VALIDATION))


@pytest.mark.parametrize("answer", ["", "{}", '{"edits": 7}', '{"edits": [{"kind": "explode"}]}', "no idea", "[]"])
def test_nonsense_for_edits_costs_its_group_only(answer: str):
    class Confused(SimulatedWorld):
        def __call__(self, messages: list[BaseMessage]) -> Any:
            return super().__call__(messages) if '"second_text"' not in "".join(m.text for m in messages) else answer

    result = maker_of(Confused()).train(TABLE, VALIDATION, steps=1)
    assert result.history[1]["candidates"] == []
    assert result.history[1]["failures"].keys() <= {"MalformedAnswerError"}


@pytest.mark.parametrize("kind", ["label", "edits", "sentence", "deciding"])
def test_a_bad_key_ends_the_run_at_once_whatever_was_asked(kind: str):
    class Revoked(SimulatedWorld):
        def __call__(self, messages: list[BaseMessage]) -> Any:
            return http_error(401, "bad key") if kind_of(messages) == kind else super().__call__(messages)

    maker = maker_of(Revoked(), hparams={"n_evidence_examples": 4})
    with pytest.raises(AuthenticationError, match="key"):
        maker.train(TABLE, VALIDATION, steps=1)


# -- tables that do not fit

GOOD = [{"text": row["text"], "label": row["label"]} for row in TABLE]
ODD: dict[str, tuple[Any, str]] = {
    "a missing input": ([{"txt": "a", "label": "yes"}], "no column 'text'"),
    "a missing label column": ([{"text": "a"}], "no column 'label'"),
    "a label without examples": ([row for row in GOOD if row["label"] == "yes"], "no example of no"),
    "a label outside the list": ([*GOOD, {"text": "a", "label": "maybe"}], "'maybe'"),
    "an empty label": ([*GOOD, {"text": "a", "label": None}], "no label"),
    "no rows": ([], "no rows"),
    "too few rows": (GOOD[:2], "too few"),
}


@pytest.mark.parametrize("name", sorted(ODD))
@pytest.mark.parametrize("frame", [False, True], ids=["dicts", "frame"])
def test_a_table_that_does_not_fit_is_one_sentence_before_any_call(name: str, frame: bool):
    table, words = ODD[name]
    data = pd.DataFrame(table, columns=list(table[0]) if table else ["text", "label"]) if frame else table
    model = ScriptedChatModel("yes")
    maker = maker_of(model=model)
    for work in (maker.initialize_checkpoint, maker.train, lambda data: maker.train_step(None, data)):
        with pytest.raises(DataError, match=words) as caught:
            work(data)
        assert "\n" not in str(caught.value)
    assert model.calls == 0


@pytest.mark.parametrize("name", ["a missing input", "a label outside the list", "no rows"])
def test_a_validation_table_that_does_not_fit_is_too(name: str):
    table, words = ODD[name]
    model = ScriptedChatModel("yes")
    with pytest.raises(DataError, match=words):
        maker_of(model=model).train(GOOD, table)
    assert model.calls == 0


def test_validation_rows_of_one_class_are_enough():
    result = maker_of().train(GOOD, [row for row in VALIDATION if row["label"] == "yes"], steps=1)
    assert result.scorecard["support"][1] == 0


def test_rows_to_label_may_be_none():
    model = ScriptedChatModel("yes")
    assert maker_of(model=model).infer_checkpoint(book_of({}), []) == []
    assert model.calls == 0


def test_every_error_is_one_of_ours():
    for table, _ in ODD.values():
        with pytest.raises(AlignmentError):
            maker_of().train(table)


@pytest.mark.parametrize("name", ["tiny-1.5b", "large"])
def test_a_label_none_of_whose_rows_is_left_gets_a_plain_principle(name: str):
    caller = Caller(LogprobModel(LogprobWorld(), model_name=name))
    only_yes = [row for row in TASK.read(GOOD) if row.label == 0]
    book = run_sync(first_principles(caller, Rulebook(task=TASK), only_yes, None))
    assert {p.label for p in book.constitution} == {"yes", "no"}
    assert [p.text for p in book.constitution if p.label == "no"] == ["The row fits no."]
