"""langmem at the task: `create_prompt_optimizer` of the kind `prompt_memory`, its cheapest, one call for each feedback.

It is told in its update instructions to keep the variables, which this kind does not say by itself. Where it answers
with no prompt, as it is told to where nothing needs to change, the old one stays.
"""

from typing import Any

from tests.benchmarks.peers.jobs import Job, Result, answer
from tests.benchmarks.wishes.rounds import LEARNING_TOKENS, Inputs, play

_KEEP = "Keep every variable in braces, such as {input}, exactly as it is in the current prompt."


class Memory:
    """A prompt and langmem's optimizer."""

    def __init__(self, prompt: str, llm: Any) -> None:
        from langmem import create_prompt_optimizer

        self._prompt = prompt
        self._optimizer = create_prompt_optimizer(llm, kind="prompt_memory")

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

    llm = ChatOpenAI(
        model=job["model"], base_url=job["learn_url"], api_key="none",
        temperature=0.0, max_tokens=LEARNING_TOKENS, max_retries=0, timeout=3600,
    )  # fmt: skip
    return play(job, Memory(job["prompt"], llm))


if __name__ == "__main__":
    answer(work)
