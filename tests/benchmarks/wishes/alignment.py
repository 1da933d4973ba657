"""model-alignment 0.3 at the task, with only what stops it from running mended: a helper that reaches the model."""

from typing import Any

from tests.benchmarks.peers.chat import complete
from tests.benchmarks.peers.jobs import Job, Result, answer
from tests.benchmarks.wishes.rounds import LEARNING_TOKENS, Inputs, play


class Predecessor:
    """Its `AlignableSingleRun`; what it needs of a conversation is set as its own `send_input` sets it."""

    def __init__(self, prompt: str, helper: Any) -> None:
        from model_alignment import single_run

        self._module = single_run
        self._run = single_run.AlignableSingleRun(helper)
        self._run.set_model_description(prompt)

    def hear(self, inputs: Inputs, answer: str, said: str) -> None:
        asked, answered = self._module.ConversationTurn(), self._module.ConversationTurn()
        asked.is_user, asked.text, asked.vars = True, self.filled(inputs), dict(inputs)
        answered.text = answer
        self._run.data.conversations.append([asked, answered])
        self._run.current_convo_idx = len(self._run.data.conversations) - 1
        self._run.critique_response(said)

    def update(self) -> None:
        self._run.update_model_description_from_principles()

    def prompt(self) -> str:
        return str(self._run.get_model_description())

    def filled(self, inputs: Inputs) -> str:
        return self.prompt().format(**inputs)


def work(job: Job) -> Result:
    from model_alignment import model_helper

    class Helper(model_helper.ModelHelper):
        def predict(
            self,
            prompt: str,
            temperature: float,
            stop_sequences: list[str] | None = None,
            candidate_count: int = 1,
            max_output_tokens: int | None = None,
        ) -> str:
            limit = max_output_tokens or LEARNING_TOKENS
            settings: dict[str, Any] = {"temperature": temperature, "max_tokens": limit, "stop": stop_sequences}
            return complete(job["learn_url"], job["model"], prompt, **settings)

    return play(job, Predecessor(job["prompt"], Helper()))


if __name__ == "__main__":
    answer(work)
