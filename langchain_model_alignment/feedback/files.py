"""Constitutions as files of their own: JSON, YAML, and Markdown; the suffix of a path says which."""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from langchain_model_alignment.artifacts import one_line, parse_json, read_bytes, write_text
from langchain_model_alignment.constitution import Constitution
from langchain_model_alignment.errors import AlignmentError, ArtifactError
from langchain_model_alignment.feedback.markdown import constitution_from_markdown, constitution_to_markdown
from langchain_model_alignment.feedback.records import AlignedPrompt
from langchain_model_alignment.forms import decoded, dump_yaml, form_of, parse_yaml

__all__ = [
    "CONSTITUTION_VERSION",
    "constitution_from_dict",
    "constitution_to_dict",
    "load_constitution",
    "save_constitution",
]

CONSTITUTION_VERSION = 1
"""The version of a constitution's JSON and YAML written here; a newer one is refused."""


def save_constitution(constitution: Constitution, path: str | Path) -> Path:
    """Write principles alone: as YAML to `.yaml` or `.yml`, as Markdown to `.md`, else as JSON.

    Raises:
        ArtifactError: The file cannot be written.
    """
    form, value = form_of(path), constitution_to_dict(constitution)
    if form == "markdown":
        return write_text(path, constitution_to_markdown(constitution))
    if form == "yaml":
        return write_text(path, dump_yaml(value))
    return write_text(path, json.dumps(value, indent=2) + "\n")


def load_constitution(path: str | Path) -> Constitution:
    """Read principles that `save_constitution` wrote; of an aligned prompt's file, its principles.

    Raises:
        ArtifactError: The file is not there, not readable, or has no principles.
    """
    form, raw, where = form_of(path), read_bytes(path), str(path)
    if form == "markdown":
        return constitution_from_markdown(decoded(raw, where), where)
    value = parse_yaml(raw, where) if form == "yaml" else parse_json(raw, where)
    if isinstance(value, dict) and value.get("kind") == "aligned_prompt":
        return AlignedPrompt.from_dict(value, where).constitution
    return constitution_from_dict(value, where)


def constitution_to_dict(constitution: Constitution) -> dict[str, Any]:
    """Return a constitution as plain values that say what they are."""
    kind = {"schema_version": CONSTITUTION_VERSION, "kind": "constitution"}
    return {**kind, **constitution.model_dump(mode="json")}


def constitution_from_dict(value: Any, where: str = "The value") -> Constitution:
    """Read a constitution from what `constitution_to_dict` returned.

    Raises:
        ArtifactError: It is not a constitution, or of a newer version.

    Example:
        >>> constitution_from_dict(constitution_to_dict(Constitution.of("Be brief."))).render()
        '- Be brief.'
    """
    if not isinstance(value, dict) or value.get("kind") != "constitution":
        raise ArtifactError(f"{where} is not a constitution; give one written by save_constitution.")
    version = value.get("schema_version")
    if not isinstance(version, int) or not 1 <= version <= CONSTITUTION_VERSION:
        raise ArtifactError(
            f"{where} has schema version {version!r}, and this release reads up to {CONSTITUTION_VERSION}; "
            "update langchain-model-alignment."
        )
    rest = {name: v for name, v in value.items() if name not in ("kind", "schema_version")}
    try:
        return Constitution.model_validate(rest)
    except (ValidationError, AlignmentError) as error:
        raise ArtifactError(f"{where} is a damaged constitution: {one_line(error)}.") from error
