"""This library at the task: `AlignableSingleRun` as in the README, with and without the check of what it made."""

from types import SimpleNamespace
from typing import Any

from langchain_model_alignment import AlignableSingleRun
from tests.benchmarks.peers.jobs import Job, Result, answer
from tests.benchmarks.wishes.rounds import ANSWER_TOKENS, LEARNING_TOKENS, Inputs, play


class Ours:
    """One prompt in a person's hands.

    Args:
        prompt: The prompt.
        answering: The model that answers, for the check.
        writing: The model that writes principles and prompts.
        check: Whether wishes are checked after an update, as by default.
    """

    def __init__(self, prompt: str, answering: Any, writing: Any, check: bool) -> None:
        self._run = AlignableSingleRun(answering, writing, check_intent=check)
        self._run.set_model_description(prompt)
        self._about: tuple[Inputs, str] | None = None

    def hear(self, inputs: Inputs, answer: str, said: str) -> None:
        if self._about != (inputs, answer):
            self._run.set_input_output_pair(inputs, answer)
            self._about = inputs, answer
        self._run.critique_response(said)

    def update(self) -> None:
        self._run.update_model_description_from_principles()

    def prompt(self) -> str:
        return self._run.get_model_description_with_principles()

    def filled(self, inputs: Inputs) -> str:
        [message] = self._run.data.effective.fill(inputs)
        return message.text


def work(job: Job) -> Result:
    return play(
        job,
        Ours(job["prompt"], _model(job, ANSWER_TOKENS), _model(job, LEARNING_TOKENS), check=job["way"] == "checked"),
    )


def _model(job: Job, max_tokens: int) -> Any:
    from langchain_model_alignment.local.chat import make_chat_model

    # As `local_chat_model` makes it, at another address.
    server: Any = SimpleNamespace(base_url=job["learn_url"], api_key="none", weights=None)
    return make_chat_model(job["model"], server, {"temperature": 0.0, "max_tokens": max_tokens})


if __name__ == "__main__":
    answer(work)
