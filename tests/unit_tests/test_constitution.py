"""Edits make the next constitution; a history of them loses nothing."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from langchain_model_alignment.constitution import (
    Add,
    Constitution,
    Delete,
    Edit,
    Move,
    Principle,
    Set,
    digest,
    id_number,
)
from langchain_model_alignment.errors import EditError
from langchain_model_alignment.history import Document, History, Revision, TemplateEdit, principle_key
from langchain_model_alignment.templates import Template

FEW = settings(deadline=None, max_examples=20)
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=40).filter(lambda text: text.strip())
conditions = st.none() | words
adds = st.builds(
    Add,
    text=words,
    label=st.none() | words,
    group=st.none() | words,
    condition=conditions,
    evidence=st.lists(st.sampled_from(["e1.f1", "e2.f1", "row 7"]), max_size=2).map(tuple),
    reason=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
)


def edits_for(constitution: Constitution) -> st.SearchStrategy:
    """Edits that the constitution accepts."""
    count = len(constitution)
    placed = st.tuples(adds, st.none() | st.integers(0, count)).map(
        lambda pair: pair[0].model_copy(update={"at": pair[1]})
    )
    if not count:
        return placed
    ids = st.sampled_from([p.id for p in constitution.principles])
    return st.one_of(
        placed,
        st.builds(Edit, id=ids, text=words, evidence=st.just(("e9.f1",)), reason=st.sampled_from(["", "clearer"])),
        st.builds(Delete, id=ids),
        st.builds(Move, id=ids, to=st.integers(0, count - 1)),
        st.builds(lambda id, on: Set(id=id, field="enabled", value=on), ids, st.booleans()),
        st.builds(lambda id, text: Set(id=id, field="condition", value=text), ids, conditions),
        st.builds(lambda id, text: Set(id=id, field="group", value=text), ids, conditions),
    )


@st.composite
def constitutions(draw: st.DrawFn) -> Constitution:
    constitution = Constitution()
    for _ in range(draw(st.integers(0, 6))):
        constitution = constitution.apply(draw(edits_for(constitution)))
    return constitution


# -- apply -----------------------------------------------------------------------------------------------------


@FEW
@given(constitutions(), adds)
def test_a_deleted_id_never_comes_back(constitution: Constitution, add: Add):
    grown = constitution.apply(add)
    new = grown.principles[-1].id
    again = grown.apply(Delete(id=new)).apply(add)
    assert again.principles[-1].id not in {p.id for p in grown.principles}


@FEW
@given(constitutions())
def test_json_round_trip(constitution: Constitution):
    assert Constitution.model_validate_json(constitution.model_dump_json()) == constitution


@FEW
@given(st.data(), constitutions())
def test_an_edit_leaves_the_old_constitution_as_it_was(data: st.DataObject, constitution: Constitution):
    before = constitution.model_dump_json()
    constitution.apply(data.draw(edits_for(constitution)))
    assert constitution.model_dump_json() == before


@FEW
@given(st.data(), constitutions())
def test_no_edit_lowers_the_counter_and_every_id_is_below_it(data: st.DataObject, constitution: Constitution):
    after = constitution.apply(data.draw(edits_for(constitution)))
    assert after.next_number >= constitution.next_number
    assert all(id_number(p.id) < after.next_number for p in after.principles)


@FEW
@given(st.data(), constitutions().filter(len))
def test_a_move_changes_the_order_and_nothing_else(data: st.DataObject, constitution: Constitution):
    old = data.draw(st.sampled_from(constitution.principles))
    to = data.draw(st.integers(0, len(constitution) - 1))
    moved = constitution.apply(Move(id=old.id, to=to))
    assert moved.principles[to] == old
    assert [p for p in moved.principles if p.id != old.id] == [p for p in constitution.principles if p.id != old.id]


@FEW
@given(constitutions())
def test_the_fingerprint_does_not_depend_on_ids_reasons_evidence_groups_or_history(constitution: Constitution):
    other = Constitution(
        principles=tuple(
            Principle(
                id=f"p{100 + number}",
                text=p.text,
                label=p.label,
                enabled=p.enabled,
                condition=p.condition,
                group="elsewhere",
                evidence=("other",),
                reason="other",
            )
            for number, p in enumerate(constitution.principles)
        ),
        next_number=500,
    )
    assert other.fingerprint() == constitution.fingerprint()


@FEW
@given(constitutions(), adds)
def test_a_fingerprint_comes_back_with_what_is_shown(constitution: Constitution, add: Add):
    grown = constitution.apply(add)
    assert grown.fingerprint() != constitution.fingerprint()
    assert grown.apply(Delete(id=grown.principles[-1].id)).fingerprint() == constitution.fingerprint()


@pytest.mark.parametrize(
    "edit",
    [
        Edit(id="p1", text="Be blunt."),
        Move(id="p1", to=1),
        Delete(id="p1"),
        Set(id="p1", field="enabled", value=False),
        Set(id="p1", field="condition", value="asked"),
        Add(text="Be brief."),
    ],
)
def test_the_fingerprint_changes_with_what_a_model_is_shown(edit):
    constitution = Constitution.of("Be kind.", "Be exact.")
    assert constitution.apply(edit).fingerprint() != constitution.fingerprint()


def test_an_added_principle_stands_where_it_was_asked_to():
    constitution = Constitution.of("one", "two").apply(Add(text="between", at=1))
    assert [p.text for p in constitution.principles] == ["one", "between", "two"]


def test_an_edit_changes_the_words_and_keeps_id_place_and_evidence():
    constitution = Constitution().apply(Add(text="one", evidence=("e1.f1",), reason="first")).apply(Add(text="two"))
    edited = constitution.apply(Edit(id="p1", text="  uno ", evidence=("e2.f1", "e1.f1"), reason="Spanish"))
    first = edited.principles[0]
    assert (first.id, first.text, first.evidence, first.reason) == ("p1", "uno", ("e1.f1", "e2.f1"), "Spanish")


def test_an_edit_without_a_reason_keeps_the_old_one():
    constitution = Constitution().apply(Add(text="one", reason="first")).apply(Edit(id="p1", text="uno"))
    assert constitution.get("p1").reason == "first"


def test_a_principle_that_is_off_is_not_rendered():
    constitution = Constitution.of("one", "two").apply(Set(id="p1", field="enabled", value=False))
    assert constitution.render() == "- two"
    assert [p.id for p in constitution.enabled()] == ["p2"]


def test_a_condition_stands_in_front_of_the_principle():
    constitution = Constitution.of("Be brief.").apply(Set(id="p1", field="condition", value="asked for a summary"))
    assert constitution.render() == "- When asked for a summary: Be brief."


def test_a_diff_names_what_was_added_removed_reworded_and_switched():
    old = Constitution.of("one", "two", "three")
    new = old.apply_all(
        [
            Delete(id="p1"),
            Edit(id="p2", text="dos"),
            Set(id="p3", field="enabled", value=False),
            Add(text="four"),
        ]
    )
    assert old.diff(new) == ["- p1: one", "~ p2: two -> dos", "~ p3: switched off", "+ p4: four"]


@pytest.mark.parametrize(
    ("edit", "line"),
    [
        (Set(id="p1", field="condition", value="asked"), "~ p1: when asked"),
        (Set(id="p3", field="condition", value=None), "~ p3: no condition"),
        (Set(id="p1", field="group", value="tone"), "~ p1: group tone"),
        (Set(id="p3", field="group", value=None), "~ p3: no group"),
        (Move(id="p3", to=0), "~ p3: moved to place 1"),
        (Move(id="p1", to=2), "~ p1: moved to place 3"),
    ],
)
def test_a_diff_names_conditions_groups_and_moves(edit, line: str):
    old = Constitution.of("one", "two").apply(Add(text="three", condition="told", group="style"))
    assert old.diff(old.apply(edit)) == [line]


@FEW
@given(constitutions())
def test_a_constitution_does_not_differ_from_itself(constitution: Constitution):
    assert constitution.diff(constitution) == []


@FEW
@given(st.data(), constitutions())
def test_a_diff_is_empty_only_where_words_places_and_fields_are_equal(data: st.DataObject, old: Constitution):
    new = old.apply(data.draw(edits_for(old)))
    told = {"id", "text", "enabled", "group", "condition"}
    same = [p.model_dump(include=told) for p in old] == [p.model_dump(include=told) for p in new]
    assert (old.diff(new) == []) == same


def test_what_stands_elsewhere_only_because_another_went_is_not_moved():
    old = Constitution.of("one", "two", "three")
    assert old.diff(old.apply(Delete(id="p1"))) == ["- p1: one"]


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        (Edit(id="p9", text="x"), "p9"),
        (Delete(id="p9"), "p9"),
        (Move(id="p9", to=0), "p9"),
        (Set(id="p9", field="enabled", value=True), "p9"),
        (Move(id="p1", to=2), "2"),
        (Move(id="p1", to=-1), "-1"),
        (Add(text="x", at=3), "3"),
        (Add(text="x", at=-1), "-1"),
        (Add(text="x", id="p1"), "p1"),
        (Add(text="x", id="p2"), "p2"),
        (Add(text="x", id="first"), "first"),
        (Add(text="x", id="p²"), "p²"),
        (Add(text="x", id="p-1"), "p-1"),
    ],
)
def test_an_edit_that_cannot_be_is_refused_with_a_sentence_that_names_it(edit, named: str):
    constitution = Constitution.of("one", "two")
    with pytest.raises(EditError, match=named):
        constitution.apply(edit)
    assert constitution == Constitution.of("one", "two")


def test_an_unknown_id_is_answered_with_the_known_ones():
    with pytest.raises(EditError, match="p1, p2"):
        Constitution.of("one", "two").get("p7")
    with pytest.raises(EditError, match="none yet"):
        Constitution().get("p7")


def test_the_id_of_a_deleted_principle_cannot_be_given_again_by_hand():
    constitution = Constitution.of("one").apply(Delete(id="p1"))
    with pytest.raises(EditError, match="never used again"):
        constitution.apply(Add(text="x", id="p1"))


@pytest.mark.parametrize("text", ["", " ", "\n\t"])
def test_a_principle_needs_words(text: str):
    for make in (lambda: Add(text=text), lambda: Edit(id="p1", text=text), lambda: Principle(id="p1", text=text)):
        with pytest.raises(ValidationError, match="needs words"):
            make()


@pytest.mark.parametrize(
    ("field", "value"), [("enabled", "yes"), ("enabled", None), ("group", True), ("condition", False)]
)
def test_a_value_that_does_not_fit_its_field_is_refused(field, value):
    with pytest.raises(ValidationError, match="cannot be"):
        Set(id="p1", field=field, value=value)


def test_a_constitution_cannot_be_changed_in_place():
    constitution = Constitution.of("one")
    with pytest.raises(ValidationError):
        constitution.next_number = 7  # type: ignore[misc]
    with pytest.raises(ValidationError):
        constitution.principles[0].text = "two"  # type: ignore[misc]


# -- constitutions that were written by hand or damaged --------------------------------------------------------


def test_two_principles_with_one_id_are_refused():
    with pytest.raises(ValidationError, match="share an id"):
        Constitution.model_validate({"principles": [{"id": "p1", "text": "a"}, {"id": "p1", "text": "b"}]})


def test_a_constitution_written_by_hand_without_a_counter_can_still_grow():
    constitution = Constitution.model_validate({"principles": [{"id": "p1", "text": "a"}, {"id": "p2", "text": "b"}]})
    grown = constitution.apply(Add(text="c")).apply(Add(text="d"))
    assert len({p.id for p in grown.principles}) == 4


def test_a_history_that_begins_at_a_constitution_written_by_hand_can_still_grow():
    root = Document.model_validate({"constitution": {"principles": [{"id": "p1", "text": "a"}]}})
    history = History(root=root).commit([Add(text="b")])
    assert len({p.id for p in history.document.constitution.principles}) == 2


@pytest.mark.parametrize("unknown", [{"principle": []}, {"principles": [{"id": "p1", "text": "a", "weight": 2}]}])
def test_unknown_fields_are_refused(unknown):
    with pytest.raises(ValidationError):
        Constitution.model_validate(unknown)


def test_a_digest_takes_any_text():
    assert digest(["\ud800"]) != digest(["\ud801"])


# -- the history -----------------------------------------------------------------------------------------------


def two_branches() -> History:
    """r1 and r2 on one branch, r3 made after undoing r2."""
    history = History().commit([Add(text="one")]).commit([Add(text="two")])
    return history.undo().commit([Add(text="three")])


def test_an_id_given_on_another_branch_stays_taken():
    history = two_branches()
    assert [p.id for p in history.document.constitution.principles] == ["p1", "p3"]


def test_an_id_given_on_another_branch_cannot_be_given_by_hand():
    with pytest.raises(EditError):
        History().commit([Add(text="one")]).undo().commit([Add(text="other", id="p1")])


def test_branches_are_the_tips():
    assert two_branches().branches() == ["r2", "r3"]
    assert History().branches() == []


def test_redo_goes_to_the_newest_branch():
    assert two_branches().undo().redo().head == "r3"


def test_rewind_reaches_the_other_branch_and_the_root():
    history = two_branches()
    assert [p.text for p in history.rewind("r2").document.constitution.principles] == ["one", "two"]
    assert len(history.rewind(None).document.constitution) == 0


def test_nothing_to_undo_or_redo_is_one_sentence():
    with pytest.raises(EditError, match="nothing to undo"):
        History().undo()
    with pytest.raises(EditError, match="nothing to redo"):
        two_branches().redo()


@pytest.mark.parametrize("revision", ["r0", "r4", "x", "", "r", "r٣", "r-1", "r" + "9" * 5000])
def test_an_unknown_revision_is_refused(revision: str):
    with pytest.raises(EditError, match="There is no revision"):
        two_branches().rewind(revision)


def test_a_commit_of_which_one_edit_fails_keeps_nothing():
    history = two_branches()
    with pytest.raises(EditError):
        history.commit([Add(text="four"), Delete(id="p99")])
    assert history == two_branches()


def test_the_reason_author_and_time_of_a_revision_are_kept():
    revision = History().commit([Add(text="one")], reason="asked", author="person", time="now").revisions[0]
    assert (revision.reason, revision.author, revision.time) == ("asked", "person", "now")


def test_a_diff_of_revisions_tells_of_the_text_and_the_principles():
    history = History(root=Document(base=Template.of("Sum up {text}.\n-- in German"))).commit([Add(text="one")])
    history = history.commit([TemplateEdit(template=Template.of("Sum up {text}.\n++ in French"))])
    assert history.diff(None, "r1") == ["+ p1: one"]
    assert history.diff("r1", "r2") == ["- -- in German", "+ ++ in French"]
    assert history.diff("r2", None) == ["- ++ in French", "+ -- in German", "- p1: one"]
    assert history.diff("r2", "r2") == []


def test_a_diff_with_an_unknown_revision_is_refused():
    with pytest.raises(EditError, match="There is no revision 'r9'"):
        two_branches().diff("r1", "r9")


def test_the_tree_shows_branches_the_head_reasons_authors_and_times():
    history = History().commit([Add(text="one")], reason="asked\nfor", author="Ann", time="2026-01-01")
    history = history.commit([Add(text="two")], author="Bo").commit([Add(text="three")], reason="more")
    history = history.rewind("r1").commit([Add(text="four")]).commit([Add(text="five")])
    assert history.tree().splitlines() == [
        "  the beginning",
        "  r1  asked for  (Ann, 2026-01-01)",
        "    r2  (Bo)",
        "    r3  more",
        "  r4",
        "* r5",
    ]


def test_the_tree_marks_the_beginning_when_all_is_undone():
    assert two_branches().rewind(None).tree().splitlines()[0] == "* the beginning"
    assert History().tree() == "* the beginning"


def test_the_tree_of_a_long_history_has_a_line_for_each_revision():
    history = History()
    steps = tuple(Revision(id=f"r{i}", parent=f"r{i - 1}" if i > 1 else None, edits=()) for i in range(1, 3001))
    assert len(history.model_copy(update={"revisions": steps, "head": "r3000"}).tree().splitlines()) == 3001


def as_json(history: History) -> dict:
    return json.loads(history.model_dump_json())


def _wrong_parent(value: dict) -> None:
    value["revisions"][1]["parent"] = "r9"


def _parent_of_itself(value: dict) -> None:
    value["revisions"][1]["parent"] = "r2"


def _parent_in_the_future(value: dict) -> None:
    value["revisions"][0]["parent"] = "r2"


def _wrong_head(value: dict) -> None:
    value["head"] = "r9"


def _duplicate_revision(value: dict) -> None:
    value["revisions"][1]["id"] = "r1"


def _revision_taken_out(value: dict) -> None:
    del value["revisions"][0]


def _unknown_operation(value: dict) -> None:
    value["revisions"][0]["edits"][0]["op"] = "execute"


def _empty_text(value: dict) -> None:
    value["revisions"][0]["edits"][0]["text"] = " "


@pytest.mark.parametrize(
    "damage",
    [
        _wrong_parent,
        _parent_of_itself,
        _parent_in_the_future,
        _wrong_head,
        _duplicate_revision,
        _revision_taken_out,
        _unknown_operation,
        _empty_text,
    ],
)
def test_a_damaged_history_is_refused(damage):
    value = as_json(two_branches())
    damage(value)
    with pytest.raises(ValidationError):
        History.model_validate(value)


def _edit_of_nothing(value: dict) -> None:
    value["revisions"][2]["edits"][0] = {"op": "delete", "id": "p77"}


def _id_added_twice(value: dict) -> None:
    value["revisions"][2]["edits"][0]["id"] = "p1"


def _id_added_twice_on_two_branches(value: dict) -> None:
    value["revisions"][2]["edits"][0]["id"] = "p2"


def _edit_of_nothing_off_the_head(value: dict) -> None:
    value["revisions"][1]["edits"][0] = {"op": "delete", "id": "p77"}


@pytest.mark.parametrize(
    "damage", [_edit_of_nothing, _id_added_twice, _id_added_twice_on_two_branches, _edit_of_nothing_off_the_head]
)
def test_a_history_whose_edits_cannot_be_made_is_refused_when_it_is_read(damage):
    value = as_json(two_branches())
    damage(value)
    with pytest.raises((ValidationError, EditError)):
        History.model_validate(value)


# -- the document ----------------------------------------------------------------------------------------------


def woven_document() -> Document:
    document = Document(base=Template.of("base"), constitution=Constitution.of("one", "two"))
    keys = tuple(principle_key(p) for p in document.constitution.principles)
    return document.apply(TemplateEdit(template=Template.of("woven"), woven=keys))


def test_a_woven_prompt_lists_nothing():
    document = woven_document()
    assert (document.description.text, document.loose) == ("woven", ())


def test_a_new_principle_is_listed_below_the_woven_prompt():
    document = woven_document().apply(Add(text="three"))
    assert (document.description.text, [p.text for p in document.loose]) == ("woven", ["three"])


@pytest.mark.parametrize(
    "edit",
    [
        Delete(id="p1"),
        Edit(id="p1", text="uno"),
        Set(id="p1", field="enabled", value=False),
        Set(id="p1", field="condition", value="asked"),
    ],
)
def test_a_woven_prompt_that_says_what_no_longer_holds_is_not_sent(edit):
    document = woven_document().apply(edit)
    assert document.description.text == "base"
    assert "two" in [p.text for p in document.loose]


def test_a_move_or_group_does_not_unmake_the_woven_prompt():
    document = woven_document().apply(Move(id="p1", to=1)).apply(Set(id="p1", field="group", value="style"))
    assert document.description.text == "woven"


def test_a_deleted_principle_that_comes_back_by_undo_brings_back_the_woven_prompt():
    history = History(root=woven_document()).commit([Delete(id="p1")])
    assert history.document.description.text == "base"
    assert history.undo().document.description.text == "woven"


@pytest.mark.parametrize("text", ["woven", "woven {name} {other}", "woven {nom}"])
def test_a_woven_prompt_that_drops_or_invents_a_variable_is_refused(text: str):
    document = Document(base=Template.of("Greet {name}."))
    with pytest.raises(EditError, match="drops or invents"):
        document.apply(TemplateEdit(template=Template.of(text), woven=()))


def test_new_words_of_the_person_replace_the_woven_prompt():
    document = woven_document().apply(TemplateEdit(template=Template.of("mine")))
    assert (document.description.text, len(document.loose)) == ("mine", 2)


def test_the_fingerprint_of_a_document_depends_on_text_and_principles():
    document = Document(base=Template.of("a"), constitution=Constitution.of("one"))
    assert document.fingerprint() != document.model_copy(update={"base": Template.of("b")}).fingerprint()
    assert document.fingerprint() != document.apply(Add(text="two")).fingerprint()
