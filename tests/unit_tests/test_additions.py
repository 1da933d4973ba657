"""What people add to a training run: principles that the next step tries, and corrected rows that it trains on."""

from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from langchain_model_alignment import Budget
from langchain_model_alignment.errors import ArtifactError, DataError, DataWarning
from langchain_model_alignment.labeling.additions import Additions, Correction, Suggestion, check_suggestion
from langchain_model_alignment.labeling.graph import create_training_graph
from langchain_model_alignment.labeling.outcome import mistakes_met, result_of
from langchain_model_alignment.labeling.run import FolderRun, read_state
from langchain_model_alignment.labeling.run_folder import Asked, Record, RunFolder
from langchain_model_alignment.labeling.story import sentences_of
from langchain_model_alignment.labeling.task import Row
from langchain_model_alignment.labeling.training import Training
from tests.simulated import (
    QUESTION,
    TASK,
    LogprobModel,
    LogprobWorld,
    SimulatedWorld,
    maker_of,
    model_of,
    row_in,
    rows,
    small_model,
)

TABLE = rows(60)
THREAD: Any = {"configurable": {"thread_id": "t"}}
YAKS = Suggestion(label="yes", text="The text speaks of a yak.", row="abc", reason="a yak is an animal")


def prepared(*suggestions: Suggestion, model: Any = None, **settings: Any) -> Training:
    training = maker_of(model=model, **settings).prepare(TABLE)
    training.suggestions = list(suggestions)
    return training


def trained(training: Training, steps: int = 1, saver: Any = None) -> dict[str, Any]:
    return create_training_graph(training).compile(checkpointer=saver).invoke({"steps": steps}, THREAD)


def corrected(*pairs: tuple[str, str]) -> list[Row]:
    return TASK.read([{"text": text, "label": label} for text, label in pairs])


def put_up(state: dict[str, Any], step: int) -> list[dict[str, Any]]:
    return [c for c in state["history"][step]["candidates"] if c["origin"] == "person"]


# -- principles that a person suggests


@pytest.mark.parametrize(
    "model", [model_of(), LogprobModel(LogprobWorld()), small_model()], ids=["text", "logprob", "checks"]
)
def test_a_suggested_principle_is_scored_on_all_rows_as_it_was_said(model: Any):
    [mine] = put_up(trained(prepared(YAKS, model=model)), 1)
    assert (mine["edits"][0]["text"], mine["edits"][0]["label"]) == (YAKS.text, "yes")
    assert (mine["reason"], mine["evidence"], mine["rows"]) == (YAKS.reason, ["abc"], 18)


def test_one_that_scores_better_is_kept():
    all_of_them = [Suggestion(label="yes", text=f"The text speaks of a {name}.") for name in ("newt", "lynx", "yak")]
    training = prepared(*all_of_them)
    training.hparams = training.hparams.model_copy(update={"max_candidates": 1})
    state = trained(training, steps=3)
    kept = {p.text for p in result_of(training, state).rulebook.constitution}  # type: ignore[arg-type]
    assert kept & {said.text for said in all_of_them}


def test_one_that_does_harm_is_tried_and_not_kept():
    training = prepared(Suggestion(label="no", text="Some poison of kind 7."))
    state = trained(training)
    [mine] = put_up(state, 1)
    assert mine["rows"] == 18
    assert mine["id"] != state["best"][0]
    assert state["history"][1]["score"] >= state["history"][0]["score"]


def test_it_is_tried_once():
    state = trained(prepared(YAKS), steps=3)
    assert [len(put_up(state, step)) for step in (1, 2, 3)] == [1, 0, 0]


def test_the_same_again_is_refused_and_said():
    state = trained(prepared(YAKS, YAKS))
    assert len(put_up(state, 1)) == 1
    assert "was tried already: The text speaks of a yak." in state["history"][1]["refused"]


def test_one_that_comes_while_training_is_tried_by_the_next_step():
    training = prepared()
    graph = create_training_graph(training).compile()
    state: Any = None
    for mode, event in graph.stream({"steps": 2}, stream_mode=["custom", "values"]):
        if mode == "custom" and event["type"] == "step" and event["record"]["step"] == 1:
            training.suggestions.append(YAKS)  # type: ignore[attr-defined]
        state = event if mode == "values" else state
    assert [len(put_up(state, step)) for step in (1, 2)] == [0, 1]


def test_a_run_that_has_ended_goes_on_with_one():
    saver = InMemorySaver()
    before = trained(prepared(), saver=saver)
    after = trained(prepared(YAKS), steps=2, saver=saver)
    assert after["history"][: len(before["history"])] == before["history"]
    assert len(put_up(after, 2)) == 1


def test_one_whose_step_the_budget_ended_is_put_up_again():
    whole = trained(prepared(YAKS))
    tokens = sum(step["tokens"] for step in whole["history"])
    saver = InMemorySaver()
    cut = trained(prepared(YAKS, budget=Budget(max_tokens=tokens * 2 // 3)), saver=saver)
    assert [mine["rows"] < 18 for mine in put_up(cut, 1)] == [True]
    after = trained(prepared(YAKS), steps=2, saver=saver)
    assert [mine["rows"] for mine in put_up(after, 2)] == [18]
    assert not any(YAKS.text in line for line in after["history"][2]["refused"])


@pytest.mark.parametrize(("label", "text", "told"), [("maybe", "It barks.", "no label"), ("yes", "  ", "empty")])
def test_one_that_cannot_be_tried_is_refused_in_a_sentence(label: str, text: str, told: str):
    with pytest.raises(DataError, match=told):
        check_suggestion(Suggestion(label=label, text=text), TASK.labels)


# -- rows that a person corrects


def test_corrected_rows_are_trained_on_and_what_rulebooks_are_compared_on_stays():
    before = prepared(model=LogprobModel(LogprobWorld()))
    after = before.revised(corrected(("a fine emu", "yes")))
    assert [row.text for row in after.training][-1] == "text: a fine emu"
    assert (after.validation, after.calibration) == (before.validation, before.calibration)
    assert (after.fingerprint, after.corrected) == (before.fingerprint, 1)


def test_a_correction_takes_the_place_of_the_row_it_corrects_and_the_last_one_counts():
    before = prepared()
    text = before.training[0].text.removeprefix("text: ")
    after = before.revised(corrected((text, "yes"), (text, "no")))
    assert len(after.training) == len(before.training)
    assert [row.label for row in after.training if row.text == f"text: {text}"] == [1]


@pytest.mark.parametrize("part", ["validation", "calibration"])
def test_a_correction_of_a_row_that_rulebooks_are_compared_on_is_left_out_and_said(part: str):
    before = prepared(model=LogprobModel(LogprobWorld()))
    text = getattr(before, part)[0].text.removeprefix("text: ")
    with pytest.warns(DataWarning, match="1 corrected row reads like rows that rulebooks are compared on"):
        after = before.revised(corrected((text, "no")))
    assert list(after.training) == list(before.training)


def test_the_parent_is_not_scored_again():
    saver = InMemorySaver()
    first = trained(prepared(), saver=saver)
    seen: list[tuple[str, str]] = []
    world = SimulatedWorld()

    def watched(messages: Any) -> Any:
        seen.append((messages[0].text, row_in(messages[-1]) if messages[-1].text.startswith("text: ") else ""))
        return world(messages)

    training = prepared(model=model_of(watched)).revised(corrected(("a fine emu", "yes"), ("a red yak", "yes")))
    again = trained(training, steps=2, saver=saver)
    compared = {row.text.removeprefix("text: ") for row in training.validation}
    parent = result_of(training, first).rulebook.system_text()  # type: ignore[arg-type]
    assert not [row for system, row in seen if system == parent and row in compared]
    assert {"a fine emu", "a red yak"} <= {row for _, row in seen}
    assert again["history"][2]["corrected"] == 2
    assert result_of(training, again).about["corrected_rows"] == 2  # type: ignore[arg-type]


def test_a_step_that_was_interrupted_goes_on_though_its_rows_were_corrected():
    saver = InMemorySaver()
    graph = create_training_graph(prepared()).compile(checkpointer=saver, interrupt_before=["screen"])
    graph.invoke({"steps": 1}, THREAD)
    stopped = graph.get_state(THREAD).values
    by_id = {row.id: row for row in prepared().training}
    texts = [by_id[id].text.removeprefix("text: ") for id in stopped["screening"]["wrong"]]
    training = prepared().revised(corrected(*((text, "no") for text in texts)))
    state = create_training_graph(training).compile(checkpointer=saver).invoke(None, THREAD)
    assert "one step" in state["stopped"]


def test_the_mistakes_of_the_last_step_are_told_with_what_was_answered():
    training = prepared()
    *_, state = create_training_graph(training).compile().stream({"steps": 1}, stream_mode="values")
    met = mistakes_met(state, training.training)  # type: ignore[arg-type]
    assert met
    assert all(row.label is not None and given in (0, 1) and given != row.label for row, given in met)
    assert {row.id for row, _ in met} == set(state["screening"]["wrong"])


# -- kept in the run's folder


def test_additions_are_kept_in_the_folder(tmp_path: Path):
    folder = RunFolder(tmp_path)
    assert folder.additions() == Additions()
    more = Additions().suggesting(YAKS).correcting(Correction(inputs={"text": "an emu"}, label="yes"))
    folder.write_additions(more)
    assert RunFolder(tmp_path).additions() == more


class Unseeing:
    """Looks on at a run and makes nothing of it."""

    def go_on(self, step: int, history: Any) -> None: ...

    def tell(self, event: Any) -> None: ...

    def see(self, state: Any) -> None: ...


async def test_a_run_takes_what_was_added_in_its_folder_and_its_state_is_read_without_a_model(tmp_path: Path):
    folder, maker = RunFolder(tmp_path), maker_of()
    assert await read_state(folder) == {}
    folder.write_additions(Additions().suggesting(YAKS).correcting(Correction(inputs={"text": "an emu"}, label="yes")))
    about: Any = {"data": "animals.csv", "inputs": ["text"], "label": "label", "labels": ["yes", "no"]}
    asked = Asked(**about, task=QUESTION, model="scripted", steps=1, budget={})
    record = Record(task_fingerprint="task", data_fingerprint="data", arguments=asked)
    result = await FolderRun(maker, folder, record, maker.prepare(TABLE)).run(Unseeing())
    assert result.about["corrected_rows"] == 1
    assert "person" in {c["origin"] for c in result.history[1]["candidates"]}
    assert "People had given or corrected 1 training row." in sentences_of(result.history[1], None, "accuracy")
    assert (await read_state(folder))["step"] == 1


def test_a_broken_list_of_additions_is_told(tmp_path: Path):
    (tmp_path / "additions.json").write_text('{"corrections": 3}')
    with pytest.raises(ArtifactError, match="is no list of additions"):
        RunFolder(tmp_path).additions()
