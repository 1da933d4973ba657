"""Align a prompt from a script: an answer, a critique, kudos, a rewrite; then the new prompt, saved as JSON."""

import argparse
from pathlib import Path

from langchain_core.language_models import BaseChatModel

from langchain_model_alignment import AlignableSingleRun, AlignedPrompt, resolve_chat_model


def align(llm: BaseChatModel, out: Path) -> AlignedPrompt:
    """Align one prompt with three pieces of feedback and save it."""
    run = AlignableSingleRun(llm)
    run.set_model_description("Write a reply of an online shop to this customer: {message}")
    print("The first answer:", run.send_input({"message": "Where is my parcel?"}), sep="\n")

    run.critique_response("it should ask for the order number")
    run.kudos_response("I like that it is polite")
    run.rewrite_response("Thank you for writing. What is your order number? I will look at once.")
    print("\nThe principles:")
    for principle in run.data.principles:
        print(f"  {principle.id}: {principle.text}")

    print("\nThe prompt:", run.update_model_description_from_principles(), sep="\n")
    print("\nAnother customer:", run.send_input("My chair arrived with three legs."), sep="\n")
    print("\nSaved in", run.data.save(out))
    return run.data


def main() -> None:
    """Read the options and align."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="local", help="local, or provider:model")
    parser.add_argument("--out", type=Path, default=Path("shop-reply.json"), help="where the aligned prompt goes")
    options = parser.parse_args()
    align(resolve_chat_model(options.model), options.out)


if __name__ == "__main__":
    main()
