"""The first half of a step: find mistakes, ask for edits, and drop what need not be tried."""

import math
from collections.abc import Collection, Iterable, Sequence

from langchain_core.runnables import RunnableConfig

from langchain_model_alignment.constitution import Add, Delete, Edit
from langchain_model_alignment.errors import AuthenticationError, EditError, ModelError
from langchain_model_alignment.gathering import gather_from
from langchain_model_alignment.labeling.classifier import Classifier, Labeled
from langchain_model_alignment.labeling.precedents import AddPrecedent, DropPrecedent, RulebookEdit
from langchain_model_alignment.labeling.proposers import Mined, Proposal
from langchain_model_alignment.labeling.rulebook import Evidence, Rulebook
from langchain_model_alignment.labeling.task import Row
from langchain_model_alignment.labeling.training import Training
from langchain_model_alignment.wording import near_duplicate, quotes, stems_in

__all__ = ["combine", "crossover", "deletion", "mine", "precedents", "refine", "thinning", "with_evidence"]

_QUOTE = 8  # words in a row that make a quotation
_FEW = 8  # rows that are worth another round of calls
_DOUBTFUL = 2  # rows that a principle must have decided before it is doubted


async def mine(training: Training, rulebook: Rulebook, config: RunnableConfig | None) -> tuple[Mined, Classifier]:
    """Label training rows until there are mistakes enough to learn from, or no rows any more.

    Returns:
        The rows with what was said of them, and the classifier that said it. Failed calls are neither right nor wrong.
    """
    want = training.proposer.wants(training.hparams.n_incorrect_predictions_to_sample)
    # What is shown with its answer is neither a mistake nor a success.
    rows = [row for row in training.sample(rulebook.steps + 1) if not rulebook.shows(row.text)]
    size = training.hparams.n_mining_examples
    wrong: list[tuple[Row, Labeled]] = []
    right: list[tuple[Row, Labeled]] = []
    failed: list[str] = []
    classifier = Classifier(training.caller, rulebook)
    while rows and len(wrong) < want:
        block, rows = rows[:size], rows[size:]
        found, classifier = await training.label(rulebook, block, config)
        for row, labeled in zip(block, found, strict=True):
            if labeled.error is not None:
                failed.append(labeled.kind)
            else:
                (right if labeled.label == row.label else wrong).append((row, labeled))
        # As many more as should hold the mistakes that are still wanted.
        rate = len(wrong) / max(1, len(wrong) + len(right))
        size = min(training.hparams.n_mining_examples, max(_FEW, math.ceil((want - len(wrong)) / max(rate, 0.01))))
    return Mined(tuple(wrong), tuple(right), tuple(failed)), classifier


async def with_evidence(
    training: Training, rulebook: Rulebook, mined: Mined, classifier: Classifier, config: RunnableConfig | None
) -> Rulebook:
    """Return the rulebook with the record of its principles: by their checks, or asked for a sample of mined rows.

    In a sample, wrong and right rows take turns, since a principle is known by both.
    """
    n = training.hparams.n_evidence_examples
    if not rulebook.enabled() or not n:
        return rulebook
    if rulebook.is_checklist:  # every answer tells it already
        n = len(mined.wrong) + len(mined.right)
    wrong = [pair for pair in mined.wrong if pair[1].label is not None]
    half = max(n - len(wrong), n // 2)
    chosen = [*wrong[: n - min(half, len(mined.right))], *mined.right[:half]]
    said = {row.id: found for row, found in chosen}

    async def ask(row: Row) -> tuple[str, ...]:
        try:
            return await classifier.deciding(row.text, said[row.id], config)
        except AuthenticationError:
            raise
        except ModelError:
            return ()

    rows = [row for row, _ in chosen]
    deciding = await gather_from(rows, ask, training.caller.gate.max_concurrency)
    evidence = dict(rulebook.evidence)
    for row, ids in zip(rows, deciding, strict=True):
        for id in ids:
            old = evidence.get(id, Evidence())
            was_right = said[row.id].label == row.label
            evidence[id] = Evidence(decided=old.decided + 1, right=old.right + was_right)
    return rulebook.model_copy(update={"evidence": evidence})


def refine(
    training: Training, rulebook: Rulebook, proposals: Iterable[Proposal], known: set[str]
) -> tuple[list[tuple[Proposal, Rulebook]], list[str]]:
    """Apply proposals, leaving out what need not be tried.

    Args:
        training: The run.
        rulebook: What the proposals change.
        proposals: The proposals.
        known: Fingerprints of rulebooks that were tried already; what is kept is added.

    Returns:
        Each proposal kept with the rulebook that it makes, and why the others were refused, a line each.
    """
    kept: list[tuple[Proposal, Rulebook]] = []
    refused: list[str] = []
    known.add(rulebook.fingerprint())
    said: list[tuple[str | None, str]] = []
    for proposal in proposals:
        edits = []
        for edit in proposal.edits:
            others = [(p.label, p.text) for p in rulebook.constitution if not isinstance(edit, Edit) or p.id != edit.id]
            trouble = ""
            if isinstance(edit, Add | Edit):
                trouble = _trouble(training, rulebook, edit, [*others, *said])
            elif isinstance(edit, AddPrecedent) and edit.row not in training.citable:
                trouble = "is no training row, or reads like one that rulebooks are compared on"
            if trouble and isinstance(edit, Add | Edit | AddPrecedent):
                refused.append(f"{trouble}: {edit.text}")
            else:
                edits.append(edit)
        # Of a bundle the rest is still worth a try; a merge or a split is all or nothing.
        whole = len(edits) == len(proposal.edits) or all(isinstance(e, Add | AddPrecedent) for e in proposal.edits)
        if not edits or not whole:
            continue
        try:
            after = rulebook.apply(edits)
        except EditError as error:
            refused.append(str(error))
            continue
        if crowded := _crowded(training, rulebook, after):
            refused.append(crowded)
        elif after.fingerprint() not in known:
            known.add(after.fingerprint())
            said += [(edit.label, edit.text) for edit in edits if isinstance(edit, Add)]
            kept.append((Proposal(tuple(edits), proposal.reason, proposal.evidence), after))
    return kept, refused


def _trouble(training: Training, rulebook: Rulebook, edit: Add | Edit, others: Sequence[tuple[str | None, str]]) -> str:
    """Why new words are not worth a try; empty when they are."""
    label = edit.label if isinstance(edit, Add) else rulebook.constitution.get(edit.id).label
    for other, text in others:
        if near_duplicate(text, edit.text):
            return "says what is there" if other == label else f"says of {label} what is said of {other}"
    if stems_in(edit.text) <= stems_in(f"{training.task.question} {' '.join(training.task.labels)}"):
        return "restates the question"
    run = min(_QUOTE, max(3, len(edit.text.split())))
    if any(quotes(edit.text, row.text, run) for row in training.training if row.id in edit.evidence):
        return "quotes a row"
    if len(edit.text.split()) >= _QUOTE and any(quotes(edit.text, row.text, _QUOTE) for row in training.training):
        return "quotes a row"
    return ""


def _crowded(training: Training, before: Rulebook, after: Rulebook) -> str:
    """Say what there are too many of and were not before: the principles of a label, or precedents."""
    if (n := len(after.precedents)) > max(allowed := training.hparams.max_precedents, len(before.precedents)):
        return f"there would be {n} precedents, and {allowed} is the most"
    most = training.hparams.max_principles_per_label
    old = before.by_label()
    for label, principles in after.by_label().items():
        if len(principles) > max(most, len(old[label])):
            return f"{label} would have {len(principles)} principles, and {most} is the most"
    return ""


def deletion(rulebook: Rulebook) -> Proposal | None:
    """Return the deletion of the principle with the worst record, where one does more harm than good."""
    doubtful = [
        (found.right / found.decided, -found.decided, p)
        for p in rulebook.enabled()
        if (found := rulebook.evidence.get(p.id)) and found.decided >= _DOUBTFUL and 2 * found.right < found.decided
    ]
    if not doubtful:
        return None
    _, _, worst = min(doubtful, key=lambda item: (*item[:2], item[2].id))
    found = rulebook.evidence[worst.id]
    reason = f"{worst.id} decided {found.decided} rows, {found.right} of them rightly"
    return Proposal((Delete(id=worst.id),), reason)


def thinning(rulebook: Rulebook) -> Proposal | None:
    """Return the deletion of all principles whose checks turned out to say nothing about the label."""
    weights = rulebook.fitted.weights if rulebook.fitted and rulebook.is_checklist else ()
    idle = [p.id for p, weight in zip(rulebook.checked(), weights, strict=False) if not weight]
    reason = "whether they are true says nothing about the label"
    return Proposal(tuple(Delete(id=id) for id in idle), reason) if idle else None


def precedents(training: Training, rulebook: Rulebook, mined: Mined, known: Collection[str]) -> list[Proposal]:
    """Return what may be tried with precedents: the hardest mistakes to be shown with their labels, one each.

    The surest mistakes are the hardest; of labels read as text, which have no confidence, those that were met first.
    Where there is no room, each takes the place of another precedent. One of those that are there may go as well.

    Args:
        training: The run.
        rulebook: What made the mistakes.
        mined: The mistakes.
        known: Fingerprints of rulebooks that were tried already.
    """
    most, shown = training.hparams.max_precedents, rulebook.precedents
    if not most:
        return []
    hard = sorted(
        (pair for pair in mined.wrong if pair[0].id in training.citable), key=lambda pair: -(pair[1].confidence or 0.0)
    )
    found: list[Proposal] = []
    for row, _ in hard:
        if len(found) == training.hparams.n_incorrect_predictions_to_sample:
            break
        add = AddPrecedent(row=row.id, text=row.text, label=training.task.labels[row.label or 0])
        edits: tuple[RulebookEdit, ...] = (add,)
        if len(shown) >= most:
            edits = (DropPrecedent(row=shown[len(found) % len(shown)].row), add)
        if rulebook.apply(edits).fingerprint() not in known:
            found.append(Proposal(edits, "a hard mistake, shown with its label", (row.id,)))
    if shown:
        doubted = shown[rulebook.steps % len(shown)].row
        found.append(Proposal((DropPrecedent(row=doubted),), "whether this precedent is still of use"))
    return found


def crossover(best: Rulebook, other: Rulebook, most_precedents: int = 0) -> Proposal | None:
    """Return what another good rulebook says and shows and the best one does not, as additions to the best one.

    Args:
        best: The rulebook to add to.
        other: The other one.
        most_precedents: How many precedents there may be in all.
    """
    own = [p.text for p in best.constitution]
    adds: list[RulebookEdit] = [
        Add(text=p.text, label=p.label, condition=p.condition, evidence=p.evidence, reason=p.reason)
        for p in other.enabled()
        if not any(near_duplicate(text, p.text) for text in own)
    ]
    room = max(0, most_precedents - len(best.precedents))
    adds += [AddPrecedent(**p.model_dump()) for p in other.precedents if not best.shows(p.text)][:room]
    return Proposal(tuple(adds), "what the runner-up says besides") if adds else None


def combine(gains: Sequence[tuple[Proposal, float]], most: int, room: int = 0) -> Proposal | None:
    """Return the proposals that gained on training rows as one, the best first; None where fewer than two did.

    Two that change the same principle or precedent exclude each other.

    Args:
        gains: The proposals, and what each gained.
        most: How many may be taken.
        room: How many more precedents there may be.
    """
    chosen: list[Proposal] = []
    touched: set[str | None] = set()
    for proposal, _ in sorted((pair for pair in gains if pair[1] > 0), key=lambda pair: -pair[1]):
        named = {_changed_by(edit) for edit in proposal.edits if not isinstance(edit, Add)}
        more = sum(isinstance(e, AddPrecedent) - isinstance(e, DropPrecedent) for e in proposal.edits)
        if len(chosen) < most and not named & touched and more <= max(room, 0):
            chosen.append(proposal)
            touched |= named
            room -= more
    if len(chosen) < 2:
        return None
    evidence = tuple(dict.fromkeys(id for proposal in chosen for id in proposal.evidence))
    edits = tuple(edit for proposal in chosen for edit in proposal.edits)
    return Proposal(edits, f"{len(chosen)} edits that each gained on training rows", evidence)


def _changed_by(edit: RulebookEdit) -> str | None:
    return edit.row if isinstance(edit, AddPrecedent | DropPrecedent) else edit.id
