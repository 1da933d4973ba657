# ruff: noqa: E501 (one case in a line reads best)
"""Pieces of feedback written for measuring, each with what its principle must say and must not say.

A group of alternatives is one regular expression; every group must be found, none of the forbidden may be.
"""

from typing import NamedTuple


class Case(NamedTuple):
    kind: str
    feedback: str
    must: tuple[str, ...]
    must_not: tuple[str, ...] = ()
    response: str = "Here is an answer."
    old: tuple[str, ...] = ()
    """Principles that are there already."""
    gone: tuple[str, ...] = ()
    """What no enabled principle may say any more afterwards."""
    stays: tuple[str, ...] = ()
    """What some principle must still say afterwards."""


NOT = r"\bnot?\b|n't|never|avoid|without|leave out|omit|exclude|skip|refrain|free"

ENGLISH = (
    # missing things
    Case("critique", "the list doesn't include any creative uses", ("creative",), (r"^(do not|don't|avoid|never)",)),
    Case("critique", "Nothing is said about the warranty.", ("warranty",), (r"^(do not|don't|avoid|never)",)),
    Case("critique", "It lacks a conclusion", ("conclu",), (r"^(do not|don't|avoid|never)",)),
    Case("critique", "I can't find the opening hours anywhere", ("opening hours|hours",), (r"^(do not|don't|avoid|never)",)),
    # numbers and limits
    Case("critique", "use at least ten words per item", ("10|ten", "least|minimum|or more"), ("at most|under",)),
    Case("critique", "Way too wordy, 60 words are enough", ("60", "most|more than 60|less than|fewer|under|within|up to|enough|limit"), ("at least",)),
    Case("critique", "Please give exactly 4 options", ("4|four", "option")),
    Case("kudos", "Perfect length: three short sentences", ("3|three", "sentence"), (NOT,)),
    Case("critique", "The deadline must be 30 June, not 31 July", ("30 June", "31 July"), ("deadline must be 31|^use 31",)),
    # names
    Case("critique", "Do not mention Amazon or eBay", ("amazon", "ebay", NOT)),
    Case("critique", "You should sign as Dr. Weber from Siemens", ("weber", "siemens"), (NOT,)),
    Case("kudos", "I like that it quotes Marie Curie", ("curie", "quot"), (NOT,)),
    # negations
    Case("critique", "I do not want any alcohol in it", ("alcohol", NOT)),
    Case("critique", "never use the word synergy", ("synergy", NOT)),
    Case("kudos", "It doesn't lecture me about my choices", ("lectur|judg", NOT)),
    Case("critique", "No politics please", ("politic", NOT)),
    Case("critique", "Don't assume that the reader is a man", ("man|male|gender", NOT)),
    # strengths and conditions
    Case("critique", "always ask for the order number first", ("order number", "first|before|start|begin"), ("sometimes|if possible",)),
    Case("critique", "If possible, give an example from daily life", ("example", "possible|try|when you can|ideally|where")),
    Case("critique", "Only recommend restaurants that are open on Sundays", ("sunday", "only|open")),
    Case("critique", "Never give the phone number unless the customer asks for it", ("phone", "unless|only|if", "never|not|only")),
    # audience, tone, form
    Case("critique", "a six-year-old would not understand this", ("6|six", "year|child|kid"), ("^a six-year-old would not understand",)),
    Case("critique", "Sounds arrogant.", ("humble|modest|friendl|polite|respect|arrogan|kind|warm|less arrogant",), ("^sound arrogant|^be arrogant",)),
    Case("kudos", "The table makes it easy to compare", ("table",), (NOT,)),
    Case("critique", "Please write it in bullet points", ("bullet",), (NOT,)),
    # rewrites
    Case("rewrite", "The library opens at 9.", ("short|brief|concise|leave out|only|unnecessary",), (), "You will be delighted to hear that our wonderful library, which was founded long ago by kind people, opens its doors at 9 in the morning."),
    Case("rewrite", "The train leaves at 17:30.", ("24|17:30|clock|hour|time",), (), "The train leaves at 5:30 p.m."),
    # with older principles
    Case("critique", "Never promise refunds", ("refund", "never|not"), (), old=("Use a friendly tone.", "Always promise a refund.", "Give the opening hours."), gone=("always promise",), stays=("friendly", "opening hours")),
    Case("critique", "It must mention the price in euros", ("price", "euro"), (), old=("Use at most 50 words.", "End with a question.", "Do not use emojis."), stays=("50 words", "question", "emojis")),
    Case("critique", "You don't need to mention the weather any more", (), ("^mention the weather",), old=("Mention the weather.", "Keep a formal tone."), gone=("^mention the weather",), stays=("formal",)),
)  # fmt: skip

OTHER_LANGUAGES = (
    Case("critique", "Der Text ist zu lang, höchstens 50 Wörter bitte", ("50", "höchstens|maximal|nicht mehr|bis zu|unter|weniger")),
    Case("critique", "Bitte keine Fremdwörter verwenden", ("fremdw", "kein|nicht|ohne|vermeid|verzicht")),
    Case("kudos", "Schön, dass am Ende eine Frage steht", ("frage", "ende|schluss|schließ|abschl")),
    Case("critique", "Es fehlt die Telefonnummer von Frau Schröder", ("telefon", "schröder"), ("^(nicht|kein)",)),
    Case("critique", "No menciones los precios", ("precio", r"\bno\b|evit|sin|nunca")),
    Case("critique", "Falta la dirección de la tienda en Sevilla", ("direcci", "sevilla"), ("^no ",)),
    Case("kudos", "Me gusta que use ejemplos concretos", ("ejemplo",), ("^no ",)),
    Case("critique", "回答太长了，不要超过三句话", ("三|3", "句")),
    Case("critique", "请不要使用专业术语", ("术语", "不|避免|别|勿")),
    Case("kudos", "很好，最后有总结", ("总结",), ("不要|别",)),
)  # fmt: skip
