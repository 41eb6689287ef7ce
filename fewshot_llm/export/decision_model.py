"""A folder that `transformers serve` answers typed choices from, with a probability for every label.

transformers (5.23 and later) reads `decision.json` and `decision_template.jinja` beside a model: `pipeline("decision")`
and `POST /v1/systemone` then compare the next-token scores of one token per label. So every label's words have to be a
single token, and no two the same; nothing else can be expressed there.
"""

from __future__ import annotations

import json
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fewshot_llm.data import Example
from fewshot_llm.errors import ExportError
from fewshot_llm.export.adapter import normalise, write_adapter
from fewshot_llm.export.source import ExportSource
from fewshot_llm.files import atomic_write_text
from fewshot_llm.models.load import LanguageModel
from fewshot_llm.prompting.builder import Prompt
from fewshot_llm.scoring.encoding import encode, leading_ids
from fewshot_llm.types import Text

__all__ = ["ADAPTER", "DecisionPrompt", "decision_prompt", "write_decision"]

ADAPTER = "adapter"
MARK = "<|mark|>"
_MODEL_FILES = ("config.json", "generation_config.json", "tokenizer*", "special_tokens_map.json", "*.safetensors*")


@dataclass(frozen=True)
class DecisionPrompt:
    """A prompt as a decision template lays it out.

    Attributes:
        start: what stands before the text, the BOS included where the tokenizer wants one.
        end: what stands between the text and the first token that is scored.
        cut: the rest of the prompt, which belongs to the label tokens (a space, usually).
        labels: text of each label's one token.
        one_line: whether the template puts a text on one line.
    """

    start: str
    end: str
    cut: str
    labels: tuple[str, ...]
    one_line: bool

    @property
    def template(self) -> str:
        """The Jinja source of `decision_template.jinja`."""
        state = "state.split() | join(' ')" if self.one_line else "state"
        return f"{{{{ {_literal(self.start)} }}}}{{{{ {state} }}}}{{{{ {_literal(self.end)} }}}}{MARK}"


def decision_prompt(source: ExportSource, model: LanguageModel) -> DecisionPrompt:
    """Find out what stands around a text, and the one token of each label.

    Raises:
        ExportError: a task of several fields, demonstrations that depend on the text, or labels that are no distinct
            single tokens; the message names words that are.
    """
    task, tokenizer = source.record.task, model.tokenizer
    required = [name for name in task.fields if name not in task.optional_fields]
    if len(required) != 1:
        raise ExportError(
            f"The task {task.name} reads the fields {', '.join(required)}; a decision template has one text. Export "
            "with --to merged, or train on one field."
        )
    builder = source.builder(model)
    if builder.shots and builder.selection.depends_on_query:
        raise ExportError(
            "The prompts show demonstrations that are chosen for each text, which a decision template cannot. Train "
            "without demonstrations, or export with --to merged."
        )
    token = f"text{secrets.token_hex(8)}"
    prompt = builder.build(Example({required[0]: f"{token}\n{token}"}), source.support)
    one_line = f"{token} {token}" in prompt.text
    start, _, tail = prompt.text.partition(f"{token} {token}" if one_line else f"{token}\n{token}")
    labels, position = _label_tokens(prompt, tokenizer, task.labels)
    end = tail[: len(tail) - (len(prompt.text) - position)]
    lead = leading_ids(tokenizer)
    bos = "" if prompt.text.startswith(tokenizer.bos_token or "\0") else tokenizer.decode(lead) if lead else ""
    return DecisionPrompt(bos + start, end, tail[len(end) :], labels, one_line)


def _label_tokens(prompt: Prompt, tokenizer: Any, names: tuple[str, ...]) -> tuple[tuple[str, ...], int]:
    """Text of each label's one token, and where in the prompt that token begins."""
    encoded = encode(tokenizer, [prompt])[0]
    texts, starts = [], set()
    for answer, ids in zip(prompt.answers, encoded.answers, strict=True):
        whole = prompt.text + answer
        offsets = tokenizer(whole, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
        begin = offsets[-len(ids)][0]
        texts.append(whole[begin:])
        starts.add(begin)
    bad = [
        name
        for name, text, ids in zip(names, texts, encoded.answers, strict=True)
        if len(ids) != 1 or tokenizer(text, add_special_tokens=False).input_ids != list(ids)
    ]
    if bad or len(starts) != 1 or len(set(encoded.answers)) != len(names):
        suggestion = _single_token_words(tokenizer, prompt, len(names))
        raise ExportError(
            f"A decision folder needs label words that are one token each; those of {', '.join(bad or names)} are not "
            f"({', '.join(prompt.answers[names.index(name)] for name in bad[:4])}). Train again with other label "
            f"words, for example {', '.join(suggestion) or 'letters'}, or export with --to merged."
        )
    return tuple(texts), starts.pop()


def _single_token_words(tokenizer: Any, prompt: Prompt, count: int) -> tuple[str, ...]:
    """Some words that are one token each after this prompt: letters, then digits."""
    candidates = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
    encoded = encode(tokenizer, [Prompt(prompt.text, candidates, prompt.closing)])[0]
    good = [word for word, ids in zip(candidates, encoded.answers, strict=True) if len(ids) == 1]
    return tuple(good[:count]) if len(good) >= count else ()


def write_decision(source: ExportSource, model: LanguageModel, folder: Path) -> tuple[Text, ...]:
    """Write base model, adapter, `decision.json` and `decision_template.jinja`.

    Of the calibration only the temperature can be served; the bias per label stays in the bundle's `calibration.json`.

    Returns:
        What normalising the adapter changed, one sentence each.

    Raises:
        ExportError: see `decision_prompt`.
    """
    prompt = decision_prompt(source, model)
    done = normalise(source.adapter, source.base)
    folder.mkdir(parents=True, exist_ok=True)
    for pattern in _MODEL_FILES:
        for path in source.base.folder.glob(pattern):
            shutil.copy2(path, folder / path.name)
    write_adapter(done.adapter, folder / ADAPTER)
    settings = {
        "labels": {"choice": list(prompt.labels)},
        "temperature": {"choice": source.record.calibrations[0].calibration.temperature},
        "adapter": ADAPTER,
    }
    atomic_write_text(folder / "decision.json", json.dumps(settings, indent=2, ensure_ascii=False) + "\n")
    atomic_write_text(folder / "decision_template.jinja", prompt.template)
    return done.mended


def _literal(text: str) -> str:
    """A Jinja string literal; control characters and everything outside ASCII are escaped."""
    return json.dumps(text)
