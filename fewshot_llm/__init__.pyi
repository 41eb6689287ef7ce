from .data import (
    SupportSet as SupportSet,
    TableVerbalizer as TableVerbalizer,
    Task as Task,
    load_task as load_task,
)
from .estimators import (
    FewShotClassifier as FewShotClassifier,
    FewShotMultiLabelClassifier as FewShotMultiLabelClassifier,
    FewShotRanker as FewShotRanker,
    FewShotRegressor as FewShotRegressor,
    load_estimator as load_estimator,
)
from .models import load_model as load_model
from .predictors import Grid as Grid, Prediction as Prediction
