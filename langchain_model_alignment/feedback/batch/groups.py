"""Many principles that say the same become few: near duplicates first, then those of much the same content.

All of it is code, and the same whenever it gets the same: no model is asked, nothing is drawn by chance.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_model_alignment.amounts import numbers_in
from langchain_model_alignment.directions import SAYING, is_content, root_of
from langchain_model_alignment.feedback.relations import clash
from langchain_model_alignment.languages import has_cjk, words_of
from langchain_model_alignment.wording import near_duplicate, stems_in

__all__ = ["Group", "Wording", "content_key", "groups_of", "wordings_of"]

# Of everyday rules, pairs about one matter lie above it, and pairs that share a verb or a noun only below it.
_ALIKE = 0.45
_PIECE = 4
_ENOUGH = 20  # wordings that tell a rare word from a frequent one; among fewer, what two share would count less
_TRIED = 5  # groups that a wording contradicts before it begins one of its own


@dataclass(frozen=True, slots=True)
class Wording:
    """A principle as it was worded most often, and the numbers of the records that it came from."""

    text: str
    records: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Wordings of one matter, the most frequent one first, and the one that says best what all say."""

    wordings: tuple[Wording, ...]
    central: str

    @property
    def records(self) -> tuple[int, ...]:
        """The numbers of all records behind it, in order."""
        return tuple(sorted({record for wording in self.wordings for record in wording.records}))


def content_key(text: str) -> tuple[str, ...]:
    """Return what near duplicates have in common, so that only sentences with equal keys need comparing.

    Example:
        >>> content_key("Do not use emojis.") == content_key("Don't use emojis!")
        True
    """
    words = words_of(text)
    if has_cjk(text):
        return ("".join(words),)
    return (*(root_of(word) for word in words if is_content(word)), *sorted(numbers_in(text)))


def wordings_of(said: Iterable[tuple[int, str]]) -> list[Wording]:
    """Put near duplicates together; what most records say comes first.

    Example:
        >>> [(w.text, w.records) for w in wordings_of([(0, "Be kind."), (1, "Avoid jargon."), (2, "Don't use jargon")])]
        [('Avoid jargon.', (1, 2)), ('Be kind.', (0,))]
    """
    by_text: dict[str, list[int]] = {}
    for record, text in said:
        by_text.setdefault(" ".join(text.split()), []).append(record)
    twins: dict[tuple[str, ...], list[list[str]]] = {}
    for text in by_text:
        near = twins.setdefault(content_key(text), [])
        home = next((texts for texts in near if near_duplicate(texts[0], text)), None)
        if home is None:
            near.append([text])
        else:
            home.append(text)
    found = [
        Wording(
            text=max(texts, key=lambda text: len(by_text[text])),
            records=tuple(sorted({record for text in texts for record in by_text[text]})),
        )
        for near in twins.values()
        for texts in near
    ]
    return sorted(found, key=lambda wording: (-len(wording.records), wording.records[0]))


def groups_of(wordings: Sequence[Wording]) -> list[Group]:
    """Put wordings of much the same content together, unless they contradict each other; the largest group first.

    Each wording, the most frequent ones before the others, joins the group whose first wording it is most like, or
    begins one.

    Args:
        wordings: What `wordings_of` returned.

    Returns:
        The groups.
    """
    if not wordings:
        return []
    vectors = _vectors_of([wording.text for wording in wordings])
    across = vectors.T.tocsr()
    homes: dict[int, list[int]] = {}
    for at, wording in enumerate(wordings):
        row = (vectors[at] @ across).tocoo()
        close = row.data >= _ALIKE
        near = zip(row.col[close].tolist(), row.data[close].tolist(), strict=True)
        leaders = sorted((-round(value, 9), to) for to, value in near if to in homes)[:_TRIED]
        home = next((to for _, to in leaders if not clash(wordings[to].text, wording.text)), None)
        homes.setdefault(at if home is None else home, []).append(at)
    groups = [
        Group(tuple(wordings[at] for at in members), wordings[_central(vectors, wordings, members)].text)
        for members in homes.values()
    ]
    return sorted(groups, key=lambda group: (-len(group.records), group.records[0]))


def _central(vectors: Any, wordings: Sequence[Wording], members: Sequence[int]) -> int:
    """The member that is most like all others, each counting as often as it was said."""
    own = vectors[members]
    weights = [len(wordings[at].records) for at in members]
    closeness = [round(float(value), 9) for value in own @ (own.T @ weights)]
    return members[closeness.index(max(closeness))]


def _vectors_of(texts: Sequence[str]) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    weigh = len(texts) >= _ENOUGH
    return TfidfVectorizer(analyzer=_pieces_of, sublinear_tf=True, use_idf=weigh).fit_transform(texts)


def _pieces_of(text: str) -> list[str]:
    """The roots of a text's content words, and pieces of them, so that "friendlier" is like "friendly"; its numbers."""
    roots = [root for word in words_of(text) if is_content(word) and (root := root_of(word)) not in SAYING]
    if has_cjk(text) or not roots:
        roots = sorted(stems_in(text)) or words_of(text) or [text]
    padded = [f" {root} " for root in roots]
    pieces = [word[at : at + _PIECE] for word in padded for at in range(max(1, len(word) - _PIECE + 1))]
    return [*roots, *pieces, *sorted(numbers_in(text))]
