"""Chat messages as one prompt, for whatever chat template a model's tokenizer has, or has not."""

import re
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import BaseMessage

from langchain_model_alignment.errors import BadRequestError
from langchain_model_alignment.instructions import PLAIN_STOP, plain_turns

__all__ = ["Prompter", "as_turns"]

_ROLES = {"system": "system", "human": "user", "ai": "assistant"}
_PROBE = "a system text"


class Prompter:
    """Puts chat messages into the words that one model was trained on.

    Args:
        tokenizer: The model's tokenizer, of transformers.

    Attributes:
        stop: What ends an answer, where no chat template says so: a base model would go on with the user's part.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.templated = bool(tokenizer.chat_template)
        self.stop: tuple[str, ...] = () if self.templated else (PLAIN_STOP,)
        self._system = self.templated and self._takes_system()
        control = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
        control |= set(tokenizer.all_special_tokens)
        longest_first = sorted((token for token in control if len(token) > 1), key=len, reverse=True)
        self._control = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def ids(self, messages: Sequence[BaseMessage]) -> list[int]:
        """Return a request as token ids, up to where the answer begins.

        Raises:
            BadRequestError: A message holds something that is no text, or is of a kind that the model has no words for.
        """
        text = self.text(messages)
        ids: list[int] = self.tokenizer(text, add_special_tokens=not self.templated)["input_ids"]
        return ids

    def text(self, messages: Sequence[BaseMessage]) -> str:
        """Return a request as one text, up to where the answer begins.

        Raises:
            BadRequestError: A message holds something that is no text, or is of a kind that the model has no words for.
        """
        turns = as_turns(messages, system=self._system or not self.templated)
        # What people write must not end their turn and begin another one.
        turns = [{**turn, "content": self._control.sub(_broken, turn["content"])} for turn in turns]
        if not self.templated:
            return plain_turns(turns)
        return str(self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))

    def _takes_system(self) -> bool:
        turns = [{"role": "system", "content": _PROBE}, {"role": "user", "content": "a question"}]
        try:
            return _PROBE in self.tokenizer.apply_chat_template(turns, tokenize=False)
        except Exception:  # noqa: BLE001 (templates refuse a role in ways of their own)
            return False


def as_turns(messages: Sequence[BaseMessage], *, system: bool) -> list[dict[str, str]]:
    r"""Return messages as turns that alternate between user and assistant, the user's first.

    Args:
        messages: The request.
        system: Whether the first turn may be a system turn; else its text begins the first turn of the user. A system
            message further down is a part of the user's turn in any case.

    Raises:
        BadRequestError: A message holds something that is no text, or is of a kind that the model has no words for.

    Example:
        >>> from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
        >>> as_turns([SystemMessage("Be brief."), HumanMessage("Hi"), HumanMessage("there")], system=False)
        [{'role': 'user', 'content': 'Be brief.\n\nHi\n\nthere'}]
    """
    turns: list[dict[str, str]] = []
    for message in messages:
        role, text = _role_of(message), _text_of(message)
        if role == "system" and not (system and all(turn["role"] == "system" for turn in turns)):
            role = "user"
        if role == "assistant" and all(turn["role"] == "system" for turn in turns):
            turns.append({"role": "user", "content": ""})
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += f"\n\n{text}"
        else:
            turns.append({"role": role, "content": text})
    return turns


def _role_of(message: BaseMessage) -> str:
    if message.type not in _ROLES:
        raise BadRequestError(
            f"A local Hugging Face model has no words for a {message.type} message; give human, ai and system messages."
        )
    return _ROLES[message.type]


def _text_of(message: BaseMessage) -> str:
    blocks = message.content if isinstance(message.content, list) else []
    kinds = [block.get("type") for block in blocks if isinstance(block, dict)]
    if other := next((kind for kind in kinds if kind not in ("text", "reasoning", "thinking")), None):
        raise BadRequestError(f"A local Hugging Face model reads text only, and a message holds {other}; leave it out.")
    return str(message.text)


def _broken(match: re.Match[str]) -> str:
    return f"{match[0][0]} {match[0][1:]}"
