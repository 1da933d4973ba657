"""The forms that a file of plain values may have: JSON, YAML, Markdown; and YAML that is safe to read."""

import re
from pathlib import Path
from typing import Any, Literal

import yaml

from langchain_model_alignment.errors import ArtifactError

__all__ = ["decoded", "dump_yaml", "form_of", "parse_yaml"]

Form = Literal["json", "yaml", "markdown"]

_FORMS: dict[str, Form] = {".yaml": "yaml", ".yml": "yaml", ".md": "markdown", ".markdown": "markdown"}
_FOLDED = re.compile("[\r\x85\u2028\u2029]")  # line ends that YAML would turn into plain ones in a block


def form_of(path: str | Path) -> Form:
    """Return the form that the suffix of a path asks for; JSON, where it asks for none.

    Example:
        >>> form_of("uses.yml"), form_of("uses.txt")
        ('yaml', 'json')
    """
    return _FORMS.get(Path(path).suffix.lower(), "json")


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


def decoded(raw: bytes, where: str) -> str:
    """Return bytes as text.

    Raises:
        ArtifactError: They are not UTF-8.
    """
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ArtifactError(f"{where} is not text in UTF-8; give a file written by this library.") from error
