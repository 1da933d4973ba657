"""Labels train a rulebook: run with `python examples/train_a_labeler.py`, on the local model and without any key.

About ten minutes on two cores. Any other chat model will do, or two: a strong one to write, a cheap one to label.
"""

import argparse
from pathlib import Path

import pandas as pd

from langchain_model_alignment import Labeler, resolve_chat_model, write_report

DATA = Path(__file__).parent / "data" / "desks"


def main() -> None:
    """Train on messages that two desks share, and label new ones."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="local", help="local, provider:model, or a path to a .gguf")
    parser.add_argument("--out", type=Path, default=Path("labeler"), help="the folder for the rulebook and the report")
    options = parser.parse_args()
    train, test = (pd.read_csv(DATA / f"{name}.csv") for name in ("train", "test"))
    maker = Labeler(
        input_names=["message"],
        label_name="desk",
        label_values=["heron", "falcon"],
        task_description="Which desk answers the message?",
        train_model=resolve_chat_model(options.model),
    )
    result = maker.train(train, steps=2)
    print("Stopped because", result.stopped_because)
    maker.print_checkpoint(result.rulebook)
    predictions = maker.infer_checkpoint(result.rulebook, test)
    print("Accuracy on new messages:", maker.get_scorecard(test, predictions)["accuracy"])
    result.rulebook.save(options.out / "rulebook.json")
    print("The report:", write_report(result, options.out / "report.html"))


if __name__ == "__main__":
    main()
