"""Rows as points on a sphere: embedded, checked, halved, and drawn on a plane."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from langchain_core.embeddings import Embeddings

from langchain_model_alignment.embeddings import embeddings_name
from langchain_model_alignment.errors import DataError
from langchain_model_alignment.labeling.task import Row

if TYPE_CHECKING:
    import numpy as np

    Vector = np.ndarray[Any, Any]

__all__ = ["centroid_of", "embed_rows", "halves_of", "on_a_plane", "reach_of"]

_BLOCK = 1_000  # texts that an embedding is given at once
_REACHED = 0.98  # the share of a region's own training rows that its reach must hold
_DIGITS = 6


async def embed_rows(embeddings: Embeddings, rows: Sequence[Row]) -> dict[str, "Vector"]:
    """Return the direction of each row's text by the row's id; an empty text has none and is left out.

    Args:
        embeddings: What turns texts into vectors.
        rows: The rows; equal texts are embedded once.

    Raises:
        DataError: The vectors are too few, differ in length, or hold what is no number.
    """
    import numpy as np

    texts = list(dict.fromkeys(row.text for row in rows if row.text.strip()))
    found: list[list[float]] = []
    for at in range(0, len(texts), _BLOCK):
        found += await embeddings.aembed_documents(texts[at : at + _BLOCK])
    name = embeddings_name(embeddings)
    if len(found) != len(texts):
        raise DataError(f"The embeddings {name} gave {len(found)} vectors for {len(texts)} texts; use other ones.")
    lengths = sorted({len(vector) for vector in found})
    if len(lengths) > 1:
        raise DataError(f"The embeddings {name} gave vectors of {lengths[0]} and of {lengths[-1]} numbers; use others.")
    points = np.asarray(found, dtype=float).reshape(len(texts), -1)
    odd = np.flatnonzero(~np.isfinite(points).all(axis=1))
    if len(odd):
        raise DataError(
            f"The embeddings {name} gave no numbers for {len(odd)} of {len(texts)} texts, such as "
            f"{texts[odd[0]][:60]!r}; use other embeddings, or leave these rows out."
        )
    sizes = np.linalg.norm(points, axis=1)
    directions = {text: point / size for text, point, size in zip(texts, points, sizes, strict=True) if size > 0}
    return {row.id: directions[row.text] for row in rows if row.text in directions}


def halves_of(points: Sequence["Vector"], seed: int) -> list["Vector"]:
    """Return the centroids of two clusters; one where all points are the same, none where there is no point."""
    import numpy as np
    from sklearn.cluster import KMeans

    if not points:
        return []
    table = np.asarray(points)
    if len(np.unique(table.round(_DIGITS), axis=0)) < 2:
        return [centroid_of(points)]
    found = KMeans(n_clusters=2, n_init=10, random_state=seed).fit(table)
    return [centroid_of(table[found.labels_ == label]) for label in (0, 1)]


def centroid_of(points: Any) -> "Vector":
    """Return the direction that points have in common, as it is kept in a file."""
    import numpy as np

    mean = np.asarray(points).mean(axis=0)
    return np.asarray((mean / (np.linalg.norm(mean) or 1.0)).round(_DIGITS))


def reach_of(centroid: "Vector", points: Sequence["Vector"]) -> float:
    """Return how similar a row must be to a centroid to belong to it, by the rows that it was made of."""
    similar = sorted(float(point @ centroid) for point in points)
    least = similar[int((1 - _REACHED) * len(similar))]
    return float(round(least - 10**-_DIGITS, _DIGITS))  # rounding must not leave that row outside


def on_a_plane(points: Mapping[str, "Vector"]) -> dict[str, tuple[float, float]]:
    """Return where points lie on the plane on which they differ most (principal components), by their ids."""
    import numpy as np
    from sklearn.decomposition import PCA

    table = np.asarray(list(points.values()))
    if len(table) < 2 or table.shape[1] < 2:
        return dict.fromkeys(points, (0.0, 0.0))
    with np.errstate(invalid="ignore", divide="ignore"):  # where all points are the same
        flat = PCA(n_components=2, svd_solver="full").fit_transform(table)
    return {id: (round(float(x), 4), round(float(y), 4)) for id, (x, y) in zip(points, flat, strict=True)}
