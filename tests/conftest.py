"""Tiny models built in memory: odd shapes, random weights, byte-level tokenizers. Nothing is fetched."""

from __future__ import annotations

import os
import shutil
from functools import cache
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertModel,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from fewshot_llm.models import (
    CONVERSION,
    EMBEDDED,
    CachedFile,
    LanguageModel,
    ModelRecord,
    convert_e5,
    model_folder,
    resolve_encoder,
)
from tests.tiny_encoder import write_e5
from tests.word_scorer import WordScorer

settings.register_profile("fewshot", deadline=None)  # a busy machine is no failure
settings.load_profile("fewshot")

SHAPES = ("llama", "qwen2", "gemma3", "gpt2")
"""Tied and untied heads, grouped queries, sliding windows, learned positions; with and without a BOS."""

CORPUS = [
    "Review: the parcel came late and the box was broken\nSentiment: negative\n",
    "Review: great quality, fast delivery, will buy again!\nSentiment: positive\n",
    "评论：物流很快，质量也不错，下次还会再来。\n情感：正面\n",
    "评论：包装破损，客服态度差，再也不买了！\n情感：负面\n",
    "Customer: where is my order 12345?\nIntent: track order\n",
    "客户：我想取消订单，可以退款吗？\n意图：取消订单\n",
]

CHAT_TEMPLATE = (
    "{{ bos_token or '' }}{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@cache
def tiny_tokenizer(bos: bool) -> PreTrainedTokenizerFast:
    """A byte-level BPE of 600 tokens with a chat template; it adds a BOS when `bos`."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    special = ["<pad>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(CORPUS, trainer)
    if bos:
        core.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", core.token_to_id("<s>"))]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="<pad>",
        eos_token="</s>",
        bos_token="<s>" if bos else None,
        additional_special_tokens=["<|im_start|>", "<|im_end|>"],
        chat_template=CHAT_TEMPLATE,
    )


def _network(shape: str, vocabulary: int) -> torch.nn.Module:
    common = {"vocab_size": vocabulary, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    body = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 4096,
    }
    torch.manual_seed(0)
    match shape:
        case "llama":
            return LlamaForCausalLM(LlamaConfig(**common, **body, num_hidden_layers=2, tie_word_embeddings=True))
        case "qwen2":
            return Qwen2ForCausalLM(Qwen2Config(**common, **body, num_hidden_layers=2, tie_word_embeddings=False))
        case "gemma3":
            layers = ["sliding_attention", "full_attention", "sliding_attention"]
            config = Gemma3TextConfig(
                **common,
                **body,
                head_dim=16,
                num_hidden_layers=3,
                layer_types=layers,
                sliding_window=16,
                query_pre_attn_scalar=16,
            )
            return Gemma3ForCausalLM(config)
        case "gpt2":
            return GPT2LMHeadModel(GPT2Config(**common, n_embd=32, n_layer=2, n_head=4, n_positions=4096))
    raise ValueError(shape)


@cache
def tiny_model(shape: str) -> LanguageModel:
    """A tiny random model of one of `SHAPES`; weights are spread so that labels differ clearly."""
    tokenizer = tiny_tokenizer(bos=shape in ("llama", "gemma3"))
    network = _network(shape, len(tokenizer)).eval()
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if weight.ndim > 1:
                weight.normal_(0.0, 0.15 if "emb" in name or "wte" in name else 0.25)
    return LanguageModel(
        name=f"tiny-{shape}",
        model=network,
        tokenizer=tokenizer,
        device=torch.device("cpu"),
        dtype=torch.float32,
        context_length=4096,
    )


@pytest.fixture(params=SHAPES)
def any_model(request: pytest.FixtureRequest) -> LanguageModel:
    """Each of the four shapes in turn."""
    return tiny_model(request.param)


@pytest.fixture
def llama() -> LanguageModel:
    """The tiny Llama shape alone."""
    return tiny_model("llama")


@pytest.fixture(scope="session")
def tiny_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny Llama as a Hugging Face folder, for everything that loads from disk."""
    folder = tmp_path_factory.mktemp("models") / "tiny-llama"
    tiny = tiny_model("llama")
    tiny.model.save_pretrained(folder)
    tiny.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random encoder as a folder of sentence-transformers."""
    from sentence_transformers import SentenceTransformer

    made = tmp_path_factory.mktemp("encoders")
    tokenizer = tiny_tokenizer(bos=True)
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    BertModel(BertConfig(vocab_size=len(tokenizer), pad_token_id=0, **sizes)).save_pretrained(made / "bert")
    tokenizer.save_pretrained(made / "bert")
    SentenceTransformer(str(made / "bert"), device="cpu").save(str(made / "tiny-encoder"))
    return made / "tiny-encoder"


def put_into_cache(name: str, folder: Path) -> None:
    """Let a folder stand in the cache of `FEWSHOT_HOME` under an embedded model's name."""
    model = EMBEDDED[name]
    cached = model_folder(model)
    shutil.copytree(folder, cached)
    weights = CachedFile.of(cached / "model.safetensors")
    ModelRecord(
        name=model.name,
        packages=model.packages,
        gguf=weights,
        weights=weights,
        licence=model.licence.name,
        licence_url=model.licence.url,
        acceptance=None,
        pulled_at="2026-01-01T00:00:00+00:00",
        conversion=CONVERSION,
        versions={},
    ).write(cached)


@pytest.fixture(scope="session")
def tiny_home(tmp_path_factory: pytest.TempPathFactory, tiny_encoder_folder: Path) -> Path:
    """A model cache that holds nothing but a tiny encoder in the place of the one that `auto` takes."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("FEWSHOT_HOME", str(home))
        put_into_cache(resolve_encoder("auto"), tiny_encoder_folder)
    return home


@pytest.fixture(autouse=True)
def nothing_is_fetched(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a test that asks for a real model sees the user's own cache; no test installs from an index."""
    if request.node.get_closest_marker("real_model") is None:
        monkeypatch.setenv("FEWSHOT_HOME", str(request.getfixturevalue("tiny_home")))
        monkeypatch.setenv("PIP_NO_INDEX", "1")


@pytest.fixture(scope="session")
def e5_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny encoder with random weights."""
    folder = tmp_path_factory.mktemp("e5")
    write_e5(folder / "published")
    (folder / "made").mkdir()
    convert_e5(folder / "published", folder / "made")
    return folder / "made"


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Where the real data sets are (`FEWSHOT_DATA`); the test is skipped where they are absent."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("FEWSHOT_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no data sets at {folder}; set FEWSHOT_DATA to the folder that holds them")
    return folder


GOOD = [
    "很好，喜欢",
    "质量不错，很好",
    "喜欢，会再买",
    "好看，很好",
    "不错，推荐",
    "很好用，推荐",
    "喜欢这个颜色",
    "物流快，不错",
]
BAD = [
    "太差了，退货",
    "垃圾，退货",
    "很差，失望",
    "破了，失望",
    "太慢，差评",
    "假货，退货",
    "差，不会再买",
    "失望，垃圾",
]


@pytest.fixture
def words() -> WordScorer:
    return WordScorer()


@pytest.fixture
def leaning() -> WordScorer:
    """Calls everything positive."""
    return WordScorer(lean=(6.0, 0.0))


@pytest.fixture
def reviews() -> tuple[list[str], list[str]]:
    """Eight of each class, taking turns."""
    texts = [text for pair in zip(GOOD, BAD, strict=True) for text in pair]
    return texts, ["positive", "negative"] * len(GOOD)
