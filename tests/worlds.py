"""Worlds of tokens, in which a search over rulebooks is measured in seconds and without a language model.

A row is a handful of tokens: `c07_2` shows the concept c07, `w118` means nothing. A policy over concepts, which nobody
in the world can see, gives the label, and now and then the label is wrong. Principles name what they look for in square
brackets: `Mentions [c03].`, `Mentions [c03] [unless c10].`, `Contains [quote w12 w99].` The labeler counts, for each
label, the principles that hold for the row, and leaves some unread where there are more than ten. The proposer sees a
row and its label, and is often over-specific or names a concept that means nothing.

    world = WORLDS["exceptions"]
    rows = world.rows(seed=1, n=300)                          # [{"text": "...", "label": "yes"}, ...]
    label([("yes", "Mentions [c03].")], rows[0]["text"])      # "yes" or "no"
    played(world, seed=1).accuracies                          # on fresh rows, after each step of training

It tells how well a method searches, never how well it understands language.
"""

import hashlib
import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from langchain_core.embeddings import Embeddings
from langchain_core.messages import BaseMessage

from langchain_model_alignment.labeling import instructions
from langchain_model_alignment.labeling.experts.maker import MixtureOfExperts
from langchain_model_alignment.labeling.labeler import Labeler, create_labeler_graph
from langchain_model_alignment.labeling.rulebook import Rulebook
from langchain_model_alignment.usage import Budget
from tests.fakes import ScriptedChatModel

LABELS = ("yes", "no")
QUESTION = "Is it one of ours?"
CONCEPTS = tuple(f"c{number:02d}" for number in range(14))
_ANYWHERE, _REGIONS = CONCEPTS[:12], CONCEPTS[12:]
_MEANT = CONCEPTS[:6]  # the concepts that make a yes
_OBVIOUS, _COMPANION = "c00", "c08"
_READ = 10  # principles that a labeler reads with care
_TRAINING, _TEST, _FAR = 300, 1_000, 5_000

Principles = Sequence[tuple[str, str]]
"""Labels and sentences, in the order of the prompt."""


@dataclass(frozen=True)
class World:
    """Where rows come from.

    Attributes:
        name: What the world is called.
        noise: The share of labels that are wrong.
        companion: How often a concept that means nothing comes along with one that does.
        cancelled: Concepts that count only where another one is missing.
        regions: Whether half of the rows follow one half of the policy, and the others the other.
    """

    name: str
    noise: float = 0.03
    companion: float = 0.0
    cancelled: dict[str, str] = field(default_factory=dict)
    regions: bool = False

    def policy(self, shown: set[str]) -> str:
        """The right label of a row that shows these concepts."""
        meant = set(_MEANT)
        if self.regions:
            meant = set(_MEANT[:3] if _REGIONS[0] in shown else _MEANT[3:])
        counts = {concept for concept in meant & shown if self.cancelled.get(concept) not in shown}
        return "yes" if counts else "no"

    def rows(self, seed: int, n: int) -> list[dict[str, str]]:
        """Draw labeled rows."""
        chance = random.Random(f"{self.name} {seed}")
        return [self._row(chance) for _ in range(n)]

    def _row(self, chance: random.Random) -> dict[str, str]:
        shown = {concept for concept in _ANYWHERE if chance.random() < 0.13}
        if self.regions:
            shown.add(chance.choice(_REGIONS))
        if _OBVIOUS in shown and chance.random() < self.companion:
            shown.add(_COMPANION)
        label = self.policy(shown)
        if chance.random() < self.noise:
            label = LABELS[label == "yes"]
        words = [f"{concept}_{chance.randrange(3)}" for concept in sorted(shown)]
        words += [f"w{chance.randrange(300)}" for _ in range(8)]
        chance.shuffle(words)
        return {"text": " ".join(words), "label": label}


WORLDS = {
    world.name: world
    for world in (
        World("plain"),
        World("spurious", companion=0.6),
        World("exceptions", cancelled={"c03": "c10", "c01": "c09"}),
        World("noise", noise=0.10),
        World("clusters", regions=True),
    )
}
MEASURED = ("plain", "spurious", "exceptions", "noise")


# -- who labels, and who proposes --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sentence:
    """What a principle looks for: concepts or quotations, and what must not be there."""

    wants: tuple[str, ...]
    unless: tuple[str, ...]

    def holds(self, text: str) -> bool:
        """Whether it speaks for its label in a row."""
        return (
            bool(self.wants)
            and all(_shows(text, name) for name in self.wants)
            and not any(_shows(text, name) for name in self.unless)
        )


@lru_cache(maxsize=100_000)
def read(sentence: str) -> Sentence:
    """Read a principle's square brackets."""
    names = re.findall(r"\[(.*?)\]", sentence)
    refused = tuple(name.removeprefix("unless ") for name in names if name.startswith("unless "))
    return Sentence(tuple(name for name in names if not name.startswith("unless ")), refused)


@lru_cache(maxsize=100_000)
def concepts(text: str) -> frozenset[str]:
    """The concepts that a row shows."""
    return frozenset(re.findall(r"(c\d\d)_", text))


def label(principles: Principles, text: str) -> str:
    """The label that the simulated model gives to a row."""
    share = min(1.0, _READ / max(1, len(principles)))
    lead = 0
    for side, sentence in principles:
        noticed = share == 1.0 or _chance("read", text, side, sentence, len(principles)) <= share
        if noticed and read(sentence).holds(text):
            lead += 1 if side == "yes" else -1
    return ("yes" if lead > 0 else "no") if lead else prior(text)


def prior(text: str) -> str:
    """What the simulated model says where no principle tips the balance."""
    return "yes" if _OBVIOUS in concepts(text) or _chance("prior", text) < 0.08 else "no"


def propose(text: str, chance: random.Random) -> str:
    """A principle that the simulated proposer writes about a row."""
    shown = sorted(concepts(text))
    if not shown or chance.random() < 0.2:
        return f"Contains [quote {' '.join(text.split()[:2])}]."
    if len(shown) > 1 and chance.random() < 0.15:
        wanted, unwanted = chance.sample(shown, 2)
        return f"Mentions [{wanted}] [unless {unwanted}]."
    return f"Mentions [{chance.choice(shown)}]."


def _shows(text: str, name: str) -> bool:
    return name.removeprefix("quote ") in text if name.startswith("quote ") else name in concepts(text)


def _chance(*of: object) -> float:
    """A number from 0 to 1 that is always the same for the same things."""
    return int.from_bytes(hashlib.blake2b(repr(of).encode(), digest_size=8).digest()) / 2**64


# -- the same behind a chat model --------------------------------------------------------------------------------

_REFLECTS = instructions.reflect("", [], [], [], [], 1)[0].text
_BEGINS = instructions.begin_label("", "", [], [])[0].text
_PRINCIPLE = re.compile(rf"^\d+\. ({'|'.join(LABELS)}): (.*)$", re.MULTILINE)
_WRONG = re.compile(rf"^text: (.*)\nright label: ({'|'.join(LABELS)}); the labeler said", re.MULTILINE)


class Player:
    """Answers the library's requests as the simulated labeler and proposer would; the policy is out of its sight."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def __call__(self, messages: list[BaseMessage]) -> str:
        system, asked = messages[0].text, messages[-1].text
        if system.startswith(_REFLECTS):
            return self._edits(asked)
        if system.startswith(_BEGINS):
            return propose(_found(r"^- text: (.*)$", asked), self._chance(asked))
        if not system.startswith(QUESTION):
            raise AssertionError(f"the simulated model knows no answer to: {system}")
        principles = _PRINCIPLE.findall(system)
        text = _found(r"^text: (.*)$", messages[1].text)
        if asked == instructions.WHICH:
            said = messages[2].text
            decided = [n for n, (side, s) in enumerate(principles, 1) if side == said and read(s).holds(text)]
            return str(decided[0] if decided else 0)
        return label(principles, text)

    def _edits(self, asked: str) -> str:
        wrong = _WRONG.findall(asked)
        number = int(_found(r"Propose up to (\d+)", asked))
        edits = []
        for at in range(number):
            text, side = wrong[at % len(wrong)]
            edits.append({"kind": "add", "label": side, "text": propose(text, self._chance(asked, at))})
        return json.dumps({"edits": edits})

    def _chance(self, *of: object) -> random.Random:
        return random.Random(repr((self._seed, *of)))


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    if found is None:
        raise AssertionError(f"the request holds no {pattern!r}: {text}")
    return found[1]


# -- training in a world -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Played:
    """A training run in a world.

    Attributes:
        accuracies: Of the best rulebook on fresh rows: at the beginning, and after each step.
        oracle: The same of the greedy search.
        calls: All calls of the run.
        principles: The best rulebook's principles at the end.
        history: The records of the steps.
    """

    accuracies: tuple[float, ...]
    oracle: float
    calls: int
    principles: tuple[tuple[str, str], ...]
    history: tuple[Any, ...]

    @property
    def losses(self) -> int:
        """How many steps lost more than a point on fresh rows."""
        return sum(after < before - 0.01 for before, after in zip(self.accuracies, self.accuracies[1:], strict=False))

    @property
    def steps(self) -> int:
        return len(self.accuracies) - 1


def played(world: World, seed: int, steps: int = 10, **hparams: Any) -> Played:
    """Train in a world, by defaults but for the patience, and look at every step's best rulebook on fresh rows."""
    training, test = world.rows(seed, _TRAINING), world.rows(seed + _FAR, _TEST)
    model = ScriptedChatModel(Player(seed))
    labeler = Labeler(["text"], "label", LABELS, QUESTION, model, hparams={"patience": 10, **hparams})
    best: list[Principles] = []
    state: dict[str, Any] = {}
    for state in create_labeler_graph(labeler, training).compile().stream({"steps": steps}, stream_mode="values"):
        if len(state.get("history", ())) > len(best):
            rulebook = Rulebook.model_validate(state["candidates"][state["best"][0]]["rulebook"])
            best.append([(p.label or "", p.sentence()) for p in rulebook.enabled()])
    return Played(
        accuracies=tuple(accuracy(principles, test) for principles in best),
        oracle=accuracy(greedy(training), test),
        calls=model.calls,
        principles=tuple(best[-1]),
        history=tuple(state["history"]),
    )


def accuracy(principles: Principles, rows: Sequence[dict[str, str]]) -> float:
    """The share of rows that the simulated model labels rightly."""
    return sum(label(principles, row["text"]) == row["label"] for row in rows) / len(rows)


def greedy(rows: Sequence[dict[str, str]]) -> Principles:
    """Search the world's own sentences: add the one that is right for the most rows more, until none is.

    Of equals the plainer one is taken. What goes unread beyond ten principles is not looked at, and not needed either.
    """
    plain = [f"Mentions [{one}]." for one in CONCEPTS]
    limited = [f"Mentions [{one}] [unless {other}]." for one in CONCEPTS for other in CONCEPTS if one != other]
    choices = [(side, sentence) for sentence in (*plain, *limited) for side in LABELS]
    texts = [row["text"] for row in rows]
    weights = np.array([[read(s).holds(text) * (1 if side == "yes" else -1) for text in texts] for side, s in choices])
    wanted = np.array([row["label"] == "yes" for row in rows])
    at_rest = np.array([prior(text) == "yes" for text in texts])

    def right(leads: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
        return (np.where(leads == 0, at_rest, leads > 0) == wanted).sum(axis=-1)

    chosen: list[tuple[str, str]] = []
    lead = np.zeros(len(rows), dtype=int)
    while len(chosen) < _READ:
        gains = right(lead + weights) - right(lead)
        best = int(gains.argmax())
        if gains[best] <= 0:
            break
        chosen.append(choices[best])
        lead = lead + weights[best]
    return chosen


# -- a mixture of experts in a world -----------------------------------------------------------------------------


class RegionEmbeddings(Embeddings):
    """Points that show which of the two regions a row lies in, as a good embedding would, with some noise."""

    model = "regions"

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        shown = concepts(text)
        return [float(region in shown) + 0.6 * _chance("noise", text, at) for at, region in enumerate((*_REGIONS, ""))]


@dataclass(frozen=True)
class Mixed:
    """A mixture that was trained in a world, and one rulebook beside it.

    Attributes:
        accuracy: Of the mixture on fresh rows.
        single: Of one rulebook that was given as many calls.
        experts: How many experts there are.
        calls: All calls of the mixture's run.
        general: The calls that the rulebook took which the experts began from.
        general_accuracy: Of that rulebook on the fresh rows.
    """

    accuracy: float
    single: float
    experts: int
    calls: int
    general: int
    general_accuracy: float


def mixed(world: World, seed: int, steps: int = 10, embeddings: Embeddings | None = None, **settings: Any) -> Mixed:
    """Train a mixture in a world, and one rulebook with as many calls, and look at both on fresh rows."""
    training, test = world.rows(seed, _TRAINING), world.rows(seed + _FAR, _TEST)
    task: tuple[Any, ...] = (["text"], "label", LABELS, QUESTION)
    hparams = {"patience": 10}
    model = ScriptedChatModel(Player(seed))
    maker = MixtureOfExperts(*task, model, embeddings=embeddings or RegionEmbeddings(), hparams=hparams, **settings)
    result = maker.train(training, steps=steps)
    calls, mixture = model.calls, result.rulebook
    general = result.general.rulebook
    alone = general
    if result.usage.calls > result.general.usage.calls:
        single = Labeler(
            *task, ScriptedChatModel(Player(seed)), hparams={"patience": 10_000}, budget=Budget(max_calls=calls)
        )
        alone = single.train(training, steps=10 * steps).rulebook
    found = maker.infer_checkpoint(mixture, test)
    return Mixed(
        accuracy=maker.get_scorecard(test, found)["accuracy"],
        single=accuracy(_principles_of(alone), test),
        experts=len(mixture.experts),
        calls=calls,
        general=result.general.usage.calls,
        general_accuracy=accuracy(_principles_of(general), test),
    )


def _principles_of(rulebook: Rulebook) -> Principles:
    return [(p.label or "", p.sentence()) for p in rulebook.enabled()]
