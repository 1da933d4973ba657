"""LangSmith's prompt hub: what was pushed comes back, and what was pulled is read as data."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from langchain_core.load import dumpd
from langchain_core.messages import AIMessage, SystemMessage
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder, PromptTemplate
from langsmith import Client

from langchain_model_alignment import AlignedPrompt, pull_prompt, push_prompt
from langchain_model_alignment.constitution import Add
from langchain_model_alignment.errors import ArtifactError, ConflictError

NOW = datetime(2026, 1, 1, tzinfo=UTC).isoformat()
ID = "00000000-0000-0000-0000-000000000001"


class Hub(requests.Session):
    """LangSmith's prompt hub as its HTTP interface shows it, in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.prompts: dict[str, list[dict[str, Any]]] = {}

    def request(self, method: Any, url: Any, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        body = kwargs.get("json") or json.loads(kwargs.get("data") or "null")
        status, value = self.answer(str(method), urlsplit(str(url)).path.strip("/").split("/"), body)
        response = requests.Response()
        response.status_code, response.url = status, str(url)
        response._content = json.dumps(value).encode()
        response.request = requests.Request(str(method), str(url)).prepare()
        return response

    def answer(self, method: str, path: list[str], body: Any) -> tuple[int, Any]:
        match method, path:
            case "GET", ["settings"]:
                return 200, {"id": ID, "display_name": "me", "created_at": NOW, "tenant_handle": None}
            case "GET", ["repos", _, name] if name in self.prompts:
                return 200, {"repo": self.repo(name)}
            case "POST", ["repos"]:
                self.prompts[body["repo_handle"]] = []
                return 200, {"repo": self.repo(body["repo_handle"])}
            case "GET", ["commits", _, name] if name in self.prompts:
                commits = [{"commit_hash": f"c{n}"} for n, _ in enumerate(self.prompts[name], 1)]
                return 200, {"commits": commits[::-1], "total": len(commits)}
            case "POST", ["commits", _, name]:
                if self.prompts[name] and self.prompts[name][-1] == body["manifest"]:
                    return 409, {"detail": "Nothing to commit: prompt has not changed since latest commit"}
                self.prompts[name].append(body["manifest"])
                return 200, {"commit": {"commit_hash": f"c{len(self.prompts[name])}", "id": ID}}
            case "GET", ["commits", _, name, commit] if self.prompts.get(name):
                at = -1 if commit == "latest" else int(commit[1:]) - 1
                return 200, {"commit_hash": commit, "manifest": self.prompts[name][at], "examples": []}
        return 404, {"detail": "not found"}

    def repo(self, name: str) -> dict[str, Any]:
        texts = dict.fromkeys(("description", "readme"), "")
        counts = dict.fromkeys(("num_likes", "num_downloads", "num_views", "num_commits"), 0)
        flags = dict.fromkeys(("is_public", "is_archived"), False)
        times = dict.fromkeys(("created_at", "updated_at"), NOW)
        nothing = dict.fromkeys(("original_repo_id", "upstream_repo_id", "owner"))
        known = {"repo_handle": name, "full_name": name, "id": ID, "tenant_id": ID, "tags": []}
        return {**known, **texts, **counts, **flags, **times, **nothing}


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest.fixture
def client(hub: Hub) -> Client:
    urls = {"api_url": "https://example.invalid", "web_url": "https://example.invalid"}
    return Client(**urls, api_key="k", session=hub, auto_batch_tracing=False, disable_prompt_cache=True)


def full() -> ChatPromptTemplate:
    parts = [
        ("system", 'You answer for {shop}. Reply as {{"reply": "…"}}.'),
        MessagesPlaceholder("history", optional=True),
        AIMessage("What is {it}?"),
        ("human", "{question}"),
    ]
    return ChatPromptTemplate(parts).partial(shop="Acme {x}")


def test_what_was_pushed_comes_back_with_its_principles(client: Client):
    aligned = AlignedPrompt.from_prompt(full()).commit([Add(text="Be brief."), Add(text="Write {item} as {{it}}.")])
    assert "/prompts/greeting/c1" in push_prompt(client, "greeting", aligned, description="for the shop")
    pulled = pull_prompt(client, "greeting")
    assert pulled.document.base == aligned.document.base
    assert [p.text for p in pulled.principles] == ["Be brief.", "Write {item} as {{it}}."]
    values = {"question": "Why {so}?"}
    assert pulled.to_prompt().format_messages(**values) == aligned.to_prompt().format_messages(**values)


def test_an_earlier_commit_can_be_pulled(client: Client):
    first = AlignedPrompt.from_prompt("Greet {name}.")
    push_prompt(client, "greeting", first)
    push_prompt(client, "greeting", first.commit([Add(text="Be kind.")]))
    assert pull_prompt(client, "greeting:c1").principles == []
    assert [p.text for p in pull_prompt(client, "greeting").principles] == ["Be kind."]


def test_what_others_pull_with_langchain_is_the_same_prompt(client: Client, hub: Hub):
    aligned = AlignedPrompt.from_prompt(full()).commit([Add(text="Be brief.")])
    push_prompt(client, "greeting", aligned)
    assert hub.prompts["greeting"][0] == json.loads(json.dumps(dumpd(aligned.to_prompt())))


def test_a_prompt_that_did_not_change_is_a_conflict(client: Client):
    push_prompt(client, "greeting", AlignedPrompt.from_prompt("Greet {name}."))
    with pytest.raises(ConflictError, match='no commit of "greeting": nothing changed'):
        push_prompt(client, "greeting", AlignedPrompt.from_prompt("Greet {name}."))


def test_an_unknown_prompt_is_named(client: Client):
    with pytest.raises(ArtifactError, match='no prompt "greeting" in LangSmith'):
        pull_prompt(client, "greeting")


def test_a_public_prompt_of_somebody_else_is_pulled_only_where_it_is_asked_for(client: Client, hub: Hub):
    hub.prompts["greeting"] = [dumpd(ChatPromptTemplate([("human", "{q}")]))]
    with pytest.raises(ValueError, match="dangerously_pull_public_prompt"):
        pull_prompt(client, "somebody/greeting")
    pulled = pull_prompt(client, "somebody/greeting", dangerously_pull_public_prompt=True)
    assert pulled.effective.variables == ("q",)


def test_a_partial_may_be_called_anything(client: Client, hub: Hub):
    hub.prompts["odd"] = [chat(human("{self}: {q}"), partial_variables={"self": "Me"})]
    assert pull_prompt(client, "odd").fill("Why?")[0].text == "Me: Why?"


def test_a_plain_prompt_template_and_fixed_messages_are_read(client: Client, hub: Hub):
    hub.prompts["plain"] = [dumpd(PromptTemplate.from_template("Greet {name}."))]
    hub.prompts["fixed"] = [dumpd(ChatPromptTemplate([SystemMessage("Be {kind}."), ("human", "{q}")]))]
    assert pull_prompt(client, "plain").description == "Greet {name}."
    assert pull_prompt(client, "fixed").effective.variables == ("q",)


def node(*id: str, **kwargs: Any) -> dict[str, Any]:
    return {"lc": 1, "type": "constructor", "id": list(id), "kwargs": kwargs}


def chat(*messages: Any, **kwargs: Any) -> dict[str, Any]:
    return node("langchain", "prompts", "chat", "ChatPromptTemplate", messages=list(messages), **kwargs)


def human(text: Any, **kwargs: Any) -> dict[str, Any]:
    prompt = node("langchain", "prompts", "prompt", "PromptTemplate", template=text, **kwargs)
    return node("langchain", "prompts", "chat", "HumanMessagePromptTemplate", prompt=prompt)


MODEL = node("langchain", "chat_models", "openai", "ChatOpenAI", base_url="https://example.invalid")


@pytest.mark.parametrize(
    ("manifest", "told"),
    [
        ({}, "is not in LangChain's form"),
        ({"lc": 1, "type": "secret", "id": ["OPENAI_API_KEY"]}, "is not in LangChain's form"),
        (node("langchain", "schema", "runnable", "RunnableSequence", first=chat(human("x")), last=MODEL), "is a Runn"),
        (MODEL, "is a ChatOpenAI"),
        (node("os", "system", "PromptTemplate", template="x"), "has a part of the kind os.system.PromptTemplate"),
        (chat(), "has no messages"),
        (chat(MODEL), "has a part of the kind ChatOpenAI"),
        (chat(human("{{ x.__class__ }}", template_format="jinja2")), "has a jinja2 template"),
        (chat(human("{{x}}", template_format="mustache")), "has a mustache template"),
        (chat(human(["x"])), "has a message that is not one text"),
        (chat(human("{x")), "whose braces are no plain {variables}"),
        (chat(human("{x.__class__}")), "braces are no plain"),
        (chat(human("{x:>9999999}")), "cannot be read: The prompt formats"),
        (chat(human("{x}"), partial_variables={"x": MODEL}), "has a partial value that is no text"),
        (chat(human("{x}", partial_variables={"x": 1})), "has a partial value that is no text"),
        (
            chat(node("langchain", "prompts", "chat", "MessagesPlaceholder", variable_name="h", n_messages=-1)),
            "is damag",
        ),
        (chat(node("langchain", "prompts", "chat", "MessagesPlaceholder")), "has a placeholder without a name"),
        (chat(node("langchain", "schema", "messages", "AIMessage", content="x", tool_calls=[1])), "with tool_calls"),
        (chat(node("langchain", "schema", "messages", "HumanMessage", content=[{"a": 1}])), "that is no text"),
    ],
)
def test_anything_else_than_text_is_refused_in_one_sentence(client: Client, hub: Hub, manifest: Any, told: str):
    hub.prompts["odd"] = [manifest]
    with pytest.raises(ArtifactError) as caught:
        pull_prompt(client, "odd")
    assert str(caught.value).startswith('The prompt "odd" in LangSmith')
    assert told in str(caught.value)
