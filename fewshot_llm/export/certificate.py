"""The certificate: does this server answer as the toolkit does, and if not, which link is broken?

It compares golden prompts: recorded at the export with the answers of transformers and peft, replayed on the server.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from fewshot_llm.data import Example
from fewshot_llm.errors import CertificateError, ExportError
from fewshot_llm.export import words as w
from fewshot_llm.export.source import ExportSource
from fewshot_llm.files import atomic_write_text
from fewshot_llm.files.values import shared_length
from fewshot_llm.models.load import LanguageModel
from fewshot_llm.scoring.encoding import Encoded, encode
from fewshot_llm.scoring.tree_scorer import TreeScorer
from fewshot_llm.types import FloatArray, Text

__all__ = [
    "CERTIFICATE",
    "FLOAT32",
    "QUANTISED",
    "Certificate",
    "Golden",
    "GoldenRow",
    "Link",
    "Served",
    "Tolerance",
    "adversarial",
    "certify",
    "read_golden",
    "record_golden",
    "require",
    "write_golden",
]


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


CERTIFICATE = "certificate.json"


class Link(StrEnum):
    """Where the chain from a text to a label breaks."""

    TOKENIZER = "tokenizer"
    BOS = "bos"
    TEMPLATE = "template"
    ADAPTER_IGNORED = "adapter ignored"
    SCALE = "scale"
    WEIGHTS = "weights"
    PRECISION = "precision"


@dataclass(frozen=True)
class Tolerance:
    """What still counts as the same answer.

    Attributes:
        largest: the largest difference of a label's log-probability, nats.
        mean: the mean difference, nats.
        agreement: the smallest share of texts with the same final label.
    """

    largest: float
    mean: float
    agreement: float


FLOAT32 = Tolerance(largest=0.05, mean=0.01, agreement=0.99)
"""Both sides in float32; attention in half precision, llama.cpp's default, stays within it."""

QUANTISED = Tolerance(largest=4.0, mean=0.5, agreement=0.97)
"""The server's base weights are quantised, or in half precision."""


class Served(Protocol):
    """A server as the certificate sees it."""

    @property
    def server(self) -> str:
        """Its kind and version."""
        ...

    def token_ids(self, row: GoldenRow) -> tuple[int, ...] | None:
        """How the server tokenises the row's text and first answer; None where it does not tell."""
        ...

    def scores(self, rows: Sequence[GoldenRow]) -> FloatArray:
        """Log-probabilities of the labels, nats, shape [rows, labels]."""
        ...

    def expected(self, scores: Sequence[float]) -> FloatArray:
        """What the server should answer where the toolkit's label scores are these, shape [labels]."""
        ...


class Certificate(BaseModel):
    """What was compared, and how it came out; written as `certificate.json`.

    Attributes:
        target: the export's target.
        server: kind and version; empty before anything was verified.
        date: UTC, ISO 8601.
        passed: whether the server answers as the toolkit does; None before anything was verified.
        broken: the broken link; None where it passed.
        reason: one paragraph.
        reason_zh: the same in Chinese; empty in certificates of earlier versions.
        rows: how many texts were compared.
        agreement: share of texts with the same final label.
        largest: largest difference of a label's log-probability, nats.
        mean: mean difference, nats.
        adapter_effect: mean difference that the adapter makes, nats; a check is worth nothing where it is near 0.
        tolerance: the limits that were applied.
        hashes: SHA-256 of the bundle's files by name.
        versions: of the libraries on the toolkit's side.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: str
    server: str = ""
    date: str
    passed: bool | None
    broken: Link | None = None
    reason: str
    reason_zh: str = ""
    rows: int = 0
    agreement: float = 0.0
    largest: float = 0.0
    mean: float = 0.0
    adapter_effect: float = 0.0
    tolerance: dict[str, float] = {}
    hashes: dict[str, str] = {}
    versions: dict[str, str] = {}

    def write(self, folder: Path) -> None:
        """Write `certificate.json`."""
        atomic_write_text(folder / CERTIFICATE, self.model_dump_json(indent=2) + "\n")


def certify(
    golden: Golden,
    served: Served,
    target: str,
    tolerance: Tolerance = FLOAT32,
    *,
    template_source: str | None = None,
    hashes: dict[str, str] | None = None,
) -> Certificate:
    """Replay the golden prompts on a server and compare.

    Args:
        golden: what transformers + peft answered.
        served: the server.
        target: the export's target, for the record.
        tolerance: what still counts as the same.
        template_source: the text of the template that clients of this server render; None takes the recorded one.
        hashes: of the bundle's files, for the record.

    Returns:
        The certificate, passed or not.

    Raises:
        ServerError: the server does not answer at all.
    """
    tuned = np.array([served.expected(row.tuned) for row in golden.rows])
    base = np.array([served.expected(row.base) for row in golden.rows])
    rescaled = {
        factor: np.array([served.expected(row.rescaled[factor]) for row in golden.rows])
        for factor in golden.rows[0].rescaled
    }
    fault = _template_fault(golden, template_source) or _token_fault(golden, served)
    found = served.scores(golden.rows)
    differences = np.abs(found - tuned)
    agreement = float(np.mean(found.argmax(axis=1) == tuned.argmax(axis=1)))
    fault = fault or _score_fault(found, tuned, base, rescaled, agreement, tolerance)
    link, reason = fault or (None, w.PASSED)
    return Certificate(
        target=target,
        server=served.server,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        passed=link is None,
        broken=link,
        reason=reason.en,
        reason_zh=reason.zh,
        rows=len(golden.rows),
        agreement=agreement,
        largest=float(differences.max()),
        mean=float(differences.mean()),
        adapter_effect=float(np.abs(tuned - base).mean()),
        tolerance={"largest": tolerance.largest, "mean": tolerance.mean, "agreement": tolerance.agreement},
        hashes=hashes or {},
        versions=golden.versions,
    )


def require(certificate: Certificate) -> None:
    """Raise a `CertificateError` where a certificate did not pass."""
    if not certificate.passed:
        raise CertificateError(
            f"The certificate failed: {certificate.broken}. {certificate.reason} Labels agree on "
            f"{certificate.agreement:.1%} of {certificate.rows} texts; log-probabilities differ by up to "
            f"{certificate.largest:.4f} nats, {certificate.mean:.4f} on average."
        )


Fault: TypeAlias = tuple[Link, Text]


def _template_fault(golden: Golden, source: str | None) -> Fault | None:
    if source is None or source == golden.template_source:
        return None
    at = shared_length(source, golden.template_source)
    return Link.TEMPLATE, w.OTHER_TEMPLATE.fill(
        template=golden.template, at=at, found=source[at : at + 20], expected=golden.template_source[at : at + 20]
    )


def _token_fault(golden: Golden, served: Served) -> Fault | None:
    for row in golden.rows:
        ids = served.token_ids(row)
        if ids is None or ids == row.ids:
            continue
        # One BOS more than the toolkit's single one, or one where the model was trained without.
        if ids[1:] == row.ids and (golden.bos is None or ids[0] == golden.bos):
            return Link.BOS, w.DOUBLED_BOS.fill(token=ids[0])
        at = shared_length(ids, row.ids)
        return Link.TOKENIZER, w.OTHER_TOKENS.fill(
            at=at, found=list(ids[at : at + 4]), expected=list(row.ids[at : at + 4])
        )
    return None


def _score_fault(
    found: FloatArray,
    tuned: FloatArray,
    base: FloatArray,
    rescaled: Mapping[float, FloatArray],
    agreement: float,
    tolerance: Tolerance,
) -> Fault | None:
    effect = tuned - base
    deviation = found - tuned
    near = np.abs(deviation).max() <= tolerance.largest and np.abs(deviation).mean() <= tolerance.mean
    if near and agreement >= tolerance.agreement:
        if np.abs(effect).max() <= tolerance.largest:
            return Link.ADAPTER_IGNORED, w.NO_EFFECT
        return None
    if np.abs(found - base).max() <= min(tolerance.largest, 0.25 * np.abs(effect).max()):
        return Link.ADAPTER_IGNORED, w.IGNORED
    for factor, answers in rescaled.items():
        if np.abs(found - answers).mean() < 0.5 * np.abs(deviation).mean():
            return Link.SCALE, w.OTHER_SCALE.fill(factor=factor)
    if np.corrcoef((found - base).ravel(), effect.ravel())[0, 1] >= 0.9:
        return Link.PRECISION, w.LESS_EXACT
    return Link.WEIGHTS, w.OTHER_WEIGHTS
