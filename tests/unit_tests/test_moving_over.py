"""What model-alignment 0.3 made is read as plain values; the JSON here is as `json.dump(…, default=vars)` wrote it."""

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from langchain_model_alignment import (
    AlignableSingleRun,
    AlignedPrompt,
    Labeler,
    Rulebook,
    prompt_from_model_alignment,
    rulebook_from_model_alignment,
)
from langchain_model_alignment.errors import ArtifactError, DataWarning, PromptError
from tests.fakes import ScriptedChatModel

CHECKPOINT = {
    "attributes": [
        {"id": "93931", "value": "Comment does not contain hateful language.", "label": "False"},
        {"id": "62194", "value": "Comment expresses hate towards a group.\n", "label": "True"},
        {"id": "62194", "value": "Comment threatens a person.", "label": "True"},
    ]
}
OWN = "Give three uses for the following item: {item}"
WOVEN = "Give three uses for the following item, at least one of them creative: {item}"


def user(text: str, **vars: str) -> dict[str, Any]:
    return {"is_user": True, "text": text, "vars": vars}


def model(text: str) -> dict[str, Any]:
    return {"is_user": False, "text": text, "vars": {}}


def prompt(**changed: Any) -> dict[str, Any]:
    answered = [user("Give three uses for the following item: rope", item="rope"), model("Tie, pull, climb.")]
    made = {"preamble": OWN, "original_preamble": OWN, "principles": ["Be brief."], "conversations": [answered]}
    return {**made, **changed}


def maker(labels: Any = (True, False)) -> Labeler:
    llm = ScriptedChatModel(lambda messages: "True" if "hate" in messages[-1].text else "False")
    return Labeler(["comment"], "isHate", labels, "Does the example contain offensive text?", llm)


# -- a checkpoint ----------------------------------------------------------------------------------------------


def test_a_checkpoint_becomes_a_rulebook_whose_principles_know_where_they_come_from():
    rulebook = rulebook_from_model_alignment(CHECKPOINT, maker())
    assert [(p.id, p.label, p.text) for p in rulebook.enabled()] == [
        ("p1", "False", "Comment does not contain hateful language."),
        ("p2", "True", "Comment expresses hate towards a group."),
        ("p3", "True", "Comment threatens a person."),
    ]
    assert rulebook.constitution.get("p1").reason.endswith("attribute 93931")


def test_two_attributes_that_shared_an_id_can_be_told_apart_again():
    rulebook = rulebook_from_model_alignment(CHECKPOINT, maker())
    assert len({p.id for p in rulebook.constitution}) == 3


def test_the_rulebook_labels_at_once_with_the_labels_own_values():
    our = maker()
    rulebook = rulebook_from_model_alignment(CHECKPOINT, our)
    found = our.infer_checkpoint(rulebook, [{"comment": "I hate you all"}, {"comment": "I love my sister"}])
    assert [p["prediction"] for p in found] == [True, False]


def test_the_attributes_alone_and_a_file_will_do(tmp_path: Path):
    path = tmp_path / "checkpoint.json"
    path.write_text(json.dumps(CHECKPOINT), encoding="utf-8")
    whole = rulebook_from_model_alignment(CHECKPOINT, maker())
    assert rulebook_from_model_alignment(CHECKPOINT["attributes"], maker()) == whole
    assert rulebook_from_model_alignment(path, maker()) == rulebook_from_model_alignment(str(path), maker()) == whole


def test_what_is_read_can_be_saved_and_loaded_as_a_rulebook(tmp_path: Path):
    rulebook = rulebook_from_model_alignment(CHECKPOINT, maker())
    assert Rulebook.load(rulebook.save(tmp_path / "rulebook.json")) == rulebook


def test_a_label_of_a_float_column_is_found_as_it_was_written():
    saved = [{"id": "1", "value": "It insults.", "label": "1.0"}]
    [principle] = rulebook_from_model_alignment(saved, maker((1.0, 0.0))).enabled()
    assert principle.label == "1"


def test_a_label_that_the_labeler_does_not_know_is_told_with_those_it_does():
    saved = [{"id": "1", "value": "It insults.", "label": "spam"}]
    with pytest.raises(ArtifactError, match="'spam', which is none of the labeler's; its labels are: True, False"):
        rulebook_from_model_alignment(saved, maker())


def test_an_attribute_without_words_is_left_out_and_told():
    saved = [*CHECKPOINT["attributes"], {"id": "4", "value": " ", "label": "True"}]
    with pytest.warns(DataWarning, match="principles without words, which are left out: 1 of them"):
        rulebook = rulebook_from_model_alignment(saved, maker())
    assert len(rulebook.enabled()) == 3


# -- a single run ----------------------------------------------------------------------------------------------


def test_a_prompt_keeps_its_text_its_principles_and_its_answered_inputs():
    aligned = prompt_from_model_alignment(prompt())
    assert aligned.description == OWN
    assert [p.text for p in aligned.principles] == ["Be brief."]
    assert [(e.id, e.inputs, e.response) for e in aligned.exchanges] == [("e1", {"item": "rope"}, "Tie, pull, climb.")]


def test_principles_that_were_never_sent_are_listed_below_the_text():
    assert "- Be brief." in prompt_from_model_alignment(prompt()).effective.text


def test_a_rewritten_text_is_sent_as_it_was_and_says_its_principles():
    saved = prompt(preamble=WOVEN, principles=["At least one use must be creative."])
    aligned = prompt_from_model_alignment(saved)
    assert aligned.effective.text == WOVEN
    assert not aligned.needs_weaving


def test_a_principle_that_the_rewritten_text_does_not_say_is_listed_below_it():
    saved = prompt(preamble=WOVEN, principles=["At least one use must be creative.", "Name no brands."])
    assert prompt_from_model_alignment(saved).effective.text.startswith(WOVEN)
    assert [p.text for p in prompt_from_model_alignment(saved).document.loose] == ["Name no brands."]


def test_a_text_that_feedback_changed_directly_counts_as_the_persons_own():
    aligned = prompt_from_model_alignment(prompt(preamble=WOVEN, principles=[]))
    assert aligned.document.base.text == WOVEN


def test_each_step_of_the_moving_over_can_be_undone():
    saved = prompt(preamble=WOVEN, principles=["At least one use must be creative."])
    run = AlignableSingleRun(ScriptedChatModel(), data=prompt_from_model_alignment(saved))
    run.undo()
    assert run.get_model_description() == OWN
    assert run.undo() == []


def test_double_braces_of_the_old_format_string_become_single_ones():
    saved = prompt(preamble='Answer as {{"uses": []}} about {item}.', original_preamble="", principles=[])
    aligned = prompt_from_model_alignment(saved)
    assert aligned.fill("a rope")[0].text == 'Answer as {"uses": []} about a rope.'


def test_a_name_in_double_braces_stays_text():
    saved = prompt(preamble="Sum up {text} and sign as {{name}}.", original_preamble="", principles=[])
    assert prompt_from_model_alignment(saved).fill("a rope")[0].text == "Sum up a rope and sign as {name}."


def test_a_text_that_the_old_library_could_not_fill_in_is_taken_as_it_is():
    saved = prompt(preamble='Answer {item} as {"uses": []}.', original_preamble="", principles=[])
    assert prompt_from_model_alignment(saved).fill("a rope")[0].text == 'Answer a rope as {"uses": []}.'


def test_a_name_that_is_both_a_variable_and_text_is_refused():
    with pytest.raises(PromptError, match="item both as a variable and as text"):
        prompt_from_model_alignment(prompt(preamble="{item} or {{item}}", original_preamble=""))


def test_a_rewritten_text_that_lost_its_variable_is_refused_with_what_to_do():
    with pytest.raises(ArtifactError, match=r"drops or invents \{item\}; put that right in its preamble"):
        prompt_from_model_alignment(prompt(preamble="Give three creative uses."))


def test_a_conversation_that_a_failed_call_left_half_made_is_left_out():
    saved = prompt(conversations=[[user("rope", item="rope")], [], [user("tape", item="tape"), model("Tape it.")]])
    assert [e.inputs for e in prompt_from_model_alignment(saved).exchanges] == [{"item": "tape"}]


def test_several_candidates_are_kept_with_none_of_them_chosen():
    saved = prompt(conversations=[[user("rope", item="rope"), [model("Tie."), model("Pull.")]]])
    [exchange] = prompt_from_model_alignment(saved).exchanges
    assert (exchange.candidates, exchange.response) == (("Tie.", "Pull."), None)


def test_further_turns_of_a_conversation_go_on_from_the_first():
    turns = [user("rope", item="rope"), model("Tie."), user("And in winter?"), model("Pull a sledge.")]
    first, second = prompt_from_model_alignment(prompt(conversations=[turns])).exchanges
    assert (first.response, second.after, second.message) == ("Tie.", first.id, "And in winter?")
    assert second.response == "Pull a sledge."


def test_feedback_goes_on_where_the_old_run_stopped():
    decision = '{"reason": "asked", "action": "add", "principle": "Name a use in winter."}'
    run = AlignableSingleRun(ScriptedChatModel(decision), data=prompt_from_model_alignment(prompt()))
    assert [p.text for p in run.critique_response("name a use in winter")] == ["Be brief.", "Name a use in winter."]


def test_what_is_read_can_be_saved_and_loaded_as_a_prompt(tmp_path: Path):
    aligned = prompt_from_model_alignment(prompt(preamble=WOVEN))
    assert AlignedPrompt.load(aligned.save(tmp_path / "prompt.json")) == aligned


def test_no_principles_at_all_is_no_principles():
    assert prompt_from_model_alignment(prompt(principles=None)).principles == []


# -- files that are none ---------------------------------------------------------------------------------------


class Trap:
    """A pickle of it runs code when it is opened."""

    def __reduce__(self) -> Any:
        return exec, ("raise SystemExit('opened')",)


@pytest.mark.parametrize("protocol", [0, pickle.HIGHEST_PROTOCOL])
def test_a_pickle_is_never_opened_and_the_error_says_what_to_write_instead(tmp_path: Path, protocol: int):
    path = tmp_path / "checkpoint.pkl"
    path.write_bytes(pickle.dumps(Trap(), protocol=protocol))
    with pytest.raises(ArtifactError, match=r"json\.dump\(…, file, default=vars\)"):
        rulebook_from_model_alignment(path, maker())
    with pytest.raises(ArtifactError, match="a pickle is never opened"):
        prompt_from_model_alignment(path)


@pytest.mark.parametrize("value", [None, 3, {}, {"attributes": [{"value": 1}]}, {"preamble": 3}])
def test_other_values_are_refused_in_one_sentence(value: Any):
    with pytest.raises(ArtifactError, match="is no labeler checkpoint of model-alignment"):
        rulebook_from_model_alignment(value, maker())
    with pytest.raises(ArtifactError, match="is no single-run prompt of model-alignment"):
        prompt_from_model_alignment(value)


def test_a_file_that_is_not_there_is_told():
    with pytest.raises(ArtifactError, match=r"nowhere\.json cannot be read"):
        prompt_from_model_alignment("nowhere.json")
