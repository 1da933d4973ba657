"""One's own tracker sees what training does: MLflow as the example; any function of an event will do.

Needs `pip install mlflow`. The run goes into the folder that MLflow is set up for; look at it with `mlflow ui`.
"""

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

from langchain_model_alignment import EventCallback, Labeler, resolve_chat_model

try:
    import mlflow
except ImportError:
    mlflow = None

DATA = Path(__file__).parent / "data" / "desks"


def track(event: dict[str, Any]) -> None:
    """Write one event of training into the MLflow run that is open."""
    if event["type"] == "scored":
        mlflow.log_metric(f"score_{event['candidate']}", event["score"], step=event["rows"])
    elif event["type"] == "step":
        record, usage = event["record"], event["usage"]
        mlflow.log_metrics({"score": record["score"], "calls": usage["calls"]}, step=record["step"])
    elif event["type"] == "end":
        mlflow.set_tag("stopped_because", event["why"])


def main() -> None:
    """Read the options and train, with MLflow looking on."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="local", help="local, provider:model, or a path to a .gguf")
    options = parser.parse_args()
    if mlflow is None:
        raise SystemExit("This example needs MLflow: pip install mlflow")
    train = pd.read_csv(DATA / "train.csv")
    maker = Labeler(
        input_names=["message"],
        label_name="desk",
        label_values=["heron", "falcon"],
        task_description="Which desk answers the message?",
        train_model=resolve_chat_model(options.model),
    )
    with mlflow.start_run(run_name="desks"):
        mlflow.log_params(maker.hparams.model_dump())
        result = maker.train(train, steps=2, config={"callbacks": [EventCallback(track)]})
        mlflow.log_text(result.rulebook.as_text(), "rulebook.txt")
    print("Stopped because", result.stopped_because)


if __name__ == "__main__":
    main()
