"""How these findings are told: a table in words, the same as JSON, and a picture."""

from dataclasses import asdict, dataclass

from rich.table import Table
from rich.text import Text

from tests.benchmarks.shown import as_line


@dataclass(frozen=True)
class Line:
    """One line of the table."""

    what: str
    tried: str
    result: str
    reach: str = ""
    reached: bool | None = None
    value: float | None = None
    """The result as a number, for comparing runs."""

    def as_json(self) -> dict[str, object]:
        """Return the line as JSON."""
        return asdict(self)


def as_table(lines: list[Line], about: dict[str, str]) -> Table:
    """Lay the findings out; red is missed, green is reached."""
    table = Table("what", "tried", "result", "reach", title=as_line(about), title_justify="left", show_lines=True)
    for line in lines:
        colour = {True: "green", False: "red", None: ""}[line.reached]
        table.add_row(line.what, line.tried, Text(line.result, colour), line.reach)
    return table
