"""A small world whose labels can be learned, and models that label and propose in it.

A row is "yes" when it names an animal. The labeler knows a few animals by itself and follows the principles that it is
shown, so that a good principle makes it better; the proposer names animals of the rows that it is shown. Requests are
told apart by their structure, not their wording: one for a label begins with the task's question.

    maker = maker_of(SimulatedWorld())
    rulebook = maker.initialize_checkpoint(rows(60))
"""

import hashlib
import json
import math
import random
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage

from langchain_model_alignment.labeling.labeler import Labeler
from langchain_model_alignment.labeling.rulebook import Rulebook
from langchain_model_alignment.labeling.task import LabelingTask
from tests.fakes import ScriptedChatModel

QUESTION = "Does the text name an animal?"
ANIMALS = ("cat", "dog", "newt", "lynx", "yak", "emu", "koi", "ibis")
THINGS = ("chair", "lamp", "road", "cloud", "spoon", "brick", "clock", "rope")
TASK = LabelingTask(input_names=["text"], label_name="label", label_values=["yes", "no"], task_description=QUESTION)

Row = dict[str, Any]
Reply = Callable[[list[BaseMessage]], Any]


def rows(n: int, seed: int = 0) -> list[Row]:
    """Rows, half of them with an animal; no two are equal."""
    draw = random.Random(seed)
    made = []
    for at in range(n):
        words = [draw.choice(THINGS) for _ in range(3)]
        if at % 2:
            words[draw.randrange(3)] = draw.choice(ANIMALS)
        made.append({"text": f"{' '.join(words)} number {seed}x{at}", "label": truth(" ".join(words))})
    return made


def truth(text: str) -> str:
    return "yes" if any(word in ANIMALS for word in text.split()) else "no"


def chance(*parts: Any) -> float:
    """A number from 0 to 1 that depends on nothing but its parts."""
    return int(hashlib.sha256(repr(parts).encode()).hexdigest()[:8], 16) / 16**8


class SimulatedWorld:
    """Labels by what it knows and is shown, and proposes an animal for each row that it sees.

    Args:
        knows: The animals that the labeler knows without principles.
        harm: The share of proposals that make the labeler worse.
        noise: The share of rows that it gets wrong whatever it is shown.
    """

    def __init__(self, knows: Sequence[str] = ANIMALS[:3], *, harm: float = 0.0, noise: float = 0.0) -> None:
        self.knows = set(knows)
        self.harm = harm
        self.noise = noise

    def __call__(self, messages: list[BaseMessage]) -> Any:
        kind = kind_of(messages)
        if kind == "label":
            return self.label(messages[0].text, row_in(messages[-1]))
        if kind == "deciding":
            return self.deciding(messages[0].text, row_in(messages[-3]))
        if kind == "edits":
            return json.dumps({"edits": [self.edit(text) for text in rows_in(messages)]})
        return self.sentence(rows_in(messages)[-1])

    def label(self, system: str, row: str) -> str:
        words = set(row.split())
        if chance("noise", row) < self.noise:
            return "no" if words & self.knows else "yes"
        taught = {name for _, text in principles_in(system) for name in re.findall(r"a (\w+)\.", text)}
        poisoned = any("poison" in text for _, text in principles_in(system))
        found = bool(words & (self.knows | (taught & set(ANIMALS))))
        return ("yes" if found else "no") if not poisoned or chance(system, row) > 0.5 else "no"

    def deciding(self, system: str, row: str) -> str:
        for at, (_, text) in enumerate(principles_in(system), 1):
            if set(re.findall(r"\w+", text)) & set(row.split()) & set(ANIMALS):
                return str(at)
        return "0"

    def edit(self, text: str) -> dict[str, Any]:
        return {"kind": "add", "label": truth(text), "text": self.sentence(text), "reason": "a mistake shows it"}

    def sentence(self, text: str) -> str:
        if chance("harm", text) < self.harm:
            return f"Some poison of kind {text.split()[-1]}."
        found = [word for word in text.split() if word in ANIMALS] or [text.split()[0]]
        return f"The text speaks of a {found[0]}."


class BaseChatOpenAI(ScriptedChatModel):
    """By its name, what the library takes for a model that gives log probabilities; a script answers all the same."""


class LogprobModel(BaseChatOpenAI):
    """A scripted model whose replies to requests with `logprobs` are told as alternatives of one token."""


def logprob_message(shares: Mapping[str, float], text: str | None = None) -> AIMessage:
    """An answer as OpenAI-compatible servers give it: alternatives for the first token, likeliest first."""
    top = [{"token": token, "logprob": math.log(share)} for token, share in sorted(shares.items(), key=lambda i: -i[1])]
    said = top[0]["token"] if text is None else text
    return AIMessage(str(said), response_metadata={"logprobs": {"content": [{"token": said, "top_logprobs": top}]}})


def checklist_message(answer: Sequence[tuple[str, Mapping[str, float]]]) -> AIMessage:
    """An answer of several tokens, each with its alternatives."""
    content = [
        {
            "token": token,
            "logprob": 0.0,
            "top_logprobs": [{"token": t, "logprob": math.log(share)} for t, share in shares.items()],
        }
        for token, shares in answer
    ]
    return AIMessage("".join(token for token, _ in answer), response_metadata={"logprobs": {"content": content}})


class LogprobWorld(SimulatedWorld):
    """The same world with log probabilities, and a lean to "yes" that a bias takes off."""

    def __call__(self, messages: list[BaseMessage]) -> Any:
        if kind_of(messages) != "label":
            return super().__call__(messages)
        sure = 0.9 if self.label(messages[0].text, row_in(messages[-1])) == "yes" else 0.6
        return logprob_message({"yes": sure, "no": 1 - sure})


class ChecklistWorld(SimulatedWorld):
    """The same world for a small model: it knows which statements are true, and what to make of them less well."""

    def __call__(self, messages: list[BaseMessage]) -> Any:
        asked = messages[-1].text
        if asked.startswith(f"Question: {QUESTION}"):
            statements, row = re.findall(r"^\d+\. (.*)$", asked, re.MULTILINE), row_in(messages[-1])
            return checklist_message([*self.checks(statements, row), ("label", {}), (":", {}), self.own(row)])
        if kind_of(messages) == "label":
            return logprob_message(self.own(row_in(messages[-1]))[1])
        return super().__call__(messages)

    def checks(self, statements: Sequence[str], row: str) -> list[tuple[str, Mapping[str, float]]]:
        tokens: list[tuple[str, Mapping[str, float]]] = []
        for number, statement in enumerate(statements, 1):
            yes = 0.8 if set(re.findall(r"\w+", statement)) & set(row.split()) & set(ANIMALS) else 0.1
            word = " yes" if yes > 0.5 else " no"
            tokens += [(str(number), {}), (word, {" yes": yes, " no": 1 - yes}), ("\n", {})]
        return tokens

    def own(self, row: str) -> tuple[str, Mapping[str, float]]:
        sure = 0.9 if set(row.split()) & self.knows else 0.6
        return "yes", {"yes": sure, "no": 1 - sure}


WHAT = "What does the text name?"
NAMES = {"animal": ANIMALS, "thing": THINGS, "food": ("bread", "soup", "plum", "rice", "leek", "corn", "kale", "figs")}


def several_rows(n: int, seed: int = 0) -> list[Row]:
    """Rows of three words that name an animal, a thing, a food, several of them or none; no two are equal."""
    draw = random.Random(seed)
    made = []
    for at in range(n):
        named = [name for name in NAMES if draw.random() < 0.4]
        words = [draw.choice(NAMES[name]) for name in named] + ["then"] * (3 - len(named))
        made.append({"text": f"{' '.join(words)} number {seed}x{at}", "named": named})
    return made


class SeveralWorld(SimulatedWorld):
    """The same for rows that may have several labels, the names of `NAMES`; of each it knows the first three words.

    Args:
        logprobs: Whether it answers with log probabilities.
    """

    def __init__(self, *, logprobs: bool = False) -> None:
        super().__init__()
        self.logprobs = logprobs

    def __call__(self, messages: list[BaseMessage]) -> Any:
        asked = "\n".join(message.text for message in messages)
        words = NAMES[re.findall(r'Is "(\w+)" one of them', asked)[-1]]
        if messages[0].text.startswith(WHAT):
            told = [set(re.findall(r"\w+", text)) & set(words) for _, text in principles_in(messages[0].text)]
            row = set(row_in(messages[1]).split())
            if len(messages) > 2:
                return next((str(at) for at, some in enumerate(told, 1) if some & row), "0")
            has = bool(row & set(words[:3]).union(*told))
            sure = 0.9 if has else 0.2
            return logprob_message({"yes": sure, "no": 1 - sure}) if self.logprobs else "yes" if has else "no"
        if '"second_text"' in messages[-1].text:
            return json.dumps({"edits": [self.about(text, words) for text in rows_in(messages)]})
        return str(self.about(rows_in(messages)[-1], words)["text"])

    def about(self, text: str, words: Sequence[str]) -> dict[str, Any]:
        found = [word for word in text.split() if word in words]
        sentence = f"The text speaks of a {(found or text.split())[0]}."
        return {"kind": "add", "label": "yes" if found else "no", "text": sentence, "reason": "a mistake shows it"}


class CaseWorld(SimulatedWorld):
    """The same world with a labeler that makes nothing of principles and goes by the rows that it is shown with labels.

    Args:
        follows: Whether it does; otherwise they only make it think of something else now and then.
        noise: The share of rows whose answer is luck, another draw for every other prompt.
    """

    def __init__(self, *, follows: bool = True, noise: float = 0.0) -> None:
        super().__init__()
        self.follows = follows
        self.luck = noise

    def __call__(self, messages: list[BaseMessage]) -> Any:
        if kind_of(messages) != "label":
            return super().__call__(messages)
        row, cases = row_in(messages[-1]), cases_in(messages)
        if chance("whether", row) < self.luck:
            return "yes" if chance(cases, row) < 0.5 else "no"
        known = self.knows | {name for text, label in cases if label == "yes" for name in text.split() if self.follows}
        return "yes" if set(row.split()) & known & set(ANIMALS) else "no"


def cases_in(messages: Sequence[BaseMessage]) -> list[tuple[str, str]]:
    """The rows that a request for a label shows with their labels."""
    shown = list(messages[1:-1])
    return [(row_in(asked), said.text) for asked, said in zip(shown[::2], shown[1::2], strict=True)]


def small_model() -> LogprobModel:
    """A model that is taken for a small one by its name, in the world of checklists."""
    return LogprobModel(ChecklistWorld(), model_name="tiny-1.5b")


def kind_of(messages: Sequence[BaseMessage]) -> str:
    """What a request is for: a label, the principle that decided, edits, or a sentence."""
    if messages[0].text.startswith(QUESTION):
        return "label" if messages[-1].text.startswith("text: ") else "deciding"
    return "edits" if '"second_text"' in messages[-1].text else "sentence"


def row_in(message: BaseMessage) -> str:
    """The row of a request for a label."""
    return re.findall(r"text: (.*)", message.text)[-1]


def rows_in(messages: Sequence[BaseMessage]) -> list[str]:
    """The rows that a proposer is shown, the wrong ones first."""
    found = [re.findall(r"text: (.*? number \w+)", message.text) for message in messages]
    return next(shown for shown in reversed(found) if shown)


def principles_in(system: str) -> list[tuple[str, str]]:
    """The label and the sentence of each principle in a request for a label."""
    return re.findall(r"^\d+\. (\w+): (.*)$", system, re.MULTILINE)


def model_of(reply: Any = None, **more: Any) -> ScriptedChatModel:
    return ScriptedChatModel(SimulatedWorld() if reply is None else reply, **more)


def maker_of(reply: Any = None, *, model: Any = None, **settings: Any) -> Labeler:
    """A labeler over the world; `model` is used as it is, `reply` is put into a scripted one."""
    return Labeler(["text"], "label", ["yes", "no"], QUESTION, model or model_of(reply), **settings)


def book_of(principles: Mapping[Any, Sequence[str]] | None = None, **fields: Any) -> Rulebook:
    return Rulebook.of(TASK, principles or {}, **fields)
