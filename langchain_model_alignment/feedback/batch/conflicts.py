"""Principles of a batch that contradict each other, or an old one: what most people asked for stands."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from langchain_model_alignment.constitution import Add, Constitution, Delete, Edit, Principle, PrincipleEdit
from langchain_model_alignment.feedback.batch.groups import content_key
from langchain_model_alignment.feedback.relations import clash, rest_of
from langchain_model_alignment.wording import near_duplicate

__all__ = ["Contender", "Settlement", "edits_of", "settle"]


@dataclass(frozen=True, slots=True)
class Contender:
    """A principle that stands for election: a new one, or an old one with the new records that ask for it too."""

    text: str
    records: tuple[int, ...] = ()
    old: Principle | None = None

    @property
    def support(self) -> int:
        """How many pieces of feedback ask for it; an old one without evidence is a person's own and counts as one."""
        earlier = 0 if self.old is None else max(1, len(self.old.evidence))
        return earlier + len(self.records)


@dataclass(frozen=True, slots=True)
class Settlement:
    """What is left when all contradictions are resolved.

    Attributes:
        kept: What stands, the best supported first.
        gone: Old principles that no longer do.
        left_out: New ones for which there was no room.
        conflicts: A sentence for each contradiction.
    """

    kept: tuple[Contender, ...]
    gone: tuple[Principle, ...]
    left_out: tuple[Contender, ...]
    conflicts: tuple[str, ...]


def settle(constitution: Constitution, found: Iterable[Contender], most: int) -> Settlement:
    """Resolve contradictions: the better supported principle stands, the other is narrowed or dropped.

    Between equals an old principle stands, then what was said first. Two old ones are left as they are.

    Args:
        constitution: The principles that are there already.
        found: The new ones.
        most: How many there may be in the end; old ones do not make room.

    Returns:
        What is left.

    Example:
        >>> found = [Contender("Use at most 40 words.", (0, 2)), Contender("Write at least 200 words.", (1,))]
        >>> settle(Constitution(), found, most=30).conflicts
        ('“Write at least 200 words.” (asked once) contradicts “Use at most 40 words.” (asked 2 times) and was
        dropped: fewer asked for it.',)
    """
    kept: list[Contender] = []
    gone: list[Principle] = []
    left_out: list[Contender] = []
    conflicts: list[str] = []
    room = most - len(constitution.enabled())
    for contender in _by_support(_united(constitution, found)):
        if contender.old is None and room <= 0:
            left_out.append(contender)
            continue
        text = _narrowed(contender, kept, conflicts)
        if text:
            kept.append(replace(contender, text=text))
            room -= contender.old is None
        elif contender.old is not None:
            gone.append(contender.old)
            room += 1
    return Settlement(tuple(kept), tuple(gone), tuple(left_out), tuple(conflicts))


def edits_of(settlement: Settlement, names: Callable[[int], str], of: int) -> list[PrincipleEdit]:
    """Return the edits that a settlement amounts to.

    Args:
        settlement: What is left.
        names: The evidence that the number of a record stands for.
        of: How many records there were.

    Returns:
        The edits, new principles in the order of their support.
    """
    edits: list[PrincipleEdit] = [Delete(id=old.id) for old in settlement.gone]
    for contender in settlement.kept:
        evidence, old = tuple(names(record) for record in contender.records), contender.old
        reason = f"asked for in {len(evidence)} of {of} records" if evidence else ""
        if old is None:
            edits.append(Add(text=contender.text, evidence=evidence, reason=reason))
        elif evidence or contender.text != old.text:
            edits.append(
                Edit(id=old.id, text=contender.text, evidence=evidence, reason=reason or "narrowed by a batch")
            )
    return edits


def _united(constitution: Constitution, found: Iterable[Contender]) -> list[Contender]:
    """Old and new principles, near duplicates in one; what is switched off or has a condition stands apart."""
    old = [Contender(p.text, old=p) for p in constitution.enabled() if not p.condition]
    united: dict[tuple[str, ...], list[Contender]] = {}
    for contender in (*old, *found):
        near = united.setdefault(content_key(contender.text), [])
        at = next((i for i, other in enumerate(near) if near_duplicate(other.text, contender.text)), None)
        if at is None or contender.old is not None:
            near.append(contender)
        else:
            near[at] = replace(near[at], records=tuple(sorted({*near[at].records, *contender.records})))
    return [contender for near in united.values() for contender in near]


def _by_support(contenders: Iterable[Contender]) -> list[Contender]:
    return sorted(contenders, key=lambda c: (-c.support, c.old is None, c.records[0] if c.records else -1))


def _narrowed(contender: Contender, kept: Sequence[Contender], conflicts: list[str]) -> str:
    """What is left of a principle beside the better supported ones; each contradiction is noted."""
    text = contender.text
    for winner in kept:
        if (contender.old is not None and winner.old is not None) or not clash(winner.text, text):
            continue
        rest = rest_of(text, winner.text)
        rest = "" if rest and clash(winner.text, rest) else rest
        fate = f"became “{rest}”" if rest else "was dropped"
        why = "fewer asked for it" if contender.support < winner.support else "the other was there first"
        conflicts.append(f"{_told(text, contender)} contradicts {_told(winner.text, winner)} and {fate}: {why}.")
        text = rest
        if not text:
            break
    return text


def _told(text: str, contender: Contender) -> str:
    count = contender.support
    if contender.old is not None and not contender.old.evidence:
        return f"“{text}” (there already)"
    return f"“{text}” (asked {'once' if count == 1 else f'{count} times'})"
