"""Score labels with cappr and its cache; runs in an environment of its own, see `environments.py`.

Standard input: {"folder": model folder, "prefix": shared text, "queries": [...], "labels": [...]}
Standard output: {"seconds": s, "labels": [position of the best label per query]}
"""

import json
import sys
import time

import torch
from cappr.huggingface.classify import cache_model, predict_proba
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast


class Tokenizer(PreTrainedTokenizerFast):
    """cappr hands every tokenizer output to the model, which knows no token types."""

    def __call__(self, *texts, **how):
        encoding = super().__call__(*texts, **how)
        encoding.pop("token_type_ids", None)
        return encoding


work = json.load(sys.stdin)
model = AutoModelForCausalLM.from_pretrained(work["folder"], torch_dtype=torch.float32).eval()
tokenizer = Tokenizer.from_pretrained(work["folder"])
tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
cached = cache_model((model, tokenizer), work["prefix"])
predict_proba(work["queries"][0], work["labels"], cached)  # warm-up
began = time.perf_counter()
probabilities = predict_proba(work["queries"], work["labels"], cached, normalize=False, show_progress_bar=False)
seconds = time.perf_counter() - began
print(json.dumps({"seconds": seconds, "labels": probabilities.argmax(axis=-1).tolist()}))
