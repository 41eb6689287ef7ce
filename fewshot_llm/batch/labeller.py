"""`Labeller`: what a batch job needs from a classifier, and no more."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np

from fewshot_llm.batch.drift import SupportProfile
from fewshot_llm.data import Example, SupportSet
from fewshot_llm.estimators.base import as_examples
from fewshot_llm.estimators.classifier import FewShotClassifier
from fewshot_llm.predictors.base import Predictor, fingerprints_of
from fewshot_llm.predictors.out_of_fold import DrawEvidence
from fewshot_llm.predictors.prompted import PromptedPredictor, prompted_in
from fewshot_llm.prompting.builder import PromptBuilder
from fewshot_llm.scoring.base import Scorer
from fewshot_llm.types import FloatArray, Progress

__all__ = [
    "DIGITS",
    "Answer",
    "ClassifierLabeller",
    "Labeller",
    "PromptRuler",
    "Rendered",
    "Ruler",
    "SavedClassifier",
    "TextRuler",
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


@dataclass(frozen=True)
class TextRuler:
    """For what reads texts without a prompt: every one fits, and a character counts as a token.

    An encoder, and a model whose hidden states are read, cut a long text themselves.
    """

    room: ClassVar[int] = sys.maxsize
    room_alone: ClassVar[int] = sys.maxsize
    shared: ClassVar[int] = 0

    def spans(self, text: str) -> Sequence[tuple[int, int]]:
        """Beginning and end of each character."""
        return [(index, index + 1) for index in range(len(text))]


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
        return self.classifier.labels_

    @property
    def fields(self) -> tuple[str, ...]:
        """The task's fields."""
        return self.classifier.task_.fields

    @property
    def optional_fields(self) -> tuple[str, ...]:
        """Those that a row may lack."""
        return self.classifier.task_.optional_fields

    @cached_property
    def fingerprint(self) -> Mapping[str, str]:
        """Of a prompt: model, prompt, support rows, calibration. Else what answers, as one hash.

        A prompt's calibrations are named to two decimals: their last digits may differ with the number of threads.
        """
        predictor, scorer = self.classifier.predictor_, self._scorer
        if isinstance(predictor, PromptedPredictor):
            parts = _prompt_parts(predictor)
        else:
            parts = {"predictor": predictor.fingerprint, "support": self.classifier.support_.fingerprint[:16]}
            if hasattr(self.classifier, "decision_"):
                parts["rung"] = self.classifier.decision_.rung
        if hasattr(self.classifier, "policy_"):
            parts["policy"] = self.classifier.policy_.fingerprint
        # A float result depends in its last digits on the batch it is computed in.
        batch_tokens = getattr(scorer, "batch_tokens", None)
        return parts if batch_tokens is None else {**parts, "batch_tokens": str(batch_tokens)}

    @cached_property
    def ruler(self) -> Ruler:
        """Measures texts for this classifier's prompts, where it asks some."""
        asked = prompted_in(self.classifier.predictor_)
        return TextRuler() if asked is None else PromptRuler(asked.inference.builder, asked.inference.support)

    def render(self, queries: Sequence[Mapping[str, str]]) -> list[Rendered]:
        """Keys of the queries: of a prompt its fingerprint, else that of the text and of what answers."""
        examples = as_examples([dict(query) for query in queries], self.classifier.task_)
        keys = _keys(self.classifier.predictor_, examples)
        return [Rendered(key, query) for key, query in zip(keys, queries, strict=True)]

    def answer(self, rendered: Sequence[Rendered], progress: Progress | None = None) -> list[Answer]:
        """The classifier's predictions."""
        predictions = self.classifier.predictions([dict(one.query) for one in rendered], progress)
        return [Answer(p.label or "", p.probabilities, p.margin, p.abstained, p.reason) for p in predictions]

    @property
    def _scorer(self) -> Scorer | None:
        asked = prompted_in(self.classifier.predictor_)
        return None if asked is None else asked.inference.scorer


def _prompt_parts(predictor: PromptedPredictor) -> dict[str, str]:
    inference = predictor.inference
    return {
        "model": inference.scorer.fingerprint,
        "template": inference.builder.template.name,
        "prompt": inference.builder.fingerprint[:16],
        "support": inference.support.fingerprint[:16],
        "normalisation": repr(inference.normalisation),
        "calibrations": "; ".join(
            f"{one.method} bias {[round(bias, 2) for bias in one.bias]} temperature {one.temperature:.2f}"
            for one in predictor.calibrations
        ),
    }


def _keys(predictor: Predictor, queries: Sequence[Example]) -> Sequence[str]:
    """The fingerprints that `predictor.answer` gives, without answering; a prompt that cannot be built says so."""
    if isinstance(predictor, PromptedPredictor):
        parts = [
            [prompt.fingerprint for prompt in predictor.inference.prompts(queries, draw)]
            for draw in range(len(predictor.calibrations))
        ]
        if len(parts) == 1:
            return parts[0]
    elif predictor.members == (predictor,):
        return fingerprints_of(predictor, queries)
    else:
        parts = [list(_keys(member, queries)) for member in predictor.members]
    return [hashlib.sha256("".join(one).encode()).hexdigest() for one in zip(*parts, strict=True)]


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
    """What the support set looks like to the classifier.

    Its margins are those of answers out of fold: the ladder's where they are kept, else a prompt's, at model time.
    """
    counts = {label: len(rows) for label, rows in classifier.support_.by_label().items()}
    answers = _out_of_fold(classifier)
    if answers is None or not len(answers) or len(counts) < 2:
        return SupportProfile(counts)
    ranked = np.sort(answers, axis=1)
    return SupportProfile(counts, float((ranked[:, -1] - ranked[:, -2]).mean()))


def _out_of_fold(classifier: FewShotClassifier) -> FloatArray | None:
    """Probabilities of the support rows by what had not seen them, shape [rows, labels]; None where nobody knows."""
    predictor = classifier.predictor_
    if hasattr(classifier, "out_of_fold_"):
        return np.exp(classifier.out_of_fold_)
    if not isinstance(predictor, PromptedPredictor):
        return None
    scores, _ = DrawEvidence(predictor.inference, 0).held_out()
    return predictor.calibrations[0].probabilities(scores) if len(scores) else None
