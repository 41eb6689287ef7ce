"""Ctrl-C in the middle of a shard: soon over, nothing scored twice, the same bytes after going on."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fewshot_llm import FewShotClassifier
from fewshot_llm.batch import ClassifierLabeller, job, job_lock
from fewshot_llm.errors import BusyError
from fewshot_llm.scoring import Encoded, LabelScores, Session, Stopped, check_stop, tree_scorer as cached
from fewshot_llm.scoring.remote import Http, RemoteScorer
from tests.batch.helpers import Run, contents, read_errors, write_jsonl
from tests.batch.stand_in import StandIn

ROOT = Path(__file__).parents[2]
ROWS = [{"id": i, "text": "" if i % 17 == 3 else f"the parcel number {i % 70} came late"} for i in range(100)]


@dataclass
class Slow(StandIn):
    """Looks between two rows whether it is stopped, as scorers do between two passes; Ctrl-C comes at one of them."""

    interrupt_at: str = ""
    shards: Counter[str] = field(default_factory=Counter)

    def answer(self, rendered, progress=None):  # type: ignore[no-untyped-def]
        for one in rendered:
            check_stop()
            if self.interrupt_at and self.interrupt_at in one.query["text"]:
                raise KeyboardInterrupt  # as if it had come to the main thread, which waits for this one
            self.shards[one.query["text"]] += 1
        return super().answer(rendered, progress)


def test_other_shards_that_are_scored_already_are_kept(label: Run, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "in.jsonl", [{"text": f"text {i:02d}"} for i in range(60)])
    label(path, "calm", workers=3)
    with pytest.raises(KeyboardInterrupt) as stopped:
        label(path, "out", labeller=Slow(interrupt_at="text 25"), workers=3)
    (said,) = stopped.value.__notes__
    assert "of 60 rows are finished in" in said
    assert "--resume" in said
    again = Slow()
    label(path, "out", labeller=again, workers=3, resume=True)
    assert contents(tmp_path / "out") == contents(tmp_path / "calm")
    assert "text 05" not in again.shards
    assert "text 25" in again.shards


class TestWithAModel:
    """Stopped after any forward pass. The scorer's passes are counted: what was run is not run again."""

    @pytest.fixture
    def passes(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
        """`count` so far; the job is interrupted at the pass `stop_at`."""
        seen = {"count": 0.0, "stop_at": -1.0}
        run_body = cached.run_body

        def counted(*given: Any) -> Any:
            if threading.current_thread() is not threading.main_thread():
                if seen["count"] == seen["stop_at"]:
                    raise Stopped
                seen["count"] += 1
            return run_body(*given)

        monkeypatch.setattr(cached, "run_body", counted)
        return seen

    @pytest.fixture
    def labeller(self, tiny_model_folder: Path) -> ClassifierLabeller:
        texts, labels = ["very good", "never again"], ["positive", "negative"]
        classifier = FewShotClassifier("review-sentiment", str(tiny_model_folder), shots=1, language="en")
        labeller = ClassifierLabeller(classifier.fit(texts, labels))
        scorer: Any = classifier.predictor_.inference.scorer
        scorer.batch_tokens = 64
        return labeller

    @pytest.mark.parametrize("stop_at", [0, 1, 4, 9])
    def test_a_shard_goes_on_behind_its_last_pass(
        self, label: Run, tmp_path: Path, labeller: Any, passes: dict[str, float], stop_at: int
    ) -> None:
        path = write_jsonl(tmp_path / "in.jsonl", ROWS)
        label(path, "calm", labeller=labeller, rows_per_shard=100)
        whole = passes["count"]
        assert whole > 10
        passes |= {"count": 0.0, "stop_at": float(stop_at)}
        with pytest.raises(KeyboardInterrupt):
            label(path, "out", labeller=labeller, rows_per_shard=100)
        passes |= {"count": 0.0, "stop_at": -1.0}
        label(path, "out", labeller=labeller, rows_per_shard=100, resume=True)
        assert contents(tmp_path / "out") == contents(tmp_path / "calm")
        assert len(read_errors(tmp_path / "out")) == 6
        again = stop_at + passes["count"] - whole
        assert 0 <= again <= 6  # the shared beginning's keys and values, a pass or a few


def test_a_second_job_on_the_folder_is_refused_and_told_who_the_first_is(label: Run, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "in.jsonl", ROWS)
    refused: list[str] = []

    @dataclass
    class Curious(StandIn):
        def answer(self, rendered, progress=None):  # type: ignore[no-untyped-def]
            if not refused:
                code = "import sys; from pathlib import Path; from fewshot_llm.batch.job import job_lock\n"
                code += "with job_lock(Path(sys.argv[1])): pass"
                command = [sys.executable, "-c", code, str(tmp_path / "out")]
                refused.append(subprocess.run(command, capture_output=True, text=True, check=False).stderr)
            return super().answer(rendered, progress)

    label(path, "out", labeller=Curious())
    assert "BusyError: The output folder" in refused[0]
    assert "is in use by process" in refused[0]
    assert job.LOCK not in contents(tmp_path / "out")


def test_a_second_job_in_another_thread_is_refused(label: Run, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "in.jsonl", ROWS)
    with job_lock(tmp_path / "out"), ThreadPoolExecutor(1) as pool:
        second = pool.submit(label, path, "out")
        with pytest.raises(BusyError, match=f"process {os.getpid()}"):
            second.result()


def test_a_folder_that_was_made_for_a_refused_job_goes_again(tmp_path: Path) -> None:
    with job_lock(tmp_path / "new"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_requests_that_are_under_way_are_not_waited_for() -> None:
    """A server that takes a connection and never answers; some prompts were answered before."""
    server = socket.create_server(("127.0.0.1", 0))

    class HalfHanging:
        def score(self, http: Http, item: Encoded) -> LabelScores:
            if item.context[0] >= 5:
                http.post("/v1/completions", {})
            return LabelScores(np.array([-0.1 * item.context[0], -2.0]), np.array([1, 2]))

    class Answering:
        def score(self, http: Http, item: Encoded) -> LabelScores:
            return LabelScores(np.zeros(2), np.ones(2, dtype=np.int64))

    class Named(RemoteScorer):
        fingerprint = "server"

        def __init__(self) -> None:  # the usual one asks the server what it is
            self.http = Http(f"http://127.0.0.1:{server.getsockname()[1]}")
            self.in_flight = 4
            self._method: Any = HalfHanging()

    scorer = Named()
    encoded = [Encoded((number,), ((1,), (2, 3))) for number in range(10)]
    stop = threading.Event()
    first = Session(stop)
    threading.Timer(0.5, stop.set).start()
    began = time.monotonic()
    with first.active(), pytest.raises(Stopped):
        scorer.score_encoded(encoded)
    assert time.monotonic() - began < 5  # half a second, and a time-out would be two minutes
    assert first.prompts == 5
    scorer._method = Answering()
    with Session(threading.Event(), first.take()).active():
        found = scorer.score_encoded(encoded)
    assert [scores.log_probs.tolist() for scores in found[:5]] == [[-0.1 * number, -2.0] for number in range(5)]
    assert found[5].log_probs.tolist() == [0.0, 0.0]
    server.close()


@pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
@pytest.mark.parametrize(("name", "code", "said"), [("SIGINT", 130, "Ctrl-C"), ("SIGTERM", 143, "SIGTERM")])
def test_a_signal_ends_a_shard_of_1000_rows_within_a_pass_and_a_second(
    tiny_model_folder: Path, name: str, code: int, said: str
) -> None:
    """The bound: the longest forward pass of that very run, and one second; five more for a machine on which many tests
    run at once. On an idle one it is `python eval/speed/batch_stop.py` that says what a stop takes."""
    command = [sys.executable, ROOT / "eval" / "speed" / "batch_stop.py", "--model", tiny_model_folder]
    command += ["--rows", "1000", "--after", "0.2", "--words", "30", "--signal", name]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    outcome = json.loads(done.stdout.splitlines()[-1])
    assert outcome["exit_code"] == code
    assert outcome["said"].startswith(f"Stopped by {said}. 0 of 1,000 rows are finished in ")
    assert outcome["seconds_to_exit"] < outcome["longest_pass"] + 1 + 5
    assert outcome["identical"]
    assert 0 < outcome["passes_before_stop"] < outcome["passes"]
    again = outcome["passes_before_stop"] + outcome["passes_after_resume"] - outcome["passes"]
    assert 0 <= again <= 3  # the shared beginning's keys and values
