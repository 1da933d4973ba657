"""Traits of chat models, and chat models by name; no network and no real model."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import pytest
from langchain_core.language_models import (
    BaseChatModel,
    FakeListChatModel,
    GenericFakeChatModel,
    SimpleChatModel,
)
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import Field, SecretStr

from langchain_model_alignment import models
from langchain_model_alignment.errors import AuthenticationError, ModelNameError, WeightsError
from langchain_model_alignment.models import resolve_chat_model
from langchain_model_alignment.traits import limit_of, traits_of


class SyncOnly(BaseChatModel):
    model_name: str = "sync-only"
    temperature: float | None = None
    api_key: SecretStr | None = None
    model_kwargs: dict[str, Any] = Field(default_factory=dict)
    base_url: str = ""

    @property
    def _llm_type(self) -> str:
        return "sync-only"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage("yes"))])


class Callback(SimpleChatModel):
    @property
    def _llm_type(self) -> str:
        return "callback"

    def _call(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> str:
        return "yes"


def generic(answers: Iterator[Any]) -> GenericFakeChatModel:
    return GenericFakeChatModel(messages=answers)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (SyncOnly(), SyncOnly(model_name="other")),
        (SyncOnly(), SyncOnly(temperature=0.5)),
        (SyncOnly(), SyncOnly(base_url="http://host/v1")),
        (SyncOnly(), SyncOnly(model_kwargs={"top_a": 1})),
        (generic(iter(["a"])), generic(iter(["a"]))),
        (FakeListChatModel(responses=["a"]), FakeListChatModel(responses=["b"])),
    ],
    ids=["name", "temperature", "address", "other parameters", "unknown objects", "fake answers"],
)
def test_models_that_may_answer_differently_have_different_identities(
    first: BaseChatModel, second: BaseChatModel
) -> None:
    assert traits_of(first).identity != traits_of(second).identity


def test_equal_models_have_equal_identities() -> None:
    assert traits_of(SyncOnly(temperature=0.5)).identity == traits_of(SyncOnly(temperature=0.5)).identity


def test_an_unknown_object_keeps_its_identity() -> None:
    llm = generic(iter([]))
    assert traits_of(llm).identity == traits_of(llm).identity


def test_no_secret_is_in_the_identity_and_a_new_key_changes_nothing() -> None:
    secret = {"headers": {"Authorization": "Bearer sk-zzz"}, "api_key": "sk-zzz", "note": "sk-zzz"}
    llm = SyncOnly(api_key=SecretStr("sk-zzz"), base_url="http://me:sk-zzz@host/v1?key=sk-zzz", model_kwargs=secret)
    assert "zzz" not in traits_of(llm).identity
    assert "http://host/v1" in traits_of(llm).identity
    other = llm.model_copy(update={"api_key": SecretStr("sk-new")})
    assert traits_of(other).identity == traits_of(llm).identity


def test_a_model_with_only_the_sync_method_is_sync_only() -> None:
    assert traits_of(SyncOnly()).sync_only
    assert traits_of(Callback()).sync_only
    assert not traits_of(FakeListChatModel(responses=["a"])).sync_only


def test_fakes_and_the_base_class_have_no_native_structured_output() -> None:
    assert traits_of(SyncOnly()).structured == "prompted"
    assert traits_of(generic(iter([]))).structured == "prompted"


@pytest.mark.parametrize(
    ("name", "small"),
    [
        ("qwen2.5:1.5b", True),
        ("gemma-2-2b-it", True),
        ("smollm2-135m", True),
        ("Llama-3.2-3B-Instruct", True),
        ("llama-3.1-8b", False),
        ("mixtral-8x7b", False),
        ("qwen3-30b-a3b", False),
        ("gpt-4o-mini", False),
        ("claude-sonnet-4-5-1m", False),
        ("some-70b-4bit", False),
    ],
)
def test_the_size_is_read_from_the_name(name: str, small: bool) -> None:
    assert traits_of(SyncOnly(model_name=name)).small is small


class OnThisMachine(SyncOnly):
    is_local_model: ClassVar[bool] = True
    weights_id: str = ""


@pytest.mark.parametrize(("name", "small"), [("qwen2.5-coder-1.5b", True), ("mine", True), ("gemma-3-12b-it", False)])
def test_a_model_on_this_machine_is_small_unless_its_name_says_otherwise(name: str, small: bool) -> None:
    assert traits_of(OnThisMachine(model_name=name, weights_id="0f3a9c77b")).small is small


def test_openai_models_are_native_and_give_logprobs() -> None:
    openai = pytest.importorskip("langchain_openai")
    llm = resolve_chat_model("openai:gpt-4o", api_key="sk-zzz", base_url="http://localhost:9/v1")
    traits = traits_of(llm)
    assert isinstance(llm, openai.ChatOpenAI)
    assert (traits.structured, traits.logprobs, traits.small, traits.sync_only) == ("native", True, False, False)
    assert "http://localhost:9/v1" in traits.identity
    assert "zzz" not in traits.identity
    assert llm.max_retries == 0


def test_gemini_is_native_and_leaves_retrying_to_us() -> None:
    pytest.importorskip("langchain_google_genai")
    llm = resolve_chat_model("google_genai:gemini-2.5-flash", api_key="zzz")
    traits = traits_of(llm)
    assert (traits.structured, traits.logprobs, traits.small) == ("native", False, False)
    assert "zzz" not in traits.identity
    assert llm.max_retries == 1  # type: ignore[attr-defined]


class HuggingFacePipeline(SyncOnly):
    """Looks like the pipeline of langchain-huggingface, which this environment lacks."""


class ChatHuggingFace(FakeListChatModel):
    llm: Any = None

    def with_structured_output(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError


def test_two_hugging_face_models_differ_by_what_they_wrap() -> None:
    small = ChatHuggingFace(responses=[""], llm=HuggingFacePipeline(model_name="gemma-2-2b-it"))
    other = ChatHuggingFace(responses=[""], llm=HuggingFacePipeline(model_name="gemma-2-9b-it"))
    assert traits_of(small).identity != traits_of(other).identity
    assert traits_of(small).structured == "prompted"
    assert traits_of(small).sync_only
    assert traits_of(small).small
    assert not traits_of(other).small


@pytest.mark.parametrize("name", ["openai:gpt-4o", "google_genai:gemini-2.5-flash"])
def test_a_missing_key_is_one_sentence(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip({"openai": "langchain_openai"}.get(name.partition(":")[0], "langchain_google_genai"))
    for variable in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "GOOGLE_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(AuthenticationError, match="No usable key for") as caught:
        resolve_chat_model(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("google_genai:gemini-2.5-flash", r"langchain-model-alignment\[google\]"),
        ("huggingface:google/gemma-2-2b-it", r"langchain-model-alignment\[huggingface\]"),
        ("openai:gpt-4o", "pip install .langchain-openai"),
        ("anthropic:claude-sonnet-4-5", "pip install langchain"),
    ],
)
def test_a_missing_package_says_what_to_install(name: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "find_spec", lambda package: None)
    with pytest.raises(ModelNameError, match=words):
        resolve_chat_model(name)


def test_any_other_provider_goes_to_langchain(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []

    def init_chat_model(name: str, **kwargs: Any) -> BaseChatModel:
        asked.append((name, kwargs))
        return SyncOnly()

    module = ModuleType("langchain.chat_models")
    module.init_chat_model = init_chat_model  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "langchain", ModuleType("langchain"))
    monkeypatch.setitem(sys.modules, "langchain.chat_models", module)
    monkeypatch.setattr(models, "_installed", lambda package: True)
    resolve_chat_model("anthropic:claude-sonnet-4-5", temperature=0)
    assert asked == [("anthropic:claude-sonnet-4-5", {"max_retries": 0, "temperature": 0})]


def test_a_constructor_that_refuses_repeats_no_input() -> None:
    pytest.importorskip("langchain_openai")
    with pytest.raises(ModelNameError, match="cannot be made here") as caught:
        resolve_chat_model("openai:gpt-4o", api_key="sk-zzz", temperature="sk-zzz")
    assert "zzz" not in str(caught.value)


@pytest.mark.parametrize("name", ["gpt-4o", "", "gemini"])
def test_a_name_without_provider_is_refused_with_an_example(name: str) -> None:
    with pytest.raises(ModelNameError, match="provider:model"):
        resolve_chat_model(name)


@pytest.mark.parametrize("name", ["local:nothing", "local:/no/such/file.gguf", "/no/such/file.gguf"])
def test_a_local_model_without_weights_fails_at_once(name: str) -> None:
    pytest.importorskip("langchain_openai")
    with pytest.raises(WeightsError):
        resolve_chat_model(name)


def test_bare_local_names_and_paths_reach_the_local_model(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def local_chat_model(name: str = "default", **kwargs: Any) -> BaseChatModel:
        asked.append(name)
        return SyncOnly()

    monkeypatch.setattr("langchain_model_alignment.local.local_chat_model", local_chat_model)
    for name in ("local", "local:smollm2-135m", "smollm2-135m", "/my/own.gguf"):
        resolve_chat_model(name)
    assert asked == ["default", "smollm2-135m", "smollm2-135m", "/my/own.gguf"]


def test_a_local_model_ends_its_turn_where_its_weights_have_no_chat_template(tmp_path: Path) -> None:
    pytest.importorskip("langchain_openai")
    from langchain_model_alignment.local.chat import make_chat_model

    weights = tmp_path / "base.gguf"
    weights.touch()
    server: Any = SimpleNamespace(weights=weights, base_url="http://127.0.0.1:1/v1", api_key="none")
    model = make_chat_model(str(weights), server, {})
    assert model._get_request_payload("Hello")["stop"] == ["<|im_end|>"]
    assert model._get_request_payload("Hello", stop=["\n"])["stop"] == ["\n"]


def test_a_limit_on_tokens_goes_under_the_name_that_the_provider_takes() -> None:
    """H1 of the predecessor: its own Gemini helper raised TypeError at every call with an output limit."""
    kinds = {"ChatGoogleGenerativeAI": "max_output_tokens", "BaseChatOpenAI": "max_tokens"}
    for name, argument in kinds.items():
        model = type(name, (FakeListChatModel,), {})(responses=["x"])
        assert limit_of(model, 90) == {argument: 90}


def test_a_model_whose_limit_is_unknown_is_passed_none() -> None:
    assert limit_of(FakeListChatModel(responses=["x"]), 90) == {}


# -- servers that speak OpenAI's API


@pytest.fixture
def no_openai(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for variable in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_API_BASE", "OPENAI_BASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    return monkeypatch


def test_the_environment_names_the_server_and_the_identity_tells_servers_apart(no_openai: pytest.MonkeyPatch) -> None:
    pytest.importorskip("langchain_openai")
    identities = set()
    for port in (1234, 8000):
        no_openai.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{port}/v1")
        llm = resolve_chat_model("openai:gemma3:4b")
        assert str(llm.root_client.base_url) == f"http://127.0.0.1:{port}/v1/"  # type: ignore[attr-defined]
        identities.add(traits_of(llm).identity)
    assert len(identities) == 2
    assert traits_of(llm).small


def test_a_server_elsewhere_needs_a_key(no_openai: pytest.MonkeyPatch) -> None:
    pytest.importorskip("langchain_openai")
    with pytest.raises(AuthenticationError):
        resolve_chat_model("openai:gemma", base_url="https://models.example/v1")


def test_a_key_in_the_environment_is_used_on_this_machine_too(no_openai: pytest.MonkeyPatch) -> None:
    pytest.importorskip("langchain_openai")
    no_openai.setenv("OPENAI_API_KEY", "own")
    llm: Any = resolve_chat_model("openai:gemma", base_url="http://localhost:8000/v1")
    assert llm.openai_api_key.get_secret_value() == "own"


@pytest.mark.parametrize(("key", "url"), [("api_key", "base_url"), ("openai_api_key", "openai_api_base")])
def test_a_key_and_a_server_are_used_under_either_of_their_names(
    no_openai: pytest.MonkeyPatch, key: str, url: str
) -> None:
    pytest.importorskip("langchain_openai")
    no_openai.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1234/v1")
    llm: Any = resolve_chat_model("openai:gemma", **{key: "own", url: "http://localhost:8000/v1"})
    assert llm.openai_api_key.get_secret_value() == "own"
    assert str(llm.root_client.base_url) == "http://localhost:8000/v1/"


def test_a_server_on_this_machine_needs_no_key_under_either_of_its_names(no_openai: pytest.MonkeyPatch) -> None:
    pytest.importorskip("langchain_openai")
    for url in ("base_url", "openai_api_base"):
        llm: Any = resolve_chat_model("openai:gemma", **{url: "http://localhost:8000/v1"})
        assert str(llm.root_client.base_url) == "http://localhost:8000/v1/"


def test_a_server_without_log_probabilities_is_said_so(no_openai: pytest.MonkeyPatch) -> None:
    pytest.importorskip("langchain_openai")
    url = "http://127.0.0.1:1234/v1"
    assert traits_of(resolve_chat_model("openai:gemma", base_url=url)).logprobs
    assert not traits_of(resolve_chat_model("openai:gemma", base_url=url, logprobs=False)).logprobs


@pytest.mark.parametrize(
    ("name", "thinks"),
    [
        *(
            ("o3-mini", True),
            ("gemini-flash-latest", True),
            ("gpt-5-mini", True),
            ("openai/gpt-5", True),
            ("gpt-4o", False),
            ("gpt-oss:20b", False),
        ),
        *(("gemini-2.5-pro", True), ("gemini-2.0-flash", False), ("gemma-3-4b-it", False), ("olmo-2-7b", False)),
    ],
)
def test_a_model_that_thinks_first_is_known_by_its_name(name: str, thinks: bool) -> None:
    model = type("BaseChatOpenAI", (SyncOnly,), {})(model_name=name)
    assert traits_of(model).logprobs is not thinks
    assert limit_of(model, 9) == ({} if thinks else {"max_tokens": 9})


@pytest.mark.parametrize("name", ["/weights/gemma.gguf", "local:/weights/gemma.gguf", "~/gemma.gguf"])
def test_a_weights_file_goes_to_the_local_server(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(
        "langchain_model_alignment.local.local_chat_model", lambda name: asked.append(name) or SyncOnly()
    )
    resolve_chat_model(name)
    assert asked == [name.removeprefix("local:")]


def test_a_weights_file_goes_to_hugging_face_where_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(models, "_installed", lambda package: True)
    monkeypatch.setattr(
        "langchain_model_alignment.local.hugging_face_chat_model", lambda name: asked.append(name) or SyncOnly()
    )
    resolve_chat_model("huggingface:/weights/gemma.gguf")
    assert asked == ["/weights/gemma.gguf"]
