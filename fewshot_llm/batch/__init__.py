"""Batch jobs: label every row of a large input, lose none, and go on after any crash.

    from fewshot_llm.batch import ClassifierLabeller, Output, Settings, open_source, run_batch

    labeller = ClassifierLabeller(FewShotClassifier("review-sentiment").fit(texts, labels))
    source = open_source("reviews/*.jsonl.gz")
    report = run_batch(labeller, source, Output(Path("labelled"), resume=True), Settings({"text": "review"}))

Each name is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fewshot_llm.batch.job import BatchReport, Output
    from fewshot_llm.batch.labeller import ClassifierLabeller, SavedClassifier, support_profile
    from fewshot_llm.batch.progress import estimate_job
    from fewshot_llm.batch.ray import Cluster, run_batch_on_ray
    from fewshot_llm.batch.runner import run_batch
    from fewshot_llm.batch.sources import open_source
    from fewshot_llm.batch.work import LongText, Settings

__all__ = [
    "BatchReport",
    "ClassifierLabeller",
    "Cluster",
    "LongText",
    "Output",
    "SavedClassifier",
    "Settings",
    "estimate_job",
    "open_source",
    "run_batch",
    "run_batch_on_ray",
    "support_profile",
]

_HOMES = {
    "BatchReport": "job",
    "ClassifierLabeller": "classifier_labeller",
    "Cluster": "ray",
    "LongText": "work",
    "Output": "job",
    "SavedClassifier": "classifier_labeller",
    "Settings": "work",
    "estimate_job": "estimate",
    "open_source": "sources",
    "run_batch": "runner",
    "run_batch_on_ray": "ray",
    "support_profile": "classifier_labeller",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
