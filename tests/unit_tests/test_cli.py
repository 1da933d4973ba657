"""The command line: what a person sees, types and keeps, with scripted models."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from langchain_core.messages import BaseMessage
from rich.console import Console
from typer.testing import CliRunner

from langchain_model_alignment import AlignedPrompt
from langchain_model_alignment.cli import main
from langchain_model_alignment.cli.app import app
from langchain_model_alignment.cli.turns import HELP, read_turn
from langchain_model_alignment.errors import ArtifactError, ModelError, PromptError
from tests.fakes import ScriptedChatModel

CRITIQUES = "1. It is too dull.\n2. It names no colours.\n3. It is stiff."
KUDOS = "1. It is friendly.\n2. It is correct.\n3. It is short."
DECISION = json.dumps({"reason": "asked", "action": "add", "principle": "Be brief."})
WOVEN = json.dumps({"text": "Greet {name}. Be brief."})


KEPT = json.dumps({"sayings": [{"number": 1, "kept": True}]})
FOLLOWED = json.dumps({"items": [{"principle_id": "p1", "followed": True, "words": "Greet Ada"}]})


class Mind:
    """Answers as the model would be asked to at each step; each kind of answer can be replaced, and is counted."""

    def __init__(self, answer: Any = None, **replies: Any) -> None:
        self.replies = {
            "critique": CRITIQUES,
            "kudos": KUDOS,
            "decide": DECISION,
            "weave": WOVEN,
            "judge": KEPT,
            "followed": FOLLOWED,
            "conflicts": "{}",
            "why": "1. It is short.\n2. It is dry.",
            **replies,
        }
        self.replies["answer"] = answer or (lambda messages: f"<{messages[-1].text}>")
        self.asked: list[str] = []

    def __call__(self, messages: list[BaseMessage]) -> Any:
        kind = _kind(messages[0].text)
        self.asked.append(kind)
        reply = self.replies[kind]
        if isinstance(reply, list):
            reply = reply.pop(0) if len(reply) > 1 else reply[0]
        return reply(messages) if callable(reply) else reply


def _kind(system: str) -> str:
    if "list of principles" in system:
        return "decide"
    if "rewrite instructions" in system:
        return "weave"
    if "whether a prompt's new answer" in system:
        return "judge"
    if "whether an answer follows principles" in system:
        return "followed"
    if "trouble among the principles" in system:
        return "conflicts"
    if "liked answer A better" in system:
        return "why"
    if "numbered list of three" in system:
        return "kudos" if any(word in system.lower() for word in ("praise", "kudos", "good about")) else "critique"
    return "answer"


Say = Callable[..., Result]


@pytest.fixture
def prompt_file(tmp_path: Path) -> Path:
    file = tmp_path / "greet.txt"
    file.write_text("Greet {name}.\n", encoding="utf-8")
    return file


@pytest.fixture
def say(prompt_file: Path, monkeypatch: pytest.MonkeyPatch) -> Say:
    """Runs `langchain-align feedback` with a mind and typed lines; each call is a new process as far as state goes."""
    monkeypatch.setenv("COLUMNS", "160")

    def run(*typed: str, mind: Any = None, options: tuple[str, ...] = ("--input", "name=Ada"), file: Any = None) -> Any:
        model = ScriptedChatModel(mind or Mind())
        monkeypatch.setattr("langchain_model_alignment.cli.feedback.open_model", lambda *_: model)
        lines = "".join(f"{line}\n" for line in typed)
        return CliRunner().invoke(app, ["feedback", str(file or prompt_file), *options], input=lines)

    return run


@pytest.fixture
def interrupting(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Types the lines, then presses Ctrl-C."""

    def prepare(*typed: str) -> None:
        lines = iter(typed)

        def read(*_: Any, **__: Any) -> str:
            try:
                return next(lines)
            except StopIteration:
                raise KeyboardInterrupt from None

        monkeypatch.setattr(Console, "input", read)

    return prepare


def saved(prompt_file: Path) -> AlignedPrompt:
    return AlignedPrompt.load(prompt_file.with_name("greet.aligned.json"))


def flat(result: Result) -> str:
    return " ".join(result.output.split())


# -- demo ------------------------------------------------------------------------------------------------------


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("COLUMNS", "160")
    creative = json.dumps({"reason": "asked", "action": "add", "principle": "Include a creative use."})
    woven = json.dumps({"text": "Give three uses for the following item: {item}\nInclude a creative use."})

    def run(*options: str, answer: Any = None) -> Result:
        model = ScriptedChatModel(Mind(answer, decide=creative, weave=woven))
        monkeypatch.setattr("langchain_model_alignment.cli.demo.open_model", lambda *_: model)
        return CliRunner().invoke(app, ["demo", "--out", str(tmp_path / "out"), *options])

    return run


def test_the_demo_writes_the_aligned_prompt_with_its_principle(demo: Callable[..., Result], tmp_path: Path):
    assert demo().exit_code == 0
    written = json.loads((tmp_path / "out" / "aligned.json").read_text(encoding="utf-8"))
    assert [p["text"] for p in written["constitution"]["principles"]] == ["Include a creative use."]


def test_the_demo_shows_the_principle_the_change_of_the_prompt_and_the_new_answer(demo: Callable[..., Result]):
    output = demo().output
    assert "+ p1: Include a creative use." in output
    assert "+ Include a creative use." in output.partition("part of the prompt")[2]
    assert "<Give three uses for the following item: scissors" in output
    assert "aligned.json" in output


def test_the_demo_without_training_is_the_same(demo: Callable[..., Result]):
    assert demo("--no-train").exit_code == 0


def test_the_demo_shows_markup_in_answers_as_it_is(demo: Callable[..., Result]):
    result = demo(answer="[red]cut[/red] [/] [link=x]")
    assert result.exit_code == 0
    assert "[red]cut[/red] [/] [link=x]" in result.output


def test_a_demo_that_cannot_write_says_so_before_it_asks_the_model(demo: Callable[..., Result], tmp_path: Path):
    (tmp_path / "out").write_text("a file, no folder", encoding="utf-8")
    asked: list[Any] = []
    result = demo(answer=lambda messages: asked.append(messages) or "Cut.")
    assert isinstance(result.exception, ArtifactError)
    assert asked == []


# -- turns -----------------------------------------------------------------------------------------------------


def test_a_line_of_plain_words_is_a_critique(say: Say, prompt_file: Path):
    result = say("be brief", "q")
    assert result.exit_code == 0
    assert "+ p1: Be brief." in result.output
    assert "- Greet {name}." in result.output
    assert "+ Greet {name}. Be brief." in result.output
    assert "<Greet Ada. Be brief.>" in result.output
    assert saved(prompt_file).exchanges[0].feedback[0].text == "be brief"


@pytest.mark.parametrize(
    ("line", "kind", "text"),
    [
        ("1", "critique", "It is too dull."),
        ("4", "kudos", "It is friendly."),
        ("6", "kudos", "It is short."),
        ("c be brief", "critique", "be brief"),
        ("k it is brief", "kudos", "it is brief"),
        ("r Hi, Ada!", "rewrite", "Hi, Ada!"),
    ],
)
def test_feedback_of_each_kind_is_kept_with_the_answer_it_is_about(
    say: Say, prompt_file: Path, line: str, kind: str, text: str
):
    assert say(line, "q").exit_code == 0
    feedback = saved(prompt_file).exchanges[0].feedback[0]
    assert (feedback.kind, feedback.text, feedback.response) == (kind, text, "<Greet Ada.>")


def test_a_rewrite_of_several_lines_ends_with_a_dot(say: Say, prompt_file: Path):
    assert say("r", "Hi, Ada!", "", "Yours", ".", "q").exit_code == 0
    assert saved(prompt_file).exchanges[0].feedback[0].text == "Hi, Ada!\n\nYours"


def test_principles_are_reworded_switched_and_deleted_by_hand(say: Say, prompt_file: Path):
    result = say("be brief", "e p1 Be very brief.", "off p1", "on p1", "d p1", "q")
    assert result.exit_code == 0
    said = [edit.op for revision in saved(prompt_file).history.revisions for edit in revision.edits]
    assert [op for op in said if op != "template"] == ["add", "edit", "set", "set", "delete"]
    assert saved(prompt_file).principles == []


def test_the_prompt_and_its_principles_are_shown_without_taking_a_turn(say: Say, prompt_file: Path):
    result = say("be brief", "p", "?", "q")
    assert "p1: Be brief." in result.output.rpartition("> ")[0].rpartition("> ")[0]
    assert flat(result).count("this help") == 2
    assert len(saved(prompt_file).exchanges) == 2


def test_again_answers_again(say: Say, prompt_file: Path):
    mind = Mind(["first", "second"])
    result = say("a", "q", mind=mind)
    assert "first" in result.output
    assert "second" in result.output
    assert saved(prompt_file).exchanges[-1].response == "second"


def test_another_input_is_answered(say: Say, prompt_file: Path):
    result = say("i name=Bo", "q")
    assert "<Greet Bo.>" in result.output
    assert saved(prompt_file).exchanges[-1].inputs == {"name": "Bo"}


def test_another_value_for_one_variable_leaves_the_others(say: Say, prompt_file: Path):
    prompt_file.write_text("Greet {name} in {language}.", encoding="utf-8")
    result = say("i name=Bo", "q", options=("--input", "name=Ada", "--input", "language=Dutch"))
    assert "<Greet Bo in Dutch.>" in result.output


def test_a_value_that_holds_an_equals_sign_stays_whole(say: Say):
    assert "<Greet a=b.>" in say("q", options=("--input", "name=a=b")).output


def test_a_value_that_was_not_given_is_asked_for(say: Say):
    result = say("Grace", "q", options=())
    assert "A value for {name}" in result.output
    assert "<Greet Grace.>" in result.output


def test_of_several_answers_one_is_chosen_and_criticised(say: Say, prompt_file: Path):
    result = say(
        "b 2 be brief",
        "b 3 q",
        mind=Mind(["one", "two", "three", "four", "five", "six"]),
        options=("--input", "name=Ada", "--candidates", "3"),
    )
    assert result.exit_code == 0
    assert "Answer 3" in result.output
    first, last = saved(prompt_file).exchanges
    assert first.response == first.candidates[1] == first.feedback[0].response
    assert last.response == last.candidates[2]


def test_an_aligned_prompt_is_taken_up_where_it_was_left(say: Say, prompt_file: Path):
    say("be brief", "q")
    again = prompt_file.with_name("again.json")
    saved(prompt_file).save(again)
    result = say("q", file=again)
    assert "<Greet Ada. Be brief.>" in result.output


def test_a_model_that_suggests_nothing_leaves_the_person_to_their_own_words(say: Say, prompt_file: Path):
    result = say("be brief", "q", mind=Mind(critique=" ", kudos=" "))
    assert result.exit_code == 0
    assert "No suggestions this time" in result.output
    assert [p.text for p in saved(prompt_file).principles] == ["Be brief."]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("", "? for help"),
        ("9", "no suggestion 9"),
        ("0", "no suggestion 0"),
        ("d p7", "p7"),
        ("e p7 Be nice.", "p7"),
        ("b x", "b 2"),
        ("b 0 too long", "b 2"),
        ("i nobody=x", "nobody"),
    ],
)
def test_a_line_that_means_nothing_is_explained_and_the_question_stays(
    say: Say, prompt_file: Path, line: str, told: str
):
    result = say(line, "be brief", "q")
    assert result.exit_code == 0
    assert told in flat(result)
    assert [p.text for p in saved(prompt_file).principles] == ["Be brief."]


@pytest.mark.parametrize("line", ["c", "k", "e p1", "d", "b", "i", "i name", "d p1 p2", "on"])
def test_half_a_command_is_not_taken_for_a_critique(line: str):
    with pytest.raises(ValueError, match=r"\?|[Ww]rite|Type"):
        read_turn(line, [], lambda: "")


@pytest.mark.parametrize("line", ["Q", "P", "A"])
def test_a_command_in_capitals_is_the_command(line: str):
    assert read_turn(line, [], lambda: "") == read_turn(line.lower(), [], lambda: "")


@pytest.mark.parametrize(
    "line",
    [
        "a joke is missing",
        "do not greet",
        "i want it shorter",
        "be brief",
        "on time!",
        "I disagree",
        "C code is missing",
        "R is the wrong language",
    ],
)
def test_a_sentence_that_begins_like_a_command_is_a_critique(line: str):
    turn = read_turn(line, [], lambda: "")
    assert turn.review == {"action": "critique", "text": line}


def test_a_candidate_that_is_not_there_is_named_as_the_person_counts(say: Say):
    result = say("b 9 be brief", "q", options=("--input", "name=Ada", "--candidates", "2"))
    assert "no answer 9" in flat(result) or "candidate 9" in flat(result)
    assert "counted from 0" not in flat(result)


def test_an_invalid_line_asks_the_model_for_nothing(say: Say):
    mind = Mind()
    say("d p7", "i nobody=x", "q", mind=mind)
    assert mind.asked.count("critique") == 1


def test_the_help_names_every_command():
    assert all(f"{name} " in HELP for name in ("c", "k", "r", "b", "e", "d", "on", "off", "p", "a", "q", "i", "?"))


# -- what a person can trust ---------------------------------------------------------------------------------------


def judgement(kept: bool, *, worse: bool = False) -> str:
    sayings = [{"number": 1, "kept": kept, "reason": "It rambles."}]
    return json.dumps({"sayings": sayings, "worse": worse, "reason": "It is off."})


def test_a_kept_wish_is_said(say: Say):
    assert "✓ “be brief” is kept" in flat(say("be brief", "q"))


def test_a_lost_wish_is_mended_and_judged_again(say: Say, prompt_file: Path):
    mind = Mind(judge=[judgement(False), judgement(True)])
    result = flat(say("be brief", "q", mind=mind))
    assert "✗ “be brief” is not kept: It rambles.; the principle is written anew" in result
    assert "✓ “be brief” is kept" in result


def test_a_change_that_breaks_an_earlier_input_is_asked_about(say: Say, prompt_file: Path):
    mind = Mind(judge=lambda messages: judgement(True, worse="(nothing)" in messages[-1].text))
    result = say("i name=Bo", "be brief", "perhaps", "n", "q", mind=mind)
    assert "e1: the answer is worse (It is off)" in flat(result)
    assert "The change is taken back" in flat(result)
    assert saved(prompt_file).principles == []


def test_it_can_be_kept_all_the_same(say: Say, prompt_file: Path):
    mind = Mind(judge=lambda messages: judgement(True, worse="(nothing)" in messages[-1].text))
    say("i name=Bo", "be brief", "y", "q", mind=mind)
    assert [p.text for p in saved(prompt_file).principles] == ["Be brief."]


def test_the_checks_can_be_off(say: Say):
    mind = Mind()
    say("i name=Bo", "be brief", "q", mind=mind, options=("--input", "name=Ada", "--no-checks"))
    assert "judge" not in mind.asked


def test_whether_the_principles_were_followed_stands_beside_the_answer(say: Say):
    assert "p1 followed: “Greet Ada”" in flat(say("be brief", "q"))


def test_how_often_principles_were_followed_is_shown(say: Say):
    assert "p1 followed 1 of 1 Be brief." in flat(say("be brief", "f", "q"))


def test_conflicting_principles_are_shown_and_mended(say: Say, prompt_file: Path):
    second = json.dumps({"reason": "asked", "action": "add", "principle": "Keep it short."})
    found = json.dumps({"conflicts": [{"kind": "duplicate", "ids": ["p1", "p2"], "text": "Be brief and short."}]})
    mind = Mind(decide=[DECISION, second], conflicts=found)
    result = flat(say("be brief", "keep it short", "x", "x 9", "x 1", "q", mind=mind))
    assert "p1 and p2: They ask for the same." in result
    assert "There is no proposal 9" in result
    assert [p.text for p in saved(prompt_file).principles] == ["Be brief and short."]


def test_the_history_is_shown_and_gone_through(say: Say, prompt_file: Path):
    result = say("be brief", "h", "to r0", "h", "to r9", "q")
    assert "* r2" in result.output
    assert "* the beginning" in result.output
    assert "There is no revision 'r9'" in flat(result)
    assert len(saved(prompt_file).history.revisions) == 2


def test_a_better_answer_is_explained(say: Say, prompt_file: Path):
    result = say("w 2", "7", "1", "q", options=("--input", "name=Ada", "--candidates", "2"))
    assert "There is no reason 7" in flat(result)
    (feedback,) = saved(prompt_file).exchanges[0].feedback
    assert (feedback.kind, feedback.text) == ("preference", "It is short.")


def test_an_answer_is_scored(say: Say, prompt_file: Path):
    say("s 1/4 be brief", "q")
    (feedback,) = saved(prompt_file).exchanges[0].feedback
    assert (feedback.kind, feedback.score, feedback.text) == ("score", 0.25, "be brief")


def test_a_conversation_goes_on_and_back(say: Say, prompt_file: Path):
    say("t And then?", "back e1", "t And now?", "q")
    assert [(e.after, e.message) for e in saved(prompt_file).exchanges] == [
        (None, None),
        ("e1", "And then?"),
        ("e1", "And now?"),
    ]


# -- what is kept ----------------------------------------------------------------------------------------------


def test_each_turn_is_saved_before_the_next_one(say: Say, prompt_file: Path, interrupting: Callable[..., None]):
    interrupting("be brief")
    say()
    assert [p.text for p in saved(prompt_file).principles] == ["Be brief."]


def test_ctrl_c_says_how_to_go_on(say: Say, prompt_file: Path, interrupting: Callable[..., None]):
    interrupting("be brief")
    result = say()
    assert result.exit_code == 130
    assert str(prompt_file.with_name("greet.aligned.json")) in result.output.replace("\n", "")
    assert "--resume" in result.output
    assert "Traceback" not in result.output


def test_the_end_of_the_input_is_like_ctrl_c(say: Say, prompt_file: Path):
    result = say("be brief")
    assert result.exit_code == 130
    assert "--resume" in result.output
    assert len(saved(prompt_file).principles) == 1


def test_resume_goes_on_with_the_same_answer(say: Say, prompt_file: Path):
    say("be brief")
    mind = Mind()
    result = say("q", mind=mind, options=("--resume",))
    assert result.exit_code == 0
    assert "<Greet Ada. Be brief.>" in result.output
    assert mind.asked.count("answer") == 0
    assert len(saved(prompt_file).exchanges) == 2


def test_resume_after_the_model_failed_repeats_only_the_step_that_failed(say: Say, prompt_file: Path):
    broken = say("be brief", mind=Mind(weave=ValueError("the wire broke")))
    assert isinstance(broken.exception, ModelError)
    assert "\n" not in str(broken.exception)
    mind = Mind()
    result = say("q", mind=mind, options=("--resume",))
    assert result.exit_code == 0
    assert "decide" not in mind.asked
    assert "<Greet Ada. Be brief.>" in result.output
    assert [p.text for p in saved(prompt_file).principles] == ["Be brief."]


def test_the_persons_words_survive_a_model_that_fails_at_once(say: Say, prompt_file: Path):
    broken = say("be brief", mind=Mind(decide=ValueError("the wire broke")))
    assert isinstance(broken.exception, ModelError)
    assert "--resume" in broken.output
    assert say("q", options=("--resume",)).exit_code == 0
    assert [p.text for p in saved(prompt_file).principles] == ["Be brief."]
    assert saved(prompt_file).exchanges[0].feedback[0].text == "be brief"


def test_resume_after_the_first_answer_failed_answers(say: Say):
    assert isinstance(say(mind=Mind(ValueError("the wire broke"))).exception, ModelError)
    result = say("q", options=("--resume",))
    assert result.exit_code == 0
    assert "<Greet Ada.>" in result.output


def test_a_session_that_was_accepted_says_so_when_resumed(say: Say):
    say("q")
    result = say(options=("--resume",))
    assert "accepted" in str(result.exception)


def test_an_accepted_prompt_is_taken_further_from_its_own_file(say: Say, prompt_file: Path):
    say("be brief", "q")
    result = say("i name=Bo", "q", file=prompt_file.with_name("greet.aligned.json"))
    assert result.exit_code == 0
    assert "<Greet Bo. Be brief.>" in result.output
    assert [p.text for p in saved(prompt_file).principles] == ["Be brief."]


def test_beginning_anew_does_not_write_over_what_was_accepted(say: Say, prompt_file: Path):
    say("be brief", "q")
    result = say("q")
    assert isinstance(result.exception, ArtifactError)
    assert "greet.aligned.json" in one_sentence(result.exception)
    assert [p.text for p in saved(prompt_file).principles] == ["Be brief."]


def test_out_does_not_write_over_the_prompt_itself(say: Say, prompt_file: Path):
    result = say("q", options=("--input", "name=Ada", "--out", str(prompt_file)))
    assert isinstance(result.exception, ArtifactError)
    assert prompt_file.read_text(encoding="utf-8") == "Greet {name}.\n"


def test_accepting_removes_the_session_and_nothing_beside_it(say: Say, tmp_path: Path):
    file = tmp_path / "greet [1].txt"
    file.write_text("Greet {name}.", encoding="utf-8")
    copy = tmp_path / "greet [1].aligned.session.sqlite.bak"
    copy.write_text("mine", encoding="utf-8")
    assert say("q", file=file).exit_code == 0
    assert sorted(path.name for path in tmp_path.iterdir() if "greet [1]" in path.name) == sorted(
        [file.name, copy.name, "greet [1].aligned.json"]
    )


def test_a_byte_order_mark_is_no_part_of_the_prompt(say: Say, prompt_file: Path):
    prompt_file.write_text("Greet {name}.", encoding="utf-8-sig")
    assert say("q").exit_code == 0
    assert saved(prompt_file).description == "Greet {name}."


PROGRAM = """
    import asyncio
    import sys
    from langchain_model_alignment.cli import demo, feedback, main
    from tests.fakes import ScriptedChatModel
    from tests.unit_tests.test_cli import Mind

    class Slow(ScriptedChatModel):
        async def _agenerate(self, messages, *args, **kwargs):
            if "list of principles" in messages[0].text:
                print("DECIDING", flush=True)
                await asyncio.sleep(60)
            return await super()._agenerate(messages, *args, **kwargs)

    kind = Slow if "--slow" in sys.argv else ScriptedChatModel
    sys.argv = [argument for argument in sys.argv if argument != "--slow"]
    feedback.open_model = demo.open_model = lambda *_: kind(Mind())
    main()
"""


def started(*arguments: str, encoding: str = "utf-8") -> "subprocess.Popen[str]":
    """Runs the whole command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "160", "PYTHONIOENCODING": encoding},
        start_new_session=True,
    )


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send to a process")
def test_ctrl_c_while_the_model_works_ends_at_once_and_loses_nothing(prompt_file: Path, say: Say):
    with started("feedback", str(prompt_file), "--input", "name=Ada", "--slow") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("be brief\n")
        process.stdin.flush()
        assert any("DECIDING" in line for line in process.stdout)
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=5)
        finally:
            process.kill()
    assert process.returncode == 130
    assert "--resume" in out
    assert "Traceback" not in err
    assert say("q", options=("--resume",)).exit_code == 0
    assert [p.text for p in saved(prompt_file).principles] == ["Be brief."]


# -- what is refused -------------------------------------------------------------------------------------------


def one_sentence(error: BaseException | None) -> str:
    text = str(error)
    assert "\n" not in text
    assert text.endswith(".")
    return text


def test_a_missing_prompt_file_is_one_sentence(say: Say, tmp_path: Path):
    result = say(file=tmp_path / "nowhere.txt")
    assert isinstance(result.exception, ArtifactError)
    assert "nowhere.txt" in one_sentence(result.exception)


def test_a_folder_as_prompt_file_is_one_sentence(say: Say, tmp_path: Path):
    result = say(file=tmp_path)
    assert isinstance(result.exception, ArtifactError)
    one_sentence(result.exception)


def test_an_empty_prompt_file_is_one_sentence(say: Say, prompt_file: Path):
    prompt_file.write_text(" \n", encoding="utf-8")
    result = say()
    assert isinstance(result.exception, PromptError)
    assert "is empty" in one_sentence(result.exception)


def test_a_binary_prompt_file_is_one_sentence(say: Say, prompt_file: Path):
    prompt_file.write_bytes(b"\x89PNG\xff\x00\xfe")
    result = say()
    assert isinstance(result.exception, ArtifactError)
    assert "UTF-8" in one_sentence(result.exception)


def test_a_file_of_json_that_is_no_aligned_prompt_is_one_sentence(say: Say, tmp_path: Path):
    file = tmp_path / "other.json"
    file.write_text('{"a": 1}', encoding="utf-8")
    result = say(file=file)
    assert isinstance(result.exception, ArtifactError)
    assert "other.json" in one_sentence(result.exception)


def test_an_input_without_a_value_is_one_sentence(say: Say):
    result = say(options=("--input", "name"))
    assert isinstance(result.exception, PromptError)
    assert "name=value" in one_sentence(result.exception)


def test_an_input_of_an_unknown_name_is_one_sentence(say: Say):
    result = say(options=("--input", "name=Ada", "--input", "colour=red"))
    assert isinstance(result.exception, PromptError)
    assert "colour" in one_sentence(result.exception)


def test_a_session_that_is_already_there_is_one_sentence_before_anything_is_asked(say: Say):
    say("be brief")
    result = say(options=())
    assert isinstance(result.exception, ArtifactError)
    assert "--resume" in one_sentence(result.exception)
    assert "A value for" not in result.output


def test_resume_without_a_session_is_one_sentence(say: Say):
    result = say(options=("--resume",))
    assert isinstance(result.exception, ArtifactError)
    assert "no session" in one_sentence(result.exception)


def test_a_session_file_that_is_no_database_is_one_sentence(say: Say, prompt_file: Path):
    prompt_file.with_name("greet.aligned.session.sqlite").write_text("not a database " * 100, encoding="utf-8")
    result = say(options=("--resume",))
    assert isinstance(result.exception, ArtifactError)
    assert "cannot be read" in one_sentence(result.exception)


def test_a_place_that_cannot_be_written_is_one_sentence(say: Say, prompt_file: Path):
    result = say(options=("--input", "name=Ada", "--out", str(prompt_file / "x.json")))
    assert isinstance(result.exception, ArtifactError)
    one_sentence(result.exception)


def test_what_is_refused_goes_to_stderr_with_exit_code_1_and_no_traceback(prompt_file: Path):
    process = started("feedback", str(prompt_file), "--input", "name")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "write it as name=value" in " ".join(err.split())
    assert "Traceback" not in err
    assert out == ""


def test_an_unknown_model_name_is_one_sentence_through_the_installed_command(prompt_file: Path):
    command = Path(sys.executable).with_name("langchain-align")
    if not command.exists():
        pytest.skip("the console script is not installed beside this interpreter")
    arguments = ["feedback", str(prompt_file), "--input", "name=Ada", "--model", "nobody:knows"]
    done = subprocess.run([command, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "nobody:knows" in done.stderr
    assert "Traceback" not in done.stderr


# -- text that looks like something else -----------------------------------------------------------------------

MARKUP = "[red]x[/red] [/] [bold [link=http://x]"


def test_markup_is_shown_as_it_is_wherever_it_comes_from(say: Say, prompt_file: Path):
    prompt_file.write_text("Greet {name} [/] [b].", encoding="utf-8")
    mind = Mind(
        f"Hello {MARKUP}",
        critique=f"1. Too {MARKUP}.\n2. No names.\n3. It is stiff.",
        decide=json.dumps({"reason": MARKUP, "action": "add", "principle": f"Be brief {MARKUP}."}),
        weave=json.dumps({"text": f"Greet {{name}} [/] [b]. Be brief {MARKUP}."}),
    )
    result = say("be brief", "e p7 [/]", "[/]", "p", "q", mind=mind, options=("--input", f"name={MARKUP}"))
    assert result.exit_code == 0, result.exception
    assert f"Hello {MARKUP}" in result.output
    assert f"Too {MARKUP}." in result.output
    assert f"+ p1: Be brief {MARKUP}." in result.output


def test_a_failure_with_markup_in_it_is_shown_as_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr(sys, "argv", ["langchain-align", "feedback", "[red]x[[ [b].txt"])
    with pytest.raises(SystemExit) as exit:
        main()
    assert exit.value.code == 1
    assert "[red]x[[ [b].txt cannot be read" in capsys.readouterr().err


def test_a_models_control_characters_do_not_reach_the_terminal(say: Say):
    result = say("q", mind=Mind("safe\x1b[2J\x1b]0;title\x07 end"))
    assert "\x1b" not in result.output
    assert "safe" in result.output


def test_a_terminal_that_cannot_show_a_character_gets_another_one(prompt_file: Path):
    prompt_file.write_text("Greet {name} → “kindly” 你好 🎉.", encoding="utf-8")
    with started("feedback", str(prompt_file), "--input", "name=Ada", encoding="ascii") as process:
        out, err = process.communicate("q\n", timeout=60)
    assert process.returncode == 0, err
    assert "<Greet Ada" in out


# -- the rest of the command -----------------------------------------------------------------------------------


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")


@pytest.mark.usefixtures("wide")
def test_help_lists_the_commands():
    output = CliRunner().invoke(app, ["--help"]).output
    assert all(name in output for name in ("demo", "feedback", "models"))


def test_the_version_is_printed():
    from importlib.metadata import version

    assert CliRunner().invoke(app, ["--version"]).output.strip() == version("langchain-model-alignment")
