"""A result as JSON and back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fewshot_llm.errors import DataFileError
from fewshot_llm.evaluation import Evaluation, as_document, from_document, read_evaluation
from fewshot_llm.files import atomic_write_json
from fewshot_llm.stats import Interval


def test_a_result_comes_back(result: Evaluation, tmp_path: Path) -> None:
    atomic_write_json(tmp_path / "result.json", as_document(result))
    again = read_evaluation(tmp_path / "result.json")
    assert replace(again, runs=()) == replace(result, runs=())
    for old, new in zip(result.runs, again.runs, strict=True):
        assert new.log_probabilities == pytest.approx(old.log_probabilities, rel=1e-6)
        assert (new.targets == old.targets).all()
        assert (new.figures, new.calibrations, new.shots) == (old.figures, old.calibrations, old.shots)
    assert as_document(again) == as_document(result)


def test_intervals_of_earlier_versions_are_made_anew(result: Evaluation) -> None:
    document = json.loads(json.dumps(as_document(result)))
    for figures in (*(run["figures"] for run in document["runs"]), *document["summaries"]):
        for figure in figures.values():
            if isinstance(figure, dict) and "estimand" in figure:
                del figure["estimand"]
                figure["low"] = figure["high"] = figure["value"]
    again = from_document(document)
    for old, new in zip(result.summaries, again.summaries, strict=True):
        assert (new.accuracy, new.seeds) == (old.accuracy, old.seeds)
    assert again.runs[0].figures.accuracy == result.runs[0].figures.accuracy


def test_figures_that_do_not_exist_are_null(result: Evaluation) -> None:
    nowhere = Interval(float("nan"), float("nan"), float("nan"))
    run = replace(result.runs[0], figures=replace(result.runs[0].figures, auc=nowhere))
    document = json.loads(json.dumps(as_document(replace(result, runs=(run,))), allow_nan=False))
    assert document["runs"][0]["figures"]["auc"]["low"] is None
    assert np.isnan(from_document(document).runs[0].figures.auc.low)


def test_other_files_are_refused(result: Evaluation, tmp_path: Path) -> None:
    document = as_document(result)
    with pytest.raises(DataFileError, match="no result"):
        from_document({"suite": {}})
    with pytest.raises(DataFileError, match="older version"):
        from_document({name: value for name, value in document.items() if name != "rows"})
    with pytest.raises(DataFileError, match="damaged"):
        from_document(document | {"rows": document["rows"][1:]})
    with pytest.raises(DataFileError, match="damaged"):
        from_document(document | {"surprise": 1})
    (tmp_path / "list.json").write_text("[1]", encoding="utf-8")
    for name in ("list.json", "nothing.json", "."):
        with pytest.raises(DataFileError):
            read_evaluation(tmp_path / name)
    (tmp_path / "text.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataFileError, match="not JSON"):
        read_evaluation(tmp_path / "text.json")
