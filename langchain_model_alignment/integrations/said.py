"""What a person said in a conversation, in whole sentences: a part of one may mean the opposite of it."""

import re
from collections.abc import Sequence

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from langchain_model_alignment.wording import sentences_of

__all__ = ["answer_in", "said_by_user", "sentences_with"]

# Scripts that put no spaces between words: Thai, Lao, Burmese, Khmer, Japanese, Chinese. Each character is a token.
_UNSPACED = (
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_TOKEN = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+")
_ENDED = re.compile(r"(?<!\.)[.!。！][\"”’»」)\]]*$")


def said_by_user(words: str, messages: Sequence[BaseMessage]) -> tuple[str, str] | None:
    """Find where a user said something.

    Args:
        words: What was said, in the user's words; case, punctuation and spaces do not matter.
        messages: The conversation.

    Returns:
        The whole sentences that hold the words, and the answer that they are about; None where no user said them.
    """
    for at in reversed(range(len(messages))):
        message = messages[at]
        written = message.additional_kwargs.get("lc_source")  # by a middleware, such as a summary of what came before
        if isinstance(message, HumanMessage) and not written and (said := sentences_with(words, message.text)):
            return said, answer_in(messages[:at])
    return None


def answer_in(messages: Sequence[BaseMessage]) -> str:
    """Return the last answer in words; nothing where there is none."""
    answers = (m.text for m in reversed(messages) if isinstance(m, AIMessage) and m.text.strip())
    return next(answers, "")


def sentences_with(words: str, text: str) -> str:
    """Return all sentences of a text that hold some words, whole; nothing where the text does not hold them.

    Example:
        >>> sentences_with("use profanity", "Hello. Please never use profanity with me! Thanks.")
        'Please never use profanity with me!'
    """
    wanted, sentences = _tokens(words), _sentences(text)
    tokens = [(token, at) for at, sentence in enumerate(sentences) for token in _tokens(sentence)]
    plain, width = [token for token, _ in tokens], len(wanted)
    held: set[int] = set()
    for start, token in enumerate(plain):
        if wanted and token == wanted[0] and plain[start : start + width] == wanted:
            held |= {at for _, at in tokens[start : start + width]}
    return " ".join(sentences[at] for at in sorted(held))


def _sentences(text: str) -> list[str]:
    """Sentences, each with what it cannot be understood without: "Use emojis? Never!" and "Avoid: - emojis" are one."""
    whole: list[str] = []
    for part in sentences_of(text):
        if whole and not (_ENDED.search(whole[-1]) and _begins(part)):
            whole[-1] += f" {part}"
        else:
            whole.append(part)
    return whole


def _begins(part: str) -> bool:
    """Whether a new sentence begins here, and not an item of a list, or more of the last one after "e.g." or "…"."""
    first = part.lstrip("\"“„‘'«「(¡¿")[:1]
    return first.isalpha() and not first.islower()


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(text.casefold())
