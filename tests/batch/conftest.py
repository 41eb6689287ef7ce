"""`label`: a batch job with a stand-in for the model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fewshot_llm.batch import BatchReport, Cluster, Output, Settings, open_source, run_batch
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


@pytest.fixture(scope="package")
def cluster() -> Iterator[Cluster]:
    """Ray on two cores of this machine; skipped where Ray is not installed."""
    ray = pytest.importorskip("ray", reason="needs pip install 'fewshot-llm[ray]'")

    environment = {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env={"env_vars": environment},
        object_store_memory=128 * 2**20,
    )
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield Cluster(actors=2)
    ray.shutdown()
