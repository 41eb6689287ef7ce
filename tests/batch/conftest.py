"""`label`: a batch job with a stand-in for the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fewshot_llm.batch.files import open_source
from fewshot_llm.batch.job import BatchReport, Output
from fewshot_llm.batch.runner import run_batch
from fewshot_llm.batch.work import Settings
from tests.batch.helpers import Run
from tests.batch.stand_in import StandIn


@pytest.fixture
def label(tmp_path: Path) -> Run:
    """`label(paths, "out", …)`: run a job with the stand-in; `labeller`, `settings` and output options by name."""

    def run(
        paths: Any,
        output: str,
        *,
        labeller: StandIn | None = None,
        settings: Settings | None = None,
        limit: int | None = None,
        rows_per_shard: int = 10,
        resume: bool = False,
        form: Any = "parquet",
        **options: Any,
    ) -> BatchReport:
        return run_batch(
            labeller or StandIn(),
            open_source(paths, limit=limit),
            Output(tmp_path / output, form, rows_per_shard, resume),
            settings or Settings({"text": "text"}),
            **options,
        )

    return run
