"""The labeled sets: folders with train.csv, val.csv and test.csv, each with the columns text and label.

They are not part of this project. Test rows are only ever labeled and scored.
"""

import os
import random
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

VARIABLE = "LABELED_SETS"
QUESTIONS = {
    "ethos": "Does the comment contain hate speech?",
    "trec": "What does the question ask for?",
    "agnews": "What is the news article about?",
    "bbh_hyperbaton": "Which sentence has the correct adjective order?",
}

Rows = list[dict[str, str]]


@dataclass(frozen=True)
class LabeledSet:
    """One set, as every method gets it."""

    name: str
    question: str
    labels: tuple[str, ...]
    train: Rows
    validation: Rows
    test: Rows


def folder_of(given: Path | None) -> Path | None:
    """Return the folder of the sets: the one given, else the one that the environment names; None where none is."""
    named = os.environ.get(VARIABLE)
    folder = given or (Path(named) if named else None)
    return folder if folder is not None and folder.is_dir() else None


def load(folder: Path, name: str, test_rows: int) -> LabeledSet:
    """Read a set; of the test rows a fixed sample, the same for every method and seed.

    Raises:
        FileNotFoundError: A file of the set is missing.
    """
    train, validation, test = (_read(folder / name / f"{part}.csv") for part in ("train", "val", "test"))
    if len(test) > test_rows:
        test = random.Random(0).sample(test, test_rows)
    labels = tuple(sorted({row["label"] for row in train}))
    question = QUESTIONS.get(name, "Which label fits the text?")
    return LabeledSet(name, question, labels, train, validation, test)


def _read(file: Path) -> Rows:
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    return [{"text": text, "label": label} for text, label in zip(table.text, table.label, strict=True)]
