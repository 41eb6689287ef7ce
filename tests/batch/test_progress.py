from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest

from fewshot_llm.batch import Meter, ShardEntry, Snapshot, json_lines, prometheus_textfile

AT = Snapshot(
    total=100,
    done=60,
    errors=3,
    found_done=20,
    tokens=8000,
    computed_tokens=1000,
    seconds=2.0,
    labels={"好评": 50, 'a"b\\c': 7},
)


def test_speeds_are_of_this_run_alone() -> None:
    assert AT.rows_per_second == 20.0
    assert AT.seconds_left == 2.0
    assert AT.tokens_per_second == 4000.0
    assert AT.reuse == 8.0
    assert Snapshot(total=5).seconds_left is None


def test_json_lines_are_one_object_each() -> None:
    stream = io.StringIO()
    report = json_lines(stream)
    report(AT)
    report(Snapshot(total=5))
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first["labels"] == {"好评": 50, 'a"b\\c': 7}
    assert second["seconds_left"] is None


def test_the_textfile_is_in_prometheus_format(tmp_path: Path) -> None:
    report = prometheus_textfile(tmp_path / "batch.prom")
    report(Snapshot(total=5))
    report(AT)
    lines = (tmp_path / "batch.prom").read_text(encoding="utf-8").splitlines()
    sample = re.compile(r'[a-z_]+(\{label="(?:[^"\\\n]|\\["\\n])*"\})? [0-9.e+-]+')
    assert all(sample.fullmatch(line) for line in lines if not line.startswith("# TYPE "))
    assert "fewshot_batch_rows 60" in lines
    assert 'fewshot_batch_label_rows{label="a\\"b\\\\c"} 7' in lines
    assert list(tmp_path.iterdir()) == [tmp_path / "batch.prom"]


def test_a_long_shard_shows_signs_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Snapshot] = []
    meter = Meter.begin(10, [ShardEntry(0, "", "", 0, 4, 3, errors={"x": 1}, labels={"a": 3})], seen.append)
    progress = meter.scoring()
    assert progress is not None
    progress(1, 6)
    assert seen == []
    monkeypatch.setattr("fewshot_llm.batch.progress.OFTEN", 0.0)
    progress(2, 6)
    meter.shard_done(ShardEntry(1, "", "", 4, 6, 6, labels={"b": 6}), 60, 30)
    assert [(at.done, at.errors, at.scoring) for at in seen] == [(4, 1, 2), (10, 1, 0)]
    assert seen[-1].labels == {"a": 3, "b": 6}
