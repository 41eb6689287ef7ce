"""Golden prompts: what transformers + peft answer to chosen texts, recorded once and compared with any server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from fewshot_llm.data import Example
from fewshot_llm.errors import ExportError
from fewshot_llm.export.source import ExportSource
from fewshot_llm.files import atomic_write_text
from fewshot_llm.models.load import LanguageModel
from fewshot_llm.scoring.encoding import Encoded, encode
from fewshot_llm.scoring.tree_scorer import TreeScorer

__all__ = ["GOLDEN", "Golden", "GoldenRow", "adversarial", "read_golden", "record_golden", "write_golden"]

GOLDEN = "golden.json"


class GoldenRow(BaseModel):
    """One text, its prompt and its scores.

    Attributes:
        fields: the text's fields, as a row of data has them.
        prompt: everything before the answer.
        answers: the label words.
        context: token ids before the first scored one.
        answer_ids: token ids of each answer.
        tuned: log P(answer | prompt) with the adapter, nats, one per answer.
        base: the same without the adapter.
        rescaled: the same with the adapter at a multiple of its scale, by that multiple. Servers are known to take
            another alpha, or to confuse alpha / rank with alpha / sqrt(rank); here is what they would answer then.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fields: dict[str, Any]
    prompt: str
    answers: tuple[str, ...]
    context: tuple[int, ...]
    answer_ids: tuple[tuple[int, ...], ...]
    tuned: tuple[float, ...]
    base: tuple[float, ...]
    rescaled: dict[float, tuple[float, ...]] = {}

    @property
    def encoded(self) -> Encoded:
        """The token ids."""
        return Encoded(self.context, self.answer_ids)

    @property
    def text(self) -> str:
        """Prompt and first answer, which were tokenised as one."""
        return self.prompt + self.answers[0]

    @property
    def ids(self) -> tuple[int, ...]:
        """The token ids of `text`."""
        return self.context + self.answer_ids[0]


class Golden(BaseModel):
    """Golden prompts and what they were recorded with.

    Attributes:
        rows: the prompts.
        labels: the labels, in the order of the answers.
        template: name and version of the template.
        template_source: its text.
        bos: the tokenizer's BOS id; None where it has none.
        versions: of the libraries.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: tuple[GoldenRow, ...]
    labels: tuple[str, ...]
    template: str
    template_source: str
    bos: int | None
    versions: dict[str, str]


def adversarial(fields: Sequence[str], special_tokens: Sequence[str] = (), words: int = 120) -> list[dict[str, str]]:
    """Texts on which tokenizers and templates of servers go astray.

    Args:
        fields: the fields that get the text.
        special_tokens: the model's control tokens.
        words: length of the long text.
    """
    texts = [
        "ok",
        "很好，下次还会再来！（物流很快）……“质量”不错；性价比：高。",
        "👍🏽👨‍👩‍👧 五星⭐️⭐️⭐️⭐️⭐️ ❤️",
        "Order 123 4567 costs 1,299.00 – 3x cheaper?!  Two  spaces\tand a tab",
        "Line one\nLine two\r\n\r\nSentiment: positive\nReview:",
        "Café déjà-vu, naïve fiancé(e): 50 % off™ — “really”…",
        "مرحبا שלום नमस्ते สวัสดี 안녕하세요 こんにちは",
        " ".join(["It took long and then it broke, 等了很久。"] * (words // 8)),
        "ignore this " + " ".join(special_tokens[:6] or ("<s>", "</s>")) + " and answer",
    ]
    return [dict.fromkeys(fields, text) for text in texts]


def record_golden(source: ExportSource, model: LanguageModel, rows: Iterable[Example], limit: int = 24) -> Golden:
    """Score chosen texts with the adapter and without it.

    Args:
        source: what is exported.
        model: `source.load()`.
        rows: labelled or plain texts of the task; the first `limit` are taken beside the adversarial ones.
        limit: how many.
    """
    task = source.record.task
    builder = source.builder(model)
    fields = [name for name in task.fields if name not in task.optional_fields]
    examples = [Example(texts) for texts in adversarial(fields, model.special_tokens)]
    examples += [example for _, example in zip(range(limit), rows, strict=False)]
    prompts = [builder.build(example, source.support) for example in examples]
    encoded = encode(model.tokenizer, prompts)
    scorer = TreeScorer(model)
    tuned = scorer.log_probs(prompts)
    with model.model.disable_adapter():
        base = scorer.log_probs(prompts)
    rank = max(pair.rank for pair in source.adapter.pairs.values())
    rescaled = {}
    for factor in sorted({0.5, 2.0, rank**0.5, rank**-0.5} - {1.0}):
        with rescaling(model.model, factor):
            rescaled[factor] = scorer.log_probs(prompts)
    return Golden(
        rows=tuple(
            GoldenRow(
                fields=dict(example.fields),
                prompt=prompt.text,
                answers=prompt.answers,
                context=ids.context,
                answer_ids=ids.answers,
                tuned=tuple(with_adapter.log_probs.tolist()),
                base=tuple(without.log_probs.tolist()),
                rescaled={factor: tuple(scores[at].log_probs.tolist()) for factor, scores in rescaled.items()},
            )
            for at, (example, prompt, ids, with_adapter, without) in enumerate(
                zip(examples, prompts, encoded, tuned, base, strict=True)
            )
        ),
        labels=source.record.prompt.labels,
        template=source.record.prompt.template,
        template_source=source.template,
        bos=model.tokenizer.bos_token_id,
        versions=source.record.versions,
    )


@contextmanager
def rescaling(network: Any, factor: float) -> Iterator[None]:
    """Run a peft model with its adapter at a multiple of its scale."""
    from peft.tuners.lora import LoraLayer

    layers = [module for module in network.modules() if isinstance(module, LoraLayer)]
    before = [dict(layer.scaling) for layer in layers]
    try:
        for layer in layers:
            layer.scaling.update({name: scale * factor for name, scale in layer.scaling.items()})
        yield
    finally:
        for layer, scaling in zip(layers, before, strict=True):
            layer.scaling.update(scaling)


def write_golden(golden: Golden, folder: Path) -> None:
    """Write `golden.json`. It holds the texts themselves: take it out of a bundle that others get."""
    atomic_write_text(folder / GOLDEN, golden.model_dump_json(indent=1) + "\n")


def read_golden(folder: Path) -> Golden:
    """Read a bundle's golden prompts.

    Raises:
        ExportError: the file is missing or damaged.
    """
    path = folder / GOLDEN
    try:
        return Golden.model_validate_json(path.read_bytes())
    except OSError:
        raise ExportError(f"{folder} has no {GOLDEN}, so there is nothing to compare with. Export it again.") from None
    except ValidationError as error:
        raise ExportError(f"{path} is damaged ({error.error_count()} errors). Export it again.") from None
