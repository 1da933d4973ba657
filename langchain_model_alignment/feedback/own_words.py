"""The floor under every model: the person's own words, as a principle and as a model reads them best."""

import re

from langchain_model_alignment.feedback.changes import form_asked
from langchain_model_alignment.feedback.exchanges import Feedback
from langchain_model_alignment.languages import words_of
from langchain_model_alignment.orders import is_order, is_wish, outright

__all__ = ["calmly", "in_own_words"]

_EMOJI = re.compile(r"[\U0001F300-\U0001FAFF\u2600-\u27BF\uFE0F]")


def calmly(text: str) -> str:
    """Return feedback as a small model reads it best: not shouted, and without the faces beside a verdict.

    Example:
        >>> calmly("WAY TOO LONG")
        'way too long'
    """
    calm = outright(text.lower() if text.isupper() else text)
    bare = _EMOJI.sub("", calm).strip()
    return calm if is_wish(text) or len(words_of(bare)) < 1 else bare


def in_own_words(feedback: Feedback) -> str:
    """Return the person's own words as a principle: plain where they are an order, else framed.

    Example:
        >>> in_own_words(Feedback(kind="critique", text="never promise refunds"))
        'Never promise refunds.'
        >>> in_own_words(Feedback(kind="critique", text="The sources are missing."))
        'Answer so that this criticism no longer applies: “The sources are missing.”'
    """
    text = " ".join((outright(feedback.text) if feedback.kind == "critique" else feedback.text).split())
    if feedback.kind == "rewrite":
        form = form_asked(feedback.response, feedback.text)
        return " ".join([*form, f"Answer in the manner of this example, written by a person: “{text}”"])
    if feedback.kind == "kudos":
        return f"Keep doing what was praised here: “{text}”"
    if is_order(text):
        return f"{text[0].upper()}{text[1:]}{'' if text[-1] in '.!?。！？' else '.'}"
    return f"Answer so that this criticism no longer applies: “{text}”"
