"""A trained-looking adapter folder on a tiny model: strong random weights, and the record that training writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fewshot_llm.artifacts import BaseRecord, CalibrationRecord, ClassificationRecord, PromptRecord, TrainingRecord
from fewshot_llm.data import Task
from fewshot_llm.files import sha256_file
from fewshot_llm.models import load_model
from fewshot_llm.prompting import Template
from fewshot_llm.training import Recipe

TEMPLATE = """{% macro item(example, answer) %}
Review: {{ example.text | oneline }}
Sentiment: {{ answer }}

{% endmacro %}
{{ instruction }}

{% for demonstration in demonstrations %}
{{ item(demonstration.example, demonstration.answer) -}}
{% endfor %}
{{ item(query, answer) -}}"""

FILES = ("adapter_config.json", "adapter_model.safetensors", "template.jinja")
WORDS = {"positive": "positive", "negative": "negative"}


def write_record(adapter: Path, base: Path, words: dict[str, str] | None = None, **calibration: Any) -> Path:
    """Write `fewshot.json` into a peft folder."""
    words = words or WORDS
    task = Task(
        name="reviews", labels=tuple(words), label_words={"en": words}, instruction={"en": "Tell the sentiment."}
    )
    template = Template.from_source(TEMPLATE, "en", "reviews/en.v1")
    model = load_model(str(base))
    (adapter / "template.jinja").write_text(template.source, encoding="utf-8")
    record = ClassificationRecord(
        prompt=PromptRecord(
            task=task.model_dump(mode="json", exclude={"folder"}),
            language="en",
            template=template.name,
            template_version=1,
            layout="plain",
            labels=task.labels,
            label_words=words,
            shots=0,
            normalisation="sum",
            selection={"kind": "Balanced"},
            seed=0,
            fingerprint="",
        ),
        classes=tuple(sorted(words)),
        calibrations=(
            CalibrationRecord(**{"bias": (0.0,) * len(words), "temperature": 1.0, "method": "none"} | calibration),
        ),
        base=BaseRecord(name=str(base), revision="", sha256=model.sha256, dtype="float32"),
        support_fingerprint="",
        support_rows=dict.fromkeys(words, 2),
        training=TrainingRecord(recipe=Recipe(), losses=(1.0, 0.5), support_fingerprint=""),
        files={name: sha256_file(adapter / name) for name in FILES},
        versions={"peft": "0"},
    )
    (adapter / "fewshot.json").write_text(json.dumps(record.model_dump(mode="json"), ensure_ascii=False))
    return adapter
