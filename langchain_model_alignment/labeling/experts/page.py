"""The part of the training report that is about regions: where they lie, and what their experts say."""

from langchain_model_alignment.constitution import Principle
from langchain_model_alignment.labeling.experts.mixture import GENERAL
from langchain_model_alignment.labeling.experts.records import Half, MixtureResult, Trial
from langchain_model_alignment.labeling.figures import Spot, region_map
from langchain_model_alignment.labeling.page import Html, count, number, section, table, tag

__all__ = ["regions_section"]

_MAP = (
    "Each mark is a row, drawn where it differs most from others; another shape for each region, a cross where none is "
    "near. Faint ones are training rows, strong ones validation rows, red where they are labeled wrongly."
)


def regions_section(result: MixtureResult) -> Html:
    """Return the regions of a mixture as a part of a page, and the divisions that were tried.

    Raises:
        ConfigurationError: Matplotlib is not installed.
    """
    mixture = result.rulebook
    parts: list[Html] = []
    if mixture.experts:
        names = [region.rulebook for region in mixture.regions]
        spots = [Spot(place.x, place.y, place.region, place.right) for place in result.places]
        centers = [(x, y, name) for (x, y), name in zip(result.centers, names, strict=True)]
        parts += [tag("figure", region_map(spots, centers)), tag("p", _MAP, class_="note")]
        parts += [_expert(result, name) for name in dict.fromkeys(names)]
        if shared := mixture.shared():
            parts += [tag("h3", "Shared by all of them"), *map(_principle, shared)]
    else:
        parts.append(tag("p", "One rulebook labels everything.", class_="note"))
    if result.changes:
        parts.append(tag("ul", [tag("li", tag("bdi", text)) for text in result.changes], class_="story"))
    if result.trials:
        parts += [tag("h3", "Divisions that were tried"), _trials(result.trials)]
    parts.append(tag("p", "What follows is how the general rulebook was trained.", class_="note"))
    return section("The regions and their experts", *parts)


def _expert(result: MixtureResult, name: str) -> Html:
    mixture = result.rulebook
    own = [at for at, region in enumerate(mixture.regions) if region.rulebook == name]
    rows = sum(mixture.regions[at].rows for at in own)
    there, right = (sum(result.region_scores[at][i] for at in own) for i in (0, 1))
    told = f"{count(rows, 'training row')}; {right} of {there} validation rows right"
    if there:
        told += f" ({number(right / there, 'accuracy')})"
    words = "; ".join(", ".join(mixture.regions[at].words) for at in own if mixture.regions[at].words)
    shared = {p.id for p in mixture.shared()}
    said = [(p.label, p.sentence()) for p in mixture.shared()]
    shown = (
        [] if name == GENERAL else [p for p in mixture.experts[name].enabled() if (p.label, p.sentence()) not in said]
    )
    if name == GENERAL:
        shown = [p for p in mixture.general.enabled() if p.id not in shared]
    return tag(
        "article",
        tag("h3", name, tag("span", told, class_="chip")),
        tag("p", "Words that set it apart: ", tag("bdi", words), ".", class_="note") if words else None,
        [_principle(p) for p in shown] or tag("p", "No principle of its own.", class_="note"),
        id=f"region-{name}",
    )


def _principle(principle: Principle) -> Html:
    words = tag(
        "p", tag("b", tag("bdi", principle.label or "")), ": ", tag("bdi", principle.sentence()), class_="words"
    )
    return tag("div", tag("div", principle.id, class_="id"), tag("div", words), class_="principle")


def _trials(trials: tuple[Trial, ...]) -> Html:
    rows = []
    for trial in trials:
        halves = [tag("li", _half(half)) for half in trial.halves]
        cells = (trial.region, [trial.verdict, tag("ul", halves, class_="changes") if halves else None])
        rows.append(tag("tr", tag("th", tag("bdi", cells[0])), tag("td", cells[1])))
    return table(["Labeled by", "What came of dividing it"], rows)


def _half(half: Half) -> str:
    told = f"{half.name}: {count(half.training_rows, 'training row')}"
    if half.decided_on:
        told += f", {half.before} → {half.after} right of {half.decided_on} not met in training"
    return told + (", kept" if half.kept else ", not kept")
