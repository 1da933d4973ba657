"""Parts of the library inside chains that are already there: an aligned prompt, and a chain that writes principles."""

import argparse

from langchain_core.language_models import BaseChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnableLambda, RunnablePassthrough

from langchain_model_alignment import (
    AlignedPrompt,
    Feedback,
    create_principle_chain,
    resolve_chat_model,
)

PROMPT = ChatPromptTemplate([("system", "You answer for {shop}."), ("human", "{question}")])


def answering(llm: BaseChatModel, aligned: AlignedPrompt) -> Runnable[dict[str, str], str]:
    """The chain of an application; the aligned prompt stands where `PROMPT` stood."""
    return aligned.to_prompt() | llm | StrOutputParser()


def learning(llm: BaseChatModel, aligned: AlignedPrompt) -> Runnable[dict[str, str], AlignedPrompt]:
    """The same chain with a complaint behind it: what went wrong becomes a principle of the next prompt."""

    def request(turn: dict[str, str]) -> dict[str, object]:
        feedback = Feedback(kind="critique", text=turn["complaint"], response=turn["answer"])
        return {"feedback": feedback, "constitution": aligned.constitution, "prompt": aligned.description}

    return (
        RunnablePassthrough.assign(answer=answering(llm, aligned))
        | RunnableLambda(request)
        | create_principle_chain(llm)
        | RunnableLambda(lambda found: aligned.commit(found.edits, reason=found.reason))
    )


def show(llm: BaseChatModel) -> AlignedPrompt:
    """Answer, complain, and answer with the prompt that learned from it."""
    aligned = AlignedPrompt.from_prompt(PROMPT)
    question = {"shop": "Acme", "question": "Do you ship to Malta?"}
    print("Before:", answering(llm, aligned).invoke(question), sep="\n")
    learned = learning(llm, aligned).invoke({**question, "complaint": "never mention other shops"})
    print("\nLearned:", *aligned.constitution.diff(learned.constitution), sep="\n")
    print("\nAfter:", answering(llm, learned).invoke(question), sep="\n")
    return learned


def main() -> None:
    """Read the options and show it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="local", help="local, or provider:model")
    show(resolve_chat_model(parser.parse_args().model))


if __name__ == "__main__":
    main()
