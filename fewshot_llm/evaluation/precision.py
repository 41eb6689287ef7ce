"""Another number format only where the user's own labelled rows say that it costs nothing.

Narrower formats are faster on hardware that has instructions for them, and change scores: measured with int8 layers,
3 of 8 best tokens were other ones. So the support rows are scored out of fold in float32 and in the other format, and
the format is refused where it gets more than a hundredth of them wrong that float32 gets right.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone

from fewshot_llm.errors import ScoringError
from fewshot_llm.predictors.build import assemble
from fewshot_llm.predictors.out_of_fold import score_held_out
from fewshot_llm.stats.calibration import fit_bias_temperature

if TYPE_CHECKING:
    from fewshot_llm.data import SupportSet
    from fewshot_llm.estimators.classifier import FewShotClassifier
    from fewshot_llm.models.load import LanguageModel

__all__ = ["ALLOWED_LOSS", "PrecisionEvidence", "check_precision", "measure_precision"]

ALLOWED_LOSS = 0.01
"""How much out-of-fold accuracy a faster format may cost."""


@dataclass(frozen=True)
class PrecisionEvidence:
    """The same support rows in two number formats.

    Attributes:
        dtype: the other format.
        rows: how many rows were scored out of fold.
        accuracy: in the other format.
        exact_accuracy: in float32.
        agreement: share of rows with the same label in both.
        speed: float32's seconds for each second of the other format.

    >>> PrecisionEvidence("bfloat16", 32, 0.90625, 0.9375, 0.97, 2.0).allowed
    False
    """

    dtype: str
    rows: int
    accuracy: float
    exact_accuracy: float
    agreement: float
    speed: float

    @property
    def allowed(self) -> bool:
        """Whether the loss is at most `ALLOWED_LOSS`."""
        return self.exact_accuracy - self.accuracy <= ALLOWED_LOSS

    def to_json(self) -> dict[str, Any]:
        """All figures, for a result file."""
        return asdict(self)


def measure_precision(classifier: FewShotClassifier, other: LanguageModel, support: SupportSet) -> PrecisionEvidence:
    """Score the support rows out of fold with the classifier's own model and with the same model in another format.

    Args:
        classifier: not fitted; its model is a `LanguageModel` in float32.
        other: the same weights in the other format.
        support: the labelled rows.

    Raises:
        ScoringError: no row can be scored out of fold.
    """
    labels, targets, seconds = [], np.empty(0, dtype=np.int64), []
    for model in (classifier.model, other):
        inference = assemble(clone(classifier).set_params(model=model), support)
        began = perf_counter()
        found = score_held_out(inference)
        seconds.append(perf_counter() - began)
        if not len(found.targets):
            raise ScoringError(
                "A number format is compared with float32 on labelled rows that their prompt does not show, and this "
                "support set leaves none. Give at least two rows per class, or leave --precision out."
            )
        targets = found.targets
        calibrated = fit_bias_temperature(found.scores, targets).log_probabilities(found.scores)
        labels.append(calibrated.argmax(axis=1))
    exact, narrow = labels
    return PrecisionEvidence(
        dtype=str(other.dtype).removeprefix("torch."),
        rows=len(targets),
        accuracy=float((narrow == targets).mean()),
        exact_accuracy=float((exact == targets).mean()),
        agreement=float((narrow == exact).mean()),
        speed=seconds[0] / seconds[1],
    )


def check_precision(classifier: FewShotClassifier, other: LanguageModel, support: SupportSet) -> PrecisionEvidence:
    """As `measure_precision`, and refuses a format that costs accuracy.

    Raises:
        ScoringError: it loses more than `ALLOWED_LOSS`.
    """
    evidence = measure_precision(classifier, other, support)
    if not evidence.allowed:
        raise ScoringError(
            f"{evidence.dtype} is refused: of {evidence.rows} labelled rows, each scored under a prompt without it: "
            f"{evidence.accuracy:.1%} are right, in float32 {evidence.exact_accuracy:.1%}. A point may be lost. "
            "Leave --precision out to stay with float32."
        )
    return evidence
