"""Models of transformers with a few thousand random weights, made in code: no download, no meaning, all the machinery.

Skips, with the install line, where torch or transformers are missing.
"""

from typing import Any

import pytest

INSTALL = 'pip install "langchain-model-alignment[huggingface]"'
torch = pytest.importorskip("torch", reason=INSTALL)
pytest.importorskip("langchain_huggingface", reason=INSTALL)
pytest.importorskip("transformers", reason=INSTALL)

from langchain_huggingface import HuggingFacePipeline
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import Gemma2Config, Gemma2ForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.pipelines import pipeline

from langchain_model_alignment.local.huggingface import HuggingFaceChatModel

torch.set_num_threads(1)  # threads that wait for each other starve on a busy machine

SPECIAL = ["<pad>", "<bos>", "<eos>", "<turn>", "<end>"]
CHAT = (
    "{{ bos_token }}{% for m in messages %}<turn>{{ m['role'] }}\n{{ m['content'] }}<end>\n{% endfor %}"
    "{% if add_generation_prompt %}<turn>assistant\n{% endif %}"
)
# As Gemma 2's: no system role, and turns that alternate.
STRICT = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Roles must alternate') }}{% endif %}{% endfor %}" + CHAT
)
SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def tokenizer(template: str | None = CHAT) -> PreTrainedTokenizerFast:
    """One token for each byte."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate([*SPECIAL, *letters])}
    made = Tokenizer(models.BPE(vocabulary, [], unk_token=None))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        additional_special_tokens=["<turn>", "<end>"],
    )
    fast.chat_template = template
    return fast


def pipe(template: str | None = CHAT, *, gemma: bool = False, seed: int = 0, context: int = 4096) -> Any:
    """A pipeline whose model says nothing but printable ASCII, and never ends by itself."""
    words = tokenizer(template)
    sizes = {**SIZES, "vocab_size": len(words), "max_position_embeddings": context}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = (
            Gemma2ForCausalLM(Gemma2Config(**sizes, head_dim=8)) if gemma else LlamaForCausalLM(LlamaConfig(**sizes))
        )
        with torch.no_grad():
            for weights in model.parameters():  # the usual small ones make every answer the same letter
                if weights.dim() > 1:
                    weights.mul_(8)
    letters = words.convert_ids_to_tokens(range(len(words)))
    model.generation_config.suppress_tokens = [n for n, t in enumerate(letters) if len(t) > 1 or not " " < t < "\x7f"]
    model.name_or_path = f"tiny-{seed}"
    return pipeline("text-generation", model=model, tokenizer=words)


def chat(template: str | None = CHAT, *, gemma: bool = False, seed: int = 0, context: int = 4096, **fields: Any) -> Any:
    """The chat model over such a pipeline."""
    llm = HuggingFacePipeline(pipeline=pipe(template, gemma=gemma, seed=seed, context=context))
    return HuggingFaceChatModel(**{"llm": llm, "max_tokens": 12, **fields})
