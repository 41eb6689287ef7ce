"""LoRA as most people train it: transformers' Trainer, peft, cross-entropy over the whole vocabulary."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import torch

__all__ = ["train"]

IGNORED = -100


def train(
    model: Any, tokenizer: Any, texts: Sequence[str], answers: Sequence[str], recipe: Mapping[str, Any], seed: int
) -> Any:
    """A peft model trained to write each text's answer; rank, rate, epochs and batch size are the recipe's."""
    from peft import LoraConfig, get_peft_model
    from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments, set_seed

    set_seed(seed)
    rows = [_row(tokenizer, text, answer) for text, answer in zip(texts, answers, strict=True)]
    config = LoraConfig(
        r=recipe["rank"],
        lora_alpha=recipe["alpha"],
        lora_dropout=recipe["dropout"],
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    peft_model = get_peft_model(model, config)
    with tempfile.TemporaryDirectory() as folder:
        settings = TrainingArguments(
            output_dir=folder,
            num_train_epochs=recipe["epochs"],
            per_device_train_batch_size=recipe["batch_rows"],
            learning_rate=recipe["learning_rate"],
            warmup_steps=round(recipe["warmup"] * recipe["epochs"] * -(-len(rows) // recipe["batch_rows"])),
            weight_decay=recipe["weight_decay"],
            max_grad_norm=recipe["clip"],
            use_cpu=not torch.cuda.is_available(),
            dataloader_pin_memory=False,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
            seed=seed,
        )
        Trainer(peft_model, settings, train_dataset=rows, data_collator=DataCollatorForSeq2Seq(tokenizer)).train()
    return peft_model.eval()


def _row(tokenizer: Any, text: str, answer: str) -> dict[str, Any]:
    """Tokens of a text with its answer; only those of the answer are learned."""
    found = tokenizer(text + answer, return_offsets_mapping=True)
    learned = [end > len(text) for _, end in found["offset_mapping"]]
    tokens = found["input_ids"]
    labels = [token if own else IGNORED for token, own in zip(tokens, learned, strict=True)]
    return {"input_ids": tokens, "attention_mask": [1] * len(tokens), "labels": labels}
