"""Plain Hugging Face Trainer + peft on the same prompts; a label's score is log P(its words), the prompt run once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from plain_training import train
from protocol import Predict, serve
from transformers import AutoModelForCausalLM, AutoTokenizer


def learn(work: dict[str, Any]) -> Predict:
    tokenizer = AutoTokenizer.from_pretrained(work["model_folder"])
    model = AutoModelForCausalLM.from_pretrained(work["model_folder"], dtype=torch.float32)
    prompts = work["support_prompts"]
    targets = [work["labels"].index(row["label"]) for row in work["support"]]
    answers = [prompt["answers"][target] for prompt, target in zip(prompts, targets, strict=True)]
    trained = train(model, tokenizer, [p["text"] for p in prompts], answers, work["recipe"], work["seed"])

    def predict() -> Any:
        scores = [label_scores(trained, tokenizer, p["text"], p["answers"]) for p in work["test_prompts"]]
        return torch.stack(scores).double().softmax(dim=1).numpy()

    return predict


@torch.inference_mode()
def label_scores(model: Any, tokenizer: Any, text: str, answers: Sequence[str]) -> torch.Tensor:
    """Log P(answer | text) of each answer, shape [answers]; prompt and answer are tokenised together."""
    rows = [tokenizer(text + answer)["input_ids"] for answer in answers]
    start = next((n for n, column in enumerate(zip(*rows, strict=False)) if len(set(column)) > 1), min(map(len, rows)))
    start = min(start, *(len(row) - 1 for row in rows))
    prefix = model(input_ids=torch.tensor([rows[0][:start]]), use_cache=True, logits_to_keep=1)
    longest = max(len(row) - start for row in rows)
    ends = torch.tensor([row[start:] + [0] * (longest - len(row) + start) for row in rows])
    cache = prefix.past_key_values
    cache.batch_repeat_interleave(len(rows))
    # Padding comes last, so that causal attention hides it; its scores are not added up.
    logits = model(input_ids=ends, past_key_values=cache).logits
    logits = torch.cat([prefix.logits.expand(len(rows), 1, -1), logits[:, :-1]], dim=1)
    token_scores = logits.float().log_softmax(dim=-1).gather(2, ends[..., None]).squeeze(2)
    kept = torch.arange(longest) < torch.tensor([[len(row) - start] for row in rows])
    return (token_scores * kept).sum(dim=1)


if __name__ == "__main__":
    serve(learn, ["transformers", "peft", "torch"])
