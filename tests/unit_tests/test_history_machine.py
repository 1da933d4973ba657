"""The history as a machine: whatever is done, in whatever order, nothing that was ever committed is lost or changed."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from langchain_model_alignment.constitution import Add, Delete, Edit, Move, Set, id_number
from langchain_model_alignment.errors import EditError
from langchain_model_alignment.feedback.records import AlignedPrompt
from langchain_model_alignment.history import AnyEdit, Document, Revision, TemplateEdit, principle_key
from langchain_model_alignment.templates import Template
from tests.unit_tests.test_constitution import adds, edits_for, words

texts = st.sampled_from(["Sum up {text}.", "Sum up {text} for {reader}.", 'As {"a": 1}: {text}', "No {} variable."])
refused = st.sampled_from(
    [
        Edit(id="p0", text="new"),
        Delete(id="p99999"),
        Move(id="q1", to=0),
        Set(id="", field="enabled", value=True),
        Add(text="far away", at=99999),
        Add(text="taken", id="p1"),
        TemplateEdit(template=Template.of("Drops all, {invents} one."), woven=()),
    ]
)


class HistoryMachine(RuleBasedStateMachine):
    """Edits, undoes, branches and reloads a prompt at random, beside a plain list of what was ever committed."""

    @initialize()
    def begin(self) -> None:
        self.aligned = AlignedPrompt.from_prompt("Sum up {text}.")
        self.seen: list[Revision] = []
        self.documents: dict[str | None, Document] = {None: self.aligned.document}
        # p1 is given first, so that giving it again is always refused.
        self._commit([Add(text="Be brief.")])

    def _commit(self, edits: list[AnyEdit]) -> None:
        before = self.aligned
        after = before.commit(edits, reason="why", author="person")
        assert self.aligned is before
        assert self.aligned.document == self.documents[before.history.head]
        revision = after.history.revisions[-1]
        assert (revision.parent, after.history.head) == (before.history.head, revision.id)
        used = {e.id for r in self.seen for e in r.edits if isinstance(e, Add)}
        added = [e.id for e in revision.edits if isinstance(e, Add)]
        assert not used & set(added), "an id was given twice"
        self.aligned = after
        self.seen.append(revision)
        self.documents[revision.id] = after.document

    def _stand_at(self, aligned: AlignedPrompt) -> None:
        assert aligned.history.revisions == self.aligned.history.revisions
        assert aligned.document == self.documents[aligned.history.head]
        self.aligned = aligned

    @rule(data=st.data())
    def commit_one(self, data: st.DataObject) -> None:
        self._commit([data.draw(edits_for(self.aligned.constitution))])

    @rule(first=adds, second=adds)
    def commit_two_at_once(self, first: Add, second: Add) -> None:
        self._commit([first, second])

    @rule(template=texts.map(Template.of))
    def change_the_text(self, template: Template) -> None:
        self._commit([TemplateEdit(template=template)])
        assert self.aligned.document.description == template

    @rule(text=words)
    def weave(self, text: str) -> None:
        document = self.aligned.document
        keys = tuple(principle_key(p) for p in document.constitution.enabled())
        woven = document.base.replace_text(0, f"{document.base.text}\n{text.translate({123: 40, 125: 41})}")
        self._commit([TemplateEdit(template=woven, woven=keys)])
        assert self.aligned.document.loose == ()

    @precondition(lambda self: self.aligned.history.head is not None)
    @rule()
    def undo(self) -> None:
        history = self.aligned.history
        undone = history.undo()
        assert undone.head == history.get(history.head).parent
        self._stand_at(self.aligned.with_history(undone))

    @precondition(lambda self: any(r.parent == self.aligned.history.head for r in self.seen))
    @rule()
    def redo(self) -> None:
        history = self.aligned.history
        newest = [r.id for r in self.seen if r.parent == history.head][-1]
        assert history.redo().head == newest
        self._stand_at(self.aligned.with_history(history.redo()))

    @rule(data=st.data())
    def rewind(self, data: st.DataObject) -> None:
        to = data.draw(st.sampled_from(list(self.documents)))
        history = self.aligned.history
        assert bool(history.diff(history.head, to)) or self._shown(history.head) == self._shown(to)
        self._stand_at(self.aligned.with_history(history.rewind(to)))

    def _shown(self, revision: str | None) -> object:
        document = self.documents[revision]
        told = {"id", "text", "enabled", "group", "condition"}
        return document.description.text, [p.model_dump(include=told) for p in document.constitution]

    @rule(form=st.sampled_from(["json", "yaml"]))
    def save_and_load(self, form: str) -> None:
        aligned = self.aligned
        again = (
            AlignedPrompt.from_json(aligned.to_json()) if form == "json" else AlignedPrompt.from_yaml(aligned.to_yaml())
        )
        assert again == aligned
        self._stand_at(again)

    @rule(edit=refused, add=adds)
    def refuse_what_cannot_be(self, edit: AnyEdit, add: Add) -> None:
        before = self.aligned.model_dump_json()
        with pytest.raises(EditError):
            self.aligned.commit([add, edit])
        assert self.aligned.model_dump_json() == before

    @rule(data=st.data())
    def an_earlier_revision_is_as_it_was(self, data: st.DataObject) -> None:
        revision = data.draw(st.sampled_from(list(self.documents)))
        assert self.aligned.history.at(revision) == self.documents[revision]

    @invariant()
    def no_revision_is_lost_or_changed(self) -> None:
        assert list(self.aligned.history.revisions) == self.seen

    @invariant()
    def ids_are_unique_and_below_the_counter(self) -> None:
        constitution = self.aligned.constitution
        ids = [p.id for p in constitution]
        assert len(set(ids)) == len(ids)
        assert all(id_number(id) < constitution.next_number for id in ids)

    @invariant()
    def every_variable_of_the_prompt_is_sent(self) -> None:
        assert self.aligned.effective.variables == self.aligned.document.base.variables

    def teardown(self) -> None:
        history = self.aligned.history
        for revision, document in self.documents.items():
            assert history.at(revision) == document
        assert len(history.tree().splitlines()) == len(self.documents)
        assert {step.id for tip in history.branches() for step in history.path(tip)} == {r.id for r in self.seen}


HistoryMachine.TestCase.settings = settings(
    deadline=None, max_examples=60, stateful_step_count=60, suppress_health_check=[HealthCheck.too_slow]
)
TestHistoryMachine = HistoryMachine.TestCase
