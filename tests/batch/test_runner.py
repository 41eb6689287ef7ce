from __future__ import annotations

import gc
import json
import tracemalloc
from dataclasses import dataclass
from pathlib import Path

import pytest

from fewshot_llm.batch import Settings, Snapshot, open_source
from fewshot_llm.errors import BatchError
from tests.batch.helpers import Run, contents, read_errors, read_shards, write_jsonl
from tests.batch.stand_in import StandIn

TEXTS = ["物流很快", "box broken", "great value", "太差了", "still waiting"]


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    rows = [{"id": i, "text": f"{TEXTS[i % 5]} {i % 23}", "stars": i % 5 + 0.5} for i in range(95)]
    return write_jsonl(tmp_path / "reviews.jsonl", rows)


def test_every_row_comes_out_once_with_its_columns(label: Run, reviews: Path, tmp_path: Path) -> None:
    report = label(reviews, "out")
    rows = read_shards(tmp_path / "out")
    given = [json.loads(line) for line in reviews.read_text(encoding="utf-8").splitlines()]
    assert [row["row"] for row in rows] == list(range(95))
    assert [{key: row[key] for key in given[0]} for row in rows] == given
    assert (report.rows, report.labelled, report.errors) == (95, 95, {})
    first = rows[0]
    assert first["probability"] == first["probabilities"][first["predicted_label"]]
    assert {row["model_fingerprint"] for row in rows} == {first["model_fingerprint"]}
    assert len({row["prompt_fingerprint"] for row in rows}) == len({row["text"] for row in rows})


def test_jsonl_shards_say_the_same_as_parquet(label: Run, reviews: Path, tmp_path: Path) -> None:
    label(reviews, "parquet")
    label(reviews, "jsonl", form="jsonl")
    lines = [
        json.loads(line)
        for path in sorted((tmp_path / "jsonl").glob("shard-*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    assert lines == [
        {key: value for key, value in row.items() if key != "other_columns"}
        for row in read_shards(tmp_path / "parquet")
    ]


def test_a_repeated_text_is_scored_once(label: Run, reviews: Path) -> None:
    labeller = StandIn()
    report = label(reviews, "out", labeller=labeller)
    assert len(labeller.asked) == len(set(labeller.asked)) == len({f"{i % 5} {i % 23}" for i in range(95)})
    assert report.last.reuse > 1


def test_a_shared_cache_answers_the_next_job(label: Run, reviews: Path, tmp_path: Path) -> None:
    label(reviews, "first", cache=tmp_path / "cache.sqlite")
    second = StandIn()
    label(reviews, "second", labeller=second, cache=tmp_path / "cache.sqlite")
    assert second.asked == []
    other = StandIn(name="another-model")
    label(reviews, "third", labeller=other, cache=tmp_path / "cache.sqlite")
    assert other.asked


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("stop_after", [0, 1, 4, 9])
def test_a_stopped_job_resumes_to_the_same_bytes(
    label: Run, reviews: Path, tmp_path: Path, workers: int, stop_after: int
) -> None:
    @dataclass
    class Stopping(StandIn):
        calls: int = 0

        def answer(self, rendered, progress=None):  # type: ignore[no-untyped-def]
            self.calls += 1
            if self.calls > stop_after:
                raise KeyboardInterrupt
            return super().answer(rendered, progress)

    label(reviews, "undisturbed", workers=workers)
    with pytest.raises(KeyboardInterrupt):
        label(reviews, "stopped", labeller=Stopping(), workers=workers)
    label(reviews, "stopped", workers=workers, resume=True)
    assert contents(tmp_path / "stopped") == contents(tmp_path / "undisturbed")


def test_resuming_a_finished_job_changes_nothing(label: Run, reviews: Path, tmp_path: Path) -> None:
    label(reviews, "out")
    before = contents(tmp_path / "out")
    labeller = StandIn()
    report = label(reviews, "out", labeller=labeller, resume=True)
    assert contents(tmp_path / "out") == before
    assert labeller.asked == []
    assert report.labelled == 95


def test_another_job_is_refused_with_what_differs(label: Run, reviews: Path, tmp_path: Path) -> None:
    label(reviews, "out")
    with pytest.raises(BatchError, match=r"labeller\.model was 'stand-in' and is 'other'"):
        label(reviews, "out", labeller=StandIn(name="other"), resume=True)
    with pytest.raises(BatchError, match=r"shards\.rows was 10 and is 20"):
        label(reviews, "out", rows_per_shard=20, resume=True)
    with pytest.raises(BatchError, match="labels was"):
        label(reviews, "out", labeller=StandIn(labels=("positive", "negative")), resume=True)
    reviews.write_text(reviews.read_text(encoding="utf-8") + '{"text": "one more"}\n', encoding="utf-8")
    with pytest.raises(BatchError, match=r"input was .*sha256"):
        label(reviews, "out", resume=True)


def test_a_folder_that_is_in_use_is_refused(label: Run, reviews: Path, tmp_path: Path) -> None:
    label(reviews, "out")
    with pytest.raises(BatchError, match="--resume"):
        label(reviews, "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(BatchError, match=r"not empty \(notes.txt\)"):
        label(reviews, "mine")


def test_a_changed_or_missing_shard_is_refused(label: Run, reviews: Path, tmp_path: Path) -> None:
    label(reviews, "out")
    shard = tmp_path / "out" / "shard-00002.parquet"
    data = shard.read_bytes()
    shard.write_bytes(data[:-1] + b"X")
    with pytest.raises(BatchError, match="SHA-256 differs"):
        label(reviews, "out", resume=True)
    shard.unlink()
    with pytest.raises(BatchError, match="is not there"):
        label(reviews, "out", resume=True)


def test_a_row_that_cannot_be_scored_does_not_take_others_along(label: Run, tmp_path: Path) -> None:
    texts = [f"fine {i}" for i in range(40)]
    texts[7], texts[31] = "poison a", "poison b"
    path = write_jsonl(tmp_path / "in.jsonl", [{"text": text} for text in texts])
    report = label(path, "out", rows_per_shard=20)
    assert report.errors == {"not-scorable": 2}
    assert [error["row"] for error in read_errors(tmp_path / "out")] == [7, 31]
    assert report.labelled == 38


def test_limit_and_missing_columns(label: Run, reviews: Path) -> None:
    assert label(reviews, "out", limit=25).rows == 25
    with pytest.raises(BatchError, match="field text"):
        label(reviews, "none", settings=Settings({}))
    report = label(reviews, "wrong", settings=Settings({"text": "body"}))
    assert report.errors == {"missing-column": 95}


def test_progress_counts_up_to_all_rows(label: Run, reviews: Path) -> None:
    seen: list[Snapshot] = []
    label(reviews, "out", report=seen.append)
    assert [snapshot.done for snapshot in seen] == [*range(10, 95, 10), 95]
    assert seen[-1].total == 95
    assert sum(seen[-1].labels.values()) == 95
    assert seen[0].seconds_left is not None


def test_the_manifest_accounts_for_every_row(label: Run, tmp_path: Path) -> None:
    rows = [{"text": "" if i % 10 == 3 else f"text {i}"} for i in range(50)]
    report = label(write_jsonl(tmp_path / "in.jsonl", rows), "out")
    manifest = json.loads(report.manifest.read_text(encoding="utf-8"))
    assert manifest["rows"] == {"in": 50, "labelled": 45, "errors": 5}
    assert manifest["errors"] == {"empty-text": 5}
    assert sum(shard["rows"] for shard in manifest["shards"]) == 50


def test_an_input_that_changes_meanwhile_is_noticed(label: Run, reviews: Path) -> None:
    source = open_source(reviews)

    @dataclass
    class Appending(StandIn):
        done: bool = False

        def answer(self, rendered, progress=None):  # type: ignore[no-untyped-def]
            if not self.done:
                self.done = True
                with reviews.open("a", encoding="utf-8") as stream:
                    stream.write('{"text": "late"}\n' * 3)
            return super().answer(rendered, progress)

    assert source.count() == 95
    with pytest.raises(BatchError, match="95 rows came in, but 98 were labelled"):
        label(reviews, "out", labeller=Appending())


def test_memory_does_not_grow_with_the_input(label: Run, tmp_path: Path) -> None:
    """The small version of `eval/speed/batch_memory.py`: sixfold rows, the same peak of Python's memory.

    The first run is left out: it imports. Garbage is collected with every answer, for it moves a peak by a quarter.
    """
    peaks = []
    for number, rows in enumerate((1_000, 1_000, 6_000)):
        texts = ({"text": f"{TEXTS[i % 5]} number {i}, " + "x" * 200} for i in range(rows))
        path = write_jsonl(tmp_path / f"{number}.jsonl", texts)
        labeller = Forgetful()
        tracemalloc.start()
        label(path, f"out-{number}", labeller=labeller, rows_per_shard=200)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.1 * peaks[1]


class Forgetful(StandIn):
    """Does not keep what it was asked, nor wait for the collector."""

    def answer(self, rendered, progress=None):  # type: ignore[no-untyped-def]
        answers = super().answer(rendered, progress)
        self.asked.clear()
        gc.collect()
        return answers
