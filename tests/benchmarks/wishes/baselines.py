"""What needs no method: the prompt as it is, and the feedback put below it word for word."""

from tests.benchmarks.peers.jobs import Job, Result, answer
from tests.benchmarks.wishes.rounds import Inputs, play


class Unchanged:
    """The prompt as it is, whatever is said."""

    def __init__(self, prompt: str) -> None:
        self._prompt = prompt

    def hear(self, inputs: Inputs, answer: str, said: str) -> None:
        """Do nothing."""

    def update(self) -> None:
        """Do nothing."""

    def prompt(self) -> str:
        return self._prompt

    def filled(self, inputs: Inputs) -> str:
        text = self._prompt
        for name, value in inputs.items():
            text = text.replace(f"{{{name}}}", value)
        return text


class Appended(Unchanged):
    """What was said stands below the prompt, a line each."""

    def hear(self, inputs: Inputs, answer: str, said: str) -> None:
        self._prompt += f"\n{said}"


def work(job: Job) -> Result:
    return play(job, {"unchanged": Unchanged, "appended": Appended}[job["way"]](job["prompt"]))


if __name__ == "__main__":
    answer(work)
