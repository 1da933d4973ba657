"""For the site only: the one example of a docstring is shown as code, as several are."""

import re
from typing import Any

import griffe


class Doctests(griffe.Extension):
    """Reads the section `Example` of our docstrings as what Griffe knows as `Examples`."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Give a docstring's section the name that is parsed as doctests."""
        if obj.docstring:
            obj.docstring.value = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)
