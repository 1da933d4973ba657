"""This library at the toy work."""

from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from langchain_model_alignment import Labeler
from tests.benchmarks import toy
from tests.benchmarks.labeling import reply
from tests.benchmarks.peers.jobs import Job, Result, answer
from tests.benchmarks.speed.meter import Meter


class ToyModel(BaseChatModel):
    """The model of the toy work, with an async method of its own."""

    meter: Any

    @property
    def _llm_type(self) -> str:
        return "toy"

    def _generate(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any) -> ChatResult:
        return _result(self.meter.reply(_text(messages), lambda _: reply(messages)))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **_: Any,
    ) -> ChatResult:
        return _result(await self.meter.areply(_text(messages), lambda _: reply(messages)))


def work(job: Job) -> Result:
    meter = Meter()
    maker = _maker(meter, job["width"])
    training, validation = toy.rows(100, 1), toy.rows(100, 2)
    _maker(Meter(), job["width"]).initialize_checkpoint(training)  # loads what is loaded at its first use
    if job["way"] == "label":
        rulebook = maker.rulebook({"yes": ["The guest is pleased."], "no": ["The guest is annoyed."]})
        table = toy.rows(job["rows"], 3)
        return meter.measured(lambda: _checked(maker.infer_checkpoint(rulebook, table)))
    if job["way"] == "step":
        begun = maker.initialize_checkpoint(training)
        return meter.measured(lambda: _nothing(maker.train_step(begun, training, validation)))
    return meter.measured(lambda: {"score": maker.train(training, validation, steps=20).scorecard["accuracy"]})


def _maker(meter: Meter, width: int) -> Labeler:
    return Labeler(
        ["text"], "label", toy.LABELS, toy.QUESTION, ToyModel(meter=meter),
        max_concurrency=width, hparams={"patience": 1},
    )  # fmt: skip


def _checked(found: list[Any]) -> None:
    if any(prediction["error"] or not prediction["prediction"] for prediction in found):
        raise AssertionError("a row was not labeled")


def _nothing(_: Any) -> None:
    pass


def _text(messages: list[BaseMessage]) -> str:
    return "\n\n".join(message.text for message in messages)


def _result(text: str) -> ChatResult:
    return ChatResult(generations=[ChatGeneration(message=AIMessage(text))])


if __name__ == "__main__":
    answer(work)
