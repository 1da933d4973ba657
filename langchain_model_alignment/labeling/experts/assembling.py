"""From the regions that a search found to the mixture and to the result that a person keeps."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from langchain_core.runnables import RunnableConfig

from langchain_model_alignment.errors import BudgetError
from langchain_model_alignment.gathering import gather_from
from langchain_model_alignment.labeling.experts.dividing import Leaf, Search, part_of
from langchain_model_alignment.labeling.experts.merging import merge_alike, with_shared
from langchain_model_alignment.labeling.experts.mixture import GENERAL, Mixture, Region
from langchain_model_alignment.labeling.experts.records import MixtureResult, Place
from langchain_model_alignment.labeling.experts.vectors import centroid_of, on_a_plane, reach_of
from langchain_model_alignment.labeling.experts.voting import Voted, label_by_routes
from langchain_model_alignment.labeling.outcome import mistakes_of
from langchain_model_alignment.labeling.records import TrainingResult
from langchain_model_alignment.labeling.rulebook import Rulebook, Score
from langchain_model_alignment.labeling.running import run_training
from langchain_model_alignment.labeling.scorecard import make_scorecard
from langchain_model_alignment.labeling.splits import stratified
from langchain_model_alignment.labeling.task import Row
from langchain_model_alignment.labeling.training import Training
from langchain_model_alignment.usage import Usage

if TYPE_CHECKING:
    import numpy as np

    Vector = np.ndarray[Any, Any]

__all__ = ["assemble", "result_of_search", "step_experts"]

_WORDS = 5
_PLACES = 400  # training rows in the picture; validation rows are all there


async def assemble(
    search: Search, general: TrainingResult, leaves: list[Leaf], embeddings: str, votes: int
) -> tuple[Mixture, list[Voted], list[str]]:
    """Merge experts that hardly differ, make the mixture, and take it only if it is no worse than one rulebook.

    Returns:
        The mixture with its score, what it says of the validation rows where it has experts, and what was done, a
        sentence each.
    """
    run, base, config = search.run, general.rulebook, search.config
    told: list[str] = []
    alone = Mixture(general=base, embeddings=embeddings, votes=votes, score=base.score)
    if all(leaf.name == GENERAL for leaf in leaves):
        return alone, [], told
    try:
        leaves, told = await merge_alike(run, base, leaves, config)
        experts = {leaf.name: leaf.rulebook for leaf in leaves if leaf.name != GENERAL}
        if not experts:
            return alone, [], told
        base, shared = await with_shared(run, base, list(experts.values()), config)
        told += shared
        parts = {"general": base, "experts": experts, "regions": _regions(leaves, search.points)}
        mixture = alone.model_copy(update=parts)
        voted = await label_validation(run, mixture, search.points, config)
    except BudgetError as error:
        return alone, [], [*told, f"the experts were given up undecided: {error}"]
    mixture = with_score(run, mixture, voted)
    if mixture.score and alone.score and mixture.score.value < alone.score.value:
        return alone, [], [*told, "with every row on its route the experts did worse than one rulebook"]
    return mixture, voted, told


async def step_experts(
    run: Training, mixture: Mixture, points: Mapping[str, "Vector"], config: RunnableConfig | None
) -> Mixture:
    """Take one step with each expert on the rows that it labels; one without training or validation rows stays."""

    def rows_of(name: str, rows: Sequence[Row]) -> list[Row]:
        routes = mixture.routes([points.get(row.id) for row in rows])
        return [row for row, route in zip(rows, routes, strict=True) if route[0][0] == name]

    async def step(name: str) -> Rulebook:
        training, calibration, validation = (
            rows_of(name, rows) for rows in (run.training, run.calibration, run.validation)
        )
        if not training or not validation:
            return mixture.experts[name]
        part = part_of(run, training, calibration, validation)
        return (await run_training(part, mixture.experts[name], 1, config, keep=1, zero_shot=False)).rulebook

    stepped = await gather_from(list(mixture.experts), step, len(mixture.experts))
    experts = dict(zip(mixture.experts, stepped, strict=True))
    changed = mixture.model_copy(update={"experts": experts, "score": None})
    try:
        return with_score(run, changed, await label_validation(run, changed, points, config))
    except BudgetError:  # what was gained stays, without a score
        return changed


async def label_validation(
    run: Training, mixture: Mixture, points: Mapping[str, "Vector"], config: RunnableConfig | None
) -> list[Voted]:
    """Label the validation rows as new rows would be."""
    routes = mixture.routes([points.get(row.id) for row in run.validation])
    return await label_by_routes(mixture, run.caller, run.validation, routes, config)


def with_score(run: Training, mixture: Mixture, voted: Sequence[Voted]) -> Mixture:
    """Return the mixture with its score on the validation rows."""
    value = run.score(_labels(voted))
    score = Score(metric=run.metric_name, value=value, rows=len(run.validation), data=run.fingerprint)
    return mixture.model_copy(update={"score": score})


def result_of_search(
    search: Search,
    general: TrainingResult,
    mixture: Mixture,
    voted: Sequence[Voted],
    told: Sequence[str],
    usage: Usage,
) -> MixtureResult:
    """Return what training left behind."""
    run = search.run
    common: dict[str, Any] = {
        "rulebook": mixture,
        "general": general,
        "trials": tuple(search.trials),
        "changes": tuple(told),
        "usage": usage,
        "stopped_because": _why(general, mixture, search, told),
        "about": {**general.about, "embeddings": mixture.embeddings, "experts": len(mixture.experts)},
    }
    if not mixture.experts:
        return MixtureResult(**common, scorecard=general.scorecard, mistakes=general.mistakes)
    given = _labels(voted)
    at = {row.id: mixture.region_of(search.points.get(row.id)) for row in run.validation}
    right = dict(zip(at, run.right(given), strict=True))
    scores = tuple(
        (sum(region == i for region in at.values()), sum(right[id] for id, region in at.items() if region == i))
        for i in range(len(mixture.regions))
    )
    places, centers = _picture(search, mixture, right)
    return MixtureResult(
        **common,
        scorecard=make_scorecard(
            run.task, [row.label or 0 for row in run.validation], given, sum(bool(v.labeled.error) for v in voted)
        ),
        region_scores=scores,
        mistakes=mistakes_of(run, given, [v.labeled.confidence for v in voted]),
        places=places,
        centers=centers,
    )


def _labels(voted: Sequence[Voted]) -> list[int]:
    return [-1 if v.labeled.label is None else v.labeled.label for v in voted]


def _why(general: TrainingResult, mixture: Mixture, search: Search, told: Sequence[str]) -> str:
    if mixture.experts:
        return f"{general.stopped_because.rstrip('.')}; then no division of a region won any more"
    verdict = [*(trial.verdict for trial in search.trials), *told][-1:] or ["no more than one is allowed"]
    return f"{general.stopped_because.rstrip('.')}; one rulebook stays: {verdict[0]}"


def _regions(leaves: Sequence[Leaf], points: Mapping[str, "Vector"]) -> tuple[Region, ...]:
    words = _telling_words([[row.text for row in leaf.training] for leaf in leaves])
    regions = []
    for leaf, telling in zip(leaves, words, strict=True):
        own = [points[row.id] for row in leaf.training]
        center = centroid_of(own)
        regions.append(
            Region(
                centroid=tuple(float(value) for value in center),
                reach=reach_of(center, own),
                rulebook=leaf.name,
                rows=len(own),
                words=telling,
            )
        )
    return tuple(regions)


def _telling_words(groups: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """Return for each group of texts the words that are more frequent there than elsewhere."""
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = [text.partition(": ")[2] or text for group in groups for text in group]
    try:
        reader = TfidfVectorizer(stop_words="english", sublinear_tf=True, min_df=2)
        table = reader.fit_transform(texts)
    except ValueError:  # no word stands in two rows
        return [() for _ in groups]
    names, found, start = reader.get_feature_names_out(), [], 0
    everywhere = np.asarray(table.mean(axis=0)).ravel()
    for group in groups:
        here = np.asarray(table[start : start + len(group)].mean(axis=0)).ravel()
        start += len(group)
        order = sorted(range(len(names)), key=lambda i: (everywhere[i] - here[i], names[i]))
        found.append(tuple(str(names[i]) for i in order[:_WORDS] if here[i] > everywhere[i]))
    return found


def _picture(
    search: Search, mixture: Mixture, right: Mapping[str, bool]
) -> tuple[tuple[Place, ...], tuple[tuple[float, float], ...]]:
    """Lay training rows, validation rows and centroids out on one plane."""
    import numpy as np

    run = search.run
    shown: list[Row] = [*stratified(run.training, run.hparams.seed, "picture")[:_PLACES], *run.validation]
    points = {row.id: search.points[row.id] for row in shown if row.id in search.points}
    centers = {f"center {i}": np.asarray(region.centroid) for i, region in enumerate(mixture.regions)}
    flat = on_a_plane({**points, **centers})
    places = tuple(
        Place(x=flat[id][0], y=flat[id][1], region=mixture.region_of(point), right=right.get(id))
        for id, point in points.items()
    )
    return places, tuple(flat[id] for id in centers)
