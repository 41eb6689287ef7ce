"""The model card of a saved folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fewshot_llm.types import Text

__all__ = ["model_card"]

KINDS = {
    True: Text(
        "A LoRA adapter that labels texts by scoring label words, trained by fewshot-llm on {rows} labelled rows.",
        "一个通过给标签词打分来分类文本的 LoRA 适配器，由 fewshot-llm 用 {rows} 条标注样例训练。",
    ),
    False: Text(
        "A prompt that labels texts by scoring label words, fitted by fewshot-llm on {rows} labelled rows.",
        "一个通过给标签词打分来分类文本的提示，由 fewshot-llm 用 {rows} 条标注样例拟合。",
    ),
}
"""By whether there is an adapter."""


def model_card(record: Mapping[str, Any], reasons: tuple[str, str] | None = None) -> str:
    """A README.md with the front matter that model hubs read, in English and Chinese.

    Args:
        record: what `fewshot.json` holds, as plain values.
        reasons: why the ladder kept it, in English and Chinese; None where it was not asked.
    """
    prompt, base, training = record["prompt"], record["base"], record["training"]
    rows = record["support_rows"]
    reason, reason_zh = reasons or ("the ladder was not asked.", "未经阶梯评估。")
    words = "\n".join(
        f"| {label} | {prompt['label_words'][label]} | {rows.get(label, 0)} |" for label in prompt["labels"]
    )
    tags = ["text-classification", "few-shot", *(["lora"] if training else [])]
    return f"""---
base_model: {base["name"] or "unknown"}
library_name: {"peft" if training else "fewshot-llm"}
language: {prompt["language"]}
tags: [{", ".join(tags)}]
---

# {prompt["task"]["name"]} on {base["name"] or "a scorer of the user's own"}

{KINDS[bool(training)].en.format(rows=sum(rows.values()))} Why this one: {reason}

{KINDS[bool(training)].zh.format(rows=sum(rows.values()))}原因：{reason_zh}

| label 标签 | scored words 标签词 | rows 样例数 |
| --- | --- | --- |
{words}

- Base model 基座模型: {base["name"]} {base["revision"]} (SHA-256 {base["sha256"]})
- Prompt 提示模板: {prompt["template"]}, {prompt["shots"]} demonstrations per class, layout {prompt["layout"]}
{_training(training)}- Support rows 样例指纹 (SHA-256): {record["support_fingerprint"]}

`fewshot.json` holds everything an answer depends on, the calibration included; other servers that load this folder
see uncalibrated scores.
"""


def _training(training: Mapping[str, Any] | None) -> str:
    if training is None:
        return ""
    recipe, losses = training["recipe"], ", ".join(f"{loss:.3f}" for loss in training["losses"])
    return (
        f"- Recipe 训练配方: {recipe['name']}, rank {recipe['rank']}, {recipe['targets']}, loss {recipe['loss']}\n"
        f"- Training loss per epoch 每轮损失 (nats): {losses}\n"
    )
