"""The benchmark of wishes: checks see what they say, methods differ in their prompts alone, and nothing is lost."""

import argparse
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.benchmarks.quality.record import Record
from tests.benchmarks.wishes import checks, command, rounds, tasks
from tests.benchmarks.wishes.alignment import Predecessor
from tests.benchmarks.wishes.arms import ARMS, BY_NAME
from tests.benchmarks.wishes.baselines import Appended, Unchanged
from tests.benchmarks.wishes.langmem_prompts import Memory, without_refusal
from tests.benchmarks.wishes.ours import Ours
from tests.benchmarks.wishes.summary import FIELDS, Summary, score
from tests.benchmarks.wishes.tasks import TASKS
from tests.fakes import ScriptedChatModel

ADD = '{"reason": "asked", "action": "add", "principle": "%s"}'


@pytest.mark.parametrize(
    ("check", "passes", "fails"),
    [
        (checks.words_at_most(3), "Two short-ish words.", "These are four words."),
        (checks.characters_at_most(5), " Hello\n", "Hello!"),
        (checks.sentences(1), "It costs 3.50 euros here.", "It rains. It pours."),
        (checks.sentences(2), "“It rains.” It pours!", "It rains. It pours and was cut"),
        (checks.one_of("yes", "no"), "**YES**.", "Yes, it is."),
        (checks.has(r"0800[\s-]?4455"), "Call 0800 4455.", "Call 0800 4456."),
        (checks.lacks(r"\bsorry\b"), "What a pity.", "Sorry!"),
        (checks.both(checks.has("€"), checks.lacks(r"\$")), "20 €", "20 € ($ 22)"),
        (checks.begins("good news"), '"Good news: it works."', "We have good news."),
        (checks.ends("Mia"), "Thank you.\n\nMIA.", "Mia thanks you."),
        (checks.ends("?"), "Do you like it?*", "Do you like it? I do."),
        (checks.has_emoji, "Come along 🎉", "Come along :-)"),
        (checks.in_capitals, "ÖL, 1 LITER", "OIL, 1 Liter"),
        (checks.dashed, "Pack:\n- socks\n- a book", "1. socks\n2. a book"),
        (checks.no_list, "Sleep well - and long.", "Tips:\n* Sleep."),
        (checks.items(2), "1. One\n   - a\n   - b\n2. Two", "- One\n- Two\n- Three"),
        (checks.times(r"#\w", 2), "Snow! #snow #winter", "# Snow #winter"),
        (checks.on_one_line(";"), "flour; milk; eggs", "flour;\nmilk;\neggs"),
        (checks.json_object("a"), '```json\n{"a": 1}\n```', '{"a": 1, "b": 2}'),
        (checks.json_object("a"), '{"a": {"b": 1}}', "a: 1"),
        (checks.in_language("French"), "Une table ronde pour vous et votre famille.", "A table for you and yours."),
        (checks.in_language("German"), "Der Tisch ist rund und für dich.", "Tisch, rund."),
        (checks.in_language("Italian"), "Tanti auguri per il tuo compleanno!", "El sol y las nubes para hoy."),
        (checks.in_language("Spanish"), "Hoy el sol y las nubes se turnan.", "Il sole è per te."),
    ],
)
def test_a_check_tells_what_does_from_what_does_not(check: checks.Check, passes: str, fails: str):
    assert check(passes, {})
    assert not check(fails, {})


def test_a_check_may_depend_on_the_input():
    check = checks.begins_with_input("name")

    assert check("Priya, it is on the left.", {"name": "Priya"})
    assert not check("Priya, it is on the left.", {"name": "Carla"})


def test_no_small_word_stands_for_two_languages():
    words = [word for small in checks._SMALL_WORDS.values() for word in small.split()]

    assert len(words) == len(set(words))


def test_there_are_thirty_tasks_of_mixed_kinds_whose_prompts_take_their_inputs():
    assert len(tasks.BY_NAME) == len(TASKS) == 30
    assert all(a.kind != b.kind for a, b in pairwise(TASKS[:25]))
    for task in TASKS:
        assert len(task.new) == 3
        for given in (task.first, *task.new):
            assert task.prompt.format(**given) == Unchanged(task.prompt).filled(dict(given))


def test_three_different_wishes_of_other_kinds_are_said_later():
    for task in TASKS:
        assert len({task.name, *task.further}) == 4
        assert all(tasks.BY_NAME[name].kind != task.kind for name in task.further), task.name


JOB = {
    "prompt": "Greet {name}.",
    "first": {"name": "Ada"},
    "new": [{"name": "Bob"}, {"name": "Cy"}],
    "said": ["be brief", "in French", "no names", "smile"],
    "model": "m",
    "answer_url": "http://proxy/run/answer/v1",
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked for answers; an answer says what was asked."""
    prompts: list[str] = []

    def complete(url: str, model: str, prompt: str, **settings: Any) -> str:
        assert (url, model, settings) == (
            JOB["answer_url"],
            "m",
            {"temperature": 0.0, "max_tokens": rounds.ANSWER_TOKENS},
        )
        prompts.append(prompt)
        return f"<{prompt}>"

    monkeypatch.setattr(rounds, "complete", complete)
    return prompts


def test_a_wish_then_new_inputs_then_three_more_wishes_and_the_same_inputs_again(asked):
    found = rounds.play(JOB, Appended(JOB["prompt"]))

    assert found["after"]["prompt"] == "Greet {name}.\nbe brief"
    assert found["still"]["prompt"] == "Greet {name}.\nbe brief\nin French\nno names\nsmile"
    assert [one["asked"] for one in found["after"]["answers"]] == ["Greet Bob.\nbe brief", "Greet Cy.\nbe brief"]
    assert found["still"]["said_of"] == "<Greet Ada.\nbe brief>"
    assert len(asked) == 2 * 3
    assert found["troubles"] == []


class Failing(Unchanged):
    def hear(self, inputs: rounds.Inputs, answer: str, said: str) -> None:
        raise IndexError(said)

    def update(self) -> None:
        self._prompt = "Greet {name} and {friend}."

    def filled(self, inputs: rounds.Inputs) -> str:
        return self._prompt.format(**inputs)


def test_what_fails_while_learning_is_told_and_a_prompt_that_cannot_be_filled_has_no_answer(asked):
    found = rounds.play(JOB, Failing(JOB["prompt"]))

    assert found["troubles"] == [f"hear: IndexError: {said}" for said in JOB["said"]]
    assert found["after"]["answers"] == [{"asked": "", "answer": ""}] * 2
    assert found["still"]["said_of"] == "<Greet Ada.>"
    assert asked == ["Greet Ada."]


def test_ours_hears_about_the_answer_that_was_given_and_writes_principles(asked):
    # A prompt that says nothing of the principles is not taken: they are listed.
    model = ScriptedChatModel(
        lambda messages: ADD % "Be brief." if "be brief" in messages[-1].text else "Greet {name}."
    )
    learner = Ours(JOB["prompt"], ScriptedChatModel([]), model, check=False)

    learner.hear({"name": "Ada"}, "Hello Ada!", "be brief")
    learner.update()

    assert "Be brief." in learner.prompt()
    assert learner.filled({"name": "{Bob}"}).startswith("Greet {Bob}.")
    [exchange] = learner._run.data.exchanges
    assert (exchange.response, exchange.feedback[0].text) == ("Hello Ada!", "be brief")


def test_three_wishes_about_one_answer_are_one_exchange_of_ours():
    model = ScriptedChatModel([ADD % "Be brief.", ADD % "Write in French.", ADD % "Name nobody."])
    learner = Ours(JOB["prompt"], ScriptedChatModel([]), model, check=False)

    for said in JOB["said"][:3]:
        learner.hear({"name": "Ada"}, "Hello Ada!", said)

    [exchange] = learner._run.data.exchanges
    assert [feedback.text for feedback in exchange.feedback] == JOB["said"][:3]


def test_the_predecessor_hears_as_if_it_had_answered_itself(monkeypatch):
    heard: list[Any] = []

    class Run:
        def __init__(self, helper: Any) -> None:
            self.data = SimpleNamespace(conversations=[])
            self.current_convo_idx = 0

        def set_model_description(self, text: str) -> None:
            self.text = text

        def get_model_description(self) -> str:
            return self.text

        def critique_response(self, said: str) -> None:
            heard.append((said, [vars(turn) for turn in self.data.conversations[self.current_convo_idx]]))

    single_run = SimpleNamespace(AlignableSingleRun=Run, ConversationTurn=SimpleNamespace)
    package = ModuleType("model_alignment")
    monkeypatch.setattr(package, "single_run", single_run, raising=False)
    monkeypatch.setitem(sys.modules, "model_alignment", package)
    learner = Predecessor("Greet {name}.", helper=None)

    learner.hear({"name": "Ada"}, "Hello Ada!", "be brief")

    asked = {"is_user": True, "text": "Greet Ada.", "vars": {"name": "Ada"}}
    assert heard == [("be brief", [asked, {"text": "Hello Ada!"}])]


def test_langmem_is_told_of_the_variables_and_an_empty_prompt_changes_nothing():
    given: list[dict[str, Any]] = []
    replies = iter(["Greet {name} briefly.", ""])

    class Optimizer:
        def invoke(self, asked: dict[str, Any]) -> str:
            given.append(asked)
            return next(replies)

    learner = Memory("Greet {name}.", Optimizer())

    learner.hear({"name": "Ada"}, "Hello Ada!", "be brief")
    learner.hear({"name": "Ada"}, "Hi Ada!", "in French")

    assert learner.prompt() == "Greet {name} briefly."
    [(session, said)] = given[1]["trajectories"]
    assert ([turn["content"] for turn in session], said) == (["Greet Ada briefly.", "Hi Ada!"], "in French")
    assert "variable" in given[1]["prompt"]["update_instructions"]


def test_what_a_model_wrote_for_langmem_counts_only_where_it_wanted_an_update():
    written = {"logic": "", "update_prompt": False, "new_prompt": "<current_prompt>"}

    assert without_refusal(written)["new_prompt"] == ""
    assert without_refusal({**written, "update_prompt": True})["new_prompt"] == "<current_prompt>"


def found_of(name: str, after: str, still: str, calls: int = 3) -> dict[str, Any]:
    """What an arm found whose answers are all the same."""
    task = tasks.BY_NAME[name]
    stages = {
        stage: {"answers": [{"asked": task.prompt.format(**given), "answer": text} for given in task.new]}
        for stage, text in (("after", after), ("still", still))
    }
    return {**stages, "troubles": [], "learn": {"calls": calls}}


def test_the_first_wish_is_scored_twice_and_the_others_apart():
    task = tasks.BY_NAME["twenty words"]  # later: no exclamation marks, a question, German

    found = score(task, found_of(task.name, "Soon!", "Wann wäre es dir recht?"))

    assert (found.after, found.still, found.further) == (1.0, 1.0, pytest.approx(2 / 3))
    assert not found.lost


def test_an_answer_passes_only_where_the_prompt_still_had_the_input():
    task = tasks.BY_NAME["twenty words"]
    found = found_of(task.name, "Sure.", "Sure.")
    found["still"]["answers"][0]["asked"] = "Answer this customer of a garden shop."

    scored = score(task, found)

    assert (scored.after, scored.still, scored.lost) == (1.0, pytest.approx(2 / 3), True)


def test_an_empty_answer_is_not_brief():
    assert score(tasks.BY_NAME["twenty words"], found_of("twenty words", " ", "")).after == 0


def test_ours_is_compared_on_the_tasks_that_both_have_done_and_what_is_missing_is_said():
    long = "word " * 30
    results = {
        ("twenty words", "ours"): found_of("twenty words", "Soon.", "Soon."),
        ("twenty words", "langmem"): found_of("twenty words", long, long),
        ("no digits", "ours"): found_of("no digits", "7", "7"),
        ("no digits", "langmem"): {"error": "no"},
    }
    some = [tasks.BY_NAME["twenty words"], tasks.BY_NAME["no digits"]]
    summary = Summary(results, some, [BY_NAME["ours"], BY_NAME["langmem"]])

    assert summary.ahead("langmem", "after") == (1.0, 1.0, 1.0, 1)
    share, low, high = summary.share("ours", "after")
    assert (share, low, high) == (0.5, 0.0, 1.0)
    assert summary.lacks() == ["Missing: 1 of 4 parts.", "Failed: no digits, langmem: no"]
    assert json.dumps(summary.as_json())


@pytest.fixture
def options(tmp_path: Path) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path)
    command.arguments(parser)
    return parser.parse_args(["--out", str(tmp_path / "wishes.json"), "--tasks", "2"])


class Asked:
    """Stands for the proxy: no call is made."""

    def begin(self, run: str) -> None: ...

    def url(self, run: str, phase: str) -> str:
        return f"http://proxy/{run}/{phase}/v1"

    def tally(self, run: str, phase: str) -> Any:
        return SimpleNamespace(as_json=lambda: {"calls": 1})


def test_every_part_is_measured_and_one_that_fails_stops_no_other(monkeypatch):
    jobs: list[tuple[str, dict[str, Any]]] = []

    def ask(python: Path, module: str, job: dict[str, Any], *_: object) -> dict[str, Any]:
        jobs.append((module, job))
        if job["way"] == "appended":
            raise RuntimeError("no")
        return {"after": {}}

    monkeypatch.setattr("tests.benchmarks.quality.arms.ask", ask)
    parts = [(task.name, arm) for task in TASKS[:2] for arm in ("no feedback", "feedback appended", "ours")]

    found = dict(command.measured(parts, "m", Asked()))

    assert set(found) == set(parts)
    assert [found[TASKS[0].name, arm].get("error") for arm in ("no feedback", "feedback appended")] == [None, "no"]
    assert all(len(job["said"]) == 4 for _, job in jobs)
    assert json.dumps(jobs)
    assert len({job["learn_url"] for _, job in jobs}) == len(parts)


def test_an_arm_that_cannot_be_installed_is_left_out_and_said(monkeypatch, capsys):
    from rich.console import Console

    def install(self: Any) -> None:
        if self.name.startswith("langmem"):
            raise subprocess.CalledProcessError(1, "pip")

    monkeypatch.setattr("tests.benchmarks.peers.environments.Environment.install", install)

    there = command.installed(ARMS, Console())

    assert [arm.name for arm in ARMS if arm not in there] == ["langmem"]
    assert "langmem cannot be installed" in capsys.readouterr().out


def test_a_run_goes_on_where_it_stood_and_draws_the_shares(options, monkeypatch, tmp_path, capsys):
    pytest.importorskip("matplotlib", reason='pip install "langchain-model-alignment[report]"')
    record = Record(options.out, command.settings_of(options.model), resume=False, fields=FIELDS)
    for task in TASKS[:2]:
        for arm in ARMS:
            record.add((task.name, arm.name), found_of(task.name, "Call 0800 4455.", "Hello!"))
    monkeypatch.setattr(command, "installed", lambda arms, _: list(arms))
    monkeypatch.setattr(command, "proxied", lambda *_: pytest.fail("all was there"))
    options.resume, options.picture = True, tmp_path / "wishes.png"

    command.run(options)

    assert options.picture.stat().st_size > 10_000
    kept = json.loads(options.out.read_text(encoding="utf-8"))
    assert kept["summary"]["ours"]["after"][0] == 1.0
    assert kept["peers"] == "model-alignment-0.3, langmem-0.0.30"
    assert "after three" in capsys.readouterr().out
