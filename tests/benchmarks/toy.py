"""Work on which training is timed: hotel notes with a telling word, and a model that is wrong on a fixed share of them.

It needs nothing but Python, so that the predecessor does the very same work in an environment of its own.
"""

import hashlib
import itertools
import random

LATENCY = 0.05
ERROR, HELP = 0.30, 0.07
MARK = "(v7)"
LABELS = ("yes", "no")
QUESTION = "Did the guest like it?"
_TELLING = {"yes": "lovely", "no": "dreadful"}
_OTHER = ("room", "lift", "lobby", "garden", "towel", "window", "corridor", "breakfast")
_numbers = itertools.count(1)


def rows(n: int, seed: int) -> list[dict[str, str]]:
    """Return labeled rows, half of them for each label."""
    chance = random.Random(seed)
    made = []
    for at in range(n):
        label = LABELS[at % 2]
        words = [*chance.choices(_OTHER, k=8), _TELLING[label]]
        chance.shuffle(words)
        made.append({"text": f"{' '.join(words)} note {seed}-{at}", "label": label})
    chance.shuffle(made)
    return made


def answer(text: str, rules: str) -> str:
    """Label a row: by its telling word, but wrongly on 30% of rows; on 23% where a rule is a helpful one."""
    error = ERROR - (HELP if MARK in rules else 0.0)
    right = "yes" if _TELLING["yes"] in text.split() else "no"
    share = int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 0xFFFFFFFF
    return LABELS[LABELS.index(right) - 1] if share < error else right


def rule() -> str:
    """Return a helpful rule unlike all before it."""
    return f"Speaks about thing {next(_numbers)} of the house {MARK}."
