"""The embedded models themselves, where they are in the cache."""

from __future__ import annotations

import pytest
import torch

from fewshot_llm.files import sha256_file
from fewshot_llm.models import find_model, gguf_path, list_models, load_model

CACHED = {status.model.name: status for status in list_models() if status.cached}

pytestmark = pytest.mark.real_model


def cached(name: str) -> str:
    if name not in CACHED:
        pytest.skip(f"{name} is not in the cache; run `fewshot-llm models pull {name}`")
    return name


@pytest.mark.parametrize(
    ("name", "question", "answer"),
    [
        ("smollm2-135m", "The capital of France is", " Paris"),
        ("gemma3-270m", "The capital of France is", " Paris"),
        ("gemma3-270m", "法国的首都是巴黎，日本的首都是东京，中国的首都是", "北京"),
    ],
)
def test_a_converted_model_knows_what_the_published_one_knows(name: str, question: str, answer: str) -> None:
    loaded = load_model(cached(name), device="cpu")
    ids = loaded.tokenizer(question, return_tensors="pt").input_ids
    with torch.no_grad():
        ranked = loaded.model(ids).logits[0, -1].topk(5).indices.tolist()
    assert answer in [loaded.tokenizer.decode([token]) for token in ranked]


def test_smollm_splits_numbers_into_digits_as_it_was_trained() -> None:
    tokenizer = load_model(cached("smollm2-135m"), device="cpu").tokenizer
    assert tokenizer.tokenize("in  2024") == ["in", "ĠĠ", "2", "0", "2", "4"]


@pytest.mark.parametrize("name", ["smollm2-135m", "gemma3-270m", "qwen2.5-coder-0.5b"])
def test_the_published_file_is_kept_beside_the_converted_one(name: str) -> None:
    assert sha256_file(gguf_path(cached(name))) == find_model(name).sha256
