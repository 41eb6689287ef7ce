"""Kill a batch job at random moments, resume it each time, and compare the result with an undisturbed run's.

    python eval/speed/batch_kill.py --model gemma3-270m --kills 25 --rows 2000

Each attempt is a forked process that resumes the job and is sent SIGKILL; the parent has the model in memory
already, so that an attempt costs no start-up. Prints one JSON line: kills, kills that hit a running job, rows,
and whether every output file is byte-identical.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow.dataset

__all__ = ["Outcome", "kill_and_resume"]


@dataclass(frozen=True)
class Outcome:
    """What became of a job that was killed again and again."""

    kills: int
    while_running: int
    rows: int
    distinct_rows: int
    identical: bool
    seconds: float


def kill_and_resume(job: Callable[[Path, bool], None], folder: Path, *, kills: int, seed: int) -> Outcome:
    """Run `job(output, resume)` undisturbed, then with `kills` kills; the last attempt is left alone.

    Kills are spread over the job's whole length: each waits for a random share of what an even spread leaves.
    """
    began = time.monotonic()
    undisturbed, killed = folder / "undisturbed", folder / "killed"
    _attempt(job, undisturbed, None)
    length = time.monotonic() - began
    dice = random.Random(seed)
    hits = 0
    for _ in range(kills):
        hits += _attempt(job, killed, dice.uniform(0.0, 2.0 * length / kills))
    _attempt(job, killed, None)
    rows = pyarrow.dataset.dataset(sorted(map(str, killed.glob("*.parquet")))).to_table(columns=["row"])["row"]
    return Outcome(
        kills=kills,
        while_running=hits,
        rows=len(rows),
        distinct_rows=len(rows.unique()),
        identical=_digests(undisturbed) == _digests(killed),
        seconds=round(time.monotonic() - began, 1),
    )


def _attempt(job: Callable[[Path, bool], None], output: Path, kill_after: float | None) -> bool:
    """Whether the process was still running when it was killed."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            job(output, True)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit("a resumed job failed")
    return False


def _digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def _rows(path: Path, count: int) -> Path:
    """Reviews that repeat now and then, a few of them empty."""
    words = ["物流很快", "质量不错", "包装破损", "客服态度差", "great value", "arrived late", "will buy again"]
    dice = random.Random(1)
    with path.open("w", encoding="utf-8") as stream:
        for row in range(count):
            text = "" if row % 97 == 5 else f"{dice.choice(words)}，{dice.choice(words)} {dice.randrange(count // 2)}"
            stream.write(json.dumps({"id": row, "text": text}, ensure_ascii=False) + "\n")
    return path


def main() -> None:
    """Run one trial and print its outcome."""
    from fewshot_llm import FewShotClassifier
    from fewshot_llm.batch import ClassifierLabeller, FileSource, Output, Settings, run_batch

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="auto")
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--rows-per-shard", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path)
    told = parser.parse_args()
    folder = told.folder or Path(tempfile.mkdtemp())
    texts, labels = ["很好，喜欢", "质量不错", "太差了", "再也不买"], ["positive", "positive", "negative", "negative"]
    classifier = FewShotClassifier("review-sentiment", told.model, shots=2, language="zh", device="cpu")
    labeller = ClassifierLabeller(classifier.fit(texts, labels))
    source = FileSource((("in.jsonl", _rows(folder / "in.jsonl", told.rows)),))

    def job(output: Path, resume: bool) -> None:
        columns = Settings({"text": "text"})
        run_batch(labeller, source, Output(output, "parquet", told.rows_per_shard, resume), columns)

    outcome = kill_and_resume(job, folder, kills=told.kills, seed=told.seed)
    print(json.dumps(asdict(outcome)))


if __name__ == "__main__":
    main()
