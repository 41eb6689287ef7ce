"""An `Evaluation` as JSON, and back."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel, TypeAdapter, ValidationError

from fewshot_llm.calibration import Calibration
from fewshot_llm.errors import DataFileError
from fewshot_llm.escalation import Decision
from fewshot_llm.evaluation.circumstances import AttackFigures, ExplainedRow, Row, ShownPrompt
from fewshot_llm.evaluation.result import Evaluation, Figures, Run, Summary, TestRows, summarise
from fewshot_llm.scoring.base import FloatArray
from fewshot_llm.support.diagnosis import DoctorReport

__all__ = ["as_document", "from_document", "read_evaluation"]

T = TypeVar("T")

INTERVAL = {"value", "low", "high"}


def as_document(result: Evaluation) -> dict[str, Any]:
    """Plain lists, numbers and strings.

    A figure that does not exist (NaN) is null. A row's log-probabilities are one string, separated by spaces: compact,
    and a line in a diff. The right labels are those of `rows`.
    """
    document: dict[str, Any] = _plain(result)
    return document


def from_document(document: Mapping[str, Any]) -> Evaluation:
    """The result that `as_document` wrote.

    Intervals of earlier versions, which had no width where all answers agreed, are made anew from the answers.

    Raises:
        DataFileError: it is something else, or was written before results held their rows.
    """
    if not {"runs", "summaries", "labels"} <= set(document):
        raise DataFileError("This is no result of `fewshot-llm evaluate`: it has no runs, summaries and labels.")
    if not document.get("rows"):
        raise DataFileError(
            "This result was written by an older version, without its rows. Measure again: fewshot-llm evaluate … "
            "--output FILE"
        )
    try:
        values = {name: _with_nan(value) for name, value in document.items()}
        rows = _typed(tuple[Row, ...], values["rows"])
        labels = _typed(tuple[str, ...], values["labels"])
        targets = np.array([labels.index(row.label) for row in rows], dtype=np.int64)
        decision = values.get("decision")
        dated = all("estimand" in summary["accuracy"] for summary in values["summaries"])
        runs = tuple(_run(run, targets, anew=not dated) for run in values["runs"])
        level = float(values["summaries"][0]["accuracy"]["level"]) if values["summaries"] else 0.95
        summaries = _typed(tuple[Summary, ...], values["summaries"]) if dated else summarise(runs, level)
        return Evaluation(
            **{
                **values,
                "labels": labels,
                "rows": rows,
                "test": _typed(TestRows, values["test"]),
                "summaries": summaries,
                "runs": runs,
                "prompt": _typed(ShownPrompt | None, values.get("prompt")),
                "doctor": _typed(DoctorReport | None, values.get("doctor")),
                "decision": None if decision is None else Decision.model_validate(decision),
                "attacks": _typed(tuple[AttackFigures, ...], values.get("attacks", ())),
                "explanations": _typed(tuple[ExplainedRow, ...], values.get("explanations", ())),
            }
        )
    except (ValidationError, KeyError, TypeError, ValueError) as error:
        raise DataFileError(f"This result of `fewshot-llm evaluate` is damaged: {str(error)[:300]}") from error


def read_evaluation(path: Path) -> Evaluation:
    """Read what `fewshot-llm evaluate --output FILE` wrote.

    Raises:
        DataFileError: there is no such file, or it is something else.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataFileError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise DataFileError(f"{path} is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise DataFileError(f"{path} is no result: it holds no JSON object.")
    return from_document(document)


def _run(values: Mapping[str, Any], targets: np.ndarray[Any, Any], anew: bool) -> Run:
    parts = dict(values)
    answers = np.array([row.split() for row in parts.pop("log_probabilities")], dtype=np.float64)
    if len(answers) != len(targets):
        raise ValueError(f"a run has {len(answers)} answers to {len(targets)} rows")
    stored = _typed(Figures, parts["figures"])
    return Run(
        **{
            **parts,
            "calibrations": _typed(tuple[Calibration, ...], parts["calibrations"]),
            "figures": Figures.of(targets, answers, stored.accuracy.level) if anew else stored,
            "targets": targets,
            "log_probabilities": answers,
        }
    )


def _typed(kind: Any, value: Any) -> Any:
    return TypeAdapter(kind).validate_python(value)


def _with_nan(value: Any) -> Any:
    """Intervals whose bounds are null get them back as NaN."""
    if isinstance(value, Mapping):
        missing = set(value) >= INTERVAL
        return {key: math.nan if missing and part is None else _with_nan(part) for key, part in value.items()}
    return [_with_nan(part) for part in value] if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    match value:
        case Run():
            parts = {f.name: _plain(getattr(value, f.name)) for f in fields(value) if f.name not in _ANSWERS}
            return parts | {"log_probabilities": _lines(value.log_probabilities)}
        case BaseModel():
            return _plain(value.model_dump(mode="json"))
        case Mapping():
            return {key: _plain(entry) for key, entry in value.items()}
        case list() | tuple():
            return [_plain(entry) for entry in value]
        case float() if not math.isfinite(value):
            return None
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    return value


_ANSWERS = ("targets", "log_probabilities")


def _lines(table: FloatArray) -> list[str]:
    return [" ".join(f"{value:.7g}" for value in row) for row in table]
