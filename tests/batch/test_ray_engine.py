"""Ray with two actors on this machine: the same rows and labels, also when an actor is killed in the middle."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fewshot_llm.batch import BatchReport, Cluster, FileSource, Output, Settings, run_batch, run_batch_on_ray
from fewshot_llm.cli import app
from fewshot_llm.errors import BatchError
from tests.batch.helpers import contents, read_errors, read_shards, write_jsonl
from tests.batch.ray_parts import LABELS, TEXTS, Mortal, tiny_labeller
from tests.batch.stand_in import StandIn

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # Ray leaves sockets to the garbage collector

SETTINGS = Settings({"text": "text"})


@pytest.fixture
def source(tmp_path: Path) -> FileSource:
    rows = [{"id": i, "text": "" if i % 29 == 3 else f"arrived late {i % 40}"} for i in range(120)]
    return FileSource((("in.jsonl", write_jsonl(tmp_path / "in.jsonl", rows)),))


def _labels(folder: Path) -> list[tuple[int, str]]:
    return [(row["row"], row["predicted_label"]) for row in read_shards(folder)]


def test_two_actors_give_the_rows_and_labels_of_the_local_engine(
    cluster: Cluster, source: FileSource, tmp_path: Path, tiny_model_folder: Path
) -> None:
    make = partial(tiny_labeller, tiny_model_folder)
    local = run_batch(make(), source, Output(tmp_path / "local", rows_per_shard=10), SETTINGS)
    far = run_batch_on_ray(make, source, Output(tmp_path / "ray", rows_per_shard=10), SETTINGS, cluster)
    assert _labels(tmp_path / "ray") == _labels(tmp_path / "local")
    assert read_errors(tmp_path / "ray") == read_errors(tmp_path / "local")
    assert (far.rows, far.labelled, far.errors) == (local.rows, local.labelled, local.errors) == (120, 115, far.errors)
    pairs = zip(read_shards(tmp_path / "ray"), read_shards(tmp_path / "local"), strict=True)
    assert max(abs(a["probability"] - b["probability"]) for a, b in pairs) < 1e-4


def test_a_killed_actor_loses_no_row(cluster: Cluster, source: FileSource, tmp_path: Path) -> None:
    output = Output(tmp_path / "killed", rows_per_shard=10)
    make = partial(Mortal, mark=str(tmp_path / "mark"))
    report = run_batch_on_ray(make, source, output, SETTINGS, cluster)
    assert (tmp_path / "mark").exists()
    assert report.labelled == 115
    run_batch_on_ray(Mortal, source, Output(tmp_path / "calm", rows_per_shard=10), SETTINGS, cluster)
    assert contents(tmp_path / "killed") == contents(tmp_path / "calm")


def test_a_stopped_job_resumes_to_the_same_bytes(cluster: Cluster, source: FileSource, tmp_path: Path) -> None:
    def stop(at: Any) -> None:
        if at.done >= 40:
            raise KeyboardInterrupt

    whole = run_batch_on_ray(StandIn, source, Output(tmp_path / "whole", rows_per_shard=10), SETTINGS, cluster)
    stopped = Output(tmp_path / "stopped", rows_per_shard=10)
    with pytest.raises(KeyboardInterrupt):
        run_batch_on_ray(StandIn, source, stopped, SETTINGS, cluster, report=stop)
    assert len(_labels(tmp_path / "stopped")) < 115
    resumed: BatchReport = run_batch_on_ray(
        StandIn, source, Output(tmp_path / "stopped", rows_per_shard=10, resume=True), SETTINGS, cluster
    )
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")
    assert resumed.labelled == whole.labelled


def test_a_job_of_the_local_engine_is_not_taken_over(cluster: Cluster, source: FileSource, tmp_path: Path) -> None:
    run_batch(StandIn(), source, Output(tmp_path / "out", rows_per_shard=10), SETTINGS)
    resumed = Output(tmp_path / "out", rows_per_shard=10, resume=True)
    with pytest.raises(BatchError, match="engine was 'local, 1 at once' and is 'ray'"):
        run_batch_on_ray(StandIn, source, resumed, SETTINGS, cluster)


def test_the_command_saves_what_it_fitted_for_the_actors(
    cluster: Cluster, source: FileSource, tmp_path: Path, tiny_model_folder: Path
) -> None:
    write_jsonl(tmp_path / "support.jsonl", [{"text": t, "label": w} for t, w in zip(TEXTS, LABELS, strict=True)])
    told = ["batch", "review-sentiment", "--support", "support.jsonl", "--input", "in.jsonl", "--output", "out"]
    told += ["--model", tiny_model_folder, "--rows-per-shard", "40", "--engine", "ray", "--workers", "2"]
    told = [str(tmp_path / part) if str(part) in ("support.jsonl", "in.jsonl", "out") else str(part) for part in told]
    result = CliRunner().invoke(app, [*told, "--tolerate", "5"])
    assert result.exit_code == 0, result.output
    assert "120 rows in, 115 labelled" in result.stdout
    assert len(_labels(tmp_path / "out")) == 115
