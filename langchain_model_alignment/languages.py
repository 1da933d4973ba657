"""The few words per language that the checks in `wording` know; other languages get fewer checks, never wrong ones."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Language:
    """Words of one language, lower case; all matched whole, except where a language writes without spaces."""

    stopwords: frozenset[str]
    """Frequent words, which tell the language and carry no content."""
    numbers: dict[str, int]
    negations: frozenset[str]
    wishes: frozenset[str]
    """Words that show a sentence to be a wish or an order, not a description."""
    hedges: frozenset[str] = frozenset()
    orders: frozenset[str] = frozenset()
    """Words that an order begins with, and that a description does not."""
    subjects: frozenset[str] = frozenset()
    """Words that a description begins with."""


def word_set(text: str) -> frozenset[str]:
    """Return the words of a list written as one text."""
    return frozenset(text.split())


def _numbers(text: str) -> dict[str, int]:
    return {word: int(value) for word, value in (pair.split("=") for pair in text.split())}


LANGUAGES: dict[str, Language] = {
    "en": Language(
        stopwords=word_set(
            "the a an and or but of to in on at for with from by as is are was were be been it its this that these those "
            "i you he she we they my your our their there here what which who so very too much more most some any all "
            "do does did don't has have had will would can could should must not no if then than also just me them us "
            "when whenever please answer response reply text it's i'm you're about into every each use write make give"
        ),
        numbers=_numbers(
            "two=2 three=3 four=4 five=5 six=6 seven=7 eight=8 nine=9 ten=10 eleven=11 twelve=12 thirteen=13 "
            "fourteen=14 fifteen=15 sixteen=16 seventeen=17 eighteen=18 nineteen=19 twenty=20 thirty=30 forty=40 "
            "fifty=50 sixty=60 seventy=70 eighty=80 ninety=90 hundred=100 thousand=1000 twice=2 dozen=12"
        ),
        negations=word_set(
            "not no never none nothing without neither nor cannot don't doesn't didn't isn't aren't won't"
        )
        | word_set("can't shouldn't mustn't wasn't weren't couldn't wouldn't avoid"),
        wishes=word_set(
            "must should shall please never always only don't stop avoid want wants need needs ought wish prefer"
        )
        | word_set("let's make use write give keep add include mention say tell show start end begin put remove leave"),
        hedges=word_set("possible ideally preferably usually generally mostly maybe perhaps sometimes optional")
        | word_set("optionally occasionally often"),
    ),
    "de": Language(
        stopwords=word_set(
            "der die das ein eine einen einem einer und oder aber von zu im in am an auf für mit aus bei als ist sind war "
            "wird werden es sie er wir ihr ich du dass den dem des sich auch so sehr mehr nur noch nicht kein keine bitte "
            "mich mir dir uns euch sein ihre haben hat immer wie wenn zum zur antwort text über soll"
        ),
        numbers=_numbers(
            "zwei=2 drei=3 vier=4 fünf=5 sechs=6 sieben=7 acht=8 neun=9 zehn=10 elf=11 zwölf=12 zwanzig=20 dreißig=30 "
            "vierzig=40 fünfzig=50 hundert=100 tausend=1000"
        ),
        negations=word_set(
            "nicht kein keine keinen keinem keiner keines nie niemals ohne weder nichts verzichte vermeide"
        ),
        wishes=word_set("bitte soll sollte sollten sollen muss müssen darf dürfen möchte will"),
        hedges=word_set("möglichst idealerweise vielleicht meistens bevorzugt gelegentlich"),
        orders=word_set(
            "schreibe schreib nenne nenn gib gebe verwende nutze benutze sei mach mache füge lass lasse beginne ende beende "
            "antworte erkläre erwähne zeige sag sage vermeide verzichte halte nimm biete liste frage formuliere fasse keine "
            "kein keinen nie niemals immer nur nicht weniger mehr kürzer höchstens maximal mindestens"
        ),
        subjects=word_set(
            "der die das es er sie dies diese dieser ein eine ich mir wir man dein deine ihr ihre alle jede"
        ),
    ),
    "es": Language(
        stopwords=word_set(
            "el la los las un una unos unas y o pero de del a al en con por para como es son fue ser lo le les se su sus "
            "que qué no si sí más muy este esta estos estas eso ese hay me mi tu te nos respuesta texto siempre solo sin "
            "debe deben cada sobre"
        ),
        numbers=_numbers(
            "dos=2 tres=3 cuatro=4 cinco=5 seis=6 siete=7 ocho=8 nueve=9 diez=10 once=11 doce=12 veinte=20 treinta=30 "
            "cuarenta=40 cincuenta=50 cien=100 mil=1000"
        ),
        negations=word_set("no nunca jamás sin ni ningún ninguna tampoco evita evitar evite"),
        wishes=word_set("debe deben debería favor quiero necesito quisiera"),
        hedges=word_set("posible idealmente preferiblemente quizás normalmente"),
        orders=word_set(
            "usa use escribe escriba menciona mencione di diga da dé añade añada incluye incluya evita evite sé sea responde "
            "responda explica explique termina termine empieza empiece pon ponga haz haga nunca jamás siempre solo máximo"
        ),
        subjects=word_set(
            "el la los las lo un una es hay falta faltan esto este esta me mi su tu no todo todos está son"
        ),
    ),
    "fr": Language(
        stopwords=word_set(
            "le la les un une des et ou mais de du à au aux en dans avec pour par sur comme est sont était être il elle "
            "ils elles nous vous je tu que qui ne pas plus très ce cette ces son sa ses réponse texte toujours sans doit"
        ),
        numbers=_numbers(
            "deux=2 trois=3 quatre=4 cinq=5 six=6 sept=7 huit=8 neuf=9 dix=10 vingt=20 trente=30 cent=100"
        ),
        negations=word_set("ne pas jamais sans aucun aucune ni évite éviter évitez"),
        wishes=word_set("doit doivent devrait veuillez plaît"),
        orders=word_set(
            "écris écrivez utilise utilisez mentionne mentionnez donne donnez évite évitez ajoute ajoutez sois soyez"
        )
        | word_set("n'utilise n'utilisez jamais toujours"),
        subjects=word_set("le la les il elle un une ce c'est cela je"),
    ),
    "zh": Language(
        stopwords=frozenset(),
        numbers={"二": 2, "两": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9, "十": 10, "百": 100},
        negations=word_set("不 没 别 勿 无 非 禁止 避免"),
        wishes=word_set("请 不要 必须 应该 应当 务必 不得 禁止 别 只 总是 需要 一点 一些 不能 不准 至少 最多"),
        hedges=word_set("尽量 最好 可能"),
    ),
}

_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")
WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def words_of(text: str) -> list[str]:
    """Return the words of a text, lower case, hyphens splitting and apostrophes kept.

    Example:
        >>> words_of("Don't bore my six-year-old!")
        ["don't", 'bore', 'my', 'six', 'year', 'old']
    """
    return [word.replace("’", "'") for word in WORD.findall(text.lower())]


def has_cjk(text: str) -> bool:
    """Return whether a text holds Chinese or Japanese characters."""
    return bool(_CJK.search(text))


def language_of(text: str) -> str | None:
    """Return the code of the language of a text as far as its frequent words tell it.

    Example:
        >>> language_of("Der Text ist nicht höflich genug"), language_of("No menciones los precios"), language_of("Ok")
        ('de', 'es', None)
    """
    if len(_CJK.findall(text)) >= 2:
        return "zh" if not re.search(r"[\u3040-\u30ff]", text) else None
    words = words_of(text)
    hits = {code: sum(w in known for w in words) for code, known in _KNOWN.items()}
    for code, letters in _LETTERS.items():
        hits[code] += bool(letters.search(text.lower()))
    ranked = sorted(hits.items(), key=lambda item: -item[1])
    (best, most), (_, second) = ranked[0], ranked[1]
    return best if most > second else None


_KNOWN = {
    code: language.stopwords | language.wishes | language.negations | language.orders | frozenset(language.numbers)
    for code, language in LANGUAGES.items()
    if code != "zh"
}
_LETTERS = {
    "de": re.compile(r"[äöüß]"),
    "es": re.compile(r"[ñ¿¡íóú]"),
    "fr": re.compile(r"[çèêœ]|\b[cdjlnqs]'[a-z]{3}"),
}
