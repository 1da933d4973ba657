"""The code of the predecessor's README runs after changing the import and the model lines."""

import json
from typing import Any

from langchain_core.messages import BaseMessage

from tests.fakes import ScriptedChatModel

CRITIQUES = """1. The first item is too general.
2. The items are missing supporting details.
3. The first and second items are too similar."""
WOVEN = "Give three uses for the following item, and include at least one creative use for the item: {item}"


def model_that_behaves() -> ScriptedChatModel:
    """Answers as the README says its model did."""

    def reply(messages: list[BaseMessage]) -> str:
        asked = "\n".join(message.text for message in messages)
        if "list of principles" in messages[0].text:
            principle = "Include at least one creative use for the item"
            return json.dumps({"reason": "none is creative", "action": "add", "principle": principle})
        if "rewrite instructions" in messages[0].text or "change instructions" in messages[0].text:
            return json.dumps({"text": WOVEN})
        if "criticisms" in messages[0].text:
            return CRITIQUES
        last = "Make paper snowflakes." if "creative" in asked else "Cut hair."
        return f"1. Cut paper.\n2. Cut cloth.\n3. {last}"

    return ScriptedChatModel(reply)


def started() -> Any:
    from langchain_model_alignment import single_run

    single_run_prompt = single_run.AlignableSingleRun(model_that_behaves())
    single_run_prompt.set_model_description("Give three uses for the following item: {item}")
    return single_run_prompt


def test_prompt_construction_and_model_response():
    single_run_prompt = started()
    response = single_run_prompt.send_input({"item": "scissors"})
    assert response == "1. Cut paper.\n2. Cut cloth.\n3. Cut hair."


def test_generating_principles_from_feedback_and_applying_them():
    single_run_prompt = started()
    response = single_run_prompt.send_input("scissors")
    assert response == "1. Cut paper.\n2. Cut cloth.\n3. Cut hair."

    principles = single_run_prompt.critique_response("the list doesn't include any creative uses")
    assert [p.text for p in principles] == ["Include at least one creative use for the item"]

    updated = single_run_prompt.update_model_description_from_principles()
    assert updated == WOVEN

    new_response = single_run_prompt.send_input("scissors")
    assert new_response == "1. Cut paper.\n2. Cut cloth.\n3. Make paper snowflakes."


def test_automatically_creating_feedback():
    single_run_prompt = started()
    single_run_prompt.send_input("scissors")
    assert single_run_prompt.generate_critiques() == [
        "The first item is too general.",
        "The items are missing supporting details.",
        "The first and second items are too similar.",
    ]


def test_direct_access_to_the_underlying_prompt_info():
    single_run_prompt = started()
    single_run_prompt.send_input("scissors")
    single_run_prompt.critique_response("the list doesn't include any creative uses")
    data = single_run_prompt.data
    assert data.description == "Give three uses for the following item: {item}"
    assert [p.text for p in data.constitution.principles] == ["Include at least one creative use for the item"]
    assert [(e.inputs, e.response) for e in data.exchanges] == [
        ({"item": "scissors"}, "1. Cut paper.\n2. Cut cloth.\n3. Cut hair.")
    ]


def test_updating_prompts_directly_from_feedback():
    single_run_prompt = started()
    single_run_prompt.send_input("scissors")
    updated = single_run_prompt.update_model_description_from_feedback("the list doesn't include any creative uses")
    assert updated == WOVEN


def test_a_separate_model_for_the_alignment():
    from langchain_model_alignment import single_run

    first, second = model_that_behaves(), model_that_behaves()
    single_run_prompt = single_run.AlignableSingleRun(first, second)
    single_run_prompt.set_model_description("Give three uses for the following item: {item}")
    single_run_prompt.send_input("scissors")
    single_run_prompt.critique_response("the list doesn't include any creative uses")
    assert (first.calls, second.calls) == (1, 1)


# -- constitutional experts ------------------------------------------------------------------------------------

ANIMALS = ["cat", "dog", "people", "sister", "bird", "fish"]


def judge_that_learns() -> ScriptedChatModel:
    """Labels hate where a principle speaks of it, and writes the README's principles."""

    def reply(messages: list[BaseMessage]) -> str:
        system, last = messages[0].text, messages[-1].text
        if not system.startswith("Does the example contain offensive text?"):
            hateful = "hate" in last.split("comment: ", 1)[-1].split("\n")[0]
            if '"second_text"' in last:
                text = "Comment contains content that expresses hate or discrimination."
                return json.dumps({"edits": [{"kind": "add", "label": "True", "text": text}]})
            return "Comment expresses dislike." if hateful else "Comment does not contain negative language."
        if len(messages) > 2:
            return "1"
        return "True" if "hate" in last and ("discrimination" in system or "people" in last) else "False"

    return ScriptedChatModel(reply)


def hate_table(n: int, start: int = 0) -> Any:
    import pandas as pd

    said = [f"I {'hate' if at % 2 else 'love'} all {ANIMALS[at % 6]}s of kind {at}" for at in range(start, start + n)]
    return pd.DataFrame({"comment": said, "isHate": ["hate" in text for text in said]})


def test_constitutional_experts(capsys: Any):
    import pandas as pd

    from langchain_model_alignment import labeler

    labeler_maker = labeler.Labeler(
        input_names=["comment"],  # The input features on which classification is based.
        label_name="isHate",  # The feature to be predicted.
        label_values=[True, False],
        task_description="Does the example contain offensive text?",
        train_model=judge_that_learns(),
        eval_model=judge_that_learns(),
    )
    train_df, test_df = hate_table(80), hate_table(30, 1000)
    toxicity_labeler = labeler_maker.initialize_checkpoint(train_df)

    for _ in range(2):
        toxicity_labeler = labeler_maker.train_step(toxicity_labeler, train_df)
        predictions = labeler_maker.infer_checkpoint(toxicity_labeler, test_df)
        scorecard = labeler_maker.get_scorecard(test_df, predictions)
        print(f"Accuracy: {scorecard['accuracy']}")

    labeler.print_checkpoint(toxicity_labeler)

    new_examples = pd.DataFrame({"comment": ["I hate all people", "I love my sister"]})
    predictions = labeler_maker.infer_checkpoint(toxicity_labeler, new_examples)
    inputs = ["comment"]
    for index, item in enumerate(zip(new_examples.iterrows(), predictions, strict=True)):
        _, example = item[0]
        print(f"Example {index}")
        features = example[inputs].to_dict()
        for feature in inputs:
            print(f"{feature}: {features[feature]}")
        print("Prediction:", item[1]["prediction"])

    told = capsys.readouterr().out
    assert told.splitlines()[:2] == ["Accuracy: 1.0", "Accuracy: 1.0"]
    assert "==================== Attributes for: False ====================" in told
    assert "Comment contains content that expresses hate or discrimination." in told
    assert "Example 0\ncomment: I hate all people\nPrediction: True" in told
    assert "Example 1\ncomment: I love my sister\nPrediction: False" in told
