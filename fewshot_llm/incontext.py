"""The rungs without training: demonstrations, score and language of the prompt, chosen by nested cross-validation."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any

import numpy as np

from fewshot_llm.calibration import IntArray
from fewshot_llm.errors import TemplateError
from fewshot_llm.estimators.inference import Inference
from fewshot_llm.estimators.out_of_fold import score_held_out
from fewshot_llm.normalisation import NormalisationName, as_normalisation
from fewshot_llm.prompting.prompt import Prompt
from fewshot_llm.prompting.reading import bytes_to_read
from fewshot_llm.prompting.selection import Balanced, Selection
from fewshot_llm.prompting.similarity import Nearest
from fewshot_llm.prompting.template import load_template
from fewshot_llm.scoring.base import FloatArray, LabelScores, Progress, Scorer, TopLabels

__all__ = [
    "RememberingScorer",
    "ScoredSetting",
    "Setting",
    "candidate_settings",
    "languages_to_try",
    "score_settings",
    "with_setting",
]

MOST_DEMONSTRATIONS = 128
"""Longer prompts cost more than a LoRA training on the same rows."""

SHOTS = (1, 2, 4, 8)
NEAREST = (4, 8)
MOST_READ = "en"
"""The language of which most models have read most: its label words may work better on texts in any language.

On 200 Chinese reviews that no figure is reported on, gemma3-270m ranks with an AUC of .93 when it is asked in English,
and of .86 in Chinese (two support sets, four demonstrations of each class).
"""

NORMALISATIONS: tuple[NormalisationName, ...] = ("sum", "mean", "pmi")


@dataclass(frozen=True)
class Setting:
    """One way to show demonstrations and to read scores.

    Attributes:
        shots: as `PromptBuilder.shots`.
        selection: which demonstrations.
        normalisation: which score of a label is compared.
        template_version: of the task's template; None for the one that the inference has.
        language: of the prompt around the texts, and of the label words; None for the one that the inference has.
    """

    shots: int
    selection: Selection
    normalisation: NormalisationName = "sum"
    template_version: int | None = None
    language: str | None = None

    def describe(self) -> dict[str, Any]:
        """As plain values, for a record."""
        return {
            "shots": self.shots,
            "selection": repr(self.selection),
            "normalisation": self.normalisation,
            "template_version": self.template_version,
            "language": self.language,
        }


@dataclass(frozen=True)
class ScoredSetting:
    """A setting's out-of-fold scores of all support rows.

    Attributes:
        setting: which one.
        scores: nats, shape [support rows, labels].
        targets: true label positions, shape [support rows].
    """

    setting: Setting
    scores: FloatArray
    targets: IntArray


class RememberingScorer:
    """A scorer that scores each prompt once: three ways of reading the same scores cost one pass.

    Attributes:
        scorer: the inner scorer.
        bytes_read: what that one has read; see `bytes_to_read`.
    """

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer
        self.bytes_read = 0
        self._known: dict[str, LabelScores] = {}

    @property
    def fingerprint(self) -> str:
        """The inner scorer's."""
        return self.scorer.fingerprint

    def log_probs(self, prompts: Sequence[Prompt], progress: Progress | None = None) -> list[LabelScores]:
        """See `Scorer.log_probs`."""
        names = [prompt.fingerprint for prompt in prompts]
        new = {name: prompt for name, prompt in zip(names, prompts, strict=True) if name not in self._known}
        asked = list(new.values())
        found = self.scorer.log_probs(asked, progress) if asked else []
        self.bytes_read += bytes_to_read(asked)
        self._known.update(zip(new, found, strict=True))
        return [self._known[name] for name in names]

    def best(
        self,
        prompts: Sequence[Prompt],
        k: int = 1,
        progress: Progress | None = None,
        offsets: Sequence[float] | None = None,
    ) -> list[TopLabels]:
        """See `Scorer.best`; not remembered."""
        return self.scorer.best(prompts, k, progress, offsets)


def with_setting(inference: Inference, setting: Setting) -> Inference:
    """The same inference under another setting."""
    inference = _in_language(inference, setting.language)
    builder = inference.builder
    template = builder.template
    if setting.template_version not in (None, template.version):
        template = load_template(builder.task, builder.language, setting.template_version)
    return replace(
        inference,
        builder=replace(builder, shots=setting.shots, selection=setting.selection, template=template),
        normalisation=as_normalisation(setting.normalisation),
    )


def _in_language(inference: Inference, language: str | None) -> Inference:
    """The same inference, asking in another of the task's languages; None changes nothing.

    Raises:
        TemplateError: the task has no template in that language.
        TaskError: the task does not speak it.
    """
    builder = inference.builder
    if language in (None, builder.language):
        return inference
    template = load_template(builder.task, language)
    return replace(inference, builder=replace(builder, language=language, template=template))


def languages_to_try(inference: Inference) -> list[str | None]:
    """The inference's own language (None), and English where the task has it as well.

    A template of the user's own is asked in nothing else, and neither is a prompt with a defence, which is made for one
    language's wording.
    """
    builder = inference.builder
    if builder.language == MOST_READ or MOST_READ not in builder.task.languages or builder.defence is not None:
        return [None]
    try:
        newest = load_template(builder.task, builder.language)
        load_template(builder.task, MOST_READ)
    except TemplateError:
        return [None]
    return [None, MOST_READ] if newest == builder.template else [None]


def candidate_settings(inference: Inference) -> Iterator[Setting]:
    """Settings worth trying, from the cheapest up.

    The inference's own setting is among them; so are those of `languages_to_try`, in turn, and earlier versions of its
    template.
    """
    builder, support = inference.builder, inference.support
    classes = len(builder.labels)
    rarest = min(len(rows) for rows in support.by_label().values())
    # Out of fold a class has a row less to show.
    balanced = [k for k in SHOTS if k < max(rarest, 2) and k * classes <= MOST_DEMONSTRATIONS]
    shown: list[tuple[int, Selection]] = [(k, Balanced()) for k in balanced]
    shown += [(k, Nearest()) for k in NEAREST if k < len(support) - 1]
    own = (builder.shots, builder.selection)
    if builder.shots and own not in shown:
        shown.append(own)
    asked = languages_to_try(inference)
    for shots, selection in shown:
        for language in asked:
            for normalisation in NORMALISATIONS:
                yield Setting(shots, selection, normalisation, language=language)
    for version in _other_versions(inference):
        for shots, selection in shown:
            for normalisation in NORMALISATIONS:
                yield Setting(shots, selection, normalisation, version)


def _other_versions(inference: Inference) -> list[int]:
    builder = inference.builder
    found = []
    for version in range(builder.template.version - 1, 0, -1):
        try:
            earlier = load_template(builder.task, builder.language, version)
        except TemplateError:
            continue
        if earlier.name.rpartition(".v")[0] == builder.template.name.rpartition(".v")[0]:
            found.append(version)
    return found


def score_settings(
    inference: Inference,
    settings: Iterable[Setting],
    *,
    seconds_allowed: float = inf,
    bytes_allowed: float = inf,
) -> list[ScoredSetting]:
    """Out-of-fold scores of settings, until time or reading is used up; the first is always scored.

    A setting under which a row cannot be held out is left out: all are compared on all rows.

    Args:
        inference: what will be served; only its setting is changed.
        settings: from the cheapest up.
        seconds_allowed: no further setting is begun after it. How many are tried then depends on the machine.
        bytes_allowed: no further setting is begun once the model has read so much; see `bytes_to_read`. How many are
            tried then depends on the rows alone.
    """
    started = time.perf_counter()
    remembering = RememberingScorer(inference.scorer)
    inference = replace(inference, scorer=remembering)
    scored: list[ScoredSetting] = []
    for setting in settings:
        late = time.perf_counter() - started > seconds_allowed
        if scored and (late or remembering.bytes_read > bytes_allowed):
            break
        found = score_held_out(with_setting(inference, setting))
        if np.array_equal(found.rows, np.arange(len(inference.support))):
            scored.append(ScoredSetting(setting, found.scores, found.targets))
    return scored
