"""Kill a batch job at random moments, resume it each time, and compare the result with an undisturbed run's.

    python eval/speed/batch_kill.py --kills 25 --rows 2000

Each attempt is a forked process that resumes the job and is sent SIGKILL; the parent has the model in memory
already, so that an attempt costs no start-up. Prints one JSON line: kills, kills that hit a running job, rows,
and whether every output file is byte-identical.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
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
