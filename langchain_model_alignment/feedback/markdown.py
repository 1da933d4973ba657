"""A prompt and its principles as Markdown that a person reads, edits in any editor, and reads back."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError

from langchain_model_alignment.artifacts import one_line
from langchain_model_alignment.constitution import Constitution, Principle, id_number
from langchain_model_alignment.errors import AlignmentError, ArtifactError, PromptError
from langchain_model_alignment.history import Document, History, TemplateEdit
from langchain_model_alignment.templates import Template

MARKDOWN_VERSION = 1
"""The version of the Markdown written here; a newer one is refused."""

_STAMP = re.compile(r"<!--\s*[a-z_]+, schema version (\S+?)[;\s]")
_PROMPT, _PRINCIPLES = "Prompt", "Principles"
_READ_ONLY = ("Prompt as it is sent", "History")
_TEXT_NAMES = "names in braces that are text"
_OPENING = re.compile(r"(`{3,})[^`]*")
_ITEM = re.compile(r"(?:[0-9]{1,9}[.)]|[-*+])\s+(?:\*{0,2}(p[1-9][0-9]{0,11})\*{0,2}:)?(.*)", re.DOTALL)
_DETAIL = re.compile(r"\s+[-*+]\s+(?:(off)|(when|group|label|reason|evidence):(.*))\s*", re.DOTALL)


# -- writing ---------------------------------------------------------------------------------------------------


def prompt_to_markdown(history: History, sent: Template) -> str:
    """Return the prompt at the head of a history as Markdown.

    Args:
        history: The prompt and how it came about.
        sent: The prompt as it is sent, which is shown for reading.

    Raises:
        PromptError: There is no prompt yet.
    """
    document = history.document
    if not document.base.messages:
        raise PromptError("There is no prompt to write yet; set one, or write the principles alone.")
    lines = ["# Aligned prompt", "", _stamp("aligned_prompt"), "", f"## {_PROMPT}", ""]
    for heading, text in _parts_of(document.base):
        lines += [f"### {heading}", "", *_fenced(text), ""]
    lines += _principle_lines(document.constitution)
    if sent != document.base:
        lines += [f"## {_READ_ONLY[0]}", "", *_fenced(sent.text), ""]
    if history.revisions:
        lines += [f"## {_READ_ONLY[1]}", "", *_table(history), ""]
    return _whole(lines)


def constitution_to_markdown(constitution: Constitution) -> str:
    """Return principles alone as Markdown."""
    return _whole(["# Constitution", "", _stamp("constitution"), "", *_principle_lines(constitution)])


def _stamp(kind: str) -> str:
    return f"<!-- {kind}, schema version {MARKDOWN_VERSION}; a file of langchain-model-alignment -->"


def _whole(lines: Iterable[str]) -> str:
    # Half an emoji, as a cut answer may hold, is no UTF-8, and Markdown has no other way to say it.
    return re.sub("[\ud800-\udfff]", "\ufffd", "\n".join(lines).rstrip("\n") + "\n")


def _parts_of(template: Template) -> Iterator[tuple[str, str]]:
    for message in template.messages:
        yield ("optional " if message.optional else "") + message.role, message.text
    for name, value in template.partials.items():
        yield f"{'listed ' if name == template.listed else ''}value of {_inline(name)}", value
    if template.literals:
        yield _TEXT_NAMES, "\n".join(map(_inline, template.literals))


def _fenced(text: str) -> list[str]:
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", text, fence]


def _principle_lines(constitution: Constitution) -> list[str]:
    lines = [f"## {_PRINCIPLES}", ""]
    for number, p in enumerate(constitution.principles, 1):
        lines.append(f"{number}. {p.id}: {_inline(p.text)}")
        details = [("when", p.condition), ("group", p.group), ("label", p.label), ("reason", p.reason or None)]
        details += [("evidence", source) for source in p.evidence]
        lines += [f"   - {name}: {_inline(value)}" for name, value in details if value is not None]
        lines += [] if p.enabled else ["   - off"]
    return [*lines, ""]


def _table(history: History) -> list[str]:
    rows = [("revision", "after", "reason", "author", "time", "edits"), ("---",) * 6]
    for r in history.revisions:
        edits = [e.op if isinstance(e, TemplateEdit) else f"{e.op} {e.id}" for e in r.edits]
        here = f"**{r.id}**" if r.id == history.head else r.id
        rows.append((here, r.parent or "", r.reason, r.author, r.time, ", ".join(edits)))
    return [f"| {' | '.join(' '.join(cell.split()).replace('|', '&#124;') for cell in row)} |" for row in rows]


def _inline(text: str) -> str:
    """Return text as it stands in one line; where it could not be read back so, as a JSON string."""
    plain = text.splitlines() == [text.strip()] == [text] and _as_json(text) is None
    return text if plain else json.dumps(text, ensure_ascii=False)


def _as_json(text: str) -> str | None:
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, str) else None


# -- reading ---------------------------------------------------------------------------------------------------


class _Piece(NamedTuple):
    """A heading, a fenced block or a line of other text."""

    line: int
    kind: Literal["section", "part", "block", "text"]
    text: str


def document_from_markdown(text: str, where: str = "The Markdown") -> Document:
    """Read the prompt and the principles that Markdown tells of.

    Raises:
        ArtifactError: It has no prompt, or something in it that this release cannot read.
    """
    pieces = list(_pieces(text, where))
    parts = list(_prompt_parts([p for section, p in _in_sections(pieces, where) if section == _PROMPT], where))
    if not parts:
        raise ArtifactError(f'{where} has no prompt in it; give one in a fenced block below the heading "## Prompt".')
    try:
        return Document(base=_template(parts), constitution=_constitution(pieces, where))
    except (ValidationError, AlignmentError) as error:
        raise _damaged(where, error) from error


def constitution_from_markdown(text: str, where: str = "The Markdown") -> Constitution:
    """Read the principles that Markdown tells of; of a prompt beside them nothing is kept.

    Raises:
        ArtifactError: It has no list of principles, or something in it that this release cannot read.
    """
    pieces = list(_pieces(text, where))
    if not any(p.kind == "section" and p.text == _PRINCIPLES for p in pieces):
        raise ArtifactError(f'{where} has no principles in it; list them below the heading "## Principles".')
    try:
        return _constitution(pieces, where)
    except (ValidationError, AlignmentError) as error:
        raise _damaged(where, error) from error


def _damaged(where: str, error: Exception) -> ArtifactError:
    return error if isinstance(error, ArtifactError) else ArtifactError(f"{where} cannot be read: {one_line(error)}.")


def _pieces(text: str, where: str) -> Iterator[_Piece]:
    text = text.removeprefix("\ufeff")
    if text.count("\n") == text.count("\r\n"):  # an editor of another system turned every line end
        text = text.replace("\r\n", "\n")
    fence, began, block = "", 0, list[str]()
    for number, line in enumerate(text.split("\n"), 1):
        if fence:
            if line.startswith(fence) and not line.strip().strip("`"):
                yield _Piece(began, "block", "\n".join(block))
                fence = ""
            else:
                block.append(line)
        elif opening := _OPENING.fullmatch(line):
            fence, began, block = opening[1], number, []
        elif line.startswith("## "):
            yield _Piece(number, "section", line[3:].strip())
        elif line.startswith("### "):
            yield _Piece(number, "part", line[4:].strip())
        elif stamp := _STAMP.match(line):
            if stamp[1] != str(MARKDOWN_VERSION):
                raise ArtifactError(
                    f"{where} has schema version {stamp[1]}, and this release reads up to {MARKDOWN_VERSION}; "
                    "update langchain-model-alignment."
                )
        elif line.strip() and not line.startswith("<!--"):
            yield _Piece(number, "text", line)
    if fence:
        raise ArtifactError(f"{where} has a block that never ends, from line {began} on; close it with {fence}.")


def _in_sections(pieces: list[_Piece], where: str) -> Iterator[tuple[str, _Piece]]:
    """Yield what stands in a section, under its name; what comes before the first is for the reader."""
    section = ""
    for piece in pieces:
        if piece.kind == "section":
            section = piece.text
            if section not in (_PROMPT, _PRINCIPLES, *_READ_ONLY):
                known = ", ".join((_PROMPT, _PRINCIPLES, *_READ_ONLY))
                raise ArtifactError(
                    f'{where} has a section "{section}" in line {piece.line} that means nothing here; '
                    f"take it out, or use one of: {known}."
                )
        elif section:
            yield section, piece


def _prompt_parts(pieces: list[_Piece], where: str) -> Iterator[tuple[str, str]]:
    heading: _Piece | None = None
    for piece in pieces:
        if piece.kind == "block":
            yield heading.text if heading else "human", piece.text
            heading = None
        elif piece.kind == "part" and heading is None:
            if not re.fullmatch(r"(optional )?(system|human|ai|placeholder)|(listed )?value of .+", piece.text) and (
                piece.text != _TEXT_NAMES
            ):
                raise ArtifactError(
                    f'{where} has a part "{piece.text}" of the prompt in line {piece.line} that means nothing here; '
                    "use system, human, ai or placeholder."
                )
            heading = piece
        else:
            at = (heading or piece).line
            raise ArtifactError(f"{where} has text of the prompt outside a block near line {at}; fence it with ```.")
    if heading:
        raise ArtifactError(f'{where} has no block below "{heading.text}" in line {heading.line}; add one or drop it.')


def _template(parts: list[tuple[str, str]]) -> Template:
    messages, literals, partials, listed = list[Any](), list[str](), dict[str, str](), None
    for heading, text in parts:
        kind, _, name = heading.partition("value of ")
        if heading == _TEXT_NAMES:
            literals += [_read_inline(line) for line in text.split("\n")]
        elif name:
            partials[_read_inline(name)] = text
            listed = _read_inline(name) if kind else listed
        else:
            *optional, role = heading.split()
            messages.append({"role": role, "text": text, "optional": bool(optional)})
    value = {"messages": messages, "partials": partials, "literals": literals, "listed": listed}
    return Template.model_validate(value)


def _constitution(pieces: list[_Piece], where: str) -> Constitution:
    found: list[dict[str, Any]] = []
    for section, piece in _in_sections(pieces, where):
        if section != _PRINCIPLES:
            continue
        line = piece.text if piece.kind == "text" else ""
        if item := _ITEM.fullmatch(line):
            found.append({"id": item[1], "text": _read_inline(item[2])})
        elif found and (detail := _DETAIL.fullmatch(line)):
            _add_detail(found[-1], *detail.groups())
        elif found and line[:1].isspace() and len(found[-1]) == 2 and not re.match(r"\s+[-*+]\s", line):
            found[-1]["text"] += f" {line.strip()}"  # an editor wrapped a long line
        else:
            raise ArtifactError(
                f"{where} has something that is no principle in line {piece.line}; begin a principle with a number, "
                "and what belongs to it with an indented dash: when, group, label, reason, evidence, or off."
            )
    number = 1 + max((id_number(values["id"]) for values in found if values["id"]), default=0)
    for values in found:
        if values["id"] is None:
            values["id"], number = f"p{number}", number + 1
    return Constitution(principles=tuple(Principle.model_validate(values) for values in found))


def _add_detail(values: dict[str, Any], off: str | None, name: str | None, value: str | None) -> None:
    if off or name is None:
        values["enabled"] = False
    elif name == "evidence":
        values["evidence"] = (*values.get("evidence", ()), _read_inline(value or ""))
    else:
        values["condition" if name == "when" else name] = _read_inline(value or "")


def _read_inline(text: str) -> str:
    text = text.strip()
    read = _as_json(text)
    return text if read is None else read
