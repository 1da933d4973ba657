"""An aligned prompt is an immutable value: JSON in and out, files that last, damage that is named."""

import functools
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import RunnableLambda
from pydantic import ValidationError

from langchain_model_alignment.cache import MemoryCache
from langchain_model_alignment.calls import Caller
from langchain_model_alignment.constitution import Add, Constitution, Delete, Edit
from langchain_model_alignment.errors import ArtifactError, EditError, FeedbackError, PromptError
from langchain_model_alignment.feedback.exchanges import Exchange, Feedback, parse_feedback
from langchain_model_alignment.feedback.records import AlignedPrompt
from langchain_model_alignment.history import Document, History, TemplateEdit
from langchain_model_alignment.templates import Template
from tests.fakes import ScriptedChatModel


@functools.cache  # two of them could differ by the second in which they were made
def aligned() -> AlignedPrompt:
    """A prompt with two principles, a branch, a woven text and an exchange."""
    prompt = AlignedPrompt.from_prompt('Give three uses for {item} as {"uses": []}.')
    prompt = prompt.commit([Add(text="Be brief.")], reason="critique", author="model")
    prompt = prompt.commit([Add(text="Lost on a branch.")])
    prompt = prompt.with_history(prompt.history.undo()).commit([Add(text="Keep {item} {{x}}.", evidence=("e1.f1",))])
    return prompt.with_exchange(
        Exchange(
            id="e1",
            inputs={"item": "{rope}"},
            candidates=("Tie it.", "Cut it."),
            response="Cut it.",
            feedback=(Feedback(kind="critique", text="Keep {item}", response="Cut it."),),
            revision="r1",
        )
    )


def test_json_round_trip():
    assert AlignedPrompt.from_json(aligned().to_json()) == aligned()
    assert AlignedPrompt.from_json(aligned().to_json().encode()) == aligned()


@settings(deadline=None, max_examples=30)
@given(st.text(max_size=60), st.text(max_size=30), st.text(max_size=30))
def test_any_text_goes_through_json(prompt: str, response: str, value: str):
    whole = AlignedPrompt.from_prompt(prompt).with_exchange(
        Exchange(id="e1", inputs={"x": value}, candidates=(response,), response=response)
    )
    assert AlignedPrompt.from_json(whole.to_json()) == whole


def test_half_an_emoji_from_a_model_does_not_stop_a_save(tmp_path: Path):
    prompt = aligned().with_exchange(Exchange(id="e2", candidates=("broken \ud83d",), response="broken \ud83d"))
    path = prompt.save(tmp_path / "prompt.json")
    assert AlignedPrompt.load(path).exchanges[-1].response is not None


def test_the_json_is_readable_and_holds_description_and_principles():
    value = json.loads(aligned().to_json())
    assert value["kind"] == "aligned_prompt"
    assert value["schema_version"] == 2
    assert value["description"] == 'Give three uses for {item} as {"uses": []}.'
    assert [p["text"] for p in value["constitution"]["principles"]] == ["Be brief.", "Keep {item} {{x}}."]


def test_a_file_round_trips_and_leaves_nothing_beside_it(tmp_path: Path):
    path = aligned().save(tmp_path / "new" / "prompt.json")
    assert AlignedPrompt.load(path) == aligned()
    assert [p.name for p in path.parent.iterdir()] == ["prompt.json"]


def test_a_save_replaces_the_file_whole(tmp_path: Path):
    path = aligned().save(tmp_path / "prompt.json")
    AlignedPrompt.from_prompt("short").save(path)
    assert AlignedPrompt.load(path).description == "short"


def test_a_save_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = aligned().save(tmp_path / "prompt.json")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(ArtifactError, match="No space left"):
        AlignedPrompt.from_prompt("short").save(path)
    monkeypatch.undo()
    assert AlignedPrompt.load(path) == aligned()
    assert [p.name for p in tmp_path.iterdir()] == ["prompt.json"]


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ArtifactError, match="choose another place"):
        aligned().save(tmp_path / "file" / "prompt.json")


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(ArtifactError, match=r"none\.json cannot be read"):
        AlignedPrompt.load(tmp_path / "none.json")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "not json",
        "[]",
        "null",
        "3",
        '"text"',
        "{}",
        '{"kind": "rulebook"}',
        "[" * 100_000,
        "\x00",
        '{"a": NaN}',
    ],
)
def test_what_is_foreign_is_refused(text: str, tmp_path: Path):
    path = tmp_path / "foreign.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"foreign\.json"):
        AlignedPrompt.load(path)
    with pytest.raises(ArtifactError):
        AlignedPrompt.from_json(text)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path):
    path = tmp_path / "weights.gguf"
    path.write_bytes(b"GGUF\xff\xfe\x00\x80" * 100)
    with pytest.raises(ArtifactError, match="not JSON"):
        AlignedPrompt.load(path)


@pytest.mark.parametrize("version", [3, 99, 0, -1, "1", None, 1.5])
def test_another_version_is_refused(version: Any):
    value = {**json.loads(aligned().to_json()), "schema_version": version}
    with pytest.raises(ArtifactError, match="version"):
        AlignedPrompt.from_dict(value)


def test_a_newer_version_is_told_to_update():
    value = {**json.loads(aligned().to_json()), "schema_version": 3}
    with pytest.raises(ArtifactError, match="update langchain-model-alignment"):
        AlignedPrompt.from_dict(value)


def _principle_reworded(value: dict[str, Any]) -> None:
    value["constitution"]["principles"][0]["text"] = "Be long."


def _principle_taken_out(value: dict[str, Any]) -> None:
    del value["constitution"]["principles"][0]


def _description_changed(value: dict[str, Any]) -> None:
    value["description"] = "Something else."


@pytest.mark.parametrize("change", [_principle_reworded, _principle_taken_out, _description_changed])
def test_a_constitution_changed_by_hand_is_refused_and_says_what_to_do(change: Any):
    value = json.loads(aligned().to_json())
    change(value)
    with pytest.raises(ArtifactError, match="changed by hand"):
        AlignedPrompt.from_dict(value)


def test_description_and_constitution_without_a_history_begin_anew():
    value = json.loads(aligned().to_json())
    del value["history"]
    prompt = AlignedPrompt.from_dict(value)
    assert [p.text for p in prompt.principles] == ["Be brief.", "Keep {item} {{x}}."]
    assert prompt.commit([Add(text="More.")]).principles[-1].id == "p4"


def test_a_prompt_written_by_hand_can_grow():
    value = {
        "kind": "aligned_prompt",
        "schema_version": 1,
        "description": "Uses of {item}?",
        "constitution": {"principles": [{"id": "p1", "text": "Be brief."}]},
    }
    grown = AlignedPrompt.from_dict(value).commit([Add(text="Be kind.")])
    assert [p.text for p in grown.principles] == ["Be brief.", "Be kind."]


def _unknown_field(value: dict[str, Any]) -> None:
    value["weights"] = 1


def _wrong_head(value: dict[str, Any]) -> None:
    value["history"]["head"] = "r99"


def _edit_of_nothing(value: dict[str, Any]) -> None:
    value["history"]["revisions"][2]["edits"] = [{"op": "delete", "id": "p77"}]


def _edit_of_nothing_without_the_computed(value: dict[str, Any]) -> None:
    _edit_of_nothing(value)
    del value["description"], value["constitution"]


def _principles_are_text(value: dict[str, Any]) -> None:
    value["constitution"] = "Be brief."


def _history_is_a_list(value: dict[str, Any]) -> None:
    value["history"] = []


def _unknown_kind_of_feedback(value: dict[str, Any]) -> None:
    value["exchanges"][0]["feedback"][0]["kind"] = "applause"


DAMAGES = [
    _unknown_field,
    _wrong_head,
    _edit_of_nothing,
    _edit_of_nothing_without_the_computed,
    _principles_are_text,
    _history_is_a_list,
    _unknown_kind_of_feedback,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_one_sentence_without_the_contents(damage: Any):
    value = json.loads(aligned().to_json())
    damage(value)
    with pytest.raises(ArtifactError, match="damaged") as caught:
        AlignedPrompt.from_dict(value)
    assert "\n" not in str(caught.value)
    assert "Cut it." not in str(caught.value)


def test_dates_and_messages_among_the_inputs_are_kept_in_json():
    prompt = aligned().with_exchange(
        Exchange(id="e2", inputs={"day": date(2026, 1, 2), "history": [HumanMessage("hi {x}"), AIMessage("hello")]})
    )
    inputs = AlignedPrompt.from_json(prompt.to_json()).exchanges[-1].inputs
    assert inputs["day"] == "2026-01-02"
    template = Template.from_prompt(ChatPromptTemplate([("system", "Go."), MessagesPlaceholder("history")]))
    assert [m.text for m in template.fill({"history": inputs["history"]})] == ["Go.", "hi {x}", "hello"]


# -- the value -------------------------------------------------------------------------------------------------


def test_what_is_sent_lists_the_principles_below():
    assert aligned().effective.text == (
        'Give three uses for {item} as {"uses": []}.\n\nFollow these principles:\n- Be brief.\n- Keep {item} {{x}}.'
    )


def test_braces_of_principles_and_values_stay_text_when_filled():
    text = aligned().fill({"item": "{rope}"})[0].text
    assert text.startswith('Give three uses for {rope} as {"uses": []}.')
    assert text.endswith("- Keep {item} {{x}}.")


def test_langchain_gets_the_same_prompt():
    assert aligned().to_prompt().format_messages(item="{rope}") == aligned().fill("{rope}")


def test_a_new_description_keeps_the_principles():
    prompt = aligned().set_description("Name {item}.")
    assert prompt.description == "Name {item}."
    assert len(prompt.principles) == 2


def test_a_langchain_prompt_is_taken_and_given_back():
    source = ChatPromptTemplate([("system", "Be {mood}."), MessagesPlaceholder("h", optional=True), ("human", "{q}")])
    prompt = AlignedPrompt.from_prompt(source.partial(mood="kind"))
    assert prompt.to_prompt().format_messages(q="{x}") == source.partial(mood="kind").format_messages(q="{x}")


def test_as_a_runnable_it_is_answered_with_its_principles_and_streams():
    model = GenericFakeChatModel(messages=iter([AIMessage("Tie a knot.")] * 3))
    chain = aligned().as_runnable(model)
    assert chain.invoke({"item": "a {rope}"}).text == "Tie a knot."
    assert [piece.text for piece in chain.stream("rope")][:3] == ["Tie", " ", "a"]
    assert list(chain.get_input_jsonschema()["properties"]) == ["item"]


async def test_the_runs_of_a_prompt_say_which_revision_answered():
    model, prompt = ScriptedChatModel("Tie a knot."), aligned()
    for llm in (model, Caller(model)):
        events = prompt.as_runnable(llm).astream_events("rope", version="v2")
        runs = [e async for e in events if e["event"].endswith("_start")]
        assert (runs[0]["name"], runs[-1]["name"]) == ("aligned_prompt", "ScriptedChatModel")
        assert {run["metadata"]["alignment_revision"] for run in runs} == {prompt.history.head}
        assert model.last.messages == prompt.fill("rope")


def test_as_a_runnable_it_takes_a_name_a_caller_or_any_runnable(monkeypatch: pytest.MonkeyPatch):
    model = ScriptedChatModel(["one", "two"])
    monkeypatch.setattr("langchain_model_alignment.models.resolve_chat_model", lambda name: model)
    caller = Caller(model, cache=MemoryCache())
    shout = RunnableLambda(lambda prompt: prompt.to_messages()[0].text.upper())
    answers = [aligned().as_runnable(llm).invoke("rope") for llm in ("scripted:model", caller, caller, shout)]
    assert [answer.text for answer in answers[:3]] == ["one", "two", "two"]
    assert answers[3] == aligned().fill("rope")[0].text.upper()


def test_every_change_returns_another_value():
    prompt = aligned()
    before = prompt.to_json()
    prompt.commit([Add(text="more")])
    prompt.set_description("other")
    prompt.with_exchange(Exchange(id="e9"))
    assert prompt.to_json() == before
    with pytest.raises(ValidationError):
        prompt.exchanges = ()  # type: ignore[misc]


def test_a_refused_edit_keeps_the_prompt():
    with pytest.raises(EditError):
        aligned().commit([Add(text="more"), Delete(id="p77")])


def test_an_exchange_with_a_known_id_is_replaced():
    prompt = aligned().with_exchange(Exchange(id="e2")).with_exchange(Exchange(id="e1", response="new"))
    assert [(e.id, e.response) for e in prompt.exchanges] == [("e1", "new"), ("e2", None)]


def test_a_revision_tells_when_why_and_by_whom():
    revision = aligned().history.revisions[0]
    assert (revision.reason, revision.author) == ("critique", "model")
    assert revision.time.endswith("+00:00")


@pytest.mark.parametrize("text", ["", "  ", "\n"])
def test_empty_feedback_is_refused_in_one_sentence(text: str):
    with pytest.raises(FeedbackError, match="empty"):
        parse_feedback("critique", text, "An answer.")


def test_a_prompt_needs_weaving_until_its_text_says_the_enabled_principles():
    prompt = AlignedPrompt(history=History(root=Document(base=Template.of("x"))))
    assert not prompt.needs_weaving
    prompt = prompt.commit([Add(text="one")])
    assert prompt.needs_weaving
    keys = tuple(f"p1:{k.split(':')[1]}" for k in _keys(prompt))
    woven = prompt.commit([TemplateEdit(template=Template.of("x one"), woven=keys)])
    assert not woven.needs_weaving
    assert woven.commit([Edit(id="p1", text="uno")]).needs_weaving
    assert woven.commit([Delete(id="p1")]).needs_weaving


def _keys(prompt: AlignedPrompt) -> list[str]:
    from langchain_model_alignment.history import principle_key

    return [principle_key(p) for p in prompt.constitution.enabled()]


def test_an_empty_prompt_of_placeholders_cannot_list_principles():
    prompt = AlignedPrompt.from_prompt(ChatPromptTemplate([MessagesPlaceholder("history")]))
    with pytest.raises(PromptError, match="system message"):
        prompt.commit([Add(text="Be brief.")]).fill({"history": []})


def test_the_constitution_is_the_one_at_the_head():
    prompt = aligned()
    assert prompt.constitution == prompt.history.document.constitution
    assert prompt.with_history(prompt.history.rewind(None)).constitution == Constitution()
