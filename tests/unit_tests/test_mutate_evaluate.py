"""What is tried, who stays in the race, and who wins it."""

import asyncio
from typing import Any

import pytest

from langchain_model_alignment.constitution import Add, Delete, Edit, Move
from langchain_model_alignment.labeling.classifier import Labeled
from langchain_model_alignment.labeling.evaluate import (
    Standing,
    likelihoods,
    next_end,
    screen,
    screening_of,
    still_racing,
)
from langchain_model_alignment.labeling.mutate import combine, crossover, deletion, mine, refine
from langchain_model_alignment.labeling.proposers import Mined, Proposal
from langchain_model_alignment.labeling.rulebook import Evidence, Rulebook
from langchain_model_alignment.labeling.select import choose, size_of, why_stop
from langchain_model_alignment.labeling.task import Row
from langchain_model_alignment.labeling.training import Training
from tests.fakes import ScriptedChatModel
from tests.simulated import SimulatedWorld, book_of, maker_of, model_of, rows

TABLE = rows(60)
BOOK = book_of({"yes": ["It has fur.", "It has a tail."], "no": ["It is made of wood."]})


def training_of(validation: int = 40, **hparams: Any) -> Training:
    return maker_of(hparams={"block_size": 10, **hparams}).prepare(TABLE, rows(validation, seed=1))


def add(text: str, label: str = "yes", evidence: tuple[str, ...] = ()) -> Add:
    return Add(text=text, label=label, evidence=evidence)


def tried(*edits: Any, book: Rulebook = BOOK, training: Training | None = None) -> tuple[list[str], list[str]]:
    """What a proposal with these edits changes, and why what is refused was."""
    kept, refused = refine(training or training_of(), book, [Proposal(tuple(edits))], set())
    return [line for _, after in kept for line in book.constitution.diff(after.constitution)], refused


# -- what need not be tried


def test_a_new_principle_is_tried():
    assert tried(add("It purrs at night.")) == (["+ p4: It purrs at night."], [])


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (add("It has a fur!"), "what is there"),
        (add("It has fur.", "no"), "of no what is said of yes"),
        (Edit(id="p2", text="It has fur."), "what is there"),
        (add("Yes."), "restates"),
        (add("no", "no"), "restates"),
    ],
    ids=str,
)
def test_words_that_say_nothing_new_are_refused(edit: Any, words: str):
    changes, refused = tried(edit)
    assert not changes
    assert words in refused[0]


def test_a_quotation_of_a_row_is_refused():
    training = training_of()
    row = training.training[0]
    quoted = row.text.removeprefix("text: ")
    changes, refused = tried(add(f"{quoted}.", evidence=(row.id,)), training=training)
    assert not changes
    assert "quotes a row" in refused[0]


def test_a_long_quotation_of_any_row_is_refused():
    long = {"text": "one two three four five six seven eight nine ten", "label": "yes"}
    training = maker_of().prepare([*TABLE, long], rows(9, seed=1))
    assert "quotes" in tried(add("It says two three four five six seven eight nine."), training=training)[1][0]
    assert tried(add("It says two three four."), training=training)[0]


def test_an_edit_may_reword_its_own_principle():
    assert tried(Edit(id="p1", text="It has soft fur."))[0] == ["~ p1: It has fur. -> It has soft fur."]


def test_a_label_has_at_most_so_many_principles():
    changes, refused = tried(add("It purrs."), training=training_of(max_principles_per_label=2))
    assert not changes
    assert "2 is the most" in refused[0]
    assert tried(add("It stands still.", "no"), training=training_of(max_principles_per_label=2))[0]


def test_a_label_that_has_too_many_already_may_still_be_edited():
    training = training_of(max_principles_per_label=1)
    assert tried(Edit(id="p1", text="It purrs."), training=training)[0]


def test_of_a_bundle_the_rest_is_tried():
    changes, refused = tried(add("It has fur."), add("It purrs."))
    assert changes == ["+ p4: It purrs."]
    assert len(refused) == 1


def test_a_merge_is_all_or_nothing():
    assert tried(Edit(id="p1", text="It is made of wood."), Delete(id="p2"))[0] == []


def test_an_edit_of_a_principle_that_is_gone_is_told():
    assert "p9" in tried(Delete(id="p9"))[1][0]


def test_what_was_tried_before_is_not_tried_again():
    training, known = training_of(), set[str]()
    proposals = [Proposal((add("It purrs."),)), Proposal((add("It purrs."),)), Proposal((Move(id="p1", to=0),))]
    kept, _ = refine(training, BOOK, proposals, known)
    assert len(kept) == 1
    assert refine(training, BOOK, proposals, known)[0] == []


# -- what the trainer thinks of by itself


def book_with(**evidence: tuple[int, int]) -> Rulebook:
    found = {id: Evidence(decided=decided, right=right) for id, (decided, right) in evidence.items()}
    return BOOK.model_copy(update={"evidence": found})


def test_the_principle_that_does_most_harm_is_deleted():
    proposal = deletion(book_with(p1=(4, 1), p2=(5, 0), p3=(9, 8)))
    assert proposal is not None
    assert proposal.edits == (Delete(id="p2"),)


@pytest.mark.parametrize("record", [(1, 0), (4, 2), (9, 8)])
def test_a_principle_without_a_bad_record_stays(record: tuple[int, int]):
    assert deletion(book_with(p1=record)) is None


def test_a_crossover_brings_what_the_other_says_besides():
    other = book_of({"yes": ["It has a fur.", "It purrs."], "no": ["It is of stone."]})
    proposal = crossover(BOOK, other)
    assert proposal is not None
    assert [edit.text for edit in proposal.edits if isinstance(edit, Add)] == ["It purrs.", "It is of stone."]
    assert crossover(BOOK, BOOK) is None


def test_edits_that_gained_are_combined_the_best_first():
    gains = [
        (Proposal((add("One thing."),), evidence=("a",)), 0.1),
        (Proposal((Edit(id="p1", text="Two."),), evidence=("b",)), 0.3),
        (Proposal((Delete(id="p1"),)), 0.2),  # excludes the edit of p1
        (Proposal((add("Nothing."),)), 0.0),
    ]
    proposal = combine(gains, 3)
    assert proposal is not None
    assert [type(edit).__name__ for edit in proposal.edits] == ["Edit", "Add"]
    assert proposal.evidence == ("b", "a")
    assert combine(gains[:1], 3) is None
    assert combine(gains[3:], 3) is None


def test_a_combination_has_at_most_so_many_edits():
    proposal = combine([(Proposal((add(f"Thing {n} here."),)), n) for n in range(1, 9)], 3)
    assert proposal is not None
    assert len(proposal.edits) == 3


# -- mining and screening


def test_mining_stops_when_there_are_mistakes_enough():
    model = model_of(SimulatedWorld(knows=[]))
    training = maker_of(model=model, hparams={"n_mining_examples": 10}).prepare(TABLE, rows(9, seed=1))
    mined, _ = asyncio.run(mine(training, book_of({}), None))
    assert len(mined.wrong) >= training.proposer.wants(3)
    assert 10 <= model.calls < len(training.training)


def test_mining_looks_at_every_row_where_few_are_wrong():
    training = training_of()
    mined, _ = asyncio.run(mine(training, book_of({"yes": [f"It is a {a}." for a in ("lynx", "yak", "emu")]}), None))
    assert len(mined.wrong) + len(mined.right) == len(training.training)


def test_an_abstention_is_a_mistake():
    training = maker_of(model=ScriptedChatModel("who knows")).prepare(TABLE, rows(9, seed=1))
    mined, _ = asyncio.run(mine(training, book_of({}), None))
    assert not mined.right
    assert all(found.label is None for _, found in mined.wrong)


def test_candidates_are_sorted_by_mistakes_and_by_rows_that_are_right():
    def pairs(n: int, id: str) -> Any:
        return tuple((Row(f"{id}{i}", "", 0), Labeled(0)) for i in range(n))

    training = training_of(n_screening_examples=15)
    found = screening_of(training, Mined(pairs(20, "w"), pairs(60, "r")))
    assert (len(found["wrong"]), len(found["right"]), found["share"]) == (10, 5, 0.25)
    few = screening_of(training, Mined(pairs(3, "w"), pairs(60, "r")))
    assert (len(few["wrong"]), len(few["right"])) == (3, 12)
    none = screening_of(training, Mined((), ()))
    assert (none["wrong"], none["right"], none["share"]) == ([], [], 0.0)


def test_screening_tells_a_candidate_that_mends_from_one_that_spoils():
    training = maker_of(SimulatedWorld(knows=[])).prepare(rows(120), rows(9, seed=1))
    parent = book_of({})
    mined, _ = asyncio.run(mine(training, parent, None))
    wrong, right = [row for row, _ in mined.wrong], [row for row, _ in mined.right]
    gains = {}
    for name in ("yak", "road"):
        candidate = book_of({"yes": [f"The text speaks of a {name}."]})
        _, gains[name] = asyncio.run(screen(training, parent, candidate, wrong, right, 0.5, None))
    assert gains["yak"] > 0 >= gains["road"]


# -- the race


def predictions(training: Training, wrong: set[int], n: int) -> list[int]:
    """Right on the first n validation rows but for some."""
    true = [row.label or 0 for row in training.validation[:n]]
    return [1 - label if at in wrong else label for at, label in enumerate(true)]


def race(n: int, parent: set[int], *, hopeful: bool = True, training: Training | None = None, **wrong: set[int]) -> Any:
    run = training or training_of()
    return still_racing(
        run,
        Standing(predictions(run, parent, 40), ()),
        {id: Standing(predictions(run, odd, n), ()) for id, odd in wrong.items()},
        {id: (len(id), at) for at, id in enumerate(wrong)},
        dict.fromkeys(wrong, hopeful),
    )


def test_one_that_is_behind_its_parent_leaves():
    assert list(race(10, {1}, c1={1, 2, 3}, c2=set())) == ["c1"]


def test_one_that_ties_with_its_parent_may_stay_for_the_first_block_only():
    assert race(10, {1}, c1={2}) == {}
    assert list(race(10, {1}, c1={2}, hopeful=False)) == ["c1"]
    assert list(race(20, {1}, c1={2})) == ["c1"]


def test_the_same_answers_leave_the_shorter_one():
    left = race(20, {1, 2, 3}, c1={1}, c22={1})
    assert list(left) == ["c22"]
    assert "same" in left["c22"]


def test_a_tie_with_the_leader_that_is_longer_leaves():
    assert list(race(20, {1, 2, 3}, c1={4}, c22={5})) == ["c22"]


def test_one_that_is_far_behind_the_leader_leaves():
    assert list(race(20, {1, 2, 3, 4, 5, 6}, c1=set(), c2={7, 8, 9, 10})) == ["c2"]


def test_one_that_is_close_behind_stays():
    assert race(20, {1, 2, 3, 4, 5, 6}, c1={9, 10}, c2={7, 8, 11}) == {}


def test_full_evaluation_takes_all_to_the_end():
    full = training_of(evaluation="full")
    assert race(10, set(), c1={1, 2, 3}, c2={4, 5}, training=full) == {}
    assert next_end(full, 0) == 40


def test_blocks_follow_each_other():
    training = training_of()
    ends = [0]
    while ends[-1] < 40:
        ends.append(next_end(training, ends[-1]))
    assert ends == [0, 10, 20, 40]


# -- the end of a step


def chosen(training: Training, n: int = 9, **books: tuple[Rulebook, set[int]]) -> list[str]:
    finished = {id: (book, Standing(predictions(training, wrong, 40), ())) for id, (book, wrong) in books.items()}
    return choose(training, finished, list(books), n)


# -- with log probabilities, likelihoods decide -----------------------------------------------------------------


def likely(run: Training, n: int, value: float, wrong: int = 0) -> Standing:
    return Standing(predictions(run, set(range(wrong)), n), [value] * n)


def test_the_likelier_one_stays_although_both_are_right_as_often():
    run = training_of()
    candidates = {"c1": likely(run, 40, -0.4), "c2": likely(run, 40, -0.6)}
    left = still_racing(run, likely(run, 40, -0.5), candidates, {"c1": (1, 1), "c2": (1, 1)}, {"c1": True, "c2": True})
    assert list(left) == ["c2"]


def test_the_likelier_one_is_chosen_among_those_no_worse_than_before():
    run = training_of()
    finished = {
        "c1": (BOOK, likely(run, 40, -0.6, wrong=4)),
        "c2": (BOOK, likely(run, 40, -0.3, wrong=4)),
        "c3": (BOOK, likely(run, 40, -0.5, wrong=2)),
        "c4": (BOOK, likely(run, 40, -0.1, wrong=5)),
    }
    assert choose(run, finished, list(finished), 4, "c1") == ["c2", "c3", "c1", "c4"]


def test_training_begins_with_the_best_by_the_metric():
    run = training_of()
    finished = {"c1": (BOOK, likely(run, 40, -0.1, wrong=4)), "c2": (BOOK, likely(run, 40, -0.6, wrong=2))}
    assert choose(run, finished, list(finished), 1) == ["c2"]


def test_a_row_that_failed_is_as_likely_as_any_label():
    run = training_of()
    book = BOOK.model_copy(update={"scoring": "logprob"})
    assert likelihoods(run, book, [Labeled(None, error="it failed")], 0) == [-0.6931]


def test_labels_read_as_text_have_no_likelihood():
    assert likelihoods(training_of(), BOOK, [Labeled(0)], 0) == []


def test_the_best_score_wins_and_so_many_are_kept():
    books = {f"c{n}": (BOOK, set(range(n))) for n in (3, 1, 2)}
    assert chosen(training_of(), 2, **books) == ["c1", "c2"]


def test_ties_go_to_fewer_then_to_shorter_principles_then_to_the_older_one():
    longer = book_of({"yes": ["It has fur, and it is an animal.", "It has a tail."], "no": ["It is made of wood."]})
    fewer = book_of({"yes": ["It has fur and a tail, which says more than all the others together."]})
    books: dict[str, Any] = {"c1": longer, "c2": BOOK, "c3": fewer, "c4": BOOK}
    assert chosen(training_of(), **{id: (book, {1}) for id, book in books.items()}) == ["c3", "c2", "c4", "c1"]


def test_a_principle_that_is_switched_off_has_no_size():
    off = BOOK.model_copy(update={"constitution": BOOK.constitution.model_copy(update={"principles": ()})})
    assert size_of(off) == (0, 0)
    assert size_of(BOOK)[0] == 3


@pytest.mark.parametrize(
    ("values", "words"),
    [((1, 5, 0, 3, 2), ""), ((5, 5, 0, 3, 2), "5 steps"), ((2, 5, 3, 3, 2), "no gain"), ((1, 5, 0, 3, 0), "wrongly")],
)
def test_training_stops_for_a_reason(values: Any, words: str):
    assert words in why_stop(*values)
    assert bool(why_stop(*values)) == bool(words)
