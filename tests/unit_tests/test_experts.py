"""Training a mixture: regions are found where they help, and one rulebook stays where they do not."""

import asyncio
import inspect
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from langchain_model_alignment import Budget, Labeler, Mixture, MixtureOfExperts, MixtureResult
from langchain_model_alignment.errors import ArtifactError, AuthenticationError, DataError
from langchain_model_alignment.labeling.experts import dividing, merging
from langchain_model_alignment.labeling.experts.dividing import Leaf, part_of
from langchain_model_alignment.labeling.report import report_html, write_report
from langchain_model_alignment.labeling.rulebook import Rulebook
from langchain_model_alignment.labeling.training import Training
from tests.fakes import http_error
from tests.regions import PlaceEmbeddings, RegionWorld, logprob_mixture, mixture_of, region_rows
from tests.simulated import SimulatedWorld, book_of, chance, maker_of, model_of, rows

TABLE, FRESH = region_rows(220), region_rows(100, seed=9)
STEPS = 3


@pytest.fixture(scope="module")
def trained() -> tuple[MixtureOfExperts, MixtureResult]:
    maker = mixture_of()
    return maker, maker.train(TABLE, steps=STEPS)


def accuracy(maker: MixtureOfExperts, checkpoint: Mixture | Rulebook) -> float:
    return maker.get_scorecard(FRESH, maker.infer_checkpoint(checkpoint, FRESH))["accuracy"]


# -- what is found ---------------------------------------------------------------------------------------------


def test_experts_beat_one_rulebook_where_regions_want_other_principles(
    trained: tuple[MixtureOfExperts, MixtureResult],
):
    maker, result = trained
    assert set(result.rulebook.experts) == {"e1", "e2"}
    assert accuracy(maker, result.rulebook) >= accuracy(maker, result.general.rulebook) + 0.1
    assert result.scorecard["accuracy"] > result.general.scorecard["accuracy"]
    assert result.rulebook.score is not None
    assert result.rulebook.score.value == result.scorecard["accuracy"]


def test_each_division_is_told_with_its_reason(trained: tuple[MixtureOfExperts, MixtureResult]):
    first, *later = trained[1].trials
    assert first.divided
    assert "which is more than luck" in first.verdict
    assert all(half.kept and half.after > half.before for half in first.halves)
    assert not any(trial.divided for trial in later)
    assert trained[1].stopped_because.endswith("then no division of a region won any more")


def test_an_expert_never_meets_the_rows_that_decide_nor_learns_from_those_it_is_compared_on():
    maker = mixture_of()
    run = maker._labeler.prepare(TABLE)
    half = Leaf(book_of(), "e1", list(run.training), list(run.validation))
    side = dividing.Search(run, {}, book_of(), 1, 2, 10)._side(half)
    learn, raced, unseen = (
        {row.id for row in rows} for rows in (side.part.training, side.part.validation, side.unseen)
    )
    assert not learn & raced
    assert not unseen & (learn | raced)
    assert {row.id for row in run.validation} <= raced
    assert not {row.id for row in run.validation} & (learn | unseen)


def test_one_rulebook_stays_where_it_does_all_that_can_be_done():
    model = model_of(SimulatedWorld())
    maker = mixture_of(model=model)
    result = maker.train(rows(120), steps=2)
    assert not result.rulebook.experts
    assert not result.rulebook.regions
    assert "too few to tell experts by" in result.stopped_because or "all in one place" in result.stopped_because
    assert result.scorecard == result.general.scorecard
    single = maker_of(hparams={"n_validation_examples": 60, "patience": 3})
    assert single.train(rows(120), steps=2).rulebook.fingerprint() == result.rulebook.general.fingerprint()
    assert model.calls <= 1.05 * single.usage.calls


def test_labels_that_are_wrong_at_random_make_no_experts():
    noisy = [{**row, "label": "yes" if chance(row["text"]) < 0.5 else "no"} for row in region_rows(120)]
    assert not mixture_of().train(noisy, steps=2).rulebook.experts


def test_with_one_expert_at_most_it_is_a_labeler():
    result = mixture_of(max_experts=1).train(TABLE, steps=1)
    assert result.trials == ()
    assert result.usage.calls == result.general.usage.calls


def test_a_region_below_the_least_number_of_rows_is_not_made():
    result = mixture_of(min_rows=120).train(TABLE, steps=1)
    assert "120 is the least" in result.trials[0].verdict
    assert not result.rulebook.experts


def test_rows_that_lie_in_one_place_are_not_divided():
    class Flat(PlaceEmbeddings):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [[1.0, 0.0] for _ in texts]

    result = mixture_of(embeddings=Flat()).train(TABLE, steps=1)
    assert result.trials[0].verdict == "its rows are all in one place"


def test_a_place_that_lacks_a_label_is_no_trouble():
    table = [row for row in region_rows(160) if row["text"].startswith("farm") or row["label"] == "no"]
    result = logprob_mixture(min_rows=10).train(table, steps=1)
    assert result.scorecard["accuracy"] > 0.5
    assert result.trials


def test_an_empty_text_among_the_training_rows_is_left_to_the_general_rulebook():
    maker = mixture_of(min_rows=5)
    result = maker.train([*region_rows(60), {"text": "", "label": "no"}], steps=1)
    assert maker.infer_checkpoint(result.rulebook, [{"text": ""}])[0]["experts"] == ["general"]


def test_a_bias_is_learned_on_the_regions_own_rows_unless_they_lack_a_label():
    run = logprob_mixture()._labeler.prepare(TABLE)
    farm = [row for row in run.calibration if "farm" in row.text]
    assert part_of(run, [], farm, []).calibration == farm
    assert part_of(run, [], [row for row in farm if row.label == 0], []).calibration == run.calibration
    assert part_of(run, [], farm, [])._turn is run._turn


# -- after training --------------------------------------------------------------------------------------------


def training_of(model: Any = None) -> Training:
    return mixture_of(model=model or model_of(RegionWorld()))._labeler.prepare(TABLE)


def leaf(name: str, *words: str, place: str, run: Training) -> Leaf:
    book = book_of({"yes": [f"The text speaks of a {word}." for word in words]})
    return Leaf(book, name, [], [row for row in run.validation if place in row.text])


async def test_experts_that_hardly_differ_become_one():
    run = training_of()
    leaves = [
        leaf("e1", "cat", "dog", "newt", place="farm", run=run),
        leaf("e2", "newt", "dog", "cat", place="farm", run=run),
    ]
    merged, told = await merging.merge_alike(run, book_of(), leaves, None)
    assert [one.name for one in merged] == ["e2", "e2"]
    assert told == ["e1 hardly differs from e2, which labels its region from now on"]


async def test_experts_that_differ_stay():
    run = training_of()
    leaves = [leaf("e1", "cat", "dog", place="farm", run=run), leaf("e2", "lamp", "chair", place="city", run=run)]
    assert await merging.merge_alike(run, book_of(), leaves, None) == (leaves, [])


async def test_an_expert_that_labels_its_region_better_stays_however_little_it_differs():
    run = training_of()
    idle = ("koi", "ibis", "clock", "rope", "goat", "horse")  # in no row
    farm = leaf("e1", *idle, "cat", "newt", place="farm", run=run)
    general = leaf("general", *idle, "cat", place="farm", run=run).rulebook
    assert merging.likeness(farm.rulebook, general) > 0.85
    assert await merging.merge_alike(run, general, [farm], None) == ([farm], [])


async def test_what_all_experts_say_the_general_rulebook_says_too_unless_it_gets_worse():
    run = training_of()
    cat, wrong = (leaf("", *words, place="", run=run).rulebook for words in (["cat"], ["lynx", "yak", "emu"]))
    richer, told = await merging.with_shared(run, book_of(), [cat, cat], None)
    assert [p.sentence() for p in richer.enabled()] == ["The text speaks of a cat."]
    assert told == ["all experts say, and now the general rulebook too: The text speaks of a cat."]
    assert await merging.with_shared(run, book_of(), [cat, wrong], None) == (book_of(), [])
    good = leaf("", "cat", "dog", "newt", place="", run=run).rulebook
    assert await merging.with_shared(run, good, [wrong, wrong], None) == (good, [])


# -- one gate, one budget --------------------------------------------------------------------------------------


def test_no_more_calls_run_at_once_than_are_let_in():
    model = model_of(RegionWorld(), latency=0.002)
    maker = mixture_of(model=model, max_concurrency=6)
    maker.train(region_rows(60), steps=1)
    assert model.peak == 6


@pytest.mark.parametrize("share", [0.4, 0.85])
def test_a_budget_that_ends_leaves_the_best_so_far(trained: tuple[MixtureOfExperts, MixtureResult], share: float):
    most = int(share * trained[1].usage.calls)
    model = model_of(RegionWorld())
    result = mixture_of(model=model, budget=Budget(max_calls=most)).train(TABLE, steps=STEPS)
    assert model.calls <= most
    assert "budget" in result.stopped_because
    assert result.scorecard["accuracy"] >= result.general.scorecard["accuracy"]


def test_a_wrong_key_is_raised_as_it_is():
    def reply(messages: list[Any]) -> Any:
        return http_error(401) if len(seen) > 700 or seen.append(1) else RegionWorld()(messages)

    seen: list[int] = []
    with pytest.raises(AuthenticationError):
        mixture_of(reply).train(TABLE, steps=STEPS)


def test_a_run_goes_on_from_its_checkpointer_and_pays_for_nothing_twice(
    trained: tuple[MixtureOfExperts, MixtureResult],
):
    from langchain_model_alignment import MemoryCache

    saver, cache = InMemorySaver(), MemoryCache()
    calls = trained[1].usage.calls

    def until(messages: list[Any]) -> Any:
        seen.append(1)
        return RegionWorld()(messages) if len(seen) <= 0.8 * calls else http_error(401)

    seen: list[int] = []
    with pytest.raises(AuthenticationError):
        mixture_of(until, cache=cache).train(TABLE, steps=STEPS, checkpointer=saver)
    model = model_of(RegionWorld())
    result = mixture_of(model=model, cache=cache).train(TABLE, steps=STEPS, checkpointer=saver)
    assert result.rulebook == trained[1].rulebook
    assert model.calls <= 0.3 * calls


# -- steps by hand ---------------------------------------------------------------------------------------------


def test_a_step_improves_each_expert_in_its_region_and_never_loses():
    maker = mixture_of()
    start = maker.train(TABLE, steps=1)
    assert start.rulebook.experts
    stepped = maker.train_step(start.rulebook, TABLE)
    assert set(stepped.experts) == set(start.rulebook.experts)
    assert stepped.regions == start.rulebook.regions
    assert stepped.steps == start.rulebook.steps + 1
    assert stepped.score is not None
    assert start.rulebook.score is not None
    assert stepped.score.value >= start.rulebook.score.value


def test_a_step_without_experts_is_a_labelers_step():
    maker, single = mixture_of(), maker_of(RegionWorld(), hparams={"n_validation_examples": 60, "patience": 3})
    begun = maker.initialize_checkpoint(TABLE)
    assert begun.general == single.initialize_checkpoint(TABLE)
    assert maker.train_step(begun, TABLE).general == single.train_step(begun.general, TABLE)


def test_a_step_with_other_embeddings_is_refused(trained: tuple[MixtureOfExperts, MixtureResult]):
    with pytest.raises(ArtifactError, match="PlaceEmbeddings:other"):
        mixture_of(embeddings=PlaceEmbeddings("other")).train_step(trained[1].rulebook, TABLE)


# -- what is kept ----------------------------------------------------------------------------------------------


def test_a_result_goes_to_a_file_and_back(tmp_path: Path, trained: tuple[MixtureOfExperts, MixtureResult]):
    maker, result = trained
    loaded = MixtureResult.load(result.save(tmp_path / "result.json"))
    assert loaded == result
    assert accuracy(mixture_of(), loaded.rulebook) == accuracy(maker, result.rulebook)
    assert (loaded.initial, loaded.history, loaded.zero_shot) == (
        result.general.initial,
        result.general.history,
        result.general.zero_shot,
    )


def test_a_file_of_something_else_is_no_result(tmp_path: Path):
    path = book_of().save(tmp_path / "rulebook.json")
    with pytest.raises(ArtifactError, match="no result of training a mixture"):
        MixtureResult.load(path)


def test_the_picture_holds_rows_of_both_regions(trained: tuple[MixtureOfExperts, MixtureResult]):
    result = trained[1]
    assert {place.region for place in result.places} >= {0, 1}
    assert len(result.centers) == len(result.rulebook.regions) == len(result.region_scores)
    left, right = ([p.x for p in result.places if p.region == region] for region in (0, 1))
    assert max(left) < min(right) or max(right) < min(left)
    assert sum(n for n, _ in result.region_scores) <= result.scorecard["n"]


def test_the_report_shows_the_regions_with_their_principles(
    tmp_path: Path, trained: tuple[MixtureOfExperts, MixtureResult]
):
    pytest.importorskip(
        "matplotlib", reason='matplotlib is not installed: pip install "langchain-model-alignment[report]"'
    )
    page = write_report(trained[1], tmp_path / "report.html").read_text(encoding="utf-8")
    assert "The regions and their experts" in page
    assert 'class="regions"' in page
    assert all(f'id="region-{name}"' in page for name in ("e1", "e2"))
    assert "more than luck" in page
    assert all(p.sentence() in page for book in trained[1].rulebook.experts.values() for p in book.enabled())
    assert page == report_html(trained[1])


def test_the_report_of_one_rulebook_says_so():
    pytest.importorskip(
        "matplotlib", reason='matplotlib is not installed: pip install "langchain-model-alignment[report]"'
    )
    page = report_html(mixture_of(max_experts=1).train(TABLE, steps=1))
    assert "One rulebook labels everything." in page


# -- sync and async --------------------------------------------------------------------------------------------

SMALL = region_rows(60)
WORK: dict[str, tuple[Any, ...]] = {
    "initialize_checkpoint": (SMALL,),
    "train_step": (None, SMALL),
    "train": (SMALL,),
    "infer_checkpoint": (book_of({"yes": ["The text speaks of a cat."]}), SMALL[:9]),
}


def told(result: Any) -> Any:
    return result.rulebook if isinstance(result, MixtureResult) else result


def test_it_has_the_methods_of_a_labeler_with_the_same_parameters():
    for name, method in inspect.getmembers(Labeler, inspect.isfunction):
        if not name.startswith("_") and name not in ("prepare", "training_of"):
            assert list(inspect.signature(method).parameters) == list(
                inspect.signature(getattr(MixtureOfExperts, name)).parameters
            )


@pytest.mark.parametrize("name", sorted(WORK))
def test_sync_and_async_give_the_same(name: str):
    sync, twin = (inspect.signature(getattr(MixtureOfExperts, prefix + name)) for prefix in ("", "a"))
    assert sync == twin
    more = {"steps": 1} if name == "train" else {}
    result = getattr(mixture_of(), name)(*WORK[name], **more)
    assert told(asyncio.run(getattr(mixture_of(), f"a{name}")(*WORK[name], **more))) == told(result)


def test_odd_tables_are_refused_as_by_a_labeler():
    with pytest.raises(DataError, match="no example of no"):
        mixture_of().train([{"text": "farm cat", "label": "yes"}] * 3)
    with pytest.raises(DataError, match="'text'"):
        mixture_of().train([{"words": "farm cat", "label": "yes"}])


def test_the_sign_test():
    assert dividing.sign_test(5, 0) == 1 / 32
    assert dividing.sign_test(1, 1) == 0.75
