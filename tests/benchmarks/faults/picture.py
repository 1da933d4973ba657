"""A picture of the faults that were given, and of the moments at which processes were killed."""

from collections.abc import Mapping, Sequence
from pathlib import Path


def draw(given: Mapping[str, int], kills: Mapping[str, Sequence[float]], path: Path) -> None:
    """Draw how often each fault was given, and how far the work was at each kill."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.8), layout="constrained")
    faults, moments = figure.subplots(1, 2)
    names = sorted(given, key=given.__getitem__)
    faults.barh(names, [given[name] for name in names], color="tab:blue")
    faults.set(title="Faults given and survived", xlabel="calls")
    moments.hist(list(kills.values()), bins=10, range=(0, 1), stacked=True, label=list(kills))
    moments.set(title="Kills survived", xlabel="share of the calls made when the kill came", ylabel="kills")
    moments.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
