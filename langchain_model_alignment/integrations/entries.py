"""One version of a constitution in a library, and how it stands in a store."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from pydantic import ValidationError

from langchain_model_alignment.artifacts import one_line
from langchain_model_alignment.constitution import Add, Constitution, Value
from langchain_model_alignment.errors import AlignmentError, ArtifactError, ConfigurationError, ConflictError
from langchain_model_alignment.feedback.files import constitution_from_dict, constitution_to_dict
from langchain_model_alignment.feedback.records import AlignedPrompt
from langchain_model_alignment.integrations.plain import check_plain
from langchain_model_alignment.wording import near_duplicate

__all__ = ["SCHEMA_VERSION", "Entry", "as_entry", "as_value", "conflict", "label_of", "number_in", "only_one"]

SCHEMA_VERSION = 1
"""The version of what is put into the store; a newer one is refused."""


class Entry(Value):
    """One version of a named constitution."""

    name: str
    version: int
    constitution: Constitution
    author: str = ""
    reason: str = ""
    time: str = ""

    def apply_to(self, aligned: AlignedPrompt) -> AlignedPrompt:
        """Return the prompt with these principles added as one revision.

        What is switched off here stays out, and so does what the prompt says already in other words.

        Example:
            >>> entry = Entry(name="tone", version=2, constitution=Constitution.of("Be brief.", "Do not use emojis."))
            >>> aligned = entry.apply_to(AlignedPrompt.from_prompt("Greet.").commit([Add(text="Don't use emojis!")]))
            >>> [p.text for p in aligned.principles], aligned.history.revisions[-1].reason
            (["Don't use emojis!", 'Be brief.'], 'from the library "tone" version 2')
        """
        known = [p.sentence() for p in aligned.principles]
        edits: list[Add] = []
        for p in self.constitution.enabled():
            if not any(near_duplicate(p.sentence(), sentence) for sentence in known):
                known.append(p.sentence())
                edits.append(Add(**p.model_dump(include={"text", "label", "group", "condition", "reason"})))
        reason = f'from the library "{self.name}" version {self.version}'
        return aligned.commit(edits, reason=reason, author=self.author) if edits else aligned

    def told(self) -> str:
        """Return who wrote it and when, for a sentence."""
        return " ".join(filter(None, (f"by {self.author or 'somebody'}", self.time and f"at {self.time}")))


def label_of(name: str) -> str:
    """Return a name as a label of a namespace, which takes no dots.

    Raises:
        ConfigurationError: The name is blank, or holds a NUL or half a character.
    """
    try:
        label = quote(check_plain(name), safe="").replace(".", "%2E")
    except ValueError:
        label = ""
    if not label or not name.strip():
        raise ConfigurationError(
            f"{name!r} is no name for a constitution; give it one that is not blank, without NUL or half characters."
        )
    return label


def as_value(entry: Entry) -> dict[str, Any]:
    """Return what to put into a store.

    Raises:
        ConfigurationError: It holds what not every store can keep, such as a NUL or half a character.
    """
    value = {**entry.model_dump(mode="json"), "constitution": constitution_to_dict(entry.constitution)}
    try:
        check_plain(value)
    except ValueError as error:
        raise ConfigurationError(f"The constitution {entry.name!r} cannot be stored: {error}.") from error
    return {"schema_version": SCHEMA_VERSION, **value}


def as_entry(value: dict[str, Any], name: str) -> Entry:
    """Read what `as_value` returned.

    Raises:
        ArtifactError: It is damaged, or a newer release wrote it.
    """
    where = f'"{name}" in the library'
    version = value.get("schema_version")
    if not isinstance(version, int) or not 1 <= version <= SCHEMA_VERSION:
        raise ArtifactError(
            f"{where} has schema version {version!r}, and this release reads up to {SCHEMA_VERSION}; "
            "update langchain-model-alignment."
        )
    rest = {key: v for key, v in value.items() if key != "schema_version"}
    try:
        return Entry.model_validate({**rest, "constitution": constitution_from_dict(rest.get("constitution"), where)})
    except (ValidationError, AlignmentError) as error:
        if isinstance(error, ArtifactError):
            raise
        raise ArtifactError(f"{where} is damaged: {one_line(error)}.") from error


def number_in(key: str) -> int:
    """Return the version in the key of an entry."""
    return int(key.partition(".")[0])


def only_one(entries: Sequence[Entry]) -> Entry | None:
    """Return the entry of a version, where there is any.

    Raises:
        ConflictError: There are two.
    """
    if len(entries) > 1:
        name, version = entries[0].name, entries[0].version
        raise ConflictError(
            f'Version {version} of "{name}" was written twice, {" and ".join(e.told() for e in entries)}; '
            f"look at both with versions and put the right one with expected={version}."
        )
    return entries[0] if entries else None


def conflict(name: str, expected: int, written: Sequence[Entry]) -> ConflictError:
    """Return what a writer is told who came second."""
    if not written:
        return ConflictError(f'Somebody else is writing "{name}" and does not end; read it and try again.')
    last = written[-1]
    return ConflictError(
        f'Version {last.version} of "{name}" was written {last.told()}, and this one was to follow version {expected}; '
        f"read it and put again with expected={last.version}."
    )
