"""What a person does to a run by hand: any edits as one revision, any revision again, and the difference of two."""

import pytest

from langchain_model_alignment.constitution import Add, Delete, Edit, Move, Set
from langchain_model_alignment.errors import EditError
from langchain_model_alignment.feedback.single_run import AlignableSingleRun
from langchain_model_alignment.history import TemplateEdit
from langchain_model_alignment.templates import Template
from tests.fakes import ScriptedChatModel


def make(*principles: str) -> AlignableSingleRun:
    run = AlignableSingleRun(ScriptedChatModel("An answer."))
    run.set_model_description("Greet {name}.")
    if principles:
        run.apply(*(Add(text=text) for text in principles))
    return run


def test_any_edits_are_made_as_one_revision():
    run = make("Be brief.", "Be kind.")
    edits = [
        Add(text="Rhyme."),
        Move(id="p3", to=0),
        Set(id="p1", field="group", value="tone"),
        Set(id="p2", field="condition", value="asked"),
        Edit(id="p3", text="Rhyme well."),
        TemplateEdit(template=Template.of("Greet {name} and {friend}.")),
    ]
    principles = run.apply(*edits, reason="as agreed", author="Ann")
    assert principles == run.data.principles
    assert [p.text for p in principles] == ["Rhyme well.", "Be brief.", "Be kind."]
    assert (principles[1].group, principles[2].condition) == ("tone", "asked")
    assert run.get_model_description() == "Greet {name} and {friend}."
    assert len(run.data.history.revisions) == 2
    assert (run.data.history.revisions[-1].reason, run.data.history.revisions[-1].author) == ("as agreed", "Ann")


def test_what_is_edited_by_hand_says_so():
    run = make("Be brief.")
    run.edit_principle("p1", "Be very brief.")
    assert {(r.reason, r.author) for r in run.data.history.revisions} == {("edited by hand", "person")}


@pytest.mark.parametrize(
    "edits",
    [
        (),
        (Add(text="fine"), Delete(id="p9")),
        (Add(text="fine"), Move(id="p1", to=9)),
        (Add(text="fine"), TemplateEdit(template=Template.of("no variable"), woven=())),
    ],
)
def test_edits_of_which_one_is_refused_change_nothing(edits):
    run = make("Be brief.")
    before = run.data
    with pytest.raises(EditError):
        run.apply(*edits)
    assert run.data is before


def test_rewind_goes_to_any_revision_and_to_the_beginning():
    run = make("Be brief.", "Be kind.")
    run.delete_principle("p1")
    assert [p.id for p in run.rewind("r1")] == ["p1", "p2"]
    assert run.rewind(None) == []
    assert [p.id for p in run.rewind("r2")] == ["p2"]


def test_redo_after_a_rewind_follows_the_newest_change():
    run = make("Be brief.")
    run.edit_principle("p1", "Be very brief.")
    run.rewind("r1")
    run.edit_principle("p1", "Be exact.")
    run.rewind("r1")
    assert [p.text for p in run.redo()] == ["Be exact."]
    run.undo()
    assert [p.text for p in run.redo()] == ["Be exact."]


def test_a_diff_compares_two_revisions_or_one_with_now():
    run = make("Be brief.")
    run.edit_principle("p1", "Be exact.")
    assert run.diff("r1") == run.diff("r1", "r2") == ["~ p1: Be brief. -> Be exact."]
    assert run.diff(None) == ["+ p1: Be exact."]
    assert run.diff("r2", "r1") == ["~ p1: Be exact. -> Be brief."]
    assert run.diff("r2") == []


@pytest.mark.parametrize("ask", [lambda r: r.rewind("r9"), lambda r: r.diff("r9"), lambda r: r.diff("r1", "r9")])
def test_a_revision_that_is_not_there_is_refused_and_nothing_changes(ask):
    run = make("Be brief.")
    before = run.data
    with pytest.raises(EditError, match="no revision 'r9'"):
        ask(run)
    assert run.data is before
