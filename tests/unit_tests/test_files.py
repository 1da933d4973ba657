"""Prompts and principles as files: YAML says what the JSON says; Markdown is edited in any editor and read back."""

import functools
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder

from langchain_model_alignment.constitution import Add, Constitution, Delete, Principle, Set
from langchain_model_alignment.errors import ArtifactError, PromptError
from langchain_model_alignment.feedback.exchanges import Exchange, Feedback
from langchain_model_alignment.feedback.files import (
    constitution_from_dict,
    constitution_to_dict,
    load_constitution,
    save_constitution,
)
from langchain_model_alignment.feedback.markdown import constitution_from_markdown, constitution_to_markdown
from langchain_model_alignment.feedback.records import AlignedPrompt
from langchain_model_alignment.forms import dump_yaml, parse_yaml
from langchain_model_alignment.history import Document, History, TemplateEdit, principle_key
from langchain_model_alignment.templates import PromptMessage, Template
from tests.unit_tests.test_constitution import constitutions


def without_evidence(constitution: Constitution) -> list[Principle]:
    """The principles as Markdown brings them back: without exchanges, what made them names nothing."""
    return [p.model_copy(update={"evidence": ()}) for p in constitution]


SOME = settings(deadline=None, max_examples=60)
HARD = [
    "`",
    "```",
    "~~~",
    "{x}",
    "{{",
    "\n",
    "\r",
    "\r\n",
    "# ",
    "## Prompt",
    '"',
    "\\",
    " ",
    "\t",
    "|",
    "- ",
    "1. ",
    "é",
]
HARD += ["\x85", "\u2028", "\ufeff", "\x00", "😀", "中", "<!-- ", "p1: ", ": ", "off", "'", "---", "%", "@", "&a", "*a"]
texts = st.lists(st.sampled_from(HARD) | st.text(st.characters(exclude_categories=["Cs"]), max_size=5), max_size=8).map(
    "".join
)
messages = st.one_of(
    st.builds(PromptMessage, role=st.sampled_from(["system", "human", "ai"]), text=texts),
    st.builds(PromptMessage, role=st.just("placeholder"), text=st.just("turns"), optional=st.booleans()),
)


@st.composite
def templates(draw: st.DrawFn) -> Template:
    partials = draw(st.dictionaries(st.sampled_from(["mood", "größe", "principles"]), texts, max_size=2))
    listed = draw(st.sampled_from([None, *partials]))
    literals = draw(st.lists(st.sampled_from(["name", "名"]), unique=True).map(tuple))
    found = tuple(draw(st.lists(messages, min_size=1, max_size=3)))
    return Template(messages=found, partials=partials, literals=literals, listed=listed)


@st.composite
def hard_constitutions(draw: st.DrawFn) -> Constitution:
    constitution = draw(constitutions())
    for text in draw(st.lists(texts.filter(str.strip), max_size=3)):
        constitution = constitution.apply(Add(text=text, condition=draw(st.none() | texts), reason=draw(texts)))
    return constitution


@functools.cache  # two of them could differ by the second in which they were made
def aligned() -> AlignedPrompt:
    """A prompt with a branch, a principle that is off, a woven text and an exchange."""
    prompt = AlignedPrompt.from_prompt("Sum up {text}.\nUse ```code``` where it helps.")
    prompt = prompt.commit([Add(text="Be brief.", reason="too long", group="form", evidence=("e1.f1",))], author="Ann")
    prompt = prompt.commit([Add(text="Lost on a branch.")])
    prompt = prompt.with_history(prompt.history.undo())
    prompt = prompt.commit([Add(text="Rhyme.", condition="asked"), Set(id="p3", field="enabled", value=False)])
    keys = tuple(principle_key(p) for p in prompt.constitution.enabled())
    prompt = prompt.commit([TemplateEdit(template=Template.of("Sum up {text} briefly."), woven=keys)], reason="a | b")
    said = Feedback(kind="critique", text="Too long.\nMuch.", response="A\n\nB ")
    return prompt.with_exchange(Exchange(id="e1", inputs={"text": "x"}, response="A\n\nB ", feedback=(said,)))


# -- YAML ------------------------------------------------------------------------------------------------------


def test_yaml_holds_what_the_json_holds():
    assert AlignedPrompt.from_yaml(aligned().to_yaml()) == aligned()
    assert yaml.safe_load(aligned().to_yaml()) == json.loads(aligned().to_json())


@SOME
@given(templates(), hard_constitutions(), texts)
def test_any_prompt_goes_through_yaml(template: Template, constitution: Constitution, response: str):
    prompt = AlignedPrompt(history=History(root=Document(base=template, constitution=constitution)))
    prompt = prompt.with_exchange(Exchange(id="e1", inputs={"x": response}, response=response))
    assert AlignedPrompt.from_yaml(prompt.to_yaml()) == prompt
    assert AlignedPrompt.from_yaml(prompt.to_yaml().encode()) == prompt


def test_yaml_shows_lines_as_lines_and_letters_as_letters():
    text = AlignedPrompt.from_prompt("Sum up {text}.\nGrüße, 中文 😀").to_yaml()
    assert "text: |-\n" in text
    assert "Grüße, 中文 😀\n" in text


def test_half_an_emoji_goes_through_yaml():
    prompt = aligned().with_exchange(Exchange(id="e2", response="broken \ud83d"))
    assert AlignedPrompt.from_yaml(prompt.to_yaml()) == prompt


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- a",
        "just words",
        "a: [",
        "a: !!python/object/apply:os.getcwd []",
        "a: &x [1]\nb: *x",
        "&a [*a]",
        "a: \x01",
        "[" * 2000,
        "? [a]\n: b",
        "kind: rulebook",
    ],
)
def test_what_is_foreign_yaml_is_refused_in_one_sentence(text: str, tmp_path: Path):
    path = tmp_path / "foreign.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"foreign\.yaml") as caught:
        AlignedPrompt.load(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(ArtifactError):
        AlignedPrompt.from_yaml(text)


def test_values_that_are_the_same_object_are_each_written_in_full():
    shared = ["a"]
    assert parse_yaml(dump_yaml({"x": shared, "y": shared})) == {"x": ["a"], "y": ["a"]}


# -- Markdown: there and back ----------------------------------------------------------------------------------


@SOME
@given(templates(), hard_constitutions())
def test_the_prompt_and_its_principles_come_back_from_markdown(template: Template, constitution: Constitution):
    document = Document(base=template, constitution=constitution)
    try:
        text = AlignedPrompt(history=History(root=document)).to_markdown()
    except PromptError:  # nothing but placeholders has no place for principles
        return
    again = AlignedPrompt.from_markdown(text)
    assert again.document.base == template
    assert again.principles == without_evidence(constitution)
    assert AlignedPrompt.from_markdown(again.to_markdown()) == again


def test_markdown_is_readable():
    assert aligned().to_markdown().splitlines()[:23] == [
        "# Aligned prompt",
        "",
        "<!-- aligned_prompt, schema version 1; a file of langchain-model-alignment -->",
        "",
        "## Prompt",
        "",
        "### human",
        "",
        "````text",
        "Sum up {text}.",
        "Use ```code``` where it helps.",
        "````",
        "",
        "## Principles",
        "",
        "1. p1: Be brief.",
        "   - group: form",
        "   - reason: too long",
        "   - evidence: e1.f1",
        "2. p3: Rhyme.",
        "   - when: asked",
        "   - off",
        "",
    ]


def test_markdown_tells_the_prompt_as_it_is_sent_and_the_history():
    text = aligned().to_markdown()
    assert "## Prompt as it is sent\n\n```text\nSum up {text} briefly.\n```\n" in text
    assert "| r1 |  |  | Ann |" in text
    assert "| **r4** | r3 | a &#124; b |" in text


def test_the_history_begins_anew_and_the_text_is_the_persons_own():
    again = AlignedPrompt.from_markdown(aligned().to_markdown())
    assert again.history.revisions == ()
    assert again.exchanges == ()
    assert again.document.base == aligned().document.base
    assert again.principles == without_evidence(aligned().constitution)


def test_a_langchain_prompt_goes_through_markdown():
    source = ChatPromptTemplate([("system", "Be {mood}. {{x}}"), MessagesPlaceholder("h", optional=True), ("ai", "")])
    prompt = AlignedPrompt.from_prompt(source.partial(mood="kind"))
    assert AlignedPrompt.from_markdown(prompt.to_markdown()) == prompt


def test_half_an_emoji_is_shown_as_one_that_is_missing(tmp_path: Path):
    path = AlignedPrompt.from_prompt("broken \ud83d").save(tmp_path / "prompt.md")
    assert AlignedPrompt.load(path).description == "broken \ufffd"


def test_without_a_prompt_there_is_nothing_to_write_as_markdown():
    with pytest.raises(PromptError, match="no prompt"):
        AlignedPrompt().to_markdown()


# -- Markdown: edited by hand ----------------------------------------------------------------------------------

BY_HAND = """\
# How we greet

A file of ours.

## Prompt

```
Greet {name}.
```

## Principles

1. p4: Be kind, even where it takes
   more than one line.
2. Name a price.
   - when: asked for one
* **p2**: Rhyme.
  - off
  - group: form
"""


def test_a_file_written_by_hand_is_read():
    prompt = AlignedPrompt.from_markdown(BY_HAND)
    assert prompt.description == "Greet {name}."
    assert [(p.id, p.text, p.condition, p.group, p.enabled) for p in prompt.principles] == [
        ("p4", "Be kind, even where it takes more than one line.", None, None, True),
        ("p5", "Name a price.", "asked for one", None, True),
        ("p2", "Rhyme.", None, "form", False),
    ]
    assert prompt.commit([Add(text="More.")]).principles[-1].id == "p6"


def test_a_text_is_edited_and_a_principle_added_and_dropped_in_an_editor():
    text = aligned().to_markdown().replace("1. p1: Be brief.", "1. p1: Be very brief.")
    text = text.replace("2. p3: Rhyme.\n   - when: asked\n   - off\n", "3. Be exact.\n").replace("Sum up", "Shorten")
    prompt = AlignedPrompt.from_markdown(text)
    assert [(p.id, p.text) for p in prompt.principles] == [("p1", "Be very brief."), ("p2", "Be exact.")]
    assert prompt.description.startswith("Shorten {text}.")


def test_line_ends_and_marks_of_other_systems_are_read():
    assert AlignedPrompt.from_markdown("\ufeff" + BY_HAND.replace("\n", "\r\n")) == AlignedPrompt.from_markdown(BY_HAND)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("## Prompt", "## Prompts", 'section "Prompts" in line 5'),
        ("```\nGreet {name}.\n```", "", "no prompt"),
        ("```\nGreet {name}.\n```", "Greet {name}.", "outside a block near line 7"),
        ("{name}.\n```", "{name}.", "never ends, from line 7"),
        ("## Prompt\n", "## Prompt\n\n### robot\n", 'part "robot" .* in line 7'),
        ("## Prompt\n", "## Prompt\n\n### human\n\n### system\n", "outside a block near line 7"),
        ("## Principles", "### ai\n\n## Principles", 'no block below "ai" in line 11'),
        ("  - off", "  - of", "no principle in line 18"),
        ("  - off", "  - weight: 3", "no principle in line 18"),
        ("* **p2**", "**p2**", "no principle in line 17"),
        ("1. p4: Be kind, even where it takes\n", "", "no principle in line 13"),
        ("p2", "p4", "share an id"),
        ("Rhyme.", "", "needs words"),
        ("# How", "<!-- aligned_prompt, schema version 2; x -->\n# How", "schema version 2, .* update"),
        ("# How", "<!-- aligned_prompt, schema version new -->\n# How", "schema version new"),
    ],
)
def test_what_cannot_be_read_is_named_in_one_sentence(old: str, new: str, named: str, tmp_path: Path):
    path = tmp_path / "edited.md"
    path.write_text(BY_HAND.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ArtifactError, match=rf"edited\.md .*{named}") as caught:
        AlignedPrompt.load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "words", "# Title only\n", "## Principles\n\n1. Be brief.\n", "[" * 10_000])
def test_markdown_without_a_prompt_is_refused(text: str):
    with pytest.raises(ArtifactError, match="has no prompt in it"):
        AlignedPrompt.from_markdown(text)


@SOME
@given(texts)
def test_any_text_is_read_or_refused(text: str):
    try:
        AlignedPrompt.from_markdown(text)
    except ArtifactError as error:
        assert "\n" not in str(error)  # noqa: PT017  # most texts are refused, and some may be read


# -- the suffix ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["p.json", "p", "p.txt", "p.yaml", "p.YML"])
def test_a_file_round_trips_in_the_form_of_its_suffix(name: str, tmp_path: Path):
    path = aligned().save(tmp_path / name)
    assert AlignedPrompt.load(path) == aligned()
    assert (path.read_text(encoding="utf-8")[0] == "{") == ("y" not in name.lower())


@pytest.mark.parametrize("name", ["p.md", "p.markdown"])
def test_a_markdown_file_brings_back_the_prompt_and_its_principles(name: str, tmp_path: Path):
    assert AlignedPrompt.load(aligned().save(tmp_path / name)).principles == without_evidence(aligned().constitution)


@pytest.mark.parametrize("name", ["p.md", "p.yaml", "p.json"])
def test_bytes_that_are_no_text_are_refused(name: str, tmp_path: Path):
    path = tmp_path / name
    path.write_bytes(b"GGUF\xff\xfe\x00\x80" * 10)
    for load in (AlignedPrompt.load, load_constitution):
        with pytest.raises(ArtifactError, match=name):
            load(path)


@pytest.mark.parametrize("name", ["none.md", "none.yaml", "none.json"])
def test_a_missing_file_is_named(name: str, tmp_path: Path):
    for load in (AlignedPrompt.load, load_constitution):
        with pytest.raises(ArtifactError, match=rf"{name} cannot be read"):
            load(tmp_path / name)


# -- principles alone ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["c.json", "c.yaml", "c.md"])
def test_principles_alone_go_to_a_file_and_back(name: str, tmp_path: Path):
    constitution = aligned().constitution
    again = load_constitution(save_constitution(constitution, tmp_path / name))
    assert again.principles == constitution.principles
    assert (again == constitution) or name == "c.md"


@pytest.mark.parametrize("name", ["p.json", "p.yaml", "p.md"])
def test_principles_are_read_out_of_a_prompts_file(name: str, tmp_path: Path):
    assert load_constitution(aligned().save(tmp_path / name)).principles == aligned().constitution.principles


@SOME
@given(hard_constitutions())
def test_any_principles_come_back_from_markdown(constitution: Constitution):
    assert constitution_from_markdown(constitution_to_markdown(constitution)).principles == constitution.principles


def test_an_id_that_was_used_is_not_used_again_after_json_or_yaml(tmp_path: Path):
    constitution = Constitution.of("one", "two").apply(Delete(id="p2"))
    for name in ("c.json", "c.yaml"):
        again = load_constitution(save_constitution(constitution, tmp_path / name))
        assert again.apply(Add(text="three")).principles[-1].id == "p3"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"kind": "rulebook"}, "not a constitution"),
        ({"schema_version": 2}, "version 2"),
        ({"schema_version": "1"}, "version '1'"),
        ({"weights": 1}, "weights"),
        ({"principles": "Be brief."}, "principles"),
    ],
)
def test_a_damaged_constitution_is_refused_in_one_sentence(change: dict[str, Any], named: str):
    with pytest.raises(ArtifactError, match=named) as caught:
        constitution_from_dict({**constitution_to_dict(Constitution.of("one")), **change})
    assert "\n" not in str(caught.value)


def test_markdown_without_principles_is_no_constitution():
    with pytest.raises(ArtifactError, match="no principles"):
        constitution_from_markdown("# Title\n")
