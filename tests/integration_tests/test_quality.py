"""What the real local Qwen model makes of people's feedback, as numbers.

Run with ``pytest -m quality``. Each test prints what came out, so that a change for the worse shows before it fails.
"""

import re
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from langchain_model_alignment.constitution import Constitution, Principle
from langchain_model_alignment.errors import WeightsError
from langchain_model_alignment.feedback.exchanges import Feedback
from langchain_model_alignment.feedback.principles import PrincipleProposal, PrincipleRequest, create_principle_chain
from langchain_model_alignment.feedback.suggestions import SuggestionRequest, create_critique_chain, create_kudos_chain
from langchain_model_alignment.feedback.updates import UpdateRequest, create_prompt_update_chain
from langchain_model_alignment.local.weights import weights_path
from langchain_model_alignment.wording import alike
from tests.integration_tests.feedback_cases import ENGLISH, OTHER_LANGUAGES, Case
from tests.integration_tests.update_cases import SUGGESTED_ABOUT, UPDATES, faults_of_update

pytestmark = pytest.mark.quality

NAME = "qwen2.5-coder-1.5b"
Show = Callable[[str, Sequence[str]], None]


@pytest.fixture(scope="module")
def llm() -> Any:
    pytest.importorskip("xllamacpp", reason="the extra local is not installed")
    try:
        weights_path(NAME)
    except WeightsError:
        pytest.skip(f"no weights here; get them with: langchain-align models pull {NAME}")
    from langchain_model_alignment.local import local_chat_model

    return local_chat_model(NAME)


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str]) -> Show:
    def print_table(title: str, lines: Sequence[str]) -> None:
        with capsys.disabled():
            print(f"\n\n{title}\n" + "\n".join(lines))

    return print_table


def faults(case: Case, proposal: PrincipleProposal) -> list[str]:
    """What a proposal lost of a case: nothing, when the wish is kept."""
    after = Constitution.of(*case.old).apply_all(proposal.edits)
    words = " ".join(getattr(edit, "text", "") for edit in proposal.edits)
    texts = [p.text for p in after if p.enabled]

    def found(pattern: str, text: str) -> bool:
        return bool(re.search(pattern, text, re.IGNORECASE))

    return [
        *(f"not said: {m}" for m in case.must if not found(m, words)),
        *(f"said: {m}" for m in case.must_not if found(m, words)),
        *(f"still there: {g}" for g in case.gone if any(found(g, text) for text in texts)),
        *(f"gone: {s}" for s in case.stays if not any(found(s, text) for text in texts)),
    ]


def ask_all(llm: Any, cases: Sequence[Case]) -> tuple[int, int, list[str]]:
    """How many of the cases keep the wish, how many of them in words that the model found, and a line for each."""
    chain = create_principle_chain(llm)
    kept = by_model = 0
    lines = []
    for case in cases:
        feedback = Feedback(kind=case.kind, text=case.feedback, response=case.response)  # type: ignore[arg-type]
        proposal = chain.invoke(PrincipleRequest(feedback=feedback, constitution=Constitution.of(*case.old)))
        bad = faults(case, proposal)
        kept += not bad
        by_model += not bad and (proposal.written_by != "person" or proposal.edits[0].op == "delete")
        words = " ".join(getattr(edit, "text", f"({edit.op})") for edit in proposal.edits)
        verdict = "; ".join(bad) or "kept"
        lines.append(f"{verdict:12} {proposal.written_by:6} {case.feedback!r} -> {words!r} {list(proposal.lost) or ''}")
    lines.append(f"{kept} of {len(cases)} keep the wish, {by_model} in the model's words")
    return kept, by_model, lines


def test_principles_keep_the_wish_27_of_30_in_the_models_words_and_all_with_the_persons_own(llm: Any, show: Show):
    kept, by_model, lines = ask_all(llm, ENGLISH)
    show("Thirty pieces of feedback", lines)
    assert kept == len(ENGLISH) == 30
    assert by_model >= 27


def test_principles_keep_the_wish_in_german_spanish_and_chinese(llm: Any, show: Show):
    kept, _, lines = ask_all(llm, OTHER_LANGUAGES)
    show("Ten in other languages", lines)
    assert kept == len(OTHER_LANGUAGES) == 10


def test_ten_updates_keep_every_variable_every_sentence_and_every_principle(llm: Any, show: Show):
    chain = create_prompt_update_chain(llm)
    lost, lines = [], []
    for case in UPDATES:
        principles = Constitution.of(*case.principles).principles
        update = chain.invoke(UpdateRequest(template=case.template, principles=principles))
        new = update.edit.template
        bad = faults_of_update(case, new.text)
        lost += bad
        woven = len(case.principles) - len(update.listed)
        lines.append(f"{woven} of {len(case.principles)} woven in, {bad or 'all kept'} {update.refused} {new.text!r}")
    show("Ten prompt updates", lines)
    assert len(UPDATES) == 10
    assert not lost


@pytest.mark.parametrize("create", [create_critique_chain, create_kudos_chain])
def test_suggestions_are_three_and_distinct(llm: Any, show: Show, create: Any):
    chain = create(llm)
    lines, bad = [], []
    for prompt, inputs, response in SUGGESTED_ABOUT:
        items = chain.invoke(SuggestionRequest(prompt=prompt, inputs=inputs, response=response))
        lines.append(f"{response[:50]!r}\n   " + "\n   ".join(items))
        same = [(a, b) for a in items for b in items if a < b and alike(a, b) >= 0.6]
        if len(items) != 3 or same or not all(items):
            bad.append(items)
    show(create.__name__, lines)
    assert not bad


@pytest.mark.parametrize(("older", "seconds"), [(3, 3.0), (12, 6.0)])
def test_a_principle_is_there_soon(llm: Any, show: Show, older: int, seconds: float):
    chain = create_principle_chain(llm)
    old = [Principle(id=f"p{n}", text=text) for n, text in enumerate(OLDER[:older], start=1)]
    constitution = Constitution(principles=tuple(old), next_number=older + 1)

    def took(text: str) -> float:
        feedback = Feedback(kind="critique", text=text, response="Here is an answer.")
        start = time.perf_counter()
        chain.invoke(PrincipleRequest(feedback=feedback, constitution=constitution))
        return time.perf_counter() - start

    took("It is far too cheerful.")  # reads the instructions' prefixes
    times = [took(text) for text in ("The ending is abrupt.", "Please give two examples", "It never names the price")]
    show(f"Seconds with {older} older principles", [", ".join(f"{t:.1f}" for t in times)])
    assert max(times) <= seconds


OLDER = (
    "Use a friendly tone.",
    "Keep it under 80 words.",
    "End with a question.",
    "Do not use emojis.",
    "Name the opening hours.",
    "Write for beginners.",
    "Never promise refunds.",
    "Give prices in euros.",
    "Say where the numbers come from.",
    "Use active voice.",
    "Start with the most important fact.",
    "Address the customer by first name.",
)
