"""A small world of two regions that no single rulebook can serve, and points that tell them apart.

On the farm a row is "yes" when it names one of three animals, in the city when it names one of three things; every row
names an animal and a thing. The labeler says "yes" to a word that some principle names, and the proposer names the word
that decides the row it is shown. Requests are told apart by `tests.simulated`.

    maker = mixture_of(max_experts=2)
    maker.train(region_rows(200)).rulebook.experts
"""

import json
import random
import re
from collections.abc import Sequence
from typing import Any

from langchain_core.embeddings import Embeddings
from langchain_core.messages import BaseMessage

from langchain_model_alignment.labeling.experts.maker import MixtureOfExperts
from tests.simulated import (
    ANIMALS,
    QUESTION,
    THINGS,
    LogprobModel,
    chance,
    kind_of,
    logprob_message,
    model_of,
    principles_in,
    row_in,
    rows_in,
)

MEANT = {"farm": ANIMALS[:3], "city": THINGS[:3]}
HPARAMS = {"n_validation_examples": 60, "patience": 3}


def region_rows(n: int, seed: int = 0, places: Sequence[str] = ("farm", "city")) -> list[dict[str, str]]:
    """Rows of each place in turn; no two are equal."""
    draw = random.Random(seed)
    made = []
    for at in range(n):
        text = f"{places[at % len(places)]} {draw.choice(ANIMALS[:6])} {draw.choice(THINGS[:6])} number {seed}x{at}"
        made.append({"text": text, "label": right_label(text)})
    return made


def right_label(text: str) -> str:
    return "yes" if deciding_words(text) else "no"


def deciding_words(text: str) -> list[str]:
    words = text.split()
    return [word for word in words if word in MEANT[words[0]]]


class RegionWorld:
    """Labels by the words that principles name, and proposes the word that decides a row."""

    def __call__(self, messages: list[BaseMessage]) -> Any:
        kind = kind_of(messages)
        if kind == "label":
            return self.label(messages[0].text, row_in(messages[1]))
        if kind == "deciding":
            shown = principles_in(messages[0].text)
            return str(next((n for n, (_, text) in enumerate(shown, 1) if self.holds(text, row_in(messages[1]))), 0))
        if kind == "edits":
            return json.dumps({"edits": [self.edit(text) for text in rows_in(messages)]})
        return self.sentence(rows_in(messages)[-1])

    def label(self, system: str, row: str) -> str:
        sides = {side for side, text in principles_in(system) if self.holds(text, row)}
        return "yes" if "yes" in sides else "no"

    def holds(self, text: str, row: str) -> bool:
        return bool(set(re.findall(r"a (\w+)\.", text)) & set(row.split()))

    def edit(self, text: str) -> dict[str, Any]:
        return {"kind": "add", "label": right_label(text), "text": self.sentence(text), "reason": "a mistake shows it"}

    def sentence(self, text: str) -> str:
        words = deciding_words(text) or [text.split()[1 + int(2 * chance(text))]]
        return f"The text speaks of a {words[0]}."


class LogprobRegionWorld(RegionWorld):
    """The same world with log probabilities."""

    def __call__(self, messages: list[BaseMessage]) -> Any:
        said = super().__call__(messages)
        if kind_of(messages) != "label":
            return said
        sure = 0.9 if said == "yes" else 0.3
        return logprob_message({"yes": sure, "no": 1 - sure})


class PlaceEmbeddings(Embeddings):
    """Points by the place that a text names, with a little of its other words."""

    def __init__(self, model: str = "places") -> None:
        self.model = model
        self.asked: list[str] = []

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.asked += texts
        return [
            [float("farm" in text), float("city" in text), 2.0 * ("moon" in text), 0.2 * chance(text)] for text in texts
        ]

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


def mixture_of(reply: Any = None, *, model: Any = None, **settings: Any) -> MixtureOfExperts:
    """A maker of mixtures over the world."""
    llm = model or model_of(RegionWorld() if reply is None else reply)
    given = {"embeddings": PlaceEmbeddings(), "hparams": HPARAMS, **settings}
    return MixtureOfExperts(["text"], "label", ["yes", "no"], QUESTION, llm, **given)


def logprob_mixture(**settings: Any) -> MixtureOfExperts:
    return mixture_of(model=LogprobModel(LogprobRegionWorld()), **settings)
