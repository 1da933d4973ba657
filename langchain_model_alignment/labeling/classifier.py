"""A rulebook at work: one row in, one prediction out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.runnables import Runnable, RunnableConfig
from typing_extensions import TypedDict

from langchain_model_alignment.calls import Answer, Caller, ChatModelLike, as_caller
from langchain_model_alignment.errors import (
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    DataError,
    ModelError,
)
from langchain_model_alignment.gathering import gather_from
from langchain_model_alignment.labeling import instructions
from langchain_model_alignment.labeling.calibration import Signal, probabilities, weighed
from langchain_model_alignment.labeling.reading import LabelReader, read_numbers
from langchain_model_alignment.labeling.rulebook import Rulebook, Scoring
from langchain_model_alignment.labeling.scoring import MOST_LABELS, label_line, read_signal
from langchain_model_alignment.labeling.task import LabelingTask, Row
from langchain_model_alignment.loop import make_runnable
from langchain_model_alignment.traits import limit_of

__all__ = [
    "Classifier",
    "Labeled",
    "Prediction",
    "check_some_taken",
    "create_classifier_chain",
    "label_rows",
    "scoring_for",
]

_ANSWER_TOKENS = 24  # room for the longest label; more than a label is a model that explains
_NUMBER_TOKENS = 8
_CHECK_TOKENS, _LABEL_TOKENS = 4, 4  # a digit and perhaps a dot, yes or no, a line's end; "label", ":", its beginning


class Prediction(TypedDict):
    """What a rulebook says of one row."""

    prediction: Any
    """The label, the very value from the task's `label_values`; "" where the rulebook abstains."""
    raw_prediction: str
    """What the model answered."""
    request: str
    """What the model was asked."""
    confidence: float | None
    """The probability of the label, from 0 to 1, where log probabilities tell it."""
    principle_ids: list[str]
    """The principles that decided, where they were asked for."""
    error: str | None
    """What went wrong, where something did."""


@dataclass(frozen=True, slots=True)
class Labeled:
    """What a classifier found for one row.

    Attributes:
        label: Index of the label; None for an abstention.
        raw: What the model answered.
        signal: What the answer says of labels and principles, by log probabilities only.
        confidence: The probability of the label, by log probabilities only.
        error: What went wrong.
        kind: The class of the error.
        principle_ids: The principles that decided, where they were asked for.
    """

    label: int | None
    raw: str = ""
    signal: Signal | None = None
    confidence: float | None = None
    error: str | None = None
    kind: str = ""
    principle_ids: tuple[str, ...] = ()


class Classifier:
    """A rulebook and the model that reads it.

    Args:
        caller: The model.
        rulebook: What it is asked with.
        explain: Whether each row's principles are asked for, in one more short call.
        threshold: Abstain below this confidence; the rulebook's own by default.
    """

    def __init__(
        self, caller: Caller, rulebook: Rulebook, *, explain: bool = False, threshold: float | None = None
    ) -> None:
        self.caller = caller
        self.rulebook = rulebook
        self.explain = explain
        self.threshold = rulebook.threshold if threshold is None else threshold
        self._prefix = rulebook.prefix()
        self._principles = rulebook.checked() if rulebook.is_checklist else rulebook.enabled()
        self._reader = LabelReader(rulebook.answers)
        self._owners, self._fitted = rulebook.owners(), rulebook.fitted
        self._logprob = rulebook.scoring != "text"
        if self._logprob and not caller.traits.logprobs:
            raise ConfigurationError(
                f"This rulebook is scored by log probabilities, which the model {caller.name} does not give; train it "
                'with this model, or set its scoring to "text".'
            )
        if self.threshold is not None and not self._logprob:
            raise ConfigurationError("A threshold needs a confidence, and labels read as text have none; leave it out.")
        self._options: dict[str, Any] = (
            {"logprobs": True, "top_logprobs": MOST_LABELS, **limit_of(caller.llm, self._tokens())}
            if self._logprob
            else limit_of(caller.llm, max(_ANSWER_TOKENS, *(2 * len(a) for a in rulebook.answers)))
        )

    def messages(self, row: str) -> list[BaseMessage]:
        """Return the request for a row."""
        return [*self._prefix, HumanMessage(self.rulebook.human_text(row))]

    def request(self, row: str) -> str:
        """Return the request for a row as one text."""
        return "\n\n".join(str(message.content) for message in self.messages(row))

    async def label(self, row: str, config: RunnableConfig | None = None) -> Labeled:
        """Label a row; what goes wrong with this row alone is part of the result.

        Raises:
            AuthenticationError: The key is wrong; no other row would fare better.
            BudgetError: The budget is spent.
        """
        messages = self.messages(row)
        try:
            answer = await self.caller.ask(messages, config=config, **self._options)
            found = self._read(answer)
        except AuthenticationError:
            raise
        except ModelError as error:
            return Labeled(None, error=str(error), kind=type(error).__name__)
        if not self.explain:
            return found
        try:
            return replace(found, principle_ids=await self.deciding(row, found, config))
        except AuthenticationError:
            raise
        except ModelError as error:  # the label was paid for and stays
            return replace(found, error=str(error), kind=type(error).__name__)

    async def deciding(self, row: str, found: Labeled, config: RunnableConfig | None = None) -> tuple[str, ...]:
        """Return the ids of the principles that decided: those that checked true of the row, else the model is asked.

        Raises:
            ModelError: The call failed.
        """
        if found.label is None or not self._principles:
            return ()
        if self._owners:
            return self._checked(found)
        said = AIMessage(self.rulebook.answers[found.label])
        messages = [*self.messages(row), said, HumanMessage(instructions.WHICH)]
        answer = await self.caller.ask(messages, config=config, **limit_of(self.caller.llm, _NUMBER_TOKENS))
        return tuple(self._principles[n - 1].id for n in read_numbers(answer.text, len(self._principles)))

    def shares(self, found: Labeled) -> list[float] | None:
        """Return the probability of each label by the rulebook's calibration; None where the answer tells none."""
        return None if found.signal is None else probabilities(found.signal, self._fitted, self._owners)

    def recalibrated(self, found: Labeled) -> Labeled:
        """Return the same answer read with this rulebook's calibration."""
        shares = self.shares(found)
        if shares is None:
            return found
        best = max(range(len(shares)), key=shares.__getitem__)
        sure = self.threshold is None or shares[best] >= self.threshold
        return replace(found, label=best if sure else None, confidence=shares[best])

    def prediction(self, row: str, found: Labeled) -> Prediction:
        """Return what was found as a public prediction."""
        return {
            "prediction": "" if found.label is None else self.rulebook.task.label_values[found.label],
            "raw_prediction": found.raw,
            "request": self.request(row),
            "confidence": found.confidence,
            "principle_ids": list(found.principle_ids),
            "error": found.error,
        }

    def _checked(self, found: Labeled) -> tuple[str, ...]:
        """The principles of the label that were said to be true of the row, the weightiest first."""
        if found.signal is None:
            return ()
        said = weighed(found.signal, self._fitted, self._owners)
        ranked = sorted(range(len(said)), key=lambda at: -said[at])
        return tuple(self._principles[at].id for at in ranked if said[at] > 0 and self._owners[at] == found.label)

    def _read(self, answer: Answer) -> Labeled:
        if not self._logprob:
            return Labeled(self._reader.read(answer.text), answer.text)
        signal = read_signal(answer.message, self.rulebook.answers, len(self._owners))
        if signal is None:  # no alternative speaks for a label: an abstention, or a server that tells none
            said = label_line(answer.text) if self._owners else answer.text
            return Labeled(self._reader.read(said) if self.threshold is None else None, answer.text)
        return self.recalibrated(Labeled(None, answer.text, signal))

    def _tokens(self) -> int:
        if not self._owners:
            return 1
        numbers = range(1, len(self._owners) + 1)
        return sum(_CHECK_TOKENS + len(str(n)) - 1 for n in numbers) + _LABEL_TOKENS


async def label_rows(
    classifier: Classifier, rows: Sequence[Row], config: RunnableConfig | None = None
) -> list[Labeled]:
    """Label rows side by side.

    Raises:
        AlignmentError: The key is wrong, the budget is spent, or the model refused every single request as it stands.
    """
    width = classifier.caller.gate.max_concurrency
    found = await gather_from(rows, lambda row: classifier.label(row.text, config), width)
    check_some_taken(found)
    return found


def check_some_taken(found: Sequence[Labeled], least: int = 1) -> None:
    """End what cannot get better: a model that refuses each of these requests as it stands refuses the others too.

    Args:
        found: What was found for rows.
        least: How many rows it takes to tell.

    Raises:
        BadRequestError: All were refused.
    """
    if len(found) >= least and all(labeled.kind == BadRequestError.__name__ for labeled in found):
        raise BadRequestError(found[0].error or "The model refused every request.")


def scoring_for(caller: Caller, task: LabelingTask) -> Scoring:
    """Return how labels are read from this model: by log probabilities where it gives them, and labels are few."""
    return "logprob" if caller.traits.logprobs and len(task.labels) <= MOST_LABELS else "text"


def create_classifier_chain(
    llm: ChatModelLike,
    task: LabelingTask,
    rulebook: Rulebook,
    *,
    explain: bool = False,
    threshold: float | None = None,
) -> Runnable[Mapping[str, Any], Prediction]:
    """Create a chain that labels rows by a rulebook.

    Args:
        llm: The model that reads the rulebook.
        task: What is labeled.
        rulebook: The principles, trained or written by hand.
        explain: Also ask which principles decided, in one more short call a row.
        threshold: Abstain where the confidence is below it, from 0 to 1; only with log probabilities.

    Returns:
        The chain: a row (a dict with the task's inputs) in, a `Prediction` out. A failed call is the row's `error`.

    Raises:
        ArtifactError: The rulebook is of another task.
        ConfigurationError: The rulebook needs log probabilities and the model gives none, or a threshold lacks them.

    Example:
        >>> from langchain_core.language_models import FakeListChatModel
        >>> task = LabelingTask(input_names=["comment"], label_name="toxic", label_values=[True, False])
        >>> rulebook = Rulebook.of(task, {True: ["It insults a person."]})
        >>> chain = create_classifier_chain(FakeListChatModel(responses=["False."]), task, rulebook)
        >>> chain.invoke({"comment": "What a lovely day"})["prediction"]
        False
    """
    rulebook.check_task(task)
    classifier = Classifier(as_caller(llm), rulebook, explain=explain, threshold=threshold)

    async def classify(row: Mapping[str, Any], config: RunnableConfig) -> Prediction:
        missing = [name for name in task.input_names if name not in row]
        if missing:
            raise DataError(
                f"The row lacks {', '.join(missing)}; its columns are: {', '.join(map(str, row)) or 'none'}."
            )
        text = task.show(row)
        return classifier.prediction(text, await classifier.label(text, config))

    row: Any = TypedDict("Row", dict.fromkeys(task.input_names, Any))  # type: ignore[misc]  # for schemas
    return make_runnable(classify, name="classify", input_type=row, output_type=Prediction)
