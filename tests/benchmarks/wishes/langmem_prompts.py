"""langmem at the task: `create_prompt_optimizer` of the kind `prompt_memory`, its cheapest, one call for each feedback.

Its other kinds need a model that calls tools. It is told in its update instructions to keep the variables, which this
kind does not say by itself. One thing is mended: where the model says that no update is needed, the old prompt stays,
while langmem would take what the model wrote in its place.
"""

from typing import Any

from tests.benchmarks.peers.jobs import Job, Result, answer
from tests.benchmarks.wishes.rounds import LEARNING_TOKENS, Inputs, play

_KEEP = "Keep every variable in braces, such as {input}, exactly as it is in the current prompt."


class Memory:
    """A prompt and langmem's optimizer."""

    def __init__(self, prompt: str, optimizer: Any) -> None:
        self._prompt = prompt
        self._optimizer = optimizer

    def hear(self, inputs: Inputs, answer: str, said: str) -> None:
        session = [
            {"role": "user", "content": self.filled(inputs)},
            {"role": "assistant", "content": answer},
        ]
        prompt = {"name": "prompt", "prompt": self._prompt, "update_instructions": _KEEP}
        self._prompt = self._optimizer.invoke({"trajectories": [(session, said)], "prompt": prompt}) or self._prompt

    def update(self) -> None:
        """Do nothing: what is heard changes the prompt at once."""

    def prompt(self) -> str:
        return self._prompt

    def filled(self, inputs: Inputs) -> str:
        return self._prompt.format(**inputs)


def work(job: Job) -> Result:
    from langchain_openai import ChatOpenAI
    from langmem import create_prompt_optimizer

    llm = ChatOpenAI(
        model=job["model"], base_url=job["learn_url"], api_key="none",
        temperature=0.0, max_tokens=LEARNING_TOKENS, max_retries=0, timeout=3600,
    )  # fmt: skip
    optimizer: Any = create_prompt_optimizer(llm, kind="prompt_memory")
    optimizer.model = optimizer.model | without_refusal
    return play(job, Memory(job["prompt"], optimizer))


def without_refusal(written: dict[str, Any]) -> dict[str, Any]:
    """Empty the prompt that a model wrote where it also said that no update is needed."""
    return written if written["update_prompt"] else {**written, "new_prompt": ""}


if __name__ == "__main__":
    answer(work)
