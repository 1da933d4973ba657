"""promptolution's CAPO at the job: a small population raced over small blocks, stopped after the budget's last step."""

import random
from typing import Any

from tests.benchmarks.peers.jobs import Job, Result, answer

# As many prompts to begin with, crossovers a step, rows a block and blocks a race as give two or three steps.
_CROSSOVERS, _BLOCK, _BLOCKS, _SHOTS, _STEPS = 2, 10, 3, 3, 10
_LAST = 0.75  # no step is begun once so much of the budget is used
_BEGIN, _END = "<final_answer>", "</final_answer>"


def work(job: Job) -> Result:
    """Optimize with the training address, label the test rows with the other one."""
    import numpy as np
    import pandas as pd
    from promptolution.llms.api_llm import APILLM
    from promptolution.optimizers.capo import CAPO
    from promptolution.predictors.maker_based_predictor import MarkerBasedPredictor
    from promptolution.tasks.classification_tasks import ClassificationTask
    from promptolution.utils.callbacks import BaseCallback

    asked: list[int] = []

    class CountingLLM(APILLM):
        def _get_response(self, prompts: list[str], system_prompts: list[str]) -> Any:
            asked.append(len(prompts))
            return super()._get_response(prompts, system_prompts)

    class Spent(BaseCallback):
        def on_step_end(self, optimizer: Any) -> bool:
            return bool(sum(asked) < job["budget"] * _LAST)

    def model(url: str, **settings: Any) -> Any:
        return CountingLLM(
            api_url=job[url],
            model_id=job["model"],
            api_key="none",
            max_concurrent_calls=job["width"],
            call_timeout_s=3600.0,
            gather_timeout_s=7200.0,
            call_kwargs=settings,
        )

    random.seed(job["seed"])
    np.random.seed(job["seed"])
    labeling, writing = model("train_url", temperature=0.0), model("train_url")
    task = ClassificationTask(
        pd.DataFrame([{"x": row["text"], "y": row["label"]} for row in [*job["validation"], *job["train"]]]),
        task_description=f"{job['question']} The labels are: {', '.join(job['labels'])}.",
        n_subsamples=_BLOCK,
        eval_strategy="sequential_block",
        seed=job["seed"],
    )
    optimizer = CAPO(
        predictor=MarkerBasedPredictor(labeling, classes=[label.lower() for label in job["labels"]]),
        task=task,
        meta_llm=writing,
        initial_prompts=_beginnings(job),
        crossovers_per_iter=_CROSSOVERS,
        upper_shots=_SHOTS,
        max_n_blocks_eval=_BLOCKS,
        callbacks=[Spent()],
    )
    best = optimizer.optimize(n_steps=_STEPS)[0]
    names = {label.lower(): label for label in job["labels"]}
    predictor = MarkerBasedPredictor(model("test_url", temperature=0.0), classes=list(names))
    found, _ = predictor.predict([str(best)] * len(job["test"]), list(job["test"]))
    return {"predictions": [names.get(str(label).lower(), "") for label in found], "made": str(best)}


def _beginnings(job: Job) -> list[str]:
    """The task in four wordings, as its authors ask for; each says how to answer."""
    labels = ", ".join(job["labels"])
    form = f"Give only the label, between {_BEGIN} and {_END}."
    return [
        f"{job['question']} Choose one of: {labels}. {form}",
        f"Read the text and answer: {job['question']} The possible labels are {labels}. {form}",
        f"Your task is to label a text with one of the labels {labels}. The question is: {job['question']} {form}",
        f"Classify the text. {job['question']} Pick exactly one label from {labels}. {form}",
    ]


if __name__ == "__main__":
    answer(work)
