"""Values from outside that every store, database and answer can hold."""

import math
import re
from typing import Annotated, Any

from pydantic import AfterValidator

__all__ = ["PlainDict", "PlainText", "PlainValue", "check_plain"]

_DEEPEST = 64
_LARGEST = 2**63
_UNKEPT = re.compile("[\0\ud800-\udfff]")


def check_plain(value: Any, depth: int = 0) -> Any:
    """Return a JSON value as it is, if it can be kept anywhere.

    Python's JSON reader lets through what no database and no strict reader takes: NUL and half characters in texts,
    numbers that are not finite or have more than 64 bits, and very deep nesting.

    Raises:
        ValueError: It holds one of these.

    Example:
        >>> check_plain({"name": ["Ada", 1, None]})
        {'name': ['Ada', 1, None]}
        >>> check_plain({"name": "A" + chr(0)})
        Traceback (most recent call last):
        ValueError: a text holds a NUL or half a character; take it out
    """
    if depth > _DEEPEST:
        raise ValueError(f"it is nested more than {_DEEPEST} deep; make it flatter")
    if isinstance(value, str):
        if _UNKEPT.search(value):
            raise ValueError("a text holds a NUL or half a character; take it out")
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number is not finite; give another, or a text")
    elif isinstance(value, int) and not -_LARGEST <= value < _LARGEST:
        raise ValueError("a number has more than 64 bits; give it as a text")
    elif isinstance(value, dict):
        for key, item in value.items():
            check_plain(key, depth + 1)
            check_plain(item, depth + 1)
    elif isinstance(value, list | tuple):
        for item in value:
            check_plain(item, depth + 1)
    return value


PlainValue = Annotated[Any, AfterValidator(check_plain)]
PlainText = Annotated[str, AfterValidator(check_plain)]
PlainDict = Annotated[dict[str, Any], AfterValidator(check_plain)]
