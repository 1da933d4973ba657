"""model-alignment 0.3 at the job, with only what stops it from running mended: a helper that reaches the model.

It has no budget of its own. A step of training tries six candidates on as many validation rows as it is given, and
asks for some forty calls beside, so the number of rows is chosen to fit one step. Labels are given longest first: it
takes the first label that is part of an answer, and would read every "not_hate" as "hate".
"""

import random
from typing import Any

from tests.benchmarks.peers.chat import complete
from tests.benchmarks.peers.jobs import Job, Result, answer

_BESIDE, _CANDIDATES = 45, 6


def work(job: Job) -> Result:
    """Begin a rulebook, take a step, label the test rows."""
    import numpy as np
    import pandas as pd
    from model_alignment import labeler, model_helper

    class Helper(model_helper.ModelHelper):
        def __init__(self, url: str) -> None:
            self._url = url

        def predict(
            self,
            prompt: str,
            temperature: float,
            stop_sequences: list[str] | None = None,
            candidate_count: int = 1,
            max_output_tokens: int | None = None,
        ) -> str:
            settings: dict[str, Any] = {"temperature": temperature, "max_tokens": max_output_tokens or 512}
            return complete(self._url, job["model"], prompt, stop=stop_sequences, **settings)

    random.seed(job["seed"])
    np.random.seed(job["seed"])
    labels = sorted(job["labels"], key=len, reverse=True)

    def maker(url: str) -> Any:
        helper = Helper(url)
        return labeler.Labeler(["text"], "label", labels, job["question"], helper, helper, eval_temperature=0.0)

    compared = max(10, (job["budget"] - _BESIDE) // _CANDIDATES)
    training, validation = pd.DataFrame(job["train"]), pd.DataFrame(job["validation"]).iloc[:compared]
    begun = maker(job["train_url"]).initialize_checkpoint(training)
    trained = maker(job["train_url"]).train_step(begun, training, validation)
    found = maker(job["test_url"]).infer_checkpoint(trained, pd.DataFrame({"text": job["test"]}))
    return {
        "predictions": [prediction["prediction"] for prediction in found],
        "made": "\n".join(f"{attribute['label']}: {attribute['value']}" for attribute in trained.attributes),
        "notes": {"validation rows": compared},
    }


if __name__ == "__main__":
    answer(work)
