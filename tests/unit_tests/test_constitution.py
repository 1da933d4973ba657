"""Edits make the next constitution; a history of them loses nothing."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
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


# -- the history as a machine ----------------------------------------------------------------------------------


class HistoryMachine(RuleBasedStateMachine):
    """Commits, undoes, branches and reloads at random, against a plain list of what was ever committed."""

    @initialize()
    def begin(self) -> None:
        self.history = History(root=Document(base=Template.of("Sum up {text}.")))
        self.seen: list[Revision] = []
        self.documents: dict[str, Document] = {}
        self.given_ids: set[str] = set()

    def _commit(self, edits: list) -> None:
        before = self.history
        after = before.commit(edits, reason="why", author="person", time="2026-01-01T00:00:00+00:00")
        assert self.history == before
        added = [edit.id for edit in after.revisions[-1].edits if isinstance(edit, Add)]
        assert not self.given_ids & set(added), "an id was given twice"
        self.given_ids |= set(added)
        self.history = after
        self.seen.append(after.revisions[-1])
        self.documents[after.revisions[-1].id] = after.document

    @rule(data=st.data())
    def commit_one(self, data: st.DataObject) -> None:
        self._commit([data.draw(edits_for(self.history.document.constitution))])

    @rule(first=adds, second=adds)
    def commit_two_at_once(self, first: Add, second: Add) -> None:
        self._commit([first, second])

    @rule(text=words)
    def change_the_text(self, text: str) -> None:
        self._commit([TemplateEdit(template=Template.of(text))])
        assert self.history.document.description == Template.of(text)

    @rule()
    def weave(self) -> None:
        keys = tuple(principle_key(p) for p in self.history.document.constitution.enabled())
        self._commit([TemplateEdit(template=Template.of("woven {text}"), woven=keys)])
        assert self.history.document.loose == ()

    @precondition(lambda self: self.history.head is not None)
    @rule()
    def undo_then_redo(self) -> None:
        undone = self.history.undo()
        assert undone.revisions == self.history.revisions
        children = [r.id for r in self.history.revisions if r.parent == undone.head]
        assert undone.redo().head == children[-1]

    @precondition(lambda self: self.history.head is not None)
    @rule()
    def undo(self) -> None:
        self.history = self.history.undo()

    @precondition(lambda self: any(r.parent == self.history.head for r in self.history.revisions))
    @rule()
    def redo(self) -> None:
        self.history = self.history.redo()

    @rule(data=st.data())
    def rewind(self, data: st.DataObject) -> None:
        self.history = self.history.rewind(data.draw(st.sampled_from([None, *(r.id for r in self.seen)])))

    @rule()
    def reload(self) -> None:
        again = History.model_validate_json(self.history.model_dump_json())
        assert again == self.history
        self.history = again

    @precondition(lambda self: self.history.document.constitution.principles)
    @rule(data=st.data())
    def delete_then_undo(self, data: st.DataObject) -> None:
        document = self.history.document
        id = data.draw(st.sampled_from([p.id for p in document.constitution.principles]))
        self._commit([Delete(id=id)])
        assert id not in {p.id for p in self.history.document.constitution.principles}
        self.history = self.history.undo()
        assert self.history.document == document

    @rule(id=st.sampled_from(["p0", "p9999", "q1", ""]))
    def refuse_what_cannot_be(self, id: str) -> None:
        before = self.history.model_dump_json()
        with pytest.raises(EditError):
            self.history.commit([Add(text="fine"), Edit(id=id, text="new")])
        assert self.history.model_dump_json() == before

    @invariant()
    def nothing_is_lost(self) -> None:
        assert list(self.history.revisions) == self.seen
        for id, document in self.documents.items():
            assert self.history.at(id) == document

    @invariant()
    def ids_are_unique(self) -> None:
        ids = [p.id for p in self.history.document.constitution.principles]
        assert len(set(ids)) == len(ids)

    @invariant()
    def every_revision_is_below_a_branch(self) -> None:
        reached = {step.id for tip in self.history.branches() for step in self.history.path(tip)}
        assert reached == {r.id for r in self.seen}


HistoryMachine.TestCase.settings = settings(deadline=None, max_examples=20, stateful_step_count=20)
TestHistoryMachine = HistoryMachine.TestCase


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


def test_new_words_of_the_person_replace_the_woven_prompt():
    document = woven_document().apply(TemplateEdit(template=Template.of("mine")))
    assert (document.description.text, len(document.loose)) == ("mine", 2)


def test_the_fingerprint_of_a_document_depends_on_text_and_principles():
    document = Document(base=Template.of("a"), constitution=Constitution.of("one"))
    assert document.fingerprint() != document.model_copy(update={"base": Template.of("b")}).fingerprint()
    assert document.fingerprint() != document.apply(Add(text="two")).fingerprint()
