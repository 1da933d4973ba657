"""What code can see of a wish: numbers, names, a "not", limits, conditions, languages; and no false alarms."""

import time
from functools import partial

import pytest

from langchain_model_alignment.amounts import limits_in
from langchain_model_alignment.directions import sides_in
from langchain_model_alignment.languages import language_of
from langchain_model_alignment.wishes import lost, takes_back
from langchain_model_alignment.wording import (
    clean_sentence,
    is_negated,
    is_wish,
    names_in,
    near_duplicate,
    numbers_in,
    quotes,
    says,
    sentences_of,
)

# -- numbers and names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("no number here", set()),
        ("at least ten words", {"10"}),
        ("1,000 letters", {"1000"}),
        ("1.000 Zeichen", {"1000"}),
        ("3.5 stars", {"3.5"}),
        ("two or three", {"2", "3"}),
        ("one sentence", {"1"}),
        ("a single short paragraph", {"1"}),
        ("one of them", set()),
        ("no one", set()),
        ("50% by 10:30", {"50", "10:30"}),
        ("a dozen", {"12"}),
        ("Schreibe höchstens drei Sätze.", {"3"}),
        ("nicht mehr als zwölf Wörter", {"12"}),
        ("Usa tres ejemplos.", {"3"}),
        ("no más de veinte palabras", {"20"}),
        ("once the text is ready", set()),
        ("最多三句话", {"3"}),
        ("用十二个词", {"12"}),
        ("写５个例子", {"5"}),
        ("写5个例子", {"5"}),
    ],
)
def test_numbers_are_found_as_digits_and_as_words(text: str, numbers: set[str]):
    assert numbers_in(text) == numbers


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("keep it short", set()),
        ("Mention Paris.", {"Paris"}),
        ("Tell Maria about it", {"Maria"}),
        ("Use iPhone pictures", {"iPhone"}),
        ("NASA said so", {"NASA"}),
        ("I like it, and I'm sure", set()),
        ("THIS IS WAY TOO LONG", set()),
        ("Use “best price”", {"best price"}),
        ('Say "good day".', {"good day"}),
        ("see https://a.example/b.", {"https://a.example/b"}),
        ("write to help@shop.example", {"help@shop.example"}),
        ("keep {topic} and #sale", {"{topic}", "#sale"}),
        ("Der Text ist zu lang für den Leser", set()),
        ("Menciona a Juan", {"Juan"}),
        ("提到「北京」", {"北京"}),
        ("Too long. Shorten it.", set()),
        ("- Mention Paris", {"Paris"}),
        ("Ask: What is it?", set()),
        ("It is polite. Keep that!", set()),
    ],
)
def test_names_quotes_addresses_and_variables_are_found(text: str, names: set[str]):
    assert names_in(text) == names


# -- what a principle lost -------------------------------------------------------------------------------------

LOSSES = [
    # numbers, names, quoted words
    ("The answer needs at least ten words", "Use more words.", "10"),
    ("two sentences at most", "Be brief.", "2"),
    ("It should be one sentence", "Be brief.", "1"),
    ("Never mention Zalando", "Never mention competitors.", "Zalando"),
    ('say "good day" first', "Begin with a greeting.", "good day"),
    ("Keep {topic} in the title, please", "Keep the topic in the title.", "{topic}"),
    ("refer to help@shop.example", "Refer to the help desk.", "help@shop.example"),
    ("Usa al menos tres ejemplos", "Usa más ejemplos.", "3"),
    ("请最多写三句话", "请写简短。", "3"),
    # the "not"
    ("I do not want to use any alcohol", "Specify any dietary restrictions", "not"),
    ("never promise refunds", "Promise refunds.", "not"),
    ("don't be rude to people", "Be rude to people.", "not"),
    ("I want you to stop using emojis", "Use emojis.", ""),
    ("Always greet people", "Never greet people.", ""),
    ("Mention the price", "Do not mention the price.", ""),
    ("Bitte keine Emojis", "Verwende Emojis.", "not"),
    ("No menciones los precios", "Menciona los precios.", "not"),
    ("不要提价格", "提价格。", "not"),
    ("use euros, not dollars", "Use dollars, not euros.", ""),
    # what was missing becomes forbidden
    ("It has no sources", "Do not name sources.", "missing"),
    ("The answer isn't polite", "Do not be polite.", "missing"),
    ("I don't see any prices", "Do not give prices.", ""),
    ("It never mentions the price", "Never mention the price.", ""),
    # limits
    ("use at least 10 words", "Use at most 10 words.", "10"),
    ("use at most 10 words", "Use at least 10 words.", "10"),
    ("must be under 100 words", "Use more than 100 words.", "100"),
    ("Bitte mindestens 5 Beispiele", "Gib höchstens 5 Beispiele.", "5"),
    ("Usa al menos tres ejemplos", "Usa como máximo tres ejemplos.", "3"),
    ("请最多写三句话", "请至少写三句话。", "3"),
    # less and more
    ("less formal please", "Use a more formal tone.", "less"),
    ("fewer emojis please", "Use more emojis.", "fewer"),
    ("more examples please", "Give fewer examples.", "more"),
    # conditions, exceptions, strength
    ("if the person asks for a price, give it in euros", "Give prices in euros.", "condition"),
    ("give no discounts unless the order is above 100 euros", "Give no discounts on 100 euros.", "exception"),
    ("only vegetarian dishes please", "List vegetarian dishes.", "only"),
    ("if possible, use rhymes", "Use rhymes.", ""),
    ("must mention the price", "Preferably mention the price.", "firm"),
    # the opposite by a prefix, and what there was too much of
    ("use a formal tone", "Use an informal tone.", "which of the two"),
    ("please use an informal tone", "Use a formal tone.", "which of the two"),
    ("it should be possible to cancel", "Say that it is impossible to cancel.", "which of the two"),
    ("always be kind to customers", "Always be unkind to customers.", "which of the two"),
    ("too expensive suggestions", "Suggest expensive things.", "criticised"),
    ("The tone is way too formal", "Use a formal tone.", "criticised"),
    ("Der Text ist zu förmlich", "Schreibe förmlich.", "criticised"),
    # language, subject
    ("No menciones los precios de la tienda", "Do not mention prices of the shop.", "language"),
    ("Bitte schreibe nicht so lange Sätze", "Do not write long sentences, please.", "language"),
    ("the recipe lacks cooking times and temperatures", "Be friendly to everybody.", "about"),
]


@pytest.mark.parametrize(("feedback", "principle", "what"), LOSSES)
def test_a_principle_that_lost_part_of_a_critique_is_found_out(feedback: str, principle: str, what: str):
    missing = lost(feedback, principle, "critique")
    assert missing
    assert what in ", ".join(missing)


KEPT = [
    # the same words, and other words
    ("Never mention Zalando", "Never mention Zalando."),
    ("use at least 10 words", "Use at least ten words."),
    ("it must stay under 80 words", "Stay under 80 words."),
    ("It should be one sentence", "Answer in a single sentence."),
    ("way too many adjectives", "Use few adjectives."),
    ("The tone is too formal", "Use a casual tone."),
    ("It is too long", "Keep it short."),
    ("My grandmother of 90 can't follow this", "Write so that a 90-year-old can follow it."),
    ("It costs 1,000 euros", "Give the price as 1000 euros."),
    ("if the person asks for a price, give it in euros", "When asked for a price, give it in euros."),
    ("if possible, use rhymes", "Use rhymes where possible."),
    ("only vegetarian dishes please", "Suggest vegetarian dishes only."),
    ("only vegetarian dishes please", "Do not suggest dishes with meat."),
    ("Use British English", "Write in British English."),
    ("cook with garlic", "Cook with garlic."),
    ("tie short knots", "Tie short knots."),
    # an opposite that is meant
    ("The tone is formal", "Use an informal tone."),
    ("too expensive suggestions", "Suggest inexpensive things."),
    ("too expensive suggestions", "Do not suggest expensive things."),
    ("cover the discounts", "Discover and cover the discounts."),
    # a "not" said otherwise
    ("I do not want to use any alcohol", "Do not use any alcohol."),
    ("I do not want to use any alcohol", "Leave out alcohol."),
    ("I do not want to use any alcohol", "Suggest alcohol-free recipes only."),
    ("please do not use bullet points", "Write prose instead of bullet points."),
    ("I want you to stop using emojis", "Do not use emojis."),
    ("It should not be longer than 50 words", "Use at most 50 words."),
    ("Don't use more than 3 examples", "Use at most three examples."),
    ("Don't forget the price", "Always mention the price."),
    ("use euros, not dollars", "Give prices in euros, not dollars."),
    # an absence that was criticised is asked for
    ("the list doesn't include any creative uses", "Include at least a creative use."),
    ("It has no sources", "Name the sources."),
    ("The answer isn't polite", "Be polite."),
    ("I don't see any prices", "Give prices."),
    ("It never mentions the price", "Always mention the price."),
    ("You didn't say please", "Say please."),
    ("Nothing is explained, please explain", "Explain each step."),
    # a "not" that is no wish
    ("I don't like the formal tone", "Use an informal tone."),
    ("We don't have time for long answers; please be brief", "Give brief answers."),
    ("It always starts with Sure", "Do not start with Sure."),
    # other languages
    ("Bitte keine Emojis", "Verwende keine Emojis."),
    ("Bitte keine Emojis", "Verzichte auf Emojis."),
    ("Bitte nie mehr als drei Sätze", "Schreibe höchstens drei Sätze."),
    ("Der Text ist nicht höflich genug.", "Schreibe höflicher."),
    ("Der Text ist zu lang", "Schreibe kürzer."),
    ("No menciones los precios", "No menciones los precios."),
    ("No menciones los precios", "Evita mencionar los precios."),
    ("Usa al menos tres ejemplos", "Usa por lo menos tres ejemplos."),
    ("El texto es demasiado largo", "Escribe textos más cortos."),
    ("不要提价格", "避免提到价格。"),
    ("请最多写三句话", "请写不超过三句话。"),
    ("回答没有提到价格", "请提到价格。"),
    ("太长了", "请简短回答。"),
]


@pytest.mark.parametrize(("feedback", "principle"), KEPT)
def test_a_good_principle_for_a_critique_passes(feedback: str, principle: str):
    assert lost(feedback, principle, "critique") == []


@pytest.mark.parametrize(
    ("feedback", "principle", "keeps"),
    [
        ("I love the rhymes", "Keep using rhymes.", True),
        ("I love the rhymes", "Do not use rhymes.", False),
        ("Great: no jargon", "Avoid jargon.", True),
        ("Great: no jargon", "Use jargon.", False),
        ("Good that it does not apologise", "Do not apologise.", True),
        ("Good that it does not apologise", "Apologise.", False),
        ("It names Maria Lopez and 30 June", "Name Maria Lopez and 30 June.", True),
        ("It names Maria Lopez and 30 June", "Name the person and the date.", False),
        ("Die drei kurzen Sätze sind gut", "Schreibe drei kurze Sätze.", True),
        ("Me gusta que no menciona los precios", "Menciona los precios.", False),
        ("很好,没有提到价格", "提到价格。", False),
    ],
)
def test_kudos_ask_for_the_same_again(feedback: str, principle: str, keeps: bool):
    assert (lost(feedback, principle, "kudos") == []) is keeps


@pytest.mark.parametrize(
    "feedback",
    [
        "never promise refunds",
        "use at least 10 words",
        "if possible, use rhymes",
        "only vegetarian dishes please",
        "give no discounts unless the order is above 100 euros",
        "mention Paris and leave out London",
        "Bitte keine Emojis",
        "不要提价格",
    ],
)
def test_the_persons_own_wish_has_lost_nothing(feedback: str):
    assert lost(feedback, feedback, "critique") == []


# -- wishes and descriptions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "Be brief",
        "Use fewer words",
        "never promise refunds",
        "Always greet people.",
        "It should rhyme",
        "It must never mention the price",
        "I want three examples",
        "please shorter",
        "He should greet her first",
        "Don't mention the price",
        "There must be a joke",
        "The prices have to be in euros",
        "I'd like more examples",
        "Bitte kürzer",
        "Der Text soll kürzer sein",
        "Debe ser breve",
        "不要提价格",
        "请简短回答",
    ],
)
def test_what_asks_for_something_is_a_wish(text: str):
    assert is_wish(text)


@pytest.mark.parametrize(
    "text",
    [
        "The sources are missing",
        "the list doesn't include any creative uses",
        "It is too long",
        "Too long",
        "Way too many adjectives",
        "Not enough examples",
        "You forgot the price",
        "I love the rhyme",
        "Good structure",
        "It never mentions the price",
        "The answer always starts with Sure",
        "Every answer is too long",
        "Answer is too long",
        "Creative uses are missing",
        "Doesn't mention the price",
        "I don't like the formal tone",
        "I don't see any prices",
        "Everything is in capital letters",
        "Der Text ist zu lang",
        "Der Text nennt nie den Preis",
        "El texto es muy largo",
        "El texto nunca menciona el precio",
        "太长了",
        "没有提到价格",
    ],
)
def test_what_only_describes_is_no_wish(text: str):
    assert not is_wish(text)


@pytest.mark.parametrize(
    ("text", "negated"),
    [
        ("Do not shout.", True),
        ("Avoid jargon.", True),
        ("Don’t shout.", True),
        ("Use no jargon.", True),
        ("Write about nothing else.", True),
        ("Write a notice.", False),
        ("Verwende keine Emojis.", True),
        ("Schreibe kurz.", False),
        ("No menciones precios.", True),
        ("Escribe más.", False),
        ("不要提价格", True),
        ("提价格", False),
    ],
)
def test_a_not_is_seen_in_every_known_language(text: str, negated: bool):
    assert is_negated(text) is negated


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("The answer is too long", "en"),
        ("Der Text ist zu lang", "de"),
        ("Bitte nenne immer die Quelle", "de"),
        ("El texto es muy largo", "es"),
        ("No menciones los precios", "es"),
        ("Le texte est trop long pour nous", "fr"),
        ("太长了", "zh"),
        ("長すぎます", None),
        ("Ok", None),
        ("", None),
        ("12345", None),
    ],
)
def test_frequent_words_tell_the_language(text: str, code: str | None):
    assert language_of(text) == code


@pytest.mark.parametrize(
    ("text", "back"),
    [
        ("You don't need to mention the price any more", True),
        ("You do not have to greet", True),
        ("I no longer want rhymes", True),
        ("forget about the limit", True),
        ("remove the rule about emojis", True),
        ("The sources are not necessary", True),
        ("Die Quellen sind nicht mehr nötig", True),
        ("ya no hace falta el precio", True),
        ("不再需要价格", True),
        ("Don't mention the price", False),
        ("Stop mentioning the price", False),
        ("don't use emojis anymore", False),
        ("never mention the price any more", False),
        ("It forgets the price", False),
        ("Remove the emojis", False),
        ("No longer than 50 words", False),
        ("不要提价格", False),
    ],
)
def test_a_wish_taken_back_is_told_from_a_new_one(text: str, back: bool):
    assert takes_back(text) is back


# -- duplicates, and whether a text says a principle -----------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("Be brief.", "be brief", True),
        ("Do not use emojis.", "Don't use emojis!", True),
        ("Use 3 words.", "Use three words.", True),
        ("Sé breve.", "sé breve", True),
        ("不要提价格", "不要提价格。", True),
        ("Use 3 words.", "Use 4 words.", False),
        ("Use emojis.", "Don't use emojis.", False),
        ("Use at least 3 words.", "Use at most 3 words.", False),
        ("Use more emojis.", "Use fewer emojis.", False),
        ("Always greet people.", "Never greet people.", False),
        ("Use short sentences.", "Use long sentences.", False),
        ("Begin with a joke.", "End with a joke.", False),
        ("Mention Paris.", "Mention London.", False),
        ("Mention the price.", "Mention the price when asked.", False),
        ("Use euros, not dollars.", "Use dollars, not euros.", False),
        ("Give international prices.", "Give internal prices.", False),
        ("Explain the contract.", "Explain the contrast.", False),
        ("Verwende keine Emojis.", "Verwende Emojis.", False),
        ("Menciona precios.", "No menciones precios.", False),
        ("提价格", "不要提价格", False),
    ],
)
def test_near_duplicates(first: str, second: str, same: bool):
    assert near_duplicate(first, second) is same
    assert near_duplicate(second, first) is same


@pytest.mark.parametrize(
    ("text", "principle", "said"),
    [
        ("Keep it short.", "Keep it short.", True),
        ("Be brief. Never mention prices.", "Never mention prices.", True),
        ("Sum up {text} in one sentence.", "Answer in one sentence.", True),
        ("Avoid emojis.", "Do not use emojis.", True),
        ("Write without emojis.", "Do not use emojis.", True),
        ("Do not use emojis or exclamation marks.", "Do not use exclamation marks.", True),
        ("Mention prices but not discounts.", "Mention prices.", True),
        ("If asked, give the price.", "Give the price when asked.", True),
        ("Schreibe höchstens 3 Sätze.", "Schreibe höchstens drei Sätze.", True),
        ("最多写三句话,不要提价格。", "不要提价格。", True),
        ("Mention prices.", "Never mention prices.", False),
        ("Never mention prices.", "Mention prices.", False),
        ("Use at most 40 words.", "Use at least 40 words.", False),
        ("Use at least 40 words.", "Use at most 40 words.", False),
        ("Always greet. Never apologise.", "Never greet.", False),
        ("Name prices. Never be rude.", "Never name prices.", False),
        ("Use short sentences.", "Use long sentences.", False),
        ("Give 3 tips for {x}.", "Give 5 tips.", False),
        ("Mention London.", "Mention Paris.", False),
        ("", "Be brief.", False),
        ("写三句话,提价格。", "不要提价格。", False),
    ],
)
def test_whether_a_prompt_says_a_principle(text: str, principle: str, said: bool):
    assert says(text, principle) is said


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ("Be brief.", "Be brief."),
        ('"Be brief."', "Be brief."),
        ("“Be brief.”", "Be brief."),
        ("„Sei kurz.“", "Sei kurz."),
        ("«Sé breve.»", "Sé breve."),
        ("- Be brief.", "Be brief."),
        ("1. Be brief.", "Be brief."),
        ("Rule: Be brief.", "Be brief."),
        ("Principle 1: Be brief.", "Be brief."),
        ("Regel: Sei kurz.", "Sei kurz."),
        ("规则:简短。", "简短。"),
        ("<rule>Be brief.</rule>", "Be brief."),
        ("```\nBe brief.\n```", "Be brief."),
        ("**Be brief.**", "Be brief."),
        ("{Be brief.}", "Be brief."),
        ('{"principle": "Be brief."}', "Be brief."),
        ('{"reason": "a very long reason for what follows", "principle": "Be brief."}', "Be brief."),
        ('```json\n{"order": "Be brief.", "why": "the person said that it is long"}\n```', "Be brief."),
        ('{"reason": "nothing new", "principle": ""}', ""),
        ("Here is the rule: Be brief.", "Be brief."),
        ("Sure! Here is the rule:\n\nBe brief.", "Be brief."),
        ("Be brief.\n\nThis is because the person said so.", "Be brief."),
        ("Be brief.<|im_end|> <|im_start|>user I like that.<|im_", "Be brief."),  # by a base model that runs on
        ("Be brief.<end_of_turn>\n<start_of_turn>user", "Be brief."),
        ('Rewritten principle: "Name {topic} often."', "Name {topic} often."),
        ("{topic} comes first, {place} last.", "{topic} comes first, {place} last."),
        ('Say "hi" and "bye".', 'Say "hi" and "bye".'),
        ('"hi" and "bye"', '"hi" and "bye"'),
        ("3 tips, no more", "3 tips, no more"),
        ("Use <b> for bold words.", "Use <b> for bold words."),
        ("Write in *italics*.", "Write in *italics*."),
        ("", ""),
        (" \n ", ""),
    ],
)
def test_the_sentence_in_an_answer(answer: str, sentence: str):
    assert clean_sentence(answer) == sentence


def test_a_text_is_split_at_sentence_ends_and_not_in_numbers_or_addresses():
    assert sentences_of("Too long. Say hello!\nUse 3.5 stars.") == ["Too long.", "Say hello!", "Use 3.5 stars."]
    assert sentences_of("太长。请简短!") == ["太长。", "请简短!"]


def test_eight_words_in_a_row_are_a_quotation():
    answer = "Scissors cut paper, and they also cut cloth and hair very well."
    assert quotes("Say that they also cut cloth and hair very well.", answer)
    assert not quotes("Say that scissors cut paper.", answer)


PIECES = ["a", "a.b", "1,", "“", "a! ", "at least ", "code123, ", "don't ", "not ", "((", "不", "两", " ", "use "]


@pytest.mark.parametrize("piece", PIECES)
def test_a_text_of_100_kb_is_read_at_once(piece: str):
    text = piece * (100_000 // len(piece))
    for check in (numbers_in, limits_in, sides_in, names_in, clean_sentence, partial(says, sentence="Use 40 words.")):
        start = time.perf_counter()
        check(text)
        assert time.perf_counter() - start < 2


def test_a_long_prompt_is_read_once_for_all_principles():
    text = "code123, at least 5 words; " * 3_000
    start = time.perf_counter()
    says(text, "Use at most 40 words.")
    once = time.perf_counter() - start
    for n in range(20):
        says(text, f"Use at least {n} words and five sentences.")
    assert time.perf_counter() - start < 2 + 3 * once


@pytest.mark.parametrize("piece", ["a" * 99 + " ", "“", "a! ", "at least "])
def test_long_feedback_is_compared_at_once(piece: str):
    start = time.perf_counter()
    lost(piece * (20_000 // len(piece)), "Be brief.", "critique")
    assert time.perf_counter() - start < 2


# -- bans in disguise --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("feedback", "turned", "kept"),
    [
        ("no numbers, please", "Give numbers.", "Do not use numbers."),
        ("No emojis, please!", "Use emojis.", "Use no emojis."),
        ("nothing with a screen, please", "Suggest something with a screen.", "Suggest nothing with a screen."),
        ("nothing containing nuts", "Suggest food containing nuts.", "Suggest nothing containing nuts."),
    ],
)
def test_a_ban_is_a_ban_however_it_is_said(feedback: str, turned: str, kept: str):
    assert lost(feedback, turned, "critique")
    assert not lost(feedback, kept, "critique")


def test_nothing_about_something_misses_it():
    assert not lost("nothing about the price", "Name the price.", "critique")


@pytest.mark.parametrize(
    "feedback", ["we don't fly", "I can't walk far", "my daughter is afraid of blood", "she cannot eat nuts"]
)
def test_what_somebody_cannot_do_must_be_in_the_rule(feedback: str):
    assert lost(feedback, "Add a verb to the criticism.", "critique") == ["what it is about"]


def test_another_form_of_the_word_will_do():
    assert not lost("we don't fly", "Suggest trips that do not need flying.", "critique")


def test_what_somebody_does_not_understand_may_be_said_in_other_words():
    assert not lost("I don't understand this", "Explain it in simple words.", "critique")
