from __future__ import annotations

from pathlib import Path

import pytest

from fewshot_llm.batch import Settings, estimate_job, open_source
from fewshot_llm.errors import BatchError
from tests.batch.helpers import write_jsonl
from tests.batch.stand_in import StandIn

SETTINGS = Settings({"text": "text"})


def test_small_inputs_are_counted_exactly(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "in.jsonl", [{"text": "x" * size} for size in range(100)])
    forecast = estimate_job(StandIn(), open_source(path), SETTINGS, price_per_million_tokens=10)
    assert (forecast.rows, forecast.sampled, forecast.bad) == (100, 100, 1)
    assert forecast.tokens == sum(range(100)) + 99 * 40
    assert forecast.tokens_margin == 0
    assert forecast.price == pytest.approx(forecast.tokens / 1e5)


def test_the_interval_of_a_sample_holds_the_truth(tmp_path: Path) -> None:
    sizes = [(row * 7919) % 300 + 1 for row in range(5000)]
    path = write_jsonl(tmp_path / "in.jsonl", [{"text": "x" * size} for size in sizes])
    truth = sum(sizes) + 5000 * 40
    hits = 0
    for seed in range(10):
        forecast = estimate_job(StandIn(), open_source(path), SETTINGS, sample=300, seed=seed)
        assert forecast.rows == 5000
        hits += abs(forecast.tokens - truth) <= forecast.tokens_margin
    assert hits >= 8


def test_nothing_to_estimate(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("\n")
    with pytest.raises(BatchError, match="no rows"):
        estimate_job(StandIn(), open_source(tmp_path / "in.jsonl"), SETTINGS)
