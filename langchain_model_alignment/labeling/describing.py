"""The proposer for small models: short single-purpose steps, each one sentence; and every label's first principle."""

import asyncio
import math
from collections.abc import Awaitable, Sequence

from langchain_core.runnables import RunnableConfig

from langchain_model_alignment.calls import Caller
from langchain_model_alignment.constitution import Add
from langchain_model_alignment.errors import AuthenticationError, ModelError
from langchain_model_alignment.labeling import instructions
from langchain_model_alignment.labeling.classifier import Labeled
from langchain_model_alignment.labeling.proposers import Mined, Proposal, Proposals, name_of, sentence_of, settled
from langchain_model_alignment.labeling.rulebook import Rulebook
from langchain_model_alignment.labeling.task import LabelingTask, Row
from langchain_model_alignment.orders import is_negated
from langchain_model_alignment.wording import near_duplicate, quotes, stems_in

__all__ = ["DESCRIPTIONS", "DescribingProposer", "first_principles"]

_BUNDLE = 4  # descriptions that make one proposal
_SHARING = 6  # rows that a small model finds something in common in
_REPEATED = 2  # runs of three words that may come twice
_EXAMPLES = 3  # rows that a strong model writes a label's first principle from
_FIRST = 8  # rows, of all labels together, that a small model describes before the first step
_QUOTE = 8  # words in a row that make a quotation
_MISTAKE, _FIRST_ROWS = "describes a mistake", "describes a row"
DESCRIPTIONS = (_MISTAKE, _FIRST_ROWS)
"""Why a principle is here that describes a single row; of which label it is typical, other rows have to show."""


class DescribingProposer:
    """Has a small model write one sentence at a time: what rows of one label share, and what one mistake is about.

    A few sentences together make a proposal: alone, each moves too little to be told from chance.

    Args:
        caller: The model.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def wants(self, groups: int) -> int:
        """Tell how many mistakes fill so many bundles."""
        return groups * _BUNDLE

    async def propose(
        self, rulebook: Rulebook, mined: Mined, groups: int, each: int, config: RunnableConfig | None
    ) -> Proposals:
        """Propose what the rows of each label share, then bundles of described mistakes; see `Proposer`."""
        mixed = _mixed(mined.wrong)[: groups * _BUNDLE]
        shared, failed = await settled([self._shared(rulebook, label, mined, config) for label in _labels_of(mixed)])
        described, failed_too = await settled([self._describe(rulebook, row, config) for row, _ in mixed])
        bundles = [[add for add in shared if add is not None]]
        adds = [add for add in described if add is not None]
        bundles += [adds[at : at + _BUNDLE] for at in range(0, len(adds), _BUNDLE)]
        found = [
            Proposal(tuple(bundle), bundle[0].reason, tuple(dict.fromkeys(id for add in bundle for id in add.evidence)))
            for bundle in bundles
            if bundle
        ]
        return Proposals(tuple(found), (*failed, *failed_too))

    async def _shared(self, rulebook: Rulebook, label: int, mined: Mined, config: RunnableConfig | None) -> Add | None:
        """What mistaken rows of a label have in common, with others of it where they are few."""
        rows = [row for row, _ in (*mined.wrong, *mined.right) if row.label == label][:_SHARING]
        sentence = _own(await sentence_of(self._caller, instructions.find_common([row.text for row in rows]), config))
        name, evidence = name_of(rulebook.task.labels, label), tuple(row.id for row in rows)
        return Add(text=sentence, label=name, evidence=evidence, reason="what its rows share") if sentence else None

    async def _describe(self, rulebook: Rulebook, row: Row, config: RunnableConfig | None) -> Add | None:
        sentence = await _described(self._caller, rulebook.task, row, config)
        label = name_of(rulebook.task.labels, row.label)
        return Add(text=sentence, label=label, evidence=(row.id,), reason=_MISTAKE) if sentence else None


async def first_principles(
    caller: Caller, rulebook: Rulebook, rows: Sequence[Row], config: RunnableConfig | None
) -> Rulebook:
    """Return a rulebook that training begins with, written from a few rows of each label.

    A strong model writes one principle for each label. A small one describes some rows, one at a time: it can tell what
    is in a row, and not what rows have in common. Where nothing new came of a label, a plain sentence with its name
    stands in.

    Raises:
        ModelError: All calls failed.
    """
    task, small, failed = rulebook.task, caller.traits.small, list[ModelError]()
    each = math.ceil(_FIRST / len(task.labels)) if small else _EXAMPLES
    chosen = [[row for row in rows if row.label == at][:each] for at in range(len(task.labels))]

    async def write(label: str, examples: Sequence[Row]) -> Add | None:
        others = [other for other in task.labels if other != label]
        messages = instructions.begin_label(task.question, label, others, [row.text for row in examples])
        sentence = await sentence_of(caller, messages, config)
        ids = tuple(row.id for row in examples)
        return Add(text=sentence, label=label, evidence=ids, reason="first principle") if sentence else None

    async def describe(label: str, row: Row) -> Add | None:
        sentence = await _described(caller, task, row, config)
        return Add(text=sentence, label=label, evidence=(row.id,), reason=_FIRST_ROWS) if sentence else None

    async def unless_failed(work: Awaitable[Add | None]) -> Add | None:
        try:
            return await work
        except AuthenticationError:
            raise
        except ModelError as error:
            failed.append(error)
            return None

    named = [(label, examples) for label, examples in zip(task.labels, chosen, strict=True) if examples]
    if small:
        asked = [describe(label, row) for label, examples in named for row in examples]
    else:
        asked = [write(label, examples) for label, examples in named]
    adds = await asyncio.gather(*(unless_failed(work) for work in asked))
    if len(failed) == len(asked) > 0:
        raise failed[0]
    return rulebook.apply(_one_at_least(task.labels, [add for add in adds if add is not None]))


def _one_at_least(labels: Sequence[str], adds: Sequence[Add]) -> list[Add]:
    """What was written, label by label, without what says the same; a plain sentence where nothing was."""
    found: list[Add] = []
    for label in labels:
        before = len(found)
        for add in adds:
            if add.label == label and not any(near_duplicate(add.text, other.text) for other in found):
                found.append(add)
        if len(found) == before:
            found.append(Add(text=f"The row fits {label}.", label=label, reason="first principle"))
    return found


async def _described(caller: Caller, task: LabelingTask, row: Row, config: RunnableConfig | None) -> str:
    """One general sentence about a row; nothing where it would tell no row from another."""
    sentence = _own(await sentence_of(caller, instructions.describe_plainly(row.text), config))
    # "It does not …" tells no row from another, and neither do the words of the question.
    named = stems_in(f"{task.question} {' '.join(task.labels)}")
    return "" if is_negated(sentence) or stems_in(sentence) <= named or quotes(sentence, row.text, _QUOTE) else sentence


def _own(sentence: str) -> str:
    """A sentence of the model's own; nothing where it copies an example, or says the same again and again."""
    words = sentence.casefold().split()
    runs = list(zip(words, words[1:], words[2:], strict=False))
    stuck = len(runs) > len(set(runs)) + _REPEATED
    copied = any(near_duplicate(sentence, example) or quotes(sentence, example, 6) for example in instructions.EXAMPLES)
    return "" if stuck or copied else sentence


def _labels_of(pairs: Sequence[tuple[Row, Labeled]]) -> list[int]:
    """The labels of rows, the ones with the most rows first."""
    labels = [row.label for row, _ in pairs if row.label is not None]
    return sorted(set(labels), key=lambda label: (-labels.count(label), label))


def _mixed(wrong: Sequence[tuple[Row, Labeled]]) -> list[tuple[Row, Labeled]]:
    """Mistakes with their right labels taking turns, so that every bundle speaks for several labels."""
    by_label: dict[int | None, list[tuple[Row, Labeled]]] = {}
    for pair in wrong:
        by_label.setdefault(pair[0].label, []).append(pair)
    placed = [
        ((at + 0.5) / len(members), label if label is not None else -1, pair)
        for label, members in by_label.items()
        for at, pair in enumerate(members)
    ]
    return [pair for _, _, pair in sorted(placed, key=lambda item: item[:2])]
