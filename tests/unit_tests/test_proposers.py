"""From mistakes to edits: every kind becomes primitives, and what names nothing that is there is nothing."""

import asyncio
import json
import re
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage

from langchain_model_alignment.calls import Caller
from langchain_model_alignment.constitution import Add, Delete, Edit, Move, Set
from langchain_model_alignment.errors import AuthenticationError, BudgetError
from langchain_model_alignment.labeling.classifier import Labeled
from langchain_model_alignment.labeling.describing import DescribingProposer
from langchain_model_alignment.labeling.proposers import Mined, Proposal, Proposals
from langchain_model_alignment.labeling.reflective import ReflectiveProposer, group_mistakes, nearby
from langchain_model_alignment.labeling.rulebook import Evidence, Rulebook
from langchain_model_alignment.labeling.task import Row
from langchain_model_alignment.usage import Budget
from tests.fakes import ScriptedChatModel, http_error
from tests.simulated import TASK, book_of

BOOK = book_of({"yes": ["It has fur.", "It has a tail."], "no": ["It is made of wood."]})
REFUSAL = AIMessage("", additional_kwargs={"refusal": "no"})


def mistake(n: int, label: int = 0, given: int | None = 1) -> tuple[Row, Labeled]:
    return Row(f"w{n}", f"text: wrong row {n}", label), Labeled(given, "raw")


def right(n: int, label: int = 1) -> tuple[Row, Labeled]:
    return Row(f"r{n}", f"text: right row {n}", label), Labeled(label, "raw")


def propose(reply: Any, book: Rulebook = BOOK, wrong: Any = None, groups: int = 3, each: int = 2, **more: Any) -> Any:
    proposer = more.pop("proposer", ReflectiveProposer)(Caller(ScriptedChatModel(reply), max_retries=0, **more))
    mined = Mined(tuple([mistake(1)] if wrong is None else wrong), (right(1), right(2, 0)))
    return asyncio.run(proposer.propose(book, mined, groups, each, None))


def edits_for(*edits: dict[str, Any], book: Rulebook = BOOK) -> list[list[Any]]:
    found = propose(json.dumps({"edits": list(edits)}), book, each=len(edits)).found
    return [[edit.model_dump(exclude={"reason", "evidence"}) for edit in p.edits] for p in found]


def plain(*edits: Any) -> list[dict[str, Any]]:
    return [edit.model_dump(exclude={"reason", "evidence"}) for edit in edits]


# -- the seven kinds


@pytest.mark.parametrize(
    ("proposed", "wanted"),
    [
        ({"kind": "add", "label": "no", "text": "It has legs."}, [Add(text="It has legs.", label="no")]),
        ({"kind": "add", "label": "YES", "text": "It purrs."}, [Add(text="It purrs.", label="yes")]),
        ({"kind": "edit", "principle": 2, "text": "It wags."}, [Edit(id="p2", text="It wags.")]),
        (
            {"kind": "exception", "principle": 1, "text": "It has fur, unless it is a coat."},
            [Edit(id="p1", text="It has fur, unless it is a coat.")],
        ),
        ({"kind": "delete", "principle": 3}, [Delete(id="p3")]),
        (
            {"kind": "merge", "principle": 1, "other": 2, "text": "It has fur and a tail."},
            [Edit(id="p1", text="It has fur and a tail."), Delete(id="p2")],
        ),
        (
            {"kind": "split", "principle": 1, "text": "It has hair.", "second_text": "It is soft."},
            [Edit(id="p1", text="It has hair."), Add(text="It is soft.", label="yes")],
        ),
        ({"kind": "reorder", "principle": 3, "other": 1}, [Move(id="p3", to=0)]),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_each_kind_of_edit_becomes_primitives(proposed: dict[str, Any], wanted: list[Any]):
    assert edits_for(proposed) == [plain(*wanted)]
    BOOK.apply(wanted)


@pytest.mark.parametrize(
    "proposed",
    [
        {"kind": "add", "label": "maybe", "text": "It has legs."},
        {"kind": "add", "label": "yes", "text": "  "},
        {"kind": "edit", "principle": 9, "text": "It wags."},
        {"kind": "edit", "principle": 0, "text": "It wags."},
        {"kind": "edit", "principle": -1, "text": "It wags."},
        {"kind": "edit", "principle": 1},
        {"kind": "delete"},
        {"kind": "delete", "principle": 4},
        {"kind": "merge", "principle": 1, "other": 1, "text": "It has fur."},
        {"kind": "merge", "principle": 1, "other": 3, "text": "Of two labels."},
        {"kind": "merge", "principle": 1, "text": "It has fur."},
        {"kind": "split", "principle": 1, "text": "It has hair."},
        {"kind": "reorder", "principle": 1, "other": 7},
        {"kind": "reorder", "principle": 1},
    ],
    ids=str,
)
def test_an_edit_that_names_nothing_that_is_there_is_left_out(proposed: dict[str, Any]):
    assert edits_for(proposed, {"kind": "delete", "principle": 1}) == [plain(Delete(id="p1"))]


def test_numbers_are_those_of_the_principles_that_are_shown():
    book = BOOK.apply([Set(id="p1", field="enabled", value=False)])
    assert edits_for({"kind": "delete", "principle": 1}, book=book) == [plain(Delete(id="p2"))]
    assert edits_for({"kind": "delete", "principle": 3}, book=book) == []


def test_a_place_is_counted_among_the_principles_that_are_shown():
    book = BOOK.apply([Add(text="It burns.", label="no"), Set(id="p1", field="enabled", value=False)])
    for number, place, wanted in ((3, 2, ["p2", "p4", "p3"]), (1, 3, ["p3", "p4", "p2"])):
        (moved,) = propose(
            json.dumps({"edits": [{"kind": "reorder", "principle": number, "other": place}]}), book
        ).found
        assert [p.id for p in book.apply(moved.edits).enabled()] == wanted


def test_a_proposal_knows_its_reason_and_its_rows():
    edit = {"kind": "add", "label": "yes", "text": "It purrs.", "reason": "  cats\n purr "}
    (proposal,) = propose(json.dumps({"edits": [edit]}), wrong=[mistake(1), mistake(2)], groups=1).found
    assert (proposal.reason, proposal.evidence) == ("cats purr", ("w1", "w2"))
    assert proposal.edits[0].evidence == ("w1", "w2")


def test_words_around_a_principle_are_taken_off():
    assert edits_for({"kind": "add", "label": "yes", "text": 'Principle: "It purrs."'}) == [
        plain(Add(text="It purrs.", label="yes"))
    ]


# -- what the reflective proposer is shown


def requests(wrong: Any, groups: int = 3, each: int = 2, book: Rulebook = BOOK) -> list[str]:
    model = ScriptedChatModel('{"edits": []}')
    proposer = ReflectiveProposer(Caller(model))
    mined = Mined(tuple(wrong), tuple(right(n, n % 2) for n in range(9)))
    asyncio.run(proposer.propose(book, mined, groups, each, None))
    return [request.text for request in model.requests]


def test_it_sees_the_rows_their_labels_and_the_record_of_each_principle():
    book = BOOK.model_copy(update={"evidence": {"p2": Evidence(decided=7, right=5)}})
    (text,) = requests([mistake(1)], book=book)
    assert "text: wrong row 1" in text
    assert "2. yes: It has a tail. (decided 7 rows, 5 of them rightly)" in text
    assert TASK.question in text
    assert text.count("text: right row") == 4


def test_each_group_is_one_call_and_holds_one_confusion():
    texts = requests([mistake(n, n % 2, 1 - n % 2) for n in range(8)], groups=2)
    assert len(texts) == 2
    for text in texts:
        shown = {int(word) % 2 for word in re.findall(r"wrong row (\d+)", text)}
        assert len(shown) == 1


def test_braces_in_rows_and_principles_are_text():
    book = book_of({"yes": ["Holds {a} and {{b}}."]})
    row = (Row("w", 'text: {"x": {0}} {name}', 0), Labeled(1))
    (text,) = requests([row], book=book)
    assert 'text: {"x": {0}} {name}' in text
    assert "Holds {a} and {{b}}." in text


def test_groups_are_full_before_one_is_added_and_none_holds_a_row_twice():
    wrong = [mistake(n, n % 2, 1 - n % 2 if n % 3 else None) for n in range(40)]
    for groups in (1, 3, 9):
        made = group_mistakes(wrong, groups)
        assert len(made) == groups
        ids = [row.id for group in made for row, _ in group]
        assert len(ids) == len(set(ids))
        assert max(map(len, made)) <= 4
    assert group_mistakes([], 3) == []


def test_the_nearest_rows_share_words_and_the_confused_labels():
    group = [(Row("w", "text: the red cat sat", 0), Labeled(1))]
    near, far = Row("a", "text: the red cat", 1), Row("b", "text: nothing alike", 1)
    other = Row("c", "text: the red cat sat", 2)
    rows = [(row, Labeled(row.label)) for row in (far, other, near)]
    assert [row.id for row in nearby(group, rows)] == ["a", "b", "c"]


# -- failures


def two_groups(first: Any) -> Any:
    calls = [0]

    def reply(messages: list[BaseMessage]) -> Any:
        calls[0] += 1
        return first if calls[0] == 1 else json.dumps({"edits": [{"kind": "delete", "principle": 1}]})

    return propose(reply, wrong=[mistake(1, 0), mistake(2, 1, 0)], groups=2)


def test_a_group_that_fails_costs_itself_only():
    found: Proposals = two_groups(REFUSAL)
    assert len(found.found) == 1
    assert found.failed == ("RefusalError",)


def test_a_bad_key_ends_the_step():
    with pytest.raises(AuthenticationError):
        two_groups(http_error(401, "bad key"))


def test_a_spent_budget_ends_the_step():
    with pytest.raises(BudgetError):
        propose('{"edits": []}', wrong=[mistake(1, 0), mistake(2, 1, 0)], budget=Budget(max_calls=1))


def test_proposals_of_the_groups_take_turns():
    def reply(messages: list[BaseMessage]) -> str:
        number = 1 if "wrong row 1" in messages[-1].text else 2
        edits = [{"kind": "add", "label": "yes", "text": f"Group {number} says {rank}."} for rank in "ab"]
        return json.dumps({"edits": edits})

    found = propose(reply, wrong=[mistake(1, 0), mistake(2, 1, 0)], groups=2).found
    assert [p.edits[0].text for p in found] == [f"Group {number} says {rank}." for rank in "ab" for number in (1, 2)]


def test_no_mistakes_are_no_calls():
    model = ScriptedChatModel([])
    for proposer in (ReflectiveProposer(Caller(model)), DescribingProposer(Caller(model))):
        assert asyncio.run(proposer.propose(BOOK, Mined((), ()), 3, 2, None)) == Proposals(())


# -- the describing proposer


def test_descriptions_make_bundles_that_speak_for_several_labels():
    wrong = [mistake(n, n % 2, 1 - n % 2) for n in range(8)]
    calls = [0]

    def reply(messages: list[BaseMessage]) -> str:
        calls[0] += 1
        return f"The text tells story {calls[0]}."

    found = propose(reply, wrong=wrong, groups=2, proposer=DescribingProposer).found
    assert [len(p.edits) for p in found] == [2, 4, 4]
    for proposal in found[1:]:
        assert {edit.label for edit in proposal.edits} == {"yes", "no"}
        assert all(isinstance(edit, Add) and len(edit.evidence) == 1 for edit in proposal.edits)
        assert set(proposal.evidence) == {id for edit in proposal.edits for id in edit.evidence}


def test_what_the_rows_of_each_label_share_comes_first():
    wrong = [mistake(n, n % 2, 1 - n % 2) for n in range(4)]
    first = propose(lambda _: "The text tells a story.", wrong=wrong, groups=1, proposer=DescribingProposer).found[0]
    assert {edit.label for edit in first.edits} == {"yes", "no"}
    assert all(len(edit.evidence) >= 2 for edit in first.edits if isinstance(edit, Add))


def test_a_description_that_fails_or_is_empty_costs_itself_only():
    def reply(messages: list[BaseMessage]) -> Any:
        text = messages[-1].text
        if text.startswith("- "):
            return ""
        return REFUSAL if "row 1" in text else "" if "row 2" in text else "The text tells a story."

    proposals = propose(reply, wrong=[mistake(n) for n in range(1, 5)], groups=1, proposer=DescribingProposer)
    assert [len(p.edits) for p in proposals.found] == [2]
    assert proposals.failed == ("RefusalError",)


def test_a_description_that_only_denies_is_written_without_the_label():
    def reply(messages: list[BaseMessage]) -> str:
        plainly = messages[-1].text.startswith("example: ")
        return "The text swears at the weather." if plainly else "The text does not contain anything of it."

    found = propose(reply, wrong=[mistake(1, 0, 1)], groups=1, proposer=DescribingProposer).found
    assert "The text swears at the weather." in [edit.text for p in found for edit in p.edits if isinstance(edit, Add)]


@pytest.mark.parametrize(
    "sentence",
    [
        "The review swears out of joy and praises a dish.",
        "The text is about people: a group, a person, a group, a person, a group, a person, a group, a person.",
    ],
)
def test_a_sentence_copied_from_an_example_or_stuck_is_dropped(sentence: str):
    assert propose(lambda _: sentence, wrong=[mistake(1)], groups=1, proposer=DescribingProposer).found == ()


def test_a_proposal_is_a_plain_value():
    assert Proposal((Delete(id="p1"),), "why") == Proposal((Delete(id="p1"),), "why")
