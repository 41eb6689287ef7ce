"""The model card of an adapter folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["model_card"]


def model_card(record: Mapping[str, Any]) -> str:
    """A README.md with the front matter that model hubs read, in English and Chinese.

    Args:
        record: what `fewshot.json` holds, as plain values.
    """
    prompt, base, recipe = record["prompt"], record["base"], record["recipe"]
    rows = record["support_rows"]
    decision = record["decision"] or {}
    reason = decision.get("reason", "It was trained without asking the ladder.")
    reason_zh = decision.get("reason_zh", "未经阶梯评估，直接训练。")
    words = "\n".join(
        f"| {label} | {prompt['label_words'][label]} | {rows.get(label, 0)} |" for label in prompt["labels"]
    )
    losses = ", ".join(f"{loss:.3f}" for loss in record["losses"])
    return f"""---
base_model: {base["name"]}
library_name: peft
language: {prompt["language"]}
tags: [text-classification, few-shot, lora]
---

# {prompt["task"]["name"]} on {base["name"]}

A LoRA adapter that labels texts by scoring label words, trained by fewshot-llm on {sum(rows.values())} labelled rows.
Why it exists: {reason}

一个通过给标签词打分来分类文本的 LoRA 适配器，由 fewshot-llm 用 {sum(rows.values())} 条标注样例训练。原因：{reason_zh}

| label 标签 | scored words 标签词 | rows 样例数 |
| --- | --- | --- |
{words}

- Base model 基座模型: {base["name"]} {base["revision"]} (SHA-256 {base["sha256"]})
- Prompt 提示模板: {prompt["template"]}, {prompt["demonstrations"]} demonstrations per class, layout {prompt["layout"]}
- Recipe 训练配方: {recipe["name"]}, rank {recipe["rank"]}, {recipe["targets"]}, loss {recipe["loss"]}
- Training loss per epoch 每轮损失 (nats): {losses}
- Support rows 样例指纹 (SHA-256): {record["support_fingerprint"]}

`fewshot.json` holds everything an answer depends on, the calibration included; other servers that load this folder
see uncalibrated scores.
"""
