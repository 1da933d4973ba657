"""For the site only: docstrings and signatures as a reader of the site should see them."""

import re
from typing import Any

import griffe


class Doctests(griffe.Extension):
    """Reads the section `Example` of a docstring as doctests, which Griffe knows as `Examples`."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Give the section the name that is parsed."""
        if obj.docstring:
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)


class Fields(griffe.Extension):
    """Leaves out an `__init__` that takes any field: the fields are listed one by one."""

    def on_class(self, *, cls: griffe.Class, **_: Any) -> None:
        """Take such a method out of a class."""
        init = cls.members.get("__init__")
        if isinstance(init, griffe.Function) and [p.name for p in init.parameters] == ["self", "fields"]:
            del cls.members["__init__"]
