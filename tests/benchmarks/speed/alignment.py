"""model-alignment 0.3 at the toy work; it asks for one thing after the other, whatever the width."""

import re
from typing import Any

from tests.benchmarks import toy
from tests.benchmarks.peers.jobs import Job, Result, answer
from tests.benchmarks.speed.meter import Meter


def work(job: Job) -> Result:
    import pandas as pd
    from model_alignment import labeler, model_helper

    meter = Meter()

    class Helper(model_helper.ModelHelper):
        def predict(self, prompt: str, *_: object, **__: object) -> str:
            return meter.reply(prompt, reply)

    helper = Helper()
    maker = labeler.Labeler(["text"], "label", list(toy.LABELS), toy.QUESTION, helper, helper)
    training, validation = pd.DataFrame(toy.rows(100, 1)), pd.DataFrame(toy.rows(100, 2))
    if job["way"] == "train":
        return meter.measured(lambda: {"score": _train(maker, training, validation)})
    begun = maker.initialize_checkpoint(training)
    if job["way"] == "label":
        table = pd.DataFrame(toy.rows(job["rows"], 3))
        return meter.measured(lambda: _nothing(maker.infer_checkpoint(begun, table)))
    return meter.measured(lambda: _nothing(maker.train_step(begun, training, validation)))


def _train(maker: Any, training: Any, validation: Any) -> float:
    """Take steps until one does not raise the accuracy on validation rows; the best one."""
    best, checkpoint = 0.0, maker.initialize_checkpoint(training)
    while True:
        [(checkpoint, score)] = maker.get_best_mutations(checkpoint, training, validation, n_best=1)
        if score <= best:
            return best
        best = float(score)


def _nothing(_: Any) -> None:
    pass


def reply(prompt: str) -> str:
    """Play the labeler and the proposer; of the edits on offer the first one is taken."""
    row = re.match(r"Consider the following example:\n<text>(.*?)</text>", prompt)
    if row is not None:
        return toy.answer(row[1], prompt)
    if "Respond with the number" in prompt:
        offered = re.findall(r"^(\d+): (?:Add|Edit|Delete) ", prompt, re.MULTILINE)
        return offered[0] if offered else "1"
    return toy.rule() if "rule" in prompt else toy.rule().replace(toy.MARK, "for sure")


if __name__ == "__main__":
    answer(work)
