"""Sentences that the ground floor says to a model.

They are put together as values: nothing in a schema, an error or an answer is ever read as a template.
"""

from collections.abc import Mapping, Sequence

__all__ = ["EMPTY_ANSWER", "PLAIN_STOP", "format_instructions", "plain_turns", "repair_instructions"]

EMPTY_ANSWER = "(no answer)"
PLAIN_STOP = "\nUser:"


def format_instructions(schema: str) -> str:
    """Ask for one JSON object.

    Args:
        schema: The JSON schema, as text.

    Returns:
        The sentences that follow the request.
    """
    return "Answer with one JSON object and nothing else. It must fit this JSON schema:\n" + schema


def repair_instructions(problem: str, schema: str) -> str:
    """Ask for the same answer in a readable form.

    Args:
        problem: What is wrong with the answer.
        schema: The JSON schema, as text.

    Returns:
        The next human message.
    """
    return "Your answer could not be read: " + problem + "\nGive it again, corrected. " + format_instructions(schema)


def plain_turns(turns: Sequence[Mapping[str, str]]) -> str:
    r"""Write a conversation down for a base model, which has no chat template.

    Args:
        turns: Each with its role (system, user or assistant) and its content.

    Returns:
        The text, up to where the assistant's answer begins; `PLAIN_STOP` ends the answer.

    Example:
        >>> plain_turns([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}])
        'Be brief.\n\nUser: Hi\nAssistant:'
    """
    names = {"system": "", "user": "User: ", "assistant": "Assistant: "}
    ends = {"system": "\n\n", "user": "\n", "assistant": "\n"}
    return "".join(f"{names[t['role']]}{t['content']}{ends[t['role']]}" for t in turns) + "Assistant:"
