"""promptolution's CAPO at the toy work, by defaults, through its own batches."""

import random
from typing import Any

from tests.benchmarks import toy
from tests.benchmarks.peers.jobs import Job, Result, answer
from tests.benchmarks.speed.meter import Meter, label_of

_PROMPTS = (
    "Did the guest like it? Answer yes or no.",
    "Read the note. Did the guest like it, yes or no?",
    "Say yes if the guest liked it, else no.",
    "Was the guest pleased? yes or no.",
)


def work(job: Job) -> Result:
    import numpy as np
    import pandas as pd
    from promptolution.llms.api_llm import APILLM
    from promptolution.optimizers.capo import CAPO
    from promptolution.predictors.maker_based_predictor import MarkerBasedPredictor
    from promptolution.tasks.classification_tasks import ClassificationTask
    from promptolution.utils.callbacks import BaseCallback

    meter = Meter()
    random.seed(0)
    np.random.seed(0)

    class ToyLLM(APILLM):
        async def _ainvoke_with_retries(self, prompt: str, system_prompt: str) -> str:
            async with self._sem:
                return await meter.areply(f"{system_prompt}\n\n{prompt}", reply)

    class NoGain(BaseCallback):
        best = 0.0

        def on_step_end(self, optimizer: Any) -> bool:
            before, self.best = self.best, max(self.best, float(optimizer.scores[0]))
            return job["way"] == "train" and self.best > before

    llm = ToyLLM(api_url="http://127.0.0.1:9/v1", model_id="toy", api_key="none", max_concurrent_calls=job["width"])
    predictor = MarkerBasedPredictor(llm, classes=list(toy.LABELS))
    if job["way"] == "label":
        table = [row["text"] for row in toy.rows(job["rows"], 3)]
        return meter.measured(lambda: _nothing(predictor.predict([_PROMPTS[0]] * len(table), table)))
    rows = [{"x": row["text"], "y": row["label"]} for row in (*toy.rows(100, 1), *toy.rows(100, 2))]
    task = ClassificationTask(pd.DataFrame(rows), task_description=toy.QUESTION, eval_strategy="sequential_block")
    ended = NoGain()
    optimizer = CAPO(predictor=predictor, task=task, meta_llm=llm, initial_prompts=list(_PROMPTS), callbacks=[ended])

    def run() -> dict[str, float]:
        optimizer.optimize(n_steps=20)
        return {"score": ended.best}

    return meter.measured(run)


def _nothing(_: Any) -> None:
    pass


def reply(prompt: str) -> str:
    """Play the labeler and the writer of prompts."""
    if "<prompt>" in prompt:
        return f"<prompt>{toy.rule()}</prompt>"
    return f"<final_answer>{label_of(prompt)}</final_answer>"


if __name__ == "__main__":
    answer(work)
