"""The labeler: never worse, the same again, within its budget, whoever calls it."""

import asyncio
import itertools
import json
import random
import warnings
from functools import cache
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import BaseMessage

from langchain_model_alignment.cache import MemoryCache
from langchain_model_alignment.errors import ArtifactError, BudgetError, ConfigurationError, DataError, DataWarning
from langchain_model_alignment.labeling.labeler import Labeler
from langchain_model_alignment.labeling.records import TrainingHyperparameters, TrainingResult
from langchain_model_alignment.labeling.rulebook import Rulebook
from langchain_model_alignment.usage import Budget
from tests.fakes import ScriptedChatModel, SyncOnlyChatModel
from tests.simulated import (
    QUESTION,
    LogprobModel,
    LogprobWorld,
    SimulatedWorld,
    book_of,
    chance,
    kind_of,
    maker_of,
    model_of,
    rows,
    rows_in,
    small_model,
)

WAYS = ["text", "logprob", "checks"]
TABLE, VALIDATION = rows(70), rows(40, seed=1)
Trained = tuple[TrainingResult, list[str], str]
START = {"yes": ["The text speaks of a cat."], "no": ["The text speaks of a lamp."]}


def accuracy(maker: Labeler, book: Rulebook, table: Any = VALIDATION) -> float:
    return maker.get_scorecard(table, maker.infer_checkpoint(book, table))["accuracy"]


# -- never worse


def moody(seed: int) -> Any:
    """A model that labels by dice and proposes anything, equal requests alike."""

    def reply(messages: list[BaseMessage]) -> str:
        kind, text = kind_of(messages), "|".join(m.text for m in messages)
        if kind == "label":
            return "yes" if chance(seed, text) < 0.5 else ("no" if chance(seed, text, 2) < 0.9 else "who knows")
        if kind == "deciding":
            return str(int(4 * chance(seed, text)))
        if kind == "sentence":
            return f"The text has {chance(seed, text)} of it."
        kinds = ["add", "edit", "delete", "merge", "split", "exception", "reorder"]
        draw = random.Random(f"{seed}{text}")
        edits = [
            {
                "kind": draw.choice(kinds),
                "label": draw.choice(["yes", "no", "other"]),
                "text": f"Anything {draw.random()}.",
                "second_text": f"Something {draw.random()}.",
                "principle": draw.randint(0, 4),
                "other": draw.randint(0, 4),
            }
            for _ in range(3)
        ]
        return json.dumps({"edits": edits})

    return reply


@settings(deadline=None, max_examples=6)
@given(st.integers(0, 10_000), st.sampled_from(["race", "full"]), st.sampled_from(["accuracy", "f1", "kappa"]))
def test_a_step_is_never_worse_on_validation_than_what_went_in(seed: int, evaluation: Any, score_fn: str):
    maker = maker_of(moody(seed), hparams={"evaluation": evaluation, "score_fn": score_fn, "block_size": 10})
    book, before = maker.rulebook(START), None
    for _ in range(2):
        score = maker.get_score(VALIDATION, maker.infer_checkpoint(book, VALIDATION))
        assert before is None or score >= before
        before = score
        book = maker.train_step(book, TABLE, VALIDATION)
        assert book.score is not None
        assert book.score.value >= before


def test_training_ends_no_worse_than_it_began_and_than_without_principles():
    maker = maker_of(SimulatedWorld(harm=0.5))
    result = maker.train(TABLE, VALIDATION, steps=3)
    best = accuracy(maker, result.rulebook)
    assert best >= accuracy(maker, result.initial)
    assert result.zero_shot is not None
    assert best >= result.zero_shot["accuracy"]
    assert result.scorecard["accuracy"] == pytest.approx(best)


@pytest.mark.parametrize("model", [model_of, lambda: LogprobModel(LogprobWorld()), small_model], ids=WAYS)
def test_what_can_be_learned_is_learned(model: Any):
    maker = maker_of(model=model())
    result = maker.train(rows(120), VALIDATION, steps=4)
    assert accuracy(maker, result.rulebook) >= accuracy(maker, result.initial) + 0.1
    assert accuracy(maker, result.rulebook) >= 0.9


def test_the_score_on_the_rulebook_is_the_score_of_its_predictions():
    maker = maker_of()
    book = maker.train_step(None, TABLE, VALIDATION)
    assert book.score is not None
    assert (book.score.metric, book.score.rows) == ("accuracy", 40)
    assert book.score.value == pytest.approx(accuracy(maker, book))


def test_training_ends_when_nothing_is_wrong_any_more():
    result = maker_of(SimulatedWorld(knows=["cat", "dog", "newt", "lynx", "yak", "emu", "koi", "ibis"])).train(
        TABLE, steps=9
    )
    assert result.stopped_because == "no training row is labeled wrongly any more"
    assert len(result.history) == 2


def test_training_ends_when_nothing_is_gained():
    result = maker_of(SimulatedWorld(harm=1.0), hparams={"patience": 2}).train(TABLE, steps=9)
    assert result.stopped_because == "no gain in 2 steps"


def test_the_test_set_is_not_there_to_be_trained_on():
    model = model_of()
    maker_of(model=model).train(TABLE, VALIDATION, steps=2)
    shown = {text for r in model.requests if kind_of(r.messages) != "label" for text in rows_in(r.messages)}
    assert shown
    assert not shown & {row["text"] for row in VALIDATION}


# -- the same again


def trained(table: Any = TABLE, seed: int = 0, model: Any = None) -> Trained:
    model = model or model_of()
    maker = maker_of(model=model, hparams={"seed": seed})
    result = maker.train(table, steps=2)
    predictions = maker.infer_checkpoint(result.rulebook, VALIDATION)
    return result, sorted(request.text for request in model.requests), json.dumps(predictions)


@pytest.mark.parametrize("model", [model_of, lambda: LogprobModel(LogprobWorld()), small_model], ids=WAYS)
def test_equal_seeds_and_answers_are_equal_byte_for_byte(model: Any):
    one, two = trained(model=model()), trained(model=model())
    assert one[0].rulebook.to_json() == two[0].rulebook.to_json()
    assert one[1:] == two[1:]


@cache
def as_usual() -> Trained:
    return trained()


def test_answers_that_arrive_in_another_order_change_nothing():
    draw = random.Random(3)

    class Jittery(ScriptedChatModel):
        async def _agenerate(self, *args: Any, **kwargs: Any) -> Any:
            await asyncio.sleep(draw.random() / 300)
            return await super()._agenerate(*args, **kwargs)

    one, two = as_usual(), trained(model=Jittery(SimulatedWorld()))
    assert one[0].rulebook.to_json() == two[0].rulebook.to_json()
    assert one[1:] == two[1:]


def test_the_order_of_the_rows_changes_nothing():
    moved = random.Random(1).sample(TABLE, len(TABLE))
    one, two = as_usual(), trained(moved)
    assert one[0].rulebook.to_json() == two[0].rulebook.to_json()
    assert one[1:] == two[1:]


def test_another_seed_looks_at_other_rows():
    assert as_usual()[1] != trained(seed=1)[1]


def test_a_data_frame_and_dicts_are_trained_on_alike():
    assert as_usual()[0].rulebook.to_json() == trained(pd.DataFrame(TABLE))[0].rulebook.to_json()


# -- rows set apart


def test_every_call_sets_the_same_rows_apart():
    maker = maker_of()
    first, second = maker.prepare(TABLE), maker.prepare(TABLE[::-1])
    assert first.validation == second.validation
    assert len(first.validation) == 21
    assert first.fingerprint == second.fingerprint


def test_rows_set_apart_are_not_trained_on_even_when_they_are_there_twice():
    training = maker_of().prepare(TABLE + TABLE)
    assert not {row.text for row in training.validation} & {row.text for row in training.training}


def test_duplicates_between_the_tables_are_kept_out_and_told():
    with pytest.warns(DataWarning, match="2 validation rows"):
        training = maker_of().prepare(TABLE, [*VALIDATION, *TABLE[:2]])
    assert len(training.validation) == 40


def test_tables_without_duplicates_warn_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        maker_of().prepare(TABLE, VALIDATION)


def test_calibration_rows_are_kept_apart_from_mistakes_and_validation():
    training = maker_of(model=LogprobModel(LogprobWorld())).prepare(TABLE)
    parts = [training.training, training.calibration, training.validation]
    assert all(parts)
    for one, other in itertools.combinations(parts, 2):
        assert not {row.text for row in one} & {row.text for row in other}


# -- budgets


@pytest.mark.parametrize("limit", [0, 1, 2, 20, 30, 60, 90, 100, 110, 130, 150])
@pytest.mark.parametrize("model", [model_of, lambda: LogprobModel(LogprobWorld()), small_model], ids=WAYS)
def test_a_budget_of_calls_is_never_exceeded_and_ends_with_the_best_so_far(limit: int, model: Any):
    asked = model()
    maker = maker_of(model=asked, budget=Budget(max_calls=limit), hparams={"block_size": 8})
    try:
        result = maker.train(TABLE, steps=4)
    except (BudgetError, ConfigurationError) as caught:
        result, said = None, str(caught)
    else:
        said = result.stopped_because
    assert asked.calls <= limit
    assert "budget" in said or asked.calls < limit
    assert result is not None or limit < 110
    assert result is None or result.rulebook.score is not None


def test_a_budget_with_calls_in_flight_is_never_exceeded():
    model = model_of(latency=0.002)
    result = maker_of(model=model, budget=Budget(max_calls=150)).train(rows(100), steps=9)
    assert 100 < model.calls <= 150
    assert "max_calls" in result.stopped_because
    assert result.history[-1]["best"]


@pytest.mark.parametrize("model", [model_of, lambda: LogprobModel(LogprobWorld()), small_model], ids=WAYS)
@pytest.mark.parametrize("max_calls", [120, 300])
def test_few_calls_pay_for_a_beginning_that_is_fitted_and_scored(model: Any, max_calls: int):
    asked = model()
    maker = maker_of(model=asked, budget=Budget(max_calls=max_calls))
    with pytest.warns(DataWarning, match=f"on {max_calls // 6} of the 200 validation rows"):
        result = maker.train(rows(400), rows(200, seed=1), steps=9)
    first, *steps = result.history
    assert [c["rows"] for c in first["candidates"]] == [max_calls // 6] * 2
    assert all(step["candidates"] for step in steps)  # none was begun that could not be paid for
    assert asked.calls <= max_calls


def test_a_step_that_the_calls_left_do_not_pay_for_is_not_begun():
    asked = small_model()
    result = maker_of(model=asked, budget=Budget(max_calls=300)).train(rows(400), steps=9)
    assert result.stopped_because.endswith("do not pay for another step; raise max_calls to go on.")
    assert len(result.history) == 1
    assert 240 < asked.calls <= 300


@pytest.mark.parametrize(("values", "first", "fitted"), [(["no", "yes"], 33, 33), (["no", "perhaps", "yes"], 21, 63)])
def test_three_labels_and_more_are_fitted_on_more_rows_within_the_same_budget(
    values: list[str], first: int, fitted: int
):
    maker = Labeler(["text"], "label", values, "Which?", small_model(), budget=Budget(max_calls=300))
    table = [{"text": f"row {at}", "label": values[at % len(values)]} for at in range(400)]
    training = maker.prepare(table)
    empty = Rulebook(task=maker.task, scoring="logprob")
    assert len(training.first_rows) == first
    assert len(training.fitting_rows(empty)) == fitted


def test_what_is_set_by_hand_is_not_sized_by_the_budget():
    by_hand = {"n_calibration_examples": 40, "n_validation_examples": 90}
    maker = maker_of(budget=Budget(max_calls=60), hparams=by_hand)
    assert maker.hparams.model_dump(include=set(by_hand)) == by_hand
    assert maker.hparams.n_mining_examples == 5


def test_answers_in_flight_when_the_budget_ends_are_kept():
    model, cache = model_of(latency=0.005), MemoryCache()
    maker = maker_of(model=model, cache=cache, budget=Budget(max_calls=40), max_concurrency=16)
    book = book_of({})
    with pytest.raises(BudgetError):
        maker.infer_checkpoint(book, rows(200))
    assert model.calls == 40
    again = model_of()
    maker_of(model=again, cache=cache).infer_checkpoint(book, rows(200))
    assert again.calls == 160


def test_a_labeling_run_over_its_budget_says_so():
    maker = maker_of(budget=Budget(max_calls=5))
    with pytest.raises(BudgetError, match="max_calls=5"):
        maker.infer_checkpoint(book_of({}), rows(50))


# -- whoever calls


async def test_everything_works_inside_a_running_event_loop():
    maker = maker_of()
    book = maker.initialize_checkpoint(TABLE)
    book = maker.train_step(book, TABLE)
    assert len(maker.infer_checkpoint(book, VALIDATION)) == 40
    assert maker.train(TABLE, steps=1).rulebook.to_json() == (await maker.atrain(TABLE, steps=1)).rulebook.to_json()


def test_a_model_with_only_the_sync_method_trains_alike():
    assert trained(model=SyncOnlyChatModel(SimulatedWorld()))[0].rulebook.to_json() == as_usual()[0].rulebook.to_json()


def test_a_config_reaches_the_models():
    from langchain_core.callbacks import BaseCallbackHandler

    class Seen(BaseCallbackHandler):
        def __init__(self) -> None:
            self.tags: set[str] = set()

        def on_chat_model_start(self, *_: Any, tags: list[str] | None = None, **__: Any) -> None:
            self.tags |= set(tags or [])

    seen = Seen()
    maker_of().train(TABLE, steps=1, config={"callbacks": [seen], "tags": ["mine"]})
    assert "mine" in seen.tags


def test_two_models_have_their_own_work():
    writer, labeler = model_of(model_name="large"), model_of(model_name="small")
    maker = Labeler(["text"], "label", ["yes", "no"], QUESTION, writer, labeler)
    maker.train(TABLE, steps=1)
    assert {kind_of(r.messages) for r in writer.requests} == {"sentence", "edits"}
    assert {kind_of(r.messages) for r in labeler.requests} <= {"label", "deciding"}


def test_a_proposer_of_your_own_is_asked():
    from langchain_model_alignment.constitution import Add
    from langchain_model_alignment.labeling.proposers import Proposal, Proposals

    class Mine:
        def wants(self, groups: int) -> int:
            return groups

        async def propose(self, rulebook: Any, mined: Any, groups: int, each: int, config: Any) -> Proposals:
            wrong = tuple(row.id for row, _ in mined.wrong[:1])
            return Proposals((Proposal((Add(text="The text speaks of a yak.", label="yes"),), "mine", wrong),))

    result = maker_of(proposer=Mine()).train(TABLE, steps=1)
    assert [c["reason"] for c in result.history[1]["candidates"]] == ["mine"]


# -- the result


def test_a_result_is_a_file_and_back(tmp_path: Any):
    result = maker_of().train(TABLE, steps=2)
    loaded = TrainingResult.load(result.save(tmp_path / "result.json"))
    assert loaded == result
    assert loaded.about["hyperparameters"]["seed"] == 0


def test_every_principle_knows_the_rows_that_made_it():
    maker = maker_of()
    ids = {row.id for row in maker.prepare(TABLE).training}
    book = maker.train(TABLE, steps=2).rulebook
    assert all(p.evidence and set(p.evidence) <= ids and p.reason for p in book.constitution)


def test_the_mistakes_that_remain_are_shown():
    result = maker_of(SimulatedWorld(noise=0.2)).train(TABLE, VALIDATION, steps=1)
    wrong = round((1 - result.scorecard["accuracy"]) * 40)
    assert len(result.mistakes) == wrong > 0


def test_a_rulebook_of_another_task_is_refused_before_any_call():
    model = model_of()
    other = Labeler(["text"], "label", ["yes", "no"], "Another?", model_of()).rulebook(START)
    maker = maker_of(model=model)
    for work in (
        lambda: maker.train_step(other, TABLE),
        lambda: maker.train(TABLE, checkpoint=other),
        lambda: maker.infer_checkpoint(other, TABLE),
    ):
        with pytest.raises(ArtifactError, match="another task"):
            work()
    assert model.calls == 0


@pytest.mark.parametrize(
    ("hparams", "words"),
    [
        ({"n_best": 0}, "n_best"),
        ({"nbest": 2}, "nbest"),
        ({"score_fn": "auc"}, "auc"),
        ({"block_size": -1}, "block_size"),
        ({"truncation_length": 0}, "truncation_length"),
        ({"evaluation": "maybe"}, "evaluation"),
        ({"score_fn": "f1_binary", "pos_label": "zzz"}, "pos_label"),
        ([1], "hparams"),
    ],
)
def test_a_hyperparameter_that_makes_no_sense_is_named(hparams: Any, words: str):
    with pytest.raises((DataError, ConfigurationError), match=words) as caught:
        maker_of(hparams=hparams)
    assert "\n" not in str(caught.value)


def test_hyperparameters_alone_say_the_same():
    with pytest.raises(DataError, match="n_best is 0; give at least 1"):
        TrainingHyperparameters(n_best=0)


def test_predictions_of_another_number_are_refused():
    maker = maker_of()
    with pytest.raises(DataError, match="70 rows and 0 predictions"):
        maker.get_scorecard(TABLE, [])


def test_a_checkpoint_is_printed_label_by_label(capsys: pytest.CaptureFixture[str]):
    maker_of().print_checkpoint(book_of(START))
    assert "Attributes for: yes" in capsys.readouterr().out


# -- ordered labels --------------------------------------------------------------------------------------------


def test_ordered_labels_are_trained_by_their_distance_and_scored_with_it():
    result = maker_of(ordered=True, hparams={"score_fn": "mae"}).train(rows(60), steps=1)
    assert result.rulebook.score is not None
    assert result.rulebook.score.value == -result.scorecard["mean_absolute_error"] < 0
    assert result.zero_shot is not None
    assert result.zero_shot["mean_absolute_error"] >= result.scorecard["mean_absolute_error"]


def test_a_metric_of_ordered_labels_needs_ordered_labels():
    with pytest.raises(DataError, match="quadratic_kappa needs labels in order"):
        maker_of(hparams={"score_fn": "quadratic_kappa"})


def test_a_rulebook_from_before_the_labels_were_ordered_is_gone_on_with_as_ordered():
    result = maker_of(ordered=True).train(rows(60), steps=1, checkpoint=book_of(START))
    assert not book_of(START).task.ordered
    assert result.rulebook.task.ordered
