"""Few-shot text work for online shops with causal language models: labels are scored, never parsed.

The names that most programs need are here; each is imported when it is first used, so that `import fewshot_llm`
takes no time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fewshot_llm.data import SupportSet
    from fewshot_llm.data.tabular import TableVerbalizer
    from fewshot_llm.data.task import Task, load_task
    from fewshot_llm.estimators.base import load_estimator
    from fewshot_llm.estimators.classifier import FewShotClassifier
    from fewshot_llm.estimators.multilabel import FewShotMultiLabelClassifier
    from fewshot_llm.estimators.ranker import FewShotRanker
    from fewshot_llm.estimators.regressor import FewShotRegressor
    from fewshot_llm.models.load import load_model
    from fewshot_llm.predictors.numbers import Grid
    from fewshot_llm.predictors.prompted import Prediction

__all__ = [
    "FewShotClassifier",
    "FewShotMultiLabelClassifier",
    "FewShotRanker",
    "FewShotRegressor",
    "Grid",
    "Prediction",
    "SupportSet",
    "TableVerbalizer",
    "Task",
    "load_estimator",
    "load_model",
    "load_task",
]

_HOMES = {
    "TableVerbalizer": "fewshot_llm.data.tabular",
    "FewShotClassifier": "fewshot_llm.estimators.classifier",
    "FewShotMultiLabelClassifier": "fewshot_llm.estimators.multilabel",
    "FewShotRanker": "fewshot_llm.estimators.ranker",
    "FewShotRegressor": "fewshot_llm.estimators.regressor",
    "Grid": "fewshot_llm.predictors.numbers",
    "Prediction": "fewshot_llm.predictors.prompted",
    "SupportSet": "fewshot_llm.data",
    "Task": "fewshot_llm.data.task",
    "load_estimator": "fewshot_llm.estimators.base",
    "load_model": "fewshot_llm.models.load",
    "load_task": "fewshot_llm.data.task",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
