"""Labeling on more than one machine: a rulebook over a Ray dataset, by workers that share its limits."""

import hashlib
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from langchain_model_alignment.calls import Caller
from langchain_model_alignment.errors import AlignmentError, ConfigurationError, DataError
from langchain_model_alignment.gate import Gate
from langchain_model_alignment.gathering import gather_from
from langchain_model_alignment.integrations.ray_models import (
    ModelSource,
    check_sendable,
    keep_pace,
    make_model,
    shared_pace,
)
from langchain_model_alignment.integrations.ray_session import import_ray
from langchain_model_alignment.joining import Joining
from langchain_model_alignment.labeling.cells import ADDED, cells_of, samples_of, written_labels
from langchain_model_alignment.labeling.classifier import Classifier, Labeled, check_some_taken
from langchain_model_alignment.labeling.rulebook import Rulebook
from langchain_model_alignment.labeling.task import LabelingTask
from langchain_model_alignment.loop import run_sync

if TYPE_CHECKING:
    import pyarrow as pa
    from ray.data import Dataset

__all__ = ["check_columns", "label_dataset"]

ROWS_PER_BLOCK = 128  # what a worker takes at a time, and so what is asked again when it dies
_BLOCKS_AT_ONCE = 2  # while the last rows of one block are waited for, the next one fills the gate
_REFUSED_BLOCK = 16  # a model that refuses so many rows and answers none refuses them all
_MOST_KEPT = 1_000_000  # answers a worker remembers for equal rows; some 250 bytes each


def label_dataset(
    dataset: "Dataset",
    rulebook: Rulebook,
    model: ModelSource,
    *,
    workers: int = 2,
    max_concurrency: int = 32,
    calls_per_minute: float | None = None,
    explain: bool = False,
    threshold: float | None = None,
    num_cpus: float = 0.25,
    num_gpus: float = 0,
) -> "Dataset":
    """Label a Ray dataset by a rulebook, with workers on any machine of the cluster.

    Each row keeps its columns and gets four more: `prediction` (of the type of the task's labels, text where they have
    several; null where the rulebook abstains), `confidence`, `principle_ids` and `error`. Their types are the same in
    every block. The rows of the result come in no order: a result stands in its row, so give each row a key of its own
    where you need to find it again, or set `preserve_order` in the dataset's `context.execution_options`.

    The result is lazy, as all of Ray Data is: rows are labeled when it is written or read. A worker or a machine that
    dies is Ray's to replace; the rows that it had in hand are asked for again. A row whose call fails has the reason
    in `error`; a bad key, a rulebook for other columns, or a model that refuses every row of a block ends the whole run
    with one of this library's errors. A worker asks once for rows whose inputs are equal.

    No model crosses the wire: each worker makes its own, from a name or a function, with the key in its environment. A
    local model runs in every worker, so give each one a machine or a part of it, by `num_cpus` or `num_gpus`.

    Args:
        dataset: The rows, with the task's input columns.
        rulebook: The principles, trained or written by hand.
        model: The model's name, as `resolve_chat_model` takes it, or a function without arguments that makes it.
        workers: How many processes label.
        max_concurrency: How many calls run at once, over all workers; each has an equal share.
        calls_per_minute: How many calls are begun in a minute, retries among them, over all workers.
        explain: Also ask which principles decided, in one more short call a row.
        threshold: Abstain where the confidence is below it, from 0 to 1; only with log probabilities.
        num_cpus: What Ray sets aside for each worker, which waits more than it works.
        num_gpus: The same, for a local model.

    Returns:
        The labeled rows.

    Raises:
        ConfigurationError: Ray is missing, a number does not fit, or `model` is a live model or cannot be sent.
        DataError: The dataset lacks a column, or has one that would be overwritten.

    Example:
        >>> task = LabelingTask(input_names=["comment"], label_name="toxic", label_values=["yes", "no"])
        >>> rulebook = Rulebook.of(task, {"yes": ["It insults a person."]})
        >>> rows = ray.data.read_parquet("comments/")  # doctest: +SKIP
        >>> labeled = label_dataset(rows, rulebook, "google_genai:gemini-2.5-flash")  # doctest: +SKIP
        >>> labeled.write_parquet("labeled/")  # doctest: +SKIP
    """
    ray = import_ray()
    if not 1 <= workers <= max_concurrency:
        raise ConfigurationError(
            f"workers is {workers} and max_concurrency is {max_concurrency}; give at least 1 worker, and each 1 call."
        )
    if calls_per_minute is not None and calls_per_minute <= 0:
        raise ConfigurationError(f"calls_per_minute is {calls_per_minute}; give more than 0, or None for no limit.")
    check_sendable(model)
    if (schema := dataset.schema(fetch_if_missing=False)) is not None:  # else the first block tells
        check_columns(rulebook.task, schema.names)
    labeled = dataset.repartition(target_num_rows_per_block=ROWS_PER_BLOCK).map_batches(
        _Worker,
        batch_size=None,
        batch_format="pyarrow",
        zero_copy_batch=True,
        compute=ray.data.ActorPoolStrategy(
            size=workers, max_concurrent_calls_per_actor=_BLOCKS_AT_ONCE, enable_true_multi_threading=True
        ),
        fn_constructor_kwargs={
            "rulebook": rulebook.model_dump(mode="json"),
            "model": model,
            "share": max_concurrency // workers,
            "pace": None if calls_per_minute is None else shared_pace(ray, calls_per_minute),
            "explain": explain,
            "threshold": threshold,
        },
        num_cpus=num_cpus,
        num_gpus=num_gpus,
    )
    # So that an error is one of ours, and not Ray's word for any; it goes for the given dataset too, which shares it.
    labeled.context.raise_original_map_exception = True
    return labeled


def check_columns(task: LabelingTask, columns: Sequence[str]) -> None:
    """Refuse a table that the task does not fit.

    Raises:
        DataError: A column is missing, or there already is one that labeling adds.

    Example:
        >>> task = LabelingTask(input_names=["comment"], label_name="toxic", label_values=["yes", "no"])
        >>> check_columns(task, ["id", "text"])
        Traceback (most recent call last):
        ...
        langchain_model_alignment.errors.DataError: The table has no column 'comment'; its columns are: id, text.
    """
    task.read([dict.fromkeys(columns)], labeled=False)
    if clash := [name for name in ADDED if name in columns]:
        raise DataError(f"The table has a column {clash[0]!r} already, which would be overwritten; rename it.")


class _Worker:
    """What one process labels with. The model is made with the first block, so that what fails there is said."""

    def __init__(
        self,
        rulebook: dict[str, Any],
        model: ModelSource,
        share: int,
        pace: Any,
        explain: bool,
        threshold: float | None,
    ) -> None:
        self._rulebook = Rulebook.from_dict(rulebook)
        self._model = model
        self._share = share
        self._pace = pace
        self._options: dict[str, Any] = {"explain": explain, "threshold": threshold}
        self._lock = threading.Lock()
        self._classifier: Classifier | None = None
        self._kept: dict[str, Labeled] = {}
        self._joining: Joining[Labeled] = Joining()

    def __call__(self, block: "pa.Table") -> "pa.Table":
        """Label a block; Ray calls this from several threads."""
        task = self._rulebook.task
        try:
            check_columns(task, block.column_names)
            rows = task.read(block.select(list(task.input_names)).to_pylist(), labeled=False)
            self._open()
            found = run_sync(gather_from([row.text for row in rows], self._label, self._share))
            check_some_taken(found, _REFUSED_BLOCK)
        except AlignmentError as error:
            # What the provider's package raised may hold a key, and Ray logs the whole chain.
            raise _for_ray(error) from None
        return _with_labels(block, task, found)

    async def _label(self, text: str) -> Labeled:
        key = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        if (known := self._kept.get(key)) is not None:
            return known
        return await self._joining.share(key, lambda: self._ask(key, text))

    async def _ask(self, key: str, text: str) -> Labeled:
        if self._classifier is None:
            raise RuntimeError("The worker is not open.")
        found = await self._classifier.label(text)
        if found.error is None and len(self._kept) < _MOST_KEPT:
            self._kept[key] = Labeled(found.label, confidence=found.confidence, principle_ids=found.principle_ids)
        return found

    def _open(self) -> None:
        """Make the model, once; not on the event loop, which a local server would hold up."""
        with self._lock:
            if self._classifier is None:
                llm = make_model(self._model)
                if self._pace is not None:
                    keep_pace(llm, self._pace)
                self._classifier = Classifier(Caller(llm, gate=Gate(self._share)), self._rulebook, **self._options)


def _for_ray(error: AlignmentError) -> AlignmentError:
    """Return the error as one that Ray Data takes for its user's, and not for a defect of Ray to be reported."""
    from ray.exceptions import UserCodeException

    kind: type[AlignmentError] = type(type(error).__name__, (type(error), UserCodeException), {})
    return kind(str(error))


def _with_labels(block: "pa.Table", task: LabelingTask, found: list[Labeled]) -> "pa.Table":
    """Return the block with its new columns, typed by the task and not by what this block happens to hold."""
    import pyarrow as pa

    labels = written_labels(task)
    rows = [cells_of(labels, one) for one in found]
    for name, samples in samples_of(task).items():
        kind = pa.array(list(samples)).type
        block = block.append_column(pa.field(name, kind), pa.array([row[name] for row in rows], kind))
    return block
