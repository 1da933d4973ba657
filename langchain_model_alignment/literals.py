"""What must stand as it is in a prompt's text: variables, and literals such as JSON and code.

A `{name}` whose name is an identifier is a variable; any other brace is text.
"""

import re
from collections import Counter

VARIABLE = re.compile(r"\{([^\W\d]\w*)\}")
"""A candidate; its name must also be an identifier, which a superscript digit is not."""


def variables_in(text: str) -> tuple[str, ...]:
    """Return the names of the variables in a text, each once, in order.

    Example:
        >>> variables_in('Answer {question} as {"json": {0}} for {name} and {question}.')
        ('question', 'name')
    """
    return tuple(dict.fromkeys(name for name in VARIABLE.findall(text) if name.isidentifier()))


def check_variables(old: str, new: str) -> str | None:
    """Return what a rewritten text did to the variables and literals of the old one, or nothing when it kept them.

    Variables must be the same set, each at least as often as once; JSON-like literals (anything else in braces)
    must stand unchanged.

    Example:
        >>> check_variables("Sum up {text}.", "Sum up the text for {audience}.")
        'it drops the variable {text} and invents the variable {audience}'
        >>> check_variables("Sum up {text}.", "Briefly sum up {text}.")
    """
    was, now = set(variables_in(old)), set(variables_in(new))
    faults = [f"drops the variable {{{name}}}" for name in variables_in(old) if name not in now]
    faults += [f"invents the variable {{{name}}}" for name in variables_in(new) if name not in was]
    kept = Counter(literals_in(new))
    faults += [f"changes or drops the literal {literal}" for literal in Counter(literals_in(old)) if not kept[literal]]
    return f"it {' and '.join(faults)}" if faults else None


def literals_in(text: str) -> list[str]:
    """Return what stands in braces or backticks and is not a variable: JSON, code and formats to keep as they are.

    Example:
        >>> literals_in('Reply {"a": {"b": 1}} for {name}; use `x = {}` and {0}.')
        ['{"a": {"b": 1}}', '`x = {}`', '{0}']
    """
    ends, last = _brace_ends(text), text.rfind("`")
    found: list[str] = []
    position = 0
    for start in re.finditer(r"[{`]", text):
        if start.start() < position:
            continue
        if start[0] == "{":
            end = ends.get(start.start())
        else:
            close = text.find("`", start.end()) if start.start() < last else -1
            end = close + 1 if close > start.end() else None
        if end is not None:
            piece = text[start.start() : end]
            position = end
            if not variables_in(piece) or f"{{{variables_in(piece)[0]}}}" != piece:
                found.append(piece)
    return found


def _brace_ends(text: str) -> dict[int, int]:
    """Return, for each opening brace that is closed, the position behind its closing one."""
    ends: dict[int, int] = {}
    open_: list[int] = []
    for brace in re.finditer(r"[{}]", text):
        if brace[0] == "{":
            open_.append(brace.start())
        elif open_:
            ends[open_.pop()] = brace.end()
    return ends
