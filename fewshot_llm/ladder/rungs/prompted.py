"""Rungs without training: demonstrations, score and language of the prompt, chosen by nested cross-validation."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any, ClassVar

import numpy as np

from fewshot_llm.errors import TemplateError
from fewshot_llm.ladder.base import Candidate, Climb, Rung, Skipped
from fewshot_llm.ladder.evidence import label_evidence
from fewshot_llm.predictors.out_of_fold import score_held_out
from fewshot_llm.predictors.prompted import Inference, NormalisationName, PromptedPredictor, as_normalisation
from fewshot_llm.prompting.builder import Prompt, bytes_to_read
from fewshot_llm.prompting.selection import Balanced, Nearest, Selection
from fewshot_llm.prompting.template import load_template
from fewshot_llm.scoring.base import LabelScores, Scorer, TopLabels, local_model
from fewshot_llm.scoring.head import causal_network
from fewshot_llm.scoring.passes import body_flops
from fewshot_llm.stats.calibration import Calibration, fit_bias_temperature, identity, nested_choice
from fewshot_llm.types import FloatArray, IntArray, Progress, Text

__all__ = [
    "Calibrated",
    "InContext",
    "PromptSetting",
    "PromptedCandidate",
    "RememberingScorer",
    "ScoredSetting",
    "ZeroShot",
    "allowed_search",
    "candidate_settings",
    "languages_to_try",
    "score_settings",
    "with_setting",
]

MOST_DEMONSTRATIONS = 128
"""Longer prompts cost more than a LoRA training on the same rows."""

SHOTS = (1, 4)
NEAREST = (4,)
"""Other numbers, the mean per token and earlier versions of templates were tried for long, and hardly ever decided."""

MOST_READ = "en"
"""The language of which most models have read most: its label words may work better on texts in any language.

On 200 Chinese reviews that no figure is reported on, gemma3-270m ranks with an AUC of .93 when it is asked in English,
and of .86 in Chinese (two support sets, four demonstrations of each class).
"""

IN_CONTEXT_WORK = 6e13
"""For trying settings without training in one language, where no budget is given: bytes that the model reads times
floating-point operations per token.

One to two minutes on two cores, but not by the clock: the same rows lead to the same decision on a slower machine. For
two labels with 16 rows each, and 100 million parameters in the model's layers, that is every setting.
"""

ACCELERATED = 50
"""How many times as much is allowed where the model is on an accelerator."""

IN_CONTEXT_SECONDS = 120.0
"""For the same where the model runs elsewhere and its size is not known."""

IN_CONTEXT_SHARE = 0.3
"""For trying them all, as a share of a given budget."""

FOLDS = 5
"""Of the estimates on scores that are out of fold already; costs no model time."""

NOTHING_HELD_OUT = Text(
    "no way of showing demonstrations leaves every row held out", "没有一种示例设置能让每条样例都被留出"
)

NORMALISATIONS: tuple[NormalisationName, ...] = ("sum", "pmi")


@dataclass(frozen=True)
class PromptSetting:
    """One way to show demonstrations and to read scores.

    Attributes:
        shots: as `PromptBuilder.shots`.
        selection: which demonstrations.
        normalisation: which score of a label is compared.
        language: of the prompt around the texts, and of the label words; None for the one that the inference has.
    """

    shots: int
    selection: Selection
    normalisation: NormalisationName = "sum"
    language: str | None = None

    def describe(self) -> dict[str, Any]:
        """As plain values, for a record."""
        return {
            "shots": self.shots,
            "selection": repr(self.selection),
            "normalisation": self.normalisation,
            "language": self.language,
        }


@dataclass(frozen=True)
class ScoredSetting:
    """A setting's out-of-fold scores of all support rows.

    Attributes:
        setting: which one.
        scores: nats, shape [support rows, labels].
        targets: true label positions, shape [support rows].
        seconds_per_1000: what asking 1,000 rows costs.
    """

    setting: PromptSetting
    scores: FloatArray
    targets: IntArray
    seconds_per_1000: float


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


def with_setting(inference: Inference, setting: PromptSetting) -> Inference:
    """The same inference under another setting."""
    inference = _in_language(inference, setting.language)
    builder = inference.builder
    return replace(
        inference,
        builder=replace(builder, shots=setting.shots, selection=setting.selection),
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


def candidate_settings(inference: Inference) -> Iterator[PromptSetting]:
    """Settings worth trying, from the cheapest up.

    The inference's own setting is among them; so are those of `languages_to_try`, in turn.
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
                yield PromptSetting(shots, selection, normalisation, language=language)


def score_settings(
    inference: Inference,
    settings: Iterable[PromptSetting],
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
    costs: dict[PromptSetting, float] = {}
    for setting in settings:
        late = time.perf_counter() - started > seconds_allowed
        if scored and (late or remembering.bytes_read > bytes_allowed):
            break
        before = time.perf_counter()
        found = score_held_out(with_setting(inference, setting))
        spent = time.perf_counter() - before
        # What is read off scores that are known already costs as much as scoring them did.
        cost = costs.setdefault(replace(setting, normalisation="sum"), 1000 * spent / max(1, len(found.rows)))
        if np.array_equal(found.rows, np.arange(len(inference.support))):
            scored.append(ScoredSetting(setting, found.scores, found.targets, cost))
    return scored


@dataclass(frozen=True)
class PromptedCandidate(Candidate):
    """A prompt that was chosen, with the scores of all that were tried.

    Attributes:
        setting: the one that is kept.
        tried: all that were scored, from the cheapest up.
    """

    setting: PromptSetting
    tried: tuple[ScoredSetting, ...] = field(repr=False)


@dataclass(frozen=True)
class ZeroShot(Rung):
    """No demonstrations, probabilities as they are."""

    name: ClassVar[str] = "zero-shot"
    title: ClassVar[Text] = Text("zero-shot", "零样本")

    def propose(self, climb: Climb) -> Candidate | Skipped:
        """Score the rows without demonstrations."""
        started, setting = time.perf_counter(), PromptSetting(0, Balanced())
        found = score_settings(climb.inference, [setting])[0]
        calibration = identity(found.scores.shape[1])
        return _candidate(self, climb, started, setting, [found], calibration.log_probabilities(found.scores), {})


@dataclass(frozen=True)
class InContext(Rung):
    """Demonstrations; which, how many and in which language is chosen by nested cross-validation.

    Attributes:
        search: whether other demonstrations are tried; else those that would be served without a ladder are shown.
    """

    name: ClassVar[str] = "in-context"
    title: ClassVar[Text] = Text("in-context", "上下文示例")
    search: bool = True

    def propose(self, climb: Climb) -> Candidate | Skipped:
        """Try settings until time or reading is used up."""
        started, allowed = time.perf_counter(), allowed_search(climb) if self.search else {}
        settings = candidate_settings(climb.inference) if self.search else own_settings(climb.inference)
        scored = score_settings(climb.inference, settings, **allowed)
        if not scored:
            return Skipped(NOTHING_HELD_OUT)
        return _best(self, climb, started, scored, allowed)


@dataclass(frozen=True)
class Calibrated(Rung):
    """The demonstrations' scores with a bias per label and a temperature, fitted out of fold.

    Where no rung below has shown demonstrations, it shows those that would be served without a ladder.
    """

    name: ClassVar[str] = "calibrated"
    title: ClassVar[Text] = Text("calibrated", "校准后的上下文示例")
    reads: ClassVar[tuple[str, ...]] = (InContext.name,)

    def propose(self, climb: Climb) -> Candidate | Skipped:
        """Choose among the same scores, calibrated."""
        started = time.perf_counter()
        shown = [
            one for one in climb.candidates if isinstance(one, PromptedCandidate) and one.evidence.rung in self.reads
        ]
        tried = shown[-1].tried if shown else score_settings(climb.inference, own_settings(climb.inference))
        if not tried:
            return Skipped(NOTHING_HELD_OUT)
        return _best(self, climb, started, tried, {}, fit_bias_temperature)


def own_settings(inference: Inference) -> Iterator[PromptSetting]:
    """The demonstrations that an inference shows, in the languages of `languages_to_try`."""
    builder = inference.builder
    for language in languages_to_try(inference):
        for normalisation in NORMALISATIONS:
            yield PromptSetting(builder.shots, builder.selection, normalisation, language=language)


def allowed_search(climb: Climb) -> dict[str, float]:
    """For trying settings: a share of the budget; without one, an amount of reading that no clock decides."""
    left = climb.seconds_left
    if left is not None:
        return {"seconds_allowed": left * IN_CONTEXT_SHARE}
    languages = len(languages_to_try(climb.inference))
    model = local_model(climb.inference.scorer)
    if model is None:
        return {"seconds_allowed": IN_CONTEXT_SECONDS * languages}
    work = IN_CONTEXT_WORK * (1 if model.device.type == "cpu" else ACCELERATED)
    return {"bytes_allowed": round(work * languages / body_flops(causal_network(model.model)))}


def _best(
    rung: Rung,
    climb: Climb,
    started: float,
    scored: Sequence[ScoredSetting],
    facts: dict[str, Any],
    calibrate: Callable[[FloatArray, IntArray], Calibration] | None = None,
) -> PromptedCandidate:
    how = {} if calibrate is None else {"calibrate": calibrate}
    targets = scored[0].targets
    best, estimate = nested_choice([found.scores for found in scored], targets, climb.folds(FOLDS), **how)
    facts = {"settings_tried": len(scored), **facts}
    return _candidate(rung, climb, started, scored[best].setting, scored, estimate, facts, calibrate)


def _candidate(
    rung: Rung,
    climb: Climb,
    started: float,
    setting: PromptSetting,
    scored: Sequence[ScoredSetting],
    estimate: FloatArray,
    facts: dict[str, Any],
    calibrate: Callable[[FloatArray, IntArray], Calibration] | None = None,
) -> PromptedCandidate:
    """A candidate that answers under a setting; `calibrate` is fitted on the setting's out-of-fold scores."""
    inference = climb.inference
    targets = scored[0].targets
    language = setting.language or inference.builder.language
    evidence = label_evidence(
        rung.name,
        range(len(targets)),
        targets,
        estimate,
        time.perf_counter() - started,
        title=rung.title,
        settings={**setting.describe(), "language": language, **facts},
        seed=climb.seed,
        seconds_per_1000=next(found.seconds_per_1000 for found in scored if found.setting == setting),
    )

    def build() -> PromptedPredictor:
        calibration = identity(estimate.shape[1])
        if calibrate is not None:
            found = next(one for one in scored if one.setting == setting)
            calibration = calibrate(found.scores, found.targets)
        return PromptedPredictor(with_setting(inference, setting), (calibration,))

    return PromptedCandidate(evidence, estimate, build, setting, tuple(scored))
