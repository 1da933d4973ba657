"""Aligned prompts and constitutions as files: JSON, YAML, and Markdown; the suffix of a path says which."""

import json
import re
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from langchain_model_alignment.artifacts import one_line, parse_json, read_bytes, write_text
from langchain_model_alignment.constitution import Constitution
from langchain_model_alignment.errors import AlignmentError, ArtifactError
from langchain_model_alignment.feedback.markdown import constitution_from_markdown, constitution_to_markdown
from langchain_model_alignment.feedback.records import AlignedPrompt

__all__ = [
    "CONSTITUTION_VERSION",
    "constitution_from_dict",
    "constitution_to_dict",
    "dump_yaml",
    "load_constitution",
    "load_prompt",
    "parse_yaml",
    "save_constitution",
    "save_prompt",
]

P = TypeVar("P", bound=AlignedPrompt)

CONSTITUTION_VERSION = 1
"""The version of a constitution's JSON and YAML written here; a newer one is refused."""

_YAML = (".yaml", ".yml")
_MARKDOWN = (".md", ".markdown")
_FOLDED = re.compile("[\r\x85\u2028\u2029]")  # line ends that YAML would turn into plain ones in a block


class _Readable(yaml.SafeDumper):
    """Writes text of several lines as a block, and every value in full where it stands."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = '"' if _FOLDED.search(text) else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Readable.add_representer(str, _represent_text)


class _Plain(yaml.SafeLoader):
    """Reads plain values; an alias is refused, since a few of them can stand for more than memory holds."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it uses an alias")
        return super().compose_node(parent, index)


def dump_yaml(value: Any) -> str:
    r"""Return plain values as YAML in which text of several lines is readable.

    Example:
        >>> print(dump_yaml({"text": "Sum up {text}.\nBe brief."}), end="")
        text: |-
          Sum up {text}.
          Be brief.
    """
    return yaml.dump(value, Dumper=_Readable, allow_unicode=True, sort_keys=False, width=1_000_000)


def parse_yaml(text: str | bytes, where: str = "The text") -> Any:
    """Return the plain values that a YAML text stands for.

    Args:
        text: The YAML.
        where: What to call it when it is not YAML.

    Raises:
        ArtifactError: It is not YAML, or more than plain values.
    """
    try:
        loader = _Plain(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ArtifactError(
            f"{where} is not YAML of plain values ({type(error).__name__}); give a file written by this library."
        ) from error


def save_prompt(aligned: AlignedPrompt, path: str | Path) -> Path:
    """Write an aligned prompt: as YAML to `.yaml` or `.yml`, as Markdown to `.md`, else as JSON.

    Raises:
        ArtifactError: The file cannot be written.
        PromptError: Markdown is asked for, and there is no prompt yet.
    """
    suffix = Path(path).suffix.lower()
    if suffix in _YAML:
        return write_text(path, aligned.to_yaml())
    return write_text(path, aligned.to_markdown() if suffix in _MARKDOWN else aligned.to_json() + "\n")


def load_prompt(kind: type[P], path: str | Path) -> P:
    """Read an aligned prompt, of this class, that `save_prompt` wrote, in the form that the suffix says.

    Raises:
        ArtifactError: The file is not there, not readable, or not an aligned prompt.
    """
    suffix, raw, where = Path(path).suffix.lower(), read_bytes(path), str(path)
    if suffix in _MARKDOWN:
        return kind.from_markdown(_decoded(raw, where), where)
    return kind.from_dict(parse_yaml(raw, where) if suffix in _YAML else parse_json(raw, where), where)


def save_constitution(constitution: Constitution, path: str | Path) -> Path:
    """Write principles alone: as YAML to `.yaml` or `.yml`, as Markdown to `.md`, else as JSON.

    Raises:
        ArtifactError: The file cannot be written.
    """
    suffix, value = Path(path).suffix.lower(), constitution_to_dict(constitution)
    if suffix in _MARKDOWN:
        return write_text(path, constitution_to_markdown(constitution))
    if suffix in _YAML:
        return write_text(path, dump_yaml(value))
    return write_text(path, json.dumps(value, indent=2) + "\n")


def load_constitution(path: str | Path) -> Constitution:
    """Read principles that `save_constitution` wrote; of an aligned prompt's file, its principles.

    Raises:
        ArtifactError: The file is not there, not readable, or has no principles.
    """
    suffix, raw, where = Path(path).suffix.lower(), read_bytes(path), str(path)
    if suffix in _MARKDOWN:
        return constitution_from_markdown(_decoded(raw, where), where)
    value = parse_yaml(raw, where) if suffix in _YAML else parse_json(raw, where)
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


def _decoded(raw: bytes, where: str) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ArtifactError(f"{where} is not text in UTF-8; give a file written by this library.") from error
