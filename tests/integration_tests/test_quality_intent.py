"""How many wishes the real local Qwen model keeps, before and after a principle is written anew.

Run with ``pytest -m quality -s``; about a quarter of an hour on two cores. Ten feedbacks were written for it, each with
words that an answer must not have where the wish is kept: code reads the answers, beside the model that judges them.
"""

import re
from dataclasses import dataclass
from typing import Any

import pytest

from langchain_model_alignment import AlignableSingleRun, Caller, MemoryCache
from langchain_model_alignment.errors import WeightsError
from langchain_model_alignment.feedback.exchanges import Verdict
from langchain_model_alignment.local.weights import weights_path

pytestmark = pytest.mark.quality

NAME = "qwen2.5-coder-1.5b"


@dataclass(frozen=True)
class Case:
    """A prompt, an input, what a person said, and a pattern of what goes against it."""

    prompt: str
    value: str
    said: str
    against: str


CASES = [
    Case(
        "Give a short recipe for {dish}.",
        "beef stew",
        "I do not want to use any alcohol",
        r"wine|beer|brandy|sherry|port\b|ale\b|stout|vodka|rum\b",
    ),
    Case("Plan a day in {city}.", "Rome", "I can't walk far, my knee hurts", r"walk|hike|stroll|on foot|climb"),
    Case(
        "Suggest three birthday gifts for {person}.",
        "a ten-year-old boy",
        "nothing with a screen, please",
        r"screen|tablet|console|video ?game|phone|computer|laptop|\btv\b|e-reader|drone",
    ),
    Case(
        "Give a menu of three courses for {guest}.",
        "a vegetarian",
        "she eats no eggs and no milk products",
        r"\beggs?\b|cheese|cream|\bmilk\b|butter|yogh?urt|mozzarella|feta|parmesan|ricotta",
    ),
    Case("Explain {term} to a beginner.", "inflation", "no numbers, please", r"\d"),
    Case("Recommend a weekend trip from {city}.", "Berlin", "we don't fly", r"flight|\bfly|plane\b|airport"),
    Case(
        "Describe {animal} for a children's book.",
        "a wolf",
        "my daughter is afraid of blood and killing",
        r"kill|blood|dead|death|\bprey|hunt|slaughter",
    ),
    Case(
        "Name five snacks for {occasion}.",
        "a school trip",
        "two of the children are allergic to nuts",
        r"\bnuts?\b|almond|cashew|pecan|peanut|trail mix|hazelnut|walnut|pistachio",
    ),
    Case(
        "Write a short advertisement for {product}.",
        "a running shoe",
        "we may not promise that it makes you faster",
        r"fast|speed|quick|swift",
    ),
    Case(
        "Write a short note that invites {name} to dinner.",
        "Ben",
        "don't name a day or a time",
        r"\d|monday|tuesday|wednesday|thursday|friday|saturday|sunday|tonight|tomorrow|o'clock|\bp\.?m\b|evening|weekend",
    ),
]


@pytest.fixture(scope="module")
def model() -> Any:
    pytest.importorskip("xllamacpp", reason="the extra local is not installed")
    try:
        weights_path(NAME)
    except WeightsError:
        pytest.skip(f"no weights here; get them with: langchain-align models pull {NAME}")
    from langchain_model_alignment.local import local_chat_model

    # Both runs of a case share their answers up to the check.
    return Caller(local_chat_model(NAME, max_tokens=220), cache=MemoryCache())


def aligned(model: Any, case: Case, check_intent: bool) -> tuple[AlignableSingleRun, str]:
    run = AlignableSingleRun(model, check_intent=check_intent)
    run.set_model_description(case.prompt)
    run.send_input(case.value)
    run.critique_response(case.said)
    run.update_model_description_from_principles()
    return run, str(run.send_input(case.value))


def test_wishes_kept_before_and_after_a_repair(model: Any):
    counted = {"judged kept before": 0, "judged kept after": 0, "words kept before": 0, "words kept after": 0}
    for case in CASES:
        _, plain = aligned(model, case, check_intent=False)
        run, checked = aligned(model, case, check_intent=True)
        verdict = run.data.exchanges[0].feedback[0].verdict or Verdict(kept=False, reason="it could not be judged")
        before, after = (re.findall(case.against, text.lower()) for text in (plain, checked))
        counted["judged kept before"] += verdict.kept and not verdict.repaired
        counted["judged kept after"] += verdict.kept
        counted["words kept before"] += not before
        counted["words kept after"] += not after
        print(f"\n{case.said}\n  principle: {run.data.principles[0].text}\n  {verdict}")
        print(f"  against it before: {sorted(set(before))}, after: {sorted(set(after))}")
    print(f"\nof {len(CASES)}: {counted}")
    assert counted["judged kept after"] >= counted["judged kept before"]
    assert counted["words kept after"] >= counted["words kept before"]
