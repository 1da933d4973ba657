"""What is fed with hostile inputs, each as a user would come to it."""

import itertools
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from langchain_core.language_models import FakeListChatModel

from langchain_model_alignment import (
    AlignedPrompt,
    Constitution,
    LabelingTask,
    Rulebook,
    create_classifier_chain,
    create_principle_chain,
    create_prompt_update_chain,
    label_file,
)
from langchain_model_alignment.constitution import Add
from langchain_model_alignment.feedback.exchanges import parse_feedback
from langchain_model_alignment.labeling.reading import LabelReader
from langchain_model_alignment.templates import Template
from tests.benchmarks.faults import hostile
from tests.benchmarks.faults.web import open_web
from tests.fakes import ScriptedChatModel
from tests.simulated import TASK, book_of

Parts = tuple[str, st.SearchStrategy[Any], Callable[[Any], None], float]


@contextmanager
def open_targets() -> Iterator[list[Parts]]:
    """Yield all targets: name, inputs, what takes one, its share of all inputs."""
    with tempfile.TemporaryDirectory() as folder, open_web(Path(folder, "data")) as ask:
        numbers = itertools.count()
        place = Path(folder, "kept.json")
        labels = st.lists(hostile.label, min_size=2, max_size=4)
        yield [
            ("prompts", st.tuples(hostile.text, hostile.text), fill_prompt, 0.15),
            ("rewrites of a prompt", st.tuples(hostile.text, hostile.text), rewrite_prompt, 0.08),
            ("principles", st.lists(hostile.text, max_size=3), lambda texts: save_principles(texts, place), 0.12),
            ("feedback and answers to it", st.tuples(hostile.text, hostile.text), say_feedback, 0.08),
            ("labels and rulebooks by hand", st.tuples(labels, hostile.text), make_task, 0.12),
            ("rows and answers", st.tuples(hostile.cell, hostile.text), label_row, 0.12),
            ("tables", st.tuples(FILE, st.sampled_from(OUT)), lambda file: label(file, Path(folder), numbers), 0.13),
            ("artifacts", ARTIFACT, lambda artifact: load(artifact, Path(folder)), 0.10),
            ("HTTP requests", REQUEST, ask, 0.10),
        ]


def fill_prompt(given: tuple[str, str]) -> None:
    """A prompt with one more variable; every value arrives as it is."""
    text, value = given
    prompt = AlignedPrompt.from_prompt(f"{text} {{item}}")
    names = prompt.effective.variables
    assert "item" in names
    values = dict.fromkeys(names, value)
    filled = prompt.fill(values)[0].text
    assert value in filled
    assert prompt.to_prompt().invoke(values).to_messages()[0].text == filled
    assert AlignedPrompt.from_dict(prompt.model_dump(mode="json")) == prompt


def rewrite_prompt(given: tuple[str, str]) -> None:
    """A model that rewrites a prompt as it likes; the variables and what was asked for stay."""
    answer, rule = given
    rule = rule if rule.strip() else "Be brief."
    chain = create_prompt_update_chain(FakeListChatModel(responses=[answer]))
    constitution = Constitution().apply(Add(text=rule))
    template = Template.of('Give three uses for {item}. Reply as {"uses": []}.')
    update = chain.invoke({"template": template, "principles": constitution.enabled()})
    prompt = AlignedPrompt.from_prompt(template).commit([update.edit])
    assert prompt.effective.variables == ("item",)
    assert '{"uses": []}' in prompt.fill("rope")[0].text


def save_principles(texts: list[str], place: Path) -> None:
    """Principles below a prompt come back from its file."""
    prompt = keep_principles(texts)
    assert AlignedPrompt.load(prompt.save(place)) == prompt


def keep_principles(texts: list[str]) -> AlignedPrompt:
    """Principles below a prompt are text; the prompt keeps its one variable, and all comes back from JSON."""
    prompt = AlignedPrompt.from_prompt("Give three uses for {item}.").commit(
        [Add(text=text) for text in texts if text.strip()]
    )
    assert prompt.effective.variables == ("item",)
    filled = prompt.fill("rope")[0].text
    for principle in prompt.constitution:
        assert principle.sentence() in filled
    assert AlignedPrompt.from_dict(prompt.model_dump(mode="json")) == prompt
    assert prompt.to_prompt().invoke({"item": "rope"}).to_messages()[0].text == filled
    return prompt


def say_feedback(given: tuple[str, str]) -> None:
    """Whatever a person says and a model makes of it: a principle, which breaks no prompt."""
    said, answer = given
    chain = create_principle_chain(FakeListChatModel(responses=[answer]))
    feedback = parse_feedback("critique", said, "A rope.")
    proposal = chain.invoke({"feedback": feedback, "prompt": "Give uses for {item}.", "inputs": {"item": said}})
    keep_principles([edit.text for edit in proposal.edits if isinstance(edit, Add)])


def make_task(given: tuple[list[Any], str]) -> None:
    """Labels of any kind: each is read back from its own text, and a rulebook with them comes back from JSON."""
    labels, principle = given
    task = LabelingTask(input_names=["text"], label_name="label", label_values=labels)
    reader = LabelReader(task.labels)
    assert [reader.read(label) for label in task.labels] == list(range(len(labels)))
    book = Rulebook.of(task, {task.labels[0]: [principle]})
    assert Rulebook.from_dict(book.model_dump(mode="json")).fingerprint() == book.fingerprint()


def label_row(given: tuple[Any, str]) -> None:
    """A row of any kind and an answer of any kind: a prediction that is a label or none."""
    value, answer = given
    book = book_of({"yes": ["It {speaks} of %s."]})
    model = ScriptedChatModel(answer)
    found = create_classifier_chain(model, TASK, book).invoke({"text": value})
    assert found["prediction"] in ("yes", "no", "")
    assert model.requests[0].messages[0].text == book.system_text()


def _of(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(fields)


OUT = (".csv", ".jsonl", ".json")
KINDS = (".json", ".md", ".yaml", ".txt")
FILE = st.one_of(
    st.tuples(st.just(".csv"), hostile.body.map(lambda body: b"text,label\n" + body)),
    st.tuples(st.just(".csv"), st.lists(hostile.text, max_size=4).map(",".join)),
    st.tuples(st.just(".jsonl"), st.lists(hostile.plain.map(lambda v: hostile.as_bytes({"text": v})), max_size=4)),
    st.tuples(st.just(".json"), st.lists(st.dictionaries(hostile.name, hostile.plain, max_size=2), max_size=3)),
    st.tuples(st.sampled_from([".csv", ".jsonl", ".json", ".parquet"]), hostile.body),
)
PATHS = (
    "/turn",
    "/turn/stream",
    "/rulebooks/toxic/invoke",
    "/rulebooks/toxic/batch",
    "/prompts/a",
    "/prompts/a/invoke",
)
_TURN, _INVOKE, _BATCH, _STORE, _ANSWER = PATHS[0], *PATHS[2:]
_ANY = st.integers(0, 9).map("t{}".format)
_REVIEW = _of(action=st.sampled_from(["critique", "kudos", "rewrite", "reply"]), text=hostile.text)
_BODIES = (
    (_TURN, _of(thread_id=hostile.text, input=hostile.plain)),
    (_TURN, _of(thread_id=_ANY, input=_of(prompt=hostile.text, inputs=hostile.plain))),
    (_TURN, _of(thread_id=_ANY, input=_of(prompt=st.just("Use {item}."), inputs=_of(item=hostile.plain)))),
    (_TURN, _of(thread_id=_ANY, resume=hostile.plain)),
    (_TURN, _of(thread_id=_ANY, resume=_REVIEW)),
    (PATHS[1], _of(thread_id=_ANY, resume=_REVIEW)),
    (_INVOKE, _of(row=_of(comment=hostile.plain))),
    (_BATCH, _of(rows=st.lists(_of(comment=hostile.plain), min_size=1, max_size=2))),
    (_STORE, _of(prompt=hostile.text | hostile.plain)),
    (_ANSWER, _of(inputs=hostile.plain | _of(item=hostile.plain))),
)
REQUEST = st.one_of(
    st.tuples(st.sampled_from(PATHS), hostile.body),
    *(st.tuples(st.just(path), body.map(hostile.as_bytes)) for path, body in _BODIES),
)


def label(given: tuple[tuple[str, Any], str], folder: Path, numbers: Iterator[int]) -> None:
    """A file of any content is labeled, or refused in a sentence; what is labeled can be read again."""
    (suffix, content), kind = given
    number = next(numbers)
    source, out = folder / f"in-{number}{suffix}", folder / f"out-{number}{kind}"
    source.write_bytes(_bytes(content))
    try:
        found = label_file(source, book_of({"yes": ["It is so."]}), ScriptedChatModel("yes"), out)
        assert out.exists()
        assert found.tally.rows + found.unreadable > 0
    finally:
        source.unlink()


def damaged(whole: bytes, at: float, words: str) -> bytes:
    """Return a file with words in it that were not there."""
    place = int(at * len(whole))
    return whole[:place] + words.encode("utf-8", "surrogatepass") + whole[place + len(words) // 2 :]


def artifacts() -> Iterator[tuple[type[AlignedPrompt] | type[Rulebook], str, bytes]]:
    """Yield one good file of each kind."""
    prompt = AlignedPrompt.from_prompt("Give three uses for {item}.").commit([Add(text="Be brief.")], reason="asked")
    book = book_of({"yes": ["The text speaks of a newt."]})
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS[:3]:
            yield AlignedPrompt, kind, prompt.save(Path(folder, f"prompt{kind}")).read_bytes()
        yield Rulebook, ".json", book.save(Path(folder, "book.json")).read_bytes()


ARTIFACT = st.one_of(
    st.tuples(st.sampled_from([AlignedPrompt, Rulebook]), st.sampled_from(KINDS), hostile.body),
    *(
        st.tuples(st.just(sort), st.just(kind), st.builds(damaged, st.just(whole), st.floats(0, 1), hostile.text))
        for sort, kind, whole in artifacts()
    ),
)


def load(given: tuple[type[AlignedPrompt] | type[Rulebook], str, bytes], folder: Path) -> None:
    """A file of any content: what it says, in so far as it is one of ours, else a sentence."""
    sort, kind, content = given
    path = folder / f"artifact{kind}"
    path.write_bytes(content)
    found = sort.load(path)
    assert sort.from_dict(found.model_dump(mode="json")) == found


def _bytes(content: Any) -> bytes:
    if isinstance(content, bytes):
        return content
    if isinstance(content, str):
        return f"text\n{content}".encode("utf-8", "surrogatepass")
    if content and isinstance(content[0], bytes):
        return b"\n".join(content)
    return hostile.as_bytes(content)
