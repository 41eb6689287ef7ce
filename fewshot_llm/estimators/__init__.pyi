from .base import (
    ESTIMATORS as ESTIMATORS,
    TextEstimator as TextEstimator,
    as_examples as as_examples,
    as_numbers as as_numbers,
    as_rows as as_rows,
    load_estimator as load_estimator,
    sorted_classes as sorted_classes,
)
from .classifier import (
    FewShotClassifier as FewShotClassifier,
    by_category as by_category,
    fit_levels as fit_levels,
)
from .multilabel import FewShotMultiLabelClassifier as FewShotMultiLabelClassifier
from .ranker import FewShotRanker as FewShotRanker
from .regressor import FewShotRegressor as FewShotRegressor
