"""Sentences that the ground floor says to a model.

They are put together as values: nothing in a schema, an error or an answer is ever read as a template.
"""

__all__ = ["EMPTY_ANSWER", "format_instructions", "repair_instructions"]

EMPTY_ANSWER = "(no answer)"


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
