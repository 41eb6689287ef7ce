from __future__ import annotations

import numpy as np
import pytest

from fewshot_llm.export.adapter import read_adapter
from fewshot_llm.export.base import read_base
from fewshot_llm.export.gguf_lora import write_gguf_lora
from fewshot_llm.export.gguf_model import write_gguf_model
from fewshot_llm.export.servers import llama_cpp, running
from fewshot_llm.models.load import load_model
from fewshot_llm.prompting.prompt import Prompt
from fewshot_llm.scoring.reference import ReferenceScorer
from fewshot_llm.scoring.remote import RemoteScorer
from tests.conftest import tiny_model
from tests.export.conftest import base_folder, make_adapter  # noqa: F401 (fixtures)

PROMPTS = [
    Prompt("Review: the parcel came late and the box was broken\nSentiment: ", ("negative", "positive", "neutral")),
    Prompt("评论：物流很快，质量也不错。\n情感：", ("正面", "负面")),
    Prompt(
        "😀👍🏽 <s> <|im_start|> “quoted”，。！\nIntent: ", ("track order", "track parcel", "cancel order", "refund")
    ),
    Prompt("word " * 150 + "\nSentiment: ", ("negative", "positive")),
]


TOLERANCE = {"llama": 1e-4, "qwen2": 1e-4, "gemma3": 5e-3}
"""llama.cpp looks Gemma's GELU up in a table of half-precision numbers."""


@pytest.mark.server
@pytest.mark.parametrize("shape", ["llama", "qwen2", "gemma3"])
def test_llama_cpp_gives_the_same_scores_as_the_reference(shape, base_folder, make_adapter, tmp_path):
    base, adapter = base_folder(shape), make_adapter(shape, use_rslora=True, name="intents")
    tuned = load_model(str(base), adapter=adapter)
    write_gguf_model(tiny_model(shape).model, tiny_model(shape).tokenizer, tmp_path / "base.gguf")
    write_gguf_lora(read_adapter(adapter), read_base(base), tmp_path / "intents.gguf")
    truth = ReferenceScorer(tuned).log_probs(PROMPTS)
    untuned = ReferenceScorer(tiny_model(shape)).log_probs(PROMPTS)
    with running(llama_cpp(tmp_path / "base.gguf", tmp_path / "intents.gguf", exact=True, threads=1)) as root:
        scorer = RemoteScorer(f"{root}/v1#intents", tuned.tokenizer)
        remote = scorer.log_probs(PROMPTS)
        best = scorer.best(PROMPTS)
    for mine, theirs, base_scores in zip(remote, truth, untuned, strict=True):
        assert np.abs(mine.log_probs - theirs.log_probs).max() < TOLERANCE[shape]
        assert np.abs(mine.log_probs - base_scores.log_probs).max() > 0.05
        assert not mine.bounded.any()
        assert mine.token_counts.tolist() == theirs.token_counts.tolist()
    assert [top.indices[0] for top in best] == [int(scores.log_probs.argmax()) for scores in truth]
