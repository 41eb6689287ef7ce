"""The readable files of a bundle: `task.toml` and the model card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fewshot_llm.export.names import Target
from fewshot_llm.export.serve_script import SERVERS
from fewshot_llm.task import Task
from fewshot_llm.tuning.store import AdapterRecord

__all__ = ["bundle_card", "task_toml"]


def task_toml(task: Task) -> str:
    """The task as `load_task` reads it."""
    values = task.model_dump(mode="json", exclude={"folder"})
    plain = {key: value for key, value in values.items() if not isinstance(value, dict)}
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in plain.items()]
    lines += _table("instruction", values["instruction"])
    for language, words in values["label_words"].items():
        lines += _table(f"label_words.{_key(language)}", words)
    return "\n".join(lines) + "\n"


def _table(name: str, values: Mapping[str, str]) -> list[str]:
    rows = [f"{_key(key)} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    return ["", f"[{name}]", *rows] if rows else []


def _key(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)


def bundle_card(bundle: Mapping[str, Any], record: AdapterRecord) -> str:
    """The bundle's `README.md`, in English and Chinese."""
    target = Target(bundle["target"])
    commands = "\n".join(f"sh serve.sh {server}" for server in SERVERS[target])
    mended = "\n".join(f"- {sentence}" for sentence in bundle["mended"]) or "- nothing 无"
    words = "\n".join(f"| {label} | {text} |" for label, text in record.prompt.label_words.items())
    bias = "" if record.calibrated.keeps_order else _BIAS
    return f"""---
base_model: {record.base.name}
language: {record.prompt.language}
tags: [text-classification, few-shot, lora]
---

# {bundle["name"]}: {record.task.name} on {record.base.name}, for {target}

Made by `fewshot-llm export --to {target}`. Labels are scored, not generated: a client sends the prompt of
`template.jinja` as token ids and compares the log-probabilities of the label words.

由 `fewshot-llm export --to {target}` 生成。标签靠打分得出，不靠生成：客户端把 `template.jinja` 的提示以 token id
发送，比较各标签词的对数概率。

```sh
{commands}
fewshot-llm verify .            # starts the server, compares, writes certificate.json 启动服务、对比、写证书
```

| label 标签 | scored words 标签词 |
| --- | --- |
{words}

- Base model 基座模型: {record.base.name} {record.base.revision} (SHA-256 {bundle["base_sha256"]})
- Calibration 校准: temperature {record.calibrated.temperature:.4g}; bias per label in `calibration.json`.{bias}
- `golden.json` holds some of the support texts; take it out before you give the bundle away.
  `golden.json` 含部分样例原文，转交他人前请删除。

Mended on the way, without a change of what the adapter computes 导出时修正（不改变计算结果）:

{mended}
"""


_BIAS = " No server knows the bias: clients add it to the scores. 服务端不含偏置，由客户端加上。"
