"""What happens in a task, the same for every method: an answer, a wish, new inputs; three more wishes, and again.

Nothing but the standard library, and it runs in the environment of each method. All answers are asked for here, at
temperature 0, so that methods differ in their prompts alone, and equal prompts have equal answers.
"""

from collections.abc import Callable
from typing import Any, Protocol

from tests.benchmarks.peers.chat import complete
from tests.benchmarks.peers.jobs import Job, Result

ANSWER_TOKENS = 100
LEARNING_TOKENS = 200

Inputs = dict[str, str]


class Learner(Protocol):
    """A method that holds a prompt and hears what people say of its answers."""

    def hear(self, inputs: Inputs, answer: str, said: str) -> None:
        """Hear a piece of feedback on an answer."""

    def update(self) -> None:
        """Change the prompt for what was heard, where that was not done yet."""

    def prompt(self) -> str:
        """Return the prompt as it stands, with its variables."""

    def filled(self, inputs: Inputs) -> str:
        """Return the prompt with inputs, as the method itself fills it; what it raises there is its own."""


def play(job: Job, learner: Learner) -> Result:
    """Have a method do a task.

    What fails while it learns is told in `troubles` and changes nothing else: a person who gets an error has the prompt
    of before.
    """
    troubles: list[str] = []

    def learn(step: Callable[..., None], *given: Any) -> None:
        try:
            step(*given)
        except Exception as error:  # noqa: BLE001 (a method may fail in any way)
            troubles.append(f"{step.__name__}: {type(error).__name__}: {error}"[:500])

    first, found = job["first"], {}
    answer = ""
    for stage, sayings in (("after", job["said"][:1]), ("still", job["said"][1:])):
        answer = _answered(job, learner, first)["answer"] or answer
        for said in sayings:
            learn(learner.hear, first, answer, said)
        learn(learner.update)
        answers = [_answered(job, learner, inputs) for inputs in job["new"]]
        found[stage] = {"prompt": learner.prompt(), "said_of": answer, "answers": answers}
    return {**found, "troubles": troubles}


def _answered(job: Job, learner: Learner, inputs: Inputs) -> dict[str, str]:
    """Ask with the prompt as it stands; one that cannot be filled has no answer."""
    try:
        asked = learner.filled(inputs)
    except (LookupError, ValueError, AttributeError):  # braces that are no variables of the prompt
        return {"asked": "", "answer": ""}
    answer = complete(job["answer_url"], job["model"], asked, temperature=0.0, max_tokens=ANSWER_TOKENS)
    return {"asked": asked, "answer": answer}
