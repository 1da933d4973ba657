"""What a wish is about, as a thing that an answer has or has not."""

import pytest

from langchain_model_alignment.feedback.exchanges import Feedback
from langchain_model_alignment.feedback.judging import Wish, about
from langchain_model_alignment.feedback.things import unwanted_in, wanted_in


@pytest.mark.parametrize(
    ("text", "things"),
    [
        ("I do not want to use any alcohol", ["alcohol"]),
        ("nothing with a screen, please", ["screen"]),
        ("she eats no eggs and no milk products", ["eggs", "milk products"]),
        ("two of the children are allergic to nuts", ["nuts"]),
        ("my daughter is afraid of blood and killing", ["blood", "killing"]),
        ("we don't fly", ["fly"]),
        ("I can’t walk far, my knee hurts", ["walk far"]),
        ("Never mention Zalando.", ["zalando"]),
        ("write it without exclamation marks", ["exclamation marks"]),
        ("don't name a day or a time", ["day", "time"]),
        ("Give nothing that has to do with eggs.", ["eggs"]),
        ("too long", []),
        ("It is dull.", []),
        ("kein Alkohol bitte", []),
    ],
)
def test_what_a_wish_wants_to_be_without(text: str, things: list[str]):
    assert unwanted_in(text) == things


@pytest.mark.parametrize(
    ("principle", "thing"),
    [
        ("Name the price.", "price"),
        ("Always give the year.", "year"),
        ("End with a question.", "question"),
        ("Keep it short.", ""),
        ("Use a friendly tone.", ""),
        ("Never name the price.", ""),
        ("Nenne den Preis.", ""),
    ],
)
def test_what_a_principle_asks_for(principle: str, thing: str):
    assert wanted_in(principle) == thing


@pytest.mark.parametrize(
    ("kind", "text", "principle", "found"),
    [
        ("critique", "I do not want any alcohol", "Do not use any alcohol.", (["alcohol"], True)),
        ("critique", "it does not name the price", "Name the price.", (["price"], False)),
        (
            "critique",
            "we don't fly",
            "Answer so that this criticism no longer applies: “we don't fly”",
            (["fly"], True),
        ),
        ("kudos", "it names no brands", "Name no brands.", (["brands"], True)),
        ("kudos", "good that it gives the year", "Give the year.", (["year"], False)),
        ("critique", "it is dull", "Write in a lively way.", None),
    ],
)
def test_what_a_wish_is_about(kind: str, text: str, principle: str, found: object):
    feedback = Feedback.model_validate({"kind": kind, "text": text})
    assert about(Wish(feedback, principle)) == found
