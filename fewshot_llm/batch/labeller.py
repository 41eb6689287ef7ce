"""`Labeller`: what a batch job needs from a classifier, and no more."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from fewshot_llm.batch.drift import SupportProfile
from fewshot_llm.data import Example, SupportSet
from fewshot_llm.estimators.base import as_examples
from fewshot_llm.estimators.classifier import FewShotClassifier
from fewshot_llm.predictors.out_of_fold import DrawEvidence
from fewshot_llm.predictors.prompted import Inference
from fewshot_llm.prompting.builder import PromptBuilder
from fewshot_llm.types import Progress

__all__ = [
    "DIGITS",
    "Answer",
    "ClassifierLabeller",
    "Labeller",
    "PromptRuler",
    "Rendered",
    "Ruler",
    "SavedClassifier",
    "combine",
    "rounded",
    "support_profile",
]


DIGITS = 6
"""Decimals of every probability in the output: float32 scores hold no more."""


@dataclass(frozen=True)
class Rendered:
    """One query as the model will see it.

    Attributes:
        key: fingerprint of everything that is scored for it; equal keys have equal answers.
        query: the query itself.
    """

    key: str
    query: Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """The answer to one query.

    Attributes:
        label: the most probable label.
        probabilities: of every label, in label order.
        margin: best minus second best probability.
        abstained: the classifier calls it too unsure to be used.
        reason: why; `None` where it may be used.
    """

    label: str
    probabilities: Mapping[str, float]
    margin: float
    abstained: bool = False
    reason: str | None = None


class Ruler(Protocol):
    """Measures texts in the model's tokens."""

    @property
    def room(self) -> int:
        """How many tokens of query text fit beside the demonstrations."""
        ...

    @property
    def room_alone(self) -> int:
        """How many fit when demonstrations are left out for it."""
        ...

    @property
    def shared(self) -> int:
        """How many tokens a prompt has besides its query: instruction and demonstrations."""
        ...

    def spans(self, text: str) -> Sequence[tuple[int, int]]:
        """Beginning and end of each token of a text, in characters."""
        ...


class Labeller(Protocol):
    """Something that labels texts: a fitted classifier, or a stand-in for it."""

    @property
    def labels(self) -> tuple[str, ...]:
        """In the order of `Answer.probabilities`."""
        ...

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of a query."""
        ...

    @property
    def optional_fields(self) -> tuple[str, ...]:
        """Those of `fields` that a row may lack."""
        ...

    @property
    def fingerprint(self) -> Mapping[str, str]:
        """Everything that may change an answer, by name: model, adapter, template, calibration, dtype and more."""
        ...

    @property
    def ruler(self) -> Ruler:
        """Measures texts."""
        ...

    def render(self, queries: Sequence[Mapping[str, str]]) -> list[Rendered]:
        """Renders some queries, in order."""
        ...

    def answer(self, rendered: Sequence[Rendered], progress: Progress | None = None) -> list[Answer]:
        """The answers, in order."""
        ...


def rounded(answer: Answer) -> Answer:
    """The answer as it is stored: probabilities and margin to `DIGITS` decimals; the label stays.

    >>> rounded(Answer("a", {"a": 0.71234567, "b": 0.28765433}, 0.42469134)).margin
    0.424691
    """
    probabilities = {label: round(float(value), DIGITS) for label, value in answer.probabilities.items()}
    return Answer(answer.label, probabilities, round(float(answer.margin), DIGITS), answer.abstained, answer.reason)


def combine(answers: Sequence[Answer]) -> Answer:
    """One answer from those of a long text's chunks: mean probabilities; abstained if most chunks are.

    >>> combine([Answer("a", {"a": 0.9, "b": 0.1}, 0.8), Answer("b", {"a": 0.3, "b": 0.7}, 0.4)]).label
    'a'
    """
    if len(answers) == 1:
        return answers[0]
    labels = list(answers[0].probabilities)
    mean = {label: sum(answer.probabilities[label] for answer in answers) / len(answers) for label in labels}
    ranked = sorted(mean.values(), reverse=True)
    best = max(labels, key=lambda label: mean[label])
    margin = ranked[0] - ranked[1] if len(ranked) > 1 else 1.0
    abstained = 2 * sum(answer.abstained for answer in answers) > len(answers)
    reason = next((answer.reason for answer in answers if answer.abstained), None) if abstained else None
    return rounded(Answer(best, mean, margin, abstained, reason))


@dataclass(frozen=True, eq=False)
class PromptRuler:
    """Measures texts with the tokenizer that the prompts are built for.

    Without a tokenizer (a server that tokenises itself) every text fits here, and a character counts as a token.

    Attributes:
        builder: makes the prompts.
        support: the rows that demonstrations come from.
    """

    builder: PromptBuilder
    support: SupportSet

    @cached_property
    def shared(self) -> int:
        """Tokens of a prompt with its longest answer, less its query."""
        return self._around(self.builder)

    @property
    def room(self) -> int:
        """Tokens of query text that fit beside the demonstrations."""
        return self._limit - self.shared

    @cached_property
    def room_alone(self) -> int:
        """Tokens of query text that fit when no demonstration does."""
        return self._limit - self._around(replace(self.builder, shots=0))

    def spans(self, text: str) -> Sequence[tuple[int, int]]:
        """Beginning and end of each token, in characters."""
        if self.builder.tokenizer is None:
            return [(index, index + 1) for index in range(len(text))]
        core = self.builder.tokenizer.backend_tokenizer
        spans: Sequence[tuple[int, int]] = core.encode(text, add_special_tokens=False).offsets
        return spans

    @property
    def _limit(self) -> int:
        return sys.maxsize if self.builder.token_limit is None else self.builder.token_limit

    def _around(self, builder: PromptBuilder) -> int:
        """Two tokens too many at most: the one-letter query, and what merges with it."""
        prompt = builder.build(Example(dict.fromkeys(builder.task.fields, "x")), self.support)
        longest = max(prompt.answers, key=lambda answer: len(self.spans(answer)))
        return 1 + len(self.spans(prompt.text + longest + prompt.closing))


@dataclass(frozen=True, eq=False)
class ClassifierLabeller:
    """Renders and answers with a fitted classifier.

    Attributes:
        classifier: after `fit`.
    """

    classifier: FewShotClassifier

    @property
    def labels(self) -> tuple[str, ...]:
        """The task's labels, in its order."""
        return self._inference.builder.labels

    @property
    def fields(self) -> tuple[str, ...]:
        """The task's fields."""
        return self._inference.builder.task.fields

    @property
    def optional_fields(self) -> tuple[str, ...]:
        """Those that a row may lack."""
        return self._inference.builder.task.optional_fields

    @cached_property
    def fingerprint(self) -> Mapping[str, str]:
        """Model, prompt, support rows, calibration and how many tokens are computed at once.

        Calibrations are named to two decimals: their last digits may differ with the number of threads.
        """
        inference = self._inference
        scorer: Any = inference.scorer
        parts = {
            "model": scorer.fingerprint,
            "template": inference.builder.template.name,
            "prompt": inference.builder.fingerprint[:16],
            "support": inference.support.fingerprint[:16],
            "normalisation": repr(inference.normalisation),
            "calibrations": "; ".join(
                f"{one.method} bias {[round(bias, 2) for bias in one.bias]} temperature {one.temperature:.2f}"
                for one in self.classifier.calibrations_
            ),
        }
        if hasattr(self.classifier, "policy_"):
            parts["policy"] = self.classifier.policy_.fingerprint
        # A float result depends in its last digits on the batch it is computed in.
        batch_tokens = getattr(scorer, "batch_tokens", None)
        return parts if batch_tokens is None else {**parts, "batch_tokens": str(batch_tokens)}

    @cached_property
    def ruler(self) -> PromptRuler:
        """Measures texts for this classifier's prompts."""
        return PromptRuler(self._inference.builder, self._inference.support)

    def render(self, queries: Sequence[Mapping[str, str]]) -> list[Rendered]:
        """Keys of the queries: the fingerprint of the prompt, or of the prompts of all draws."""
        examples = as_examples([dict(query) for query in queries], self._inference.builder.task)
        draws = range(len(self.classifier.calibrations_))
        prompts = [self._inference.prompts(examples, draw) for draw in draws]
        keys = ["".join(prompt.fingerprint for prompt in one) for one in zip(*prompts, strict=True)]
        if len(draws) > 1:
            keys = [hashlib.sha256(key.encode()).hexdigest() for key in keys]
        return [Rendered(key, query) for key, query in zip(keys, queries, strict=True)]

    def answer(self, rendered: Sequence[Rendered], progress: Progress | None = None) -> list[Answer]:
        """The classifier's predictions."""
        predictions = self.classifier.predictions([dict(one.query) for one in rendered], progress)
        return [Answer(p.label or "", p.probabilities, p.margin, p.abstained, p.reason) for p in predictions]

    @property
    def _inference(self) -> Inference:
        return self.classifier.predictor_.inference


@dataclass(frozen=True)
class SavedClassifier:
    """Makes the labeller from a saved classifier or adapter folder; picklable, for the actors of a cluster.

    Attributes:
        folder: as `FewShotClassifier.save` or training wrote it; readable where it is called.
        device: where to run; by default the fastest present.
        dtype: the weights' number format.
        model: what the user typed, in place of the recorded one; may be a server's address.
        allow_download: fetch the recorded model on a machine that lacks it.
        insecure: allow that the key goes in clear to another machine.
    """

    folder: Path
    device: str | None = None
    dtype: str | None = None
    model: str | None = None
    allow_download: bool = False
    insecure: bool = False

    def __call__(self) -> ClassifierLabeller:
        """Load it."""
        return ClassifierLabeller(
            FewShotClassifier.load(
                self.folder,
                model=self.model,
                device=self.device,
                dtype=self.dtype,
                allow_download=self.allow_download,
                insecure=self.insecure,
            )
        )


def support_profile(classifier: FewShotClassifier) -> SupportProfile:
    """What the support set looks like to the classifier; its margins are measured out of fold, at model time."""
    predictor = classifier.predictor_
    support = predictor.inference.support
    counts = {label: len(rows) for label, rows in support.by_label().items()}
    scores, _ = DrawEvidence(predictor.inference, 0).held_out()
    if not len(scores) or len(counts) < 2:
        return SupportProfile(counts)
    ranked = np.sort(predictor.calibrations[0].probabilities(scores), axis=1)
    return SupportProfile(counts, float((ranked[:, -1] - ranked[:, -2]).mean()))
