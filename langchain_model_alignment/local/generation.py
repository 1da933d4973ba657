"""Requests to a model in this process, generated in batches. Importing this file needs torch and transformers.

Whatever waits while a batch is generated goes into the next one, so that `batch`, `abatch` and a crowd of `ainvoke`
all become a few batches, with one generation at a time.
"""

import contextlib
import copy
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import LogitsProcessorList, StoppingCriteriaList

__all__ = ["Batcher", "Generated", "Request", "Settings"]

_IMPOSSIBLE = -9999.0  # JSON has no infinity; OpenAI's API says the same
_QUIET = 0.005  # seconds without a new request after which a batch that is not full begins


@dataclass(frozen=True)
class Settings:
    """How to generate; requests with equal settings share a batch.

    Attributes:
        max_tokens: The longest answer.
        temperature: 0 takes the likeliest token each time.
        top_p: Sampling from the likeliest tokens that have this share together; the model's own, when absent.
        top_k: Sampling from so many tokens; the model's own, when absent.
        seed: Makes sampling repeatable.
        top_logprobs: How many alternatives to tell for each token; none are told, when absent.
    """

    max_tokens: int
    temperature: float = 0.0
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    top_logprobs: int | None = None

    @property
    def alone(self) -> bool:
        """Whether a request cannot share a batch: a seed fixes the draws of a whole batch."""
        return self.seed is not None and self.temperature > 0


@dataclass(frozen=True)
class Generated:
    """One answer.

    Attributes:
        text: The answer up to its stop.
        input_tokens: Tokens of the prompt.
        output_tokens: Tokens generated, the one that ended the answer among them.
        finish_reason: "stop" or "length".
        logprobs: What each token and its alternatives were, in the form of OpenAI's API, where asked for.
    """

    text: str
    input_tokens: int
    output_tokens: int
    finish_reason: str
    logprobs: list[dict[str, Any]] | None = None


@dataclass(eq=False)
class Request:
    """One prompt, and where its answer goes.

    Attributes:
        ids: The prompt's token ids.
        settings: How to generate.
        width: The largest batch that it may be a part of, where it is the first in line.
        stop: Texts that end the answer and are no part of it.
        emit: Called with each piece of the answer as it comes, in the thread that generates.
        future: The answer; cancelling it ends the generation of this request.
    """

    ids: list[int]
    settings: Settings
    width: int = 1
    stop: tuple[str, ...] = ()
    emit: Callable[[str], None] | None = None
    future: "Future[Generated]" = field(default_factory=Future)


class Batcher:
    """Generates for whoever asks, in batches, in a thread that lives as long as there is work.

    Args:
        model: The model, of transformers.
        tokenizer: Its tokenizer.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._waiting: list[Request] = []
        self._arrived = threading.Condition()
        self._working = False

    def submit(self, request: Request) -> "Future[Generated]":
        """Put a request in line.

        Args:
            request: What to generate.

        Returns:
            Its future.
        """
        with self._arrived:
            self._waiting.append(request)
            self._arrived.notify()
            if not self._working:
                self._working = True
                threading.Thread(target=self._work, name="alignment-generation", daemon=True).start()
        return request.future

    def _work(self) -> None:
        while batch := self._next_batch():
            self._answer(batch)

    def _next_batch(self) -> list[Request]:
        with self._arrived:
            while self._waiting and len(self._waiting) < self._waiting[0].width and self._arrived.wait(_QUIET):
                pass
            self._waiting = [request for request in self._waiting if not request.future.cancelled()]
            if not self._waiting:
                self._working = False
                return []
            first = self._waiting[0]
            alike = [r for r in self._waiting if r is first or (r.settings == first.settings and not r.settings.alone)]
            batch = alike[: first.width]
            self._waiting = [request for request in self._waiting if request not in batch]
            return batch

    def _answer(self, batch: Sequence[Request]) -> None:
        try:
            answers = generate(self._model, self._tokenizer, batch)
        except Exception as error:  # noqa: BLE001 (raised where the answer is waited for)
            if len(batch) > 1 and not any(request.emit for request in batch):
                for request in batch:  # one that is too long for the memory must not fail the others
                    self._answer([request])
                return
            for request in batch:
                if request.future.set_running_or_notify_cancel():
                    request.future.set_exception(error)
            return
        for request, answer in zip(batch, answers, strict=True):
            # Only now: a future that is running can no longer be cancelled.
            if request.future.set_running_or_notify_cancel():
                request.future.set_result(answer)


def generate(model: Any, tokenizer: Any, batch: Sequence[Request]) -> list[Generated]:
    """Generate a batch of requests whose settings are equal.

    Args:
        model: The model, of transformers.
        tokenizer: Its tokenizer.
        batch: The requests.

    Returns:
        An answer for each.
    """
    settings = batch[0].settings
    config = _config(model, tokenizer, settings)
    ids, mask = _padded([request.ids for request in batch], config.pad_token_id, model.device)
    rows = [_Row(request, tokenizer, _as_list(config.eos_token_id)) for request in batch]
    logprobs = None if settings.top_logprobs is None else _Logprobs(settings.top_logprobs)
    with torch.inference_mode(), _seeded(settings):
        sequences = model.generate(
            input_ids=ids,
            attention_mask=mask,
            generation_config=config,
            stopping_criteria=StoppingCriteriaList([_Watch(rows, ids.shape[1])]),
            logits_processor=LogitsProcessorList([logprobs] if logprobs else []),
        )
    new = sequences[:, ids.shape[1] :]
    told = logprobs.told(new, tokenizer) if logprobs else [None] * len(rows)
    return [row.finish(made, tokens) for row, made, tokens in zip(rows, new.tolist(), told, strict=True)]


def _config(model: Any, tokenizer: Any, settings: Settings) -> Any:
    config = copy.deepcopy(model.generation_config)
    config.max_length = None
    config.max_new_tokens = settings.max_tokens
    config.do_sample = settings.temperature > 0
    if config.do_sample:
        config.temperature = settings.temperature
        config.top_p = config.top_p if settings.top_p is None else settings.top_p
        config.top_k = config.top_k if settings.top_k is None else settings.top_k
    else:
        config.temperature = config.top_p = config.top_k = None
    if config.eos_token_id is None:
        config.eos_token_id = tokenizer.eos_token_id
    pad = tokenizer.pad_token_id
    ends = _as_list(config.eos_token_id)
    config.pad_token_id = pad if pad is not None else ends[0] if ends else 0
    return config


def _as_list(value: Any) -> list[int]:
    return [] if value is None else [value] if isinstance(value, int) else list(value)


def _padded(prompts: Sequence[list[int]], pad: int, device: Any) -> tuple[Any, Any]:
    longest = max(len(ids) for ids in prompts)
    ids = [[pad] * (longest - len(ids)) + ids for ids in prompts]
    mask = [[0] * (longest - len(ids)) + [1] * len(ids) for ids in prompts]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


@contextlib.contextmanager
def _seeded(settings: Settings) -> Iterator[None]:
    if not settings.alone:
        yield
        return
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed or 0)
        yield


class _Row:
    """The answer to one request, as it grows."""

    def __init__(self, request: Request, tokenizer: Any, ends: Sequence[int]) -> None:
        self.request = request
        self._tokenizer = tokenizer
        self._ends = ends
        self._length: int | None = None  # tokens, once it has ended
        self._emitted = 0
        self._held_back = max((len(stop) - 1 for stop in request.stop), default=0)

    def step(self, ids: list[int]) -> bool:
        """Take notice of one more token; return whether the answer has ended."""
        if self._length is None:
            text = self._text(ids) if self.request.stop or self.request.emit else ""
            cut = _cut(text, self.request.stop)
            if ids[-1] in self._ends or cut < len(text) or self.request.future.cancelled():
                self._length = len(ids)
            elif not text.endswith("\ufffd"):  # a character whose other bytes are still to come
                self._emit(text, len(text) - self._held_back)
        return self._length is not None

    def finish(self, ids: list[int], logprobs: list[dict[str, Any]] | None) -> Generated:
        """Return the answer, with what comes after its end cut off."""
        reason = "length" if self._length is None else "stop"
        ids = ids[: self._length]
        text = self._text(ids)
        text = text[: _cut(text, self.request.stop)]
        self._emit(text, len(text))
        return Generated(text, len(self.request.ids), len(ids), reason, logprobs[: len(ids)] if logprobs else None)

    def _text(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=True))

    def _emit(self, text: str, end: int) -> None:
        if self.request.emit and end > self._emitted:
            self.request.emit(text[self._emitted : end])
            self._emitted = end


def _cut(text: str, stop: Sequence[str]) -> int:
    """Where the first of the stops begins; the length of the text, where there is none."""
    return min((at for word in stop if (at := text.find(word)) >= 0), default=len(text))


class _Watch:
    """Ends each row where its answer ends."""

    def __init__(self, rows: Sequence[_Row], start: int) -> None:
        self._rows = rows
        self._start = start

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        made = input_ids[:, self._start :].tolist()
        ended = [row.step(ids) for row, ids in zip(self._rows, made, strict=True)]
        return torch.tensor(ended, device=input_ids.device)


class _Logprobs:
    """Notes the likeliest tokens at each step, before any temperature."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._top: list[tuple[list[list[float]], list[list[int]]]] = []
        self._chosen: list[list[float]] = []
        self._last: Any = None

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        if self._last is not None:
            self._note(input_ids[:, -1:])
        self._last = scores.float().log_softmax(-1).clamp(min=_IMPOSSIBLE)
        top = self._last.topk(min(self._count, scores.shape[-1]))
        self._top.append((top.values.tolist(), top.indices.tolist()))
        return scores

    def told(self, made: Any, tokenizer: Any) -> list[list[dict[str, Any]]]:
        """Return for each row what its tokens and their alternatives were."""
        self._note(made[:, -1:])
        return [
            [
                {
                    "token": tokenizer.decode([token]),
                    "logprob": self._chosen[step][row],
                    "top_logprobs": [
                        {"token": tokenizer.decode([other]), "logprob": value}
                        for value, other in zip(self._top[step][0][row], self._top[step][1][row], strict=True)
                    ],
                }
                for step, token in enumerate(ids)
            ]
            for row, ids in enumerate(made.tolist())
        ]

    def _note(self, tokens: Any) -> None:
        self._chosen.append(self._last.gather(1, tokens)[:, 0].tolist())
