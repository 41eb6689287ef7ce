from __future__ import annotations

import numpy as np
import pytest

from fewshot_llm.errors import ScoringError
from fewshot_llm.predictors import MeanPerToken, PointwiseMutualInformation, Sum, as_normalisation
from fewshot_llm.scoring import LabelScores

ROWS = [
    LabelScores(np.array([-2.0, -6.0]), np.array([1, 4])),
    LabelScores(np.array([-3.0, -4.0]), np.array([1, 4])),
]
NEUTRAL = [LabelScores(np.array([-1.0, -5.0]), np.array([1, 4])), LabelScores(np.array([-2.0, -6.0]), np.array([1, 4]))]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sum", [[-2.0, -6.0], [-3.0, -4.0]]),
        ("mean", [[-2.0, -1.5], [-3.0, -1.0]]),
        ("pmi", [[-0.5, -0.5], [-1.5, 1.5]]),
    ],
)
def test_known_scores(name, expected):
    assert as_normalisation(name).scores(ROWS, NEUTRAL).tolist() == expected


def test_only_the_sum_keeps_the_order_and_only_pmi_needs_neutral_texts():
    assert [n.keeps_order for n in (Sum(), MeanPerToken(), PointwiseMutualInformation())] == [True, False, False]
    assert [bool(n.neutral_texts) for n in (Sum(), MeanPerToken(), PointwiseMutualInformation())] == [
        False,
        False,
        True,
    ]


def test_an_object_is_kept_and_an_unknown_name_is_explained():
    chosen = PointwiseMutualInformation(("无",))
    assert as_normalisation(chosen) is chosen
    with pytest.raises(ScoringError, match="Did you mean mean"):
        as_normalisation("means")


def test_pmi_without_neutral_scores_is_refused():
    with pytest.raises(ScoringError, match="none were given"):
        PointwiseMutualInformation().scores(ROWS, [])
