"""Several labels per row: how lists are read and split, trained on side by side, told, scored and kept."""

import json
import math
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langgraph.checkpoint.memory import InMemorySaver
from sklearn import metrics

from langchain_model_alignment import Budget, MultiLabeler, MultiLabelResult, MultiLabelRulebook
from langchain_model_alignment.errors import (
    ArtifactError,
    AuthenticationError,
    BadRequestError,
    BudgetError,
    DataError,
    DataWarning,
)
from langchain_model_alignment.labeling.several.reading import read_several, split_several
from langchain_model_alignment.labeling.several.scorecard import make_multi_label_scorecard
from langchain_model_alignment.labeling.task import LabelingTask
from tests.fakes import ScriptedChatModel, http_error
from tests.simulated import NAMES, WHAT, LogprobModel, SeveralWorld, several_rows

FEW = settings(deadline=None, max_examples=20)
TASK = LabelingTask(input_names=["text"], label_name="named", label_values=list(NAMES), task_description=WHAT)
QUICK = {"n_validation_examples": 30, "n_mining_examples": 24}
ROWS = several_rows(110)


def several(model: Any = None, labels: Any = tuple(NAMES), **settings: Any) -> MultiLabeler:
    model = model or ScriptedChatModel(SeveralWorld())
    return MultiLabeler(["text"], "named", labels, WHAT, model, **{"hparams": QUICK, **settings})


def sets_of(*cells: Any, labels: Any = tuple(NAMES), separator: str = ",") -> list[list[int]]:
    task = TASK.model_copy(update={"label_values": tuple(labels)})
    rows, having = read_several(task, [{"text": str(at), "named": cell} for at, cell in enumerate(cells)], separator)
    return [sorted(having[row.id]) for row in rows]


def told(result: MultiLabelResult) -> dict[str, Any]:
    """All of a result but times, and what belongs to whoever asks first of several labels side by side."""
    value = result.model_dump(mode="json", exclude={"usage": {"seconds"}})
    for run in value["runs"].values():
        del run["usage"]
        for record in run["history"]:
            record |= {"seconds": 0, "calls": 0, "tokens": 0}
    return value


# -- reading ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cell",
    [
        ["food", "animal"],
        ("animal", "food"),
        {"animal", "food"},
        np.array(["animal", "food"]),
        '["food", "animal"]',
        "animal,food",
        " Food , ANIMAL ,",
        ["animal", "food", "animal"],
    ],
    ids=str,
)
def test_a_list_of_labels_is_read_in_every_form(cell: Any):
    assert sets_of(cell) == [[0, 2]]


@pytest.mark.parametrize("cell", [[], (), set(), "[]", "", "  ", np.array([])], ids=repr)
def test_an_empty_list_says_that_no_label_applies(cell: Any):
    assert sets_of(cell) == [[]]


def test_another_separator_and_labels_that_hold_the_usual_one():
    assert sets_of("tax, rent|sport", "tax, rent", labels=["tax, rent", "sport"], separator="|") == [[0, 1], [0]]
    assert sets_of("tax, rent", labels=["tax, rent", "sport"]) == [[0]]


def test_labels_may_be_numbers():
    assert sets_of([2, 1], 3, "1,3", np.int64(2), labels=[1, 2, 3]) == [[0, 1], [2], [0, 2], [1]]


def test_a_data_frame_reads_as_dicts_do():
    assert read_several(TASK, pd.DataFrame(ROWS), ",") == read_several(TASK, ROWS, ",")


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["animal", ["food", "plant"]], "lists plant .first in row 1, counted from 0., but the labels are animal"),
        (["animal", '["plant"'], r"lists \[\"plant\""),
        (["animal", None, math.nan], "2 rows have no named .rows 1, 2, counted from 0.; where no label applies"),
        (["animal", {"food": 1}], "lists {'food': 1}"),
    ],
)
def test_a_cell_that_is_no_list_of_labels_is_told_in_one_sentence(cells: list[Any], said: str):
    with pytest.raises(DataError, match=said):
        sets_of(*cells)


@pytest.mark.parametrize(
    ("table", "said"), [([], "has no rows"), ([{"text": "cat"}], "no column 'named'"), ([{"named": ""}], "'text'")]
)
def test_a_table_without_rows_or_columns_is_refused(table: Any, said: str):
    with pytest.raises(DataError, match=said):
        several().train(table)


# -- splitting -------------------------------------------------------------------------------------------------


def test_a_rare_label_is_on_both_sides_of_the_split():
    rare = [{"text": f"figs {at}", "named": ["animal", "food"]} for at in range(6)]
    many = [{"text": f"cat {at}", "named": ["animal"] if at % 2 else []} for at in range(194)]
    rows, having = read_several(TASK, [*rare, *many], ",")
    sides = split_several(rows, having, 60, 0)
    shares = [Counter(label for row in side for label in having[row.id]) for side in sides]
    assert [len(side) for side in sides] == [140, 60]
    assert [share[2] for share in shares] == [4, 2]
    assert not {row.text for row in sides[0]} & {row.text for row in sides[1]}


# -- training --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained() -> tuple[MultiLabelResult, ScriptedChatModel]:
    model = ScriptedChatModel(SeveralWorld())
    return several(model).train(ROWS, steps=2), model


def test_each_label_gets_a_rulebook_and_all_get_better(trained: tuple[MultiLabelResult, Any]):
    result, _ = trained
    assert list(result.rulebook.rulebooks) == list(result.runs) == list(NAMES)
    for run in result.runs.values():
        assert run.zero_shot is not None
        assert run.scorecard["accuracy"] > run.zero_shot["accuracy"]
    maker, new = several(), several_rows(100, seed=9)
    cards = [
        maker.get_scorecard(new, maker.infer_checkpoint(book, new)) for book in (maker.rulebook({}), result.rulebook)
    ]
    assert cards[1]["subset_accuracy"] > cards[0]["subset_accuracy"] + 0.2
    assert cards[1]["hamming_loss"] < cards[0]["hamming_loss"]


def test_the_scorecard_says_of_each_label_what_its_own_run_says(trained: tuple[MultiLabelResult, Any]):
    result, _ = trained
    card = result.scorecard
    assert card is not None
    assert card["n"] == 30
    for at, run in enumerate(result.runs.values()):
        for name in ("precision", "recall", "fscore", "support"):
            assert card[name][at] == pytest.approx(run.scorecard[name][0])  # type: ignore[literal-required]
    assert result.rulebook.score is not None
    assert result.rulebook.score.value == card["subset_accuracy"]


def test_what_was_used_is_what_was_asked_and_scoring_costs_nothing(trained: tuple[MultiLabelResult, ScriptedChatModel]):
    result, model = trained
    assert result.usage.calls == model.calls
    assert result.usage.cache_hits >= 3 * 30  # the validation rows, once more for all labels together


def test_every_request_asks_the_tasks_question_of_one_label(trained: tuple[MultiLabelResult, ScriptedChatModel]):
    asked = [request.text for request in trained[1].requests]
    assert all(WHAT in text for text in asked)
    assert all(sum(f'Is "{name}" one of them?' in text for name in NAMES) == 1 for text in asked)


def test_labels_train_side_by_side_under_one_gate():
    model = ScriptedChatModel(SeveralWorld(), latency=0.002)
    several(model, max_concurrency=6).train(several_rows(60), steps=1)
    assert model.peak == 6
    first = [name for request in model.requests[:6] for name in NAMES if f'"{name}"' in request.text]
    assert set(first) == set(NAMES)


def test_a_table_to_validate_on_shares_no_row_with_training():
    with pytest.warns(DataWarning, match="5 validation rows are among the training rows"):
        result = several().train(ROWS[:60], [*ROWS[:5], *ROWS[60:100]], steps=1)
    assert result.scorecard is not None
    assert result.scorecard["n"] == 40


def test_too_few_rows_are_refused():
    with pytest.raises(DataError, match="2 training rows are too few"):
        several().train(ROWS[:2])


@pytest.mark.parametrize("max_calls", [145, 220])
def test_all_labels_share_one_budget(max_calls: int):
    model = ScriptedChatModel(SeveralWorld())
    result = several(model, budget=Budget(max_calls=max_calls)).train(ROWS, steps=2)
    assert model.calls <= max_calls
    assert result.usage.calls == model.calls
    assert any("max_calls" in run.stopped_because for run in result.runs.values())


def test_a_label_that_the_budget_does_not_begin_is_told_without_principles():
    result = several(budget=Budget(max_calls=145)).train(ROWS, steps=2)
    assert result.untrained
    assert result.scorecard is None
    assert set(result.untrained) | set(result.runs) == set(NAMES)
    assert [result.rulebook.rulebooks[label].enabled() for label in result.untrained] == [()] * len(result.untrained)


def test_a_label_that_the_budget_does_not_begin_keeps_the_rulebook_that_was_given():
    book = several().rulebook({name: [f"The text speaks of a {words[5]}."] for name, words in NAMES.items()})
    result = several(budget=Budget(max_calls=145)).train(ROWS, steps=2, checkpoint=book)
    assert result.untrained
    assert all(result.rulebook.rulebooks[label] == book.rulebooks[label] for label in result.untrained)


def test_a_budget_that_begins_no_label_is_told():
    with pytest.raises(BudgetError, match="max_calls=3"):
        several(budget=Budget(max_calls=3)).train(ROWS)


def test_a_wrong_key_ends_all_labels():
    with pytest.raises(AuthenticationError):
        several(ScriptedChatModel(lambda _: http_error(401))).train(ROWS)


def test_a_label_that_no_row_has_or_every_row_has_is_left_out_and_said():
    table = [{**row, "named": [*row["named"], "text"]} for row in several_rows(60)]
    maker = several(labels=[*NAMES, "text", "plant"])
    with pytest.warns(DataWarning) as caught:
        result = maker.train(table, steps=1)
    assert [str(warning.message) for warning in caught] == [
        "Fewer than 2 training rows have plant: not trained, no row is given it.",
        "Fewer than 2 training rows lack text: not trained, every row is given it.",
    ]
    assert result.rulebook.fixed == {"text": True, "plant": False}
    assert list(result.runs) == list(NAMES)
    found = maker.infer_checkpoint(result.rulebook, [{"text": "cat then then"}])[0]
    assert found["prediction"] == ["animal", "text"]
    assert found["confidences"]["text"] is None


def test_a_table_from_which_no_label_can_be_learned_is_refused():
    with pytest.raises(DataError, match="None of the labels can be learned from"):
        several().train([{"text": f"cat {at}", "named": ["animal"]} for at in range(20)])


def test_training_goes_on_from_rulebooks(trained: tuple[MultiLabelResult, Any]):
    first = trained[0].rulebook
    second = several().train(ROWS, steps=1, checkpoint=first)
    assert {run.initial.fingerprint() for run in second.runs.values()} == {
        book.fingerprint() for book in first.rulebooks.values()
    }
    assert second.rulebook.score is not None
    assert first.score is not None
    assert second.rulebook.score.value >= first.score.value


def test_a_run_in_a_checkpointer_is_not_paid_for_again():
    saver, model = InMemorySaver(), ScriptedChatModel(SeveralWorld())
    first = several().train(ROWS, steps=1, checkpointer=saver)
    again = several(model).train(ROWS, steps=1, checkpointer=saver)
    assert again.rulebook == first.rulebook
    assert model.calls <= 3 * 30  # the score of all labels together; the answers to it were in the other's memory
    changed = [{**row, "named": []} if at == 5 else row for at, row in enumerate(ROWS)]
    with pytest.raises(ArtifactError, match="other data"):
        several().train(changed, steps=1, checkpointer=saver)


# -- labeling --------------------------------------------------------------------------------------------------


def by_hand(**settings: Any) -> tuple[MultiLabeler, MultiLabelRulebook]:
    maker = several(**settings)
    return maker, maker.rulebook({"animal": ["The text speaks of a yak."], "food": ["The text speaks of a leek."]})


def test_labels_are_told_in_their_order_and_as_they_were_given():
    maker = MultiLabeler(["text"], "named", [3, 1, 2], "Which?", ScriptedChatModel("yes"))
    found = maker.infer_checkpoint(maker.rulebook({1: ["It is."]}), [{"text": "a"}])
    assert found[0]["prediction"] == [3, 1, 2]
    assert found[0]["confidences"] == {"3": None, "1": None, "2": None}


def test_each_row_gets_the_labels_whose_rulebooks_say_yes():
    maker, book = by_hand()
    rows = [{"text": text} for text in ("yak then leek", "emu then rope", "then then then", "cat chair bread")]
    assert [p["prediction"] for p in maker.infer_checkpoint(book, rows)] == [
        ["animal", "food"],
        [],
        [],
        ["animal", "thing", "food"],
    ]


def test_the_principles_that_decided_are_told_by_label():
    maker, book = by_hand()
    found = maker.infer_checkpoint(book, [{"text": "yak then then"}], explain=True)[0]
    assert found["principle_ids"] == {"animal": ["p1"], "thing": [], "food": []}


def test_log_probabilities_tell_how_sure_each_label_is_and_a_threshold_leaves_some_undecided():
    maker, book = by_hand(model=LogprobModel(SeveralWorld(logprobs=True)))
    rows = [{"text": "yak then then"}]
    found = maker.infer_checkpoint(book, rows)[0]
    assert found["confidences"] == pytest.approx({"animal": 0.9, "thing": 0.2, "food": 0.2})
    assert found["prediction"] == ["animal"]
    unsure = maker.infer_checkpoint(book, rows, threshold=0.85)[0]
    assert (unsure["prediction"], unsure["undecided"]) == (["animal"], ["thing", "food"])


def test_a_model_with_log_probabilities_trains_too():
    few = {"n_validation_examples": 15, "n_calibration_examples": 15, "n_mining_examples": 15, "max_candidates": 2}
    result = several(LogprobModel(SeveralWorld(logprobs=True)), hparams=few).train(several_rows(60), steps=1)
    assert all(book.calibration is not None for book in result.rulebook.rulebooks.values())


def test_what_fails_for_one_label_of_a_row_leaves_the_others():
    world = SeveralWorld()

    def reply(messages: list[Any]) -> Any:
        return http_error(400) if '"thing"' in messages[0].text and "chair" in messages[-1].text else world(messages)

    maker, book = by_hand(model=ScriptedChatModel(reply))
    rows = [{"text": "cat chair then", "named": ["animal", "thing"]}, {"text": "cat rope then", "named": ["animal"]}]
    found = maker.infer_checkpoint(book, rows)
    assert [p["prediction"] for p in found] == [["animal"], ["animal"]]
    assert [list(p["errors"]) for p in found] == [["thing"], []]
    assert found[0]["undecided"] == ["thing"]
    card = maker.get_scorecard(rows, found)
    assert (card["n_errors"], card["n_undecided"], card["subset_accuracy"]) == (1, 1, 0.5)


def test_a_model_that_refuses_everything_is_told_at_once():
    maker, book = by_hand(model=ScriptedChatModel(lambda _: http_error(400)))
    with pytest.raises(BadRequestError):
        maker.infer_checkpoint(book, ROWS[:3])


def test_rulebooks_of_another_task_are_refused():
    _, book = by_hand()
    for use in (lambda m: m.infer_checkpoint(book, ROWS), lambda m: m.train(ROWS, checkpoint=book)):
        with pytest.raises(ArtifactError, match="of another task"):
            use(several(labels=["animal", "thing"]))


def test_a_rulebook_by_hand_for_no_label_is_refused():
    with pytest.raises(DataError, match="'plant' is no label of this task; its labels are: animal, thing, food"):
        several().rulebook({"plant": ["It grows."]})


# -- scores ----------------------------------------------------------------------------------------------------

LISTS = st.lists(st.tuples(*[st.sets(st.integers(0, 2))] * 2), min_size=1, max_size=30)


@FEW
@given(LISTS)
def test_the_scorecard_says_what_scikit_learn_says(pairs: list[tuple[set[int], set[int]]]):
    true, given_ = [list(side) for side in zip(*pairs, strict=True)]
    card = make_multi_label_scorecard(TASK, true, given_)
    right, said = ([[label in some for label in range(3)] for some in lists] for lists in (true, given_))
    assert card["subset_accuracy"] == pytest.approx(metrics.accuracy_score(right, said))
    assert card["hamming_loss"] == pytest.approx(metrics.hamming_loss(right, said))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert card["micro_f1"] == pytest.approx(metrics.f1_score(right, said, average="micro", zero_division=0))
        seen = sorted(set().union(*true))
        wanted = metrics.f1_score(right, said, labels=seen, average="macro", zero_division=0) if seen else 0.0
    assert card["macro_f1"] == pytest.approx(wanted)
    assert json.loads(json.dumps(card, allow_nan=False)) == card


def test_an_undecided_label_counts_as_wrong_whether_the_row_has_it_or_not():
    card = make_multi_label_scorecard(TASK, [{0}, set()], [set(), set()], [{0}, {0}])
    assert (card["subset_accuracy"], card["hamming_loss"], card["n_undecided"]) == (0.0, pytest.approx(2 / 6), 2)


def test_predictions_that_do_not_fit_the_rows_are_refused():
    maker, book = by_hand()
    found = maker.infer_checkpoint(book, ROWS[:3])
    with pytest.raises(DataError, match="4 rows and 3 predictions"):
        maker.get_scorecard(ROWS[:4], found)
    with pytest.raises(DataError, match="holds 'plant'"):
        maker.get_scorecard(ROWS[:1], [{**found[0], "prediction": ["plant"]}])


# -- files -----------------------------------------------------------------------------------------------------


def test_rulebooks_and_results_go_to_a_file_and_back(trained: tuple[MultiLabelResult, Any], tmp_path: Path):
    result, _ = trained
    assert MultiLabelRulebook.load(result.rulebook.save(tmp_path / "rulebook.json")) == result.rulebook
    back = MultiLabelResult.load(result.save(tmp_path / "training.json"))
    assert back.model_dump() == result.model_dump()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 2}, "version"),
        ({"kind": "mixture"}, "kind"),
        ({"rulebooks": {}}, "not one for each label"),
        ({"fixed": {"food": True}}, "not one for each label"),
    ],
)
def test_a_file_that_is_none_is_refused_in_one_sentence(change: dict[str, Any], said: str, tmp_path: Path):
    value = json.loads(by_hand()[1].to_json()) | change
    path = tmp_path / "rulebook.json"
    path.write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(ArtifactError, match=rf"rulebook\.json is no multi-label rulebook of this version .*{said}"):
        MultiLabelRulebook.load(path)
    with pytest.raises(ArtifactError, match="is no result of training several labels"):
        MultiLabelResult.load(path)


def test_rulebooks_that_changed_places_are_refused():
    value = json.loads(by_hand()[1].to_json())
    books = value["rulebooks"]
    books["animal"], books["food"] = books["food"], books["animal"]
    with pytest.raises(ArtifactError, match="its rulebook for 'animal' is of another task"):
        MultiLabelRulebook.from_dict(value)


def test_the_fingerprint_is_of_what_is_shown_and_fixed():
    maker, book = by_hand()
    assert by_hand()[1].fingerprint() == book.fingerprint()
    assert maker.rulebook({"animal": ["The text speaks of a yak."]}).fingerprint() != book.fingerprint()


# -- sync and async --------------------------------------------------------------------------------------------


async def test_equal_seeds_give_equal_results_in_sync_and_in_async(trained: tuple[MultiLabelResult, Any]):
    assert told(await several().atrain(ROWS, steps=2)) == told(trained[0])


async def test_the_sync_form_works_inside_a_running_event_loop():
    maker, book = by_hand()
    assert maker.infer_checkpoint(book, ROWS[:9]) == await maker.ainfer_checkpoint(book, ROWS[:9])
    assert several().train(several_rows(20), steps=1).scorecard is not None
