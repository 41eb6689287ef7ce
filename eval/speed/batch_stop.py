"""Stop a batch job in the middle of a shard, go on with it, and say how long the stop took and what it cost.

    python eval/speed/batch_stop.py --model smollm2-135m --rows 1000 --after 5

Runs `fewshot-llm batch` three times: stopped by a signal `--after` seconds after its first forward pass, resumed, and
undisturbed. Prints one JSON line: seconds from the signal to the end of the process, and of them those after the
command's last act; the longest forward pass of that run; passes in all and of the two halves; exit code and message;
whether the resumed job's files are byte-identical to the undisturbed one's. With `--stop-only` the first run is all.
"""

from __future__ import annotations

import argparse
import atexit
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

__all__ = ["Outcome", "stop_and_resume"]

SUPPORT = """text,label
"Fast delivery, great quality",positive
Will buy again,positive
Arrived broken,negative
The seller never answered,negative
"""


@dataclass(frozen=True)
class Outcome:
    """What became of a job that was stopped once."""

    exit_code: int
    said: str
    seconds_to_exit: float
    leaving_seconds: float
    longest_pass: float
    passes_before_stop: int
    passes: int | None = None
    passes_after_resume: int | None = None
    identical: bool | None = None


def stop_and_resume(
    model: str, folder: Path, *, rows: int, after: float, number: int, words: int = 40, stop_only: bool = False
) -> Outcome:
    """Run the three jobs in `folder`; one shard of `rows` rows, stopped by the signal `number`."""
    (folder / "support.csv").write_text(SUPPORT, encoding="utf-8")
    _rows(folder / "in.jsonl", rows, words)
    stopped = _Run(model, folder, "stopped", rows)
    stopped.wait_for_passes()
    time.sleep(after)
    sent = time.monotonic()
    stopped.process.send_signal(number)
    code, said = stopped.finish(check=False)
    gone = time.monotonic()
    log = stopped.log
    outcome = Outcome(
        exit_code=code,
        said=said.strip().splitlines()[-1],
        seconds_to_exit=round(gone - sent, 2),
        leaving_seconds=round(gone - log["left"], 2),
        longest_pass=round(log["longest"], 2),
        passes_before_stop=log["passes"],
    )
    if stop_only:
        return outcome
    resumed, whole = _Run(model, folder, "stopped", rows, "--resume"), _Run(model, folder, "whole", rows)
    resumed.finish()
    whole.finish()
    return replace(
        outcome,
        passes=whole.log["passes"],
        passes_after_resume=resumed.log["passes"],
        identical=_digests(folder / "whole") == _digests(folder / "stopped"),
    )


class _Run:
    """One `fewshot-llm batch`, its forward passes counted and timed."""

    def __init__(self, model: str, folder: Path, output: str, rows: int, *more: str) -> None:
        self._log = folder / f"{output}{len(more)}.json"
        command = [sys.executable, __file__, "--child", str(self._log), "batch", "review-sentiment", "--model", model]
        command += ["--support", str(folder / "support.csv"), "--input", str(folder / "in.jsonl"), "--lang", "en"]
        command += ["--output", str(folder / output), "--rows-per-shard", str(rows), "--calibration", "none", *more]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def wait_for_passes(self) -> None:
        while not self._log.with_suffix(".began").exists():
            if self.process.poll() is not None:
                raise SystemExit(f"the job ended before it was stopped: {self.process.communicate()[1]}")
            time.sleep(0.01)

    def finish(self, *, check: bool = True) -> tuple[int, str]:
        _, said = self.process.communicate()
        if check and self.process.returncode:
            raise SystemExit(f"a job failed: {said}")
        return self.process.returncode, said

    @property
    def log(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._log.read_text(encoding="utf-8"))
        return found


def _child(log: Path, arguments: list[str]) -> None:
    """The command line, with a clock around every forward pass of a batch job's thread."""
    seen: dict[str, Any] = {"passes": 0, "longest": 0.0}

    end = os._exit

    def leave(code: int | None = None) -> None:
        seen["left"] = time.monotonic()
        log.write_text(json.dumps(seen), encoding="utf-8")
        if code is not None:
            end(code)

    atexit.register(leave)
    os._exit = leave  # type: ignore[assignment]  # a stopped command ends so
    from fewshot_llm.cli import main
    from fewshot_llm.scoring import current_session, tree_scorer as cached

    run_body = cached.run_body

    def timed(*given: Any) -> Any:
        began = time.monotonic()
        hidden = run_body(*given)
        if current_session() is not None:
            seen["passes"] += 1
            seen["longest"] = max(seen["longest"], time.monotonic() - began)
            log.with_suffix(".began").touch()
        return hidden

    cached.run_body = timed
    sys.argv = ["fewshot-llm", *arguments]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in a shell's background ignores Ctrl-C
    main()


def _rows(path: Path, count: int, words: int) -> None:
    known = ["parcel", "late", "broken", "great", "value", "quality", "box", "seller", "again", "refund", "colour"]
    dice = random.Random(1)
    with path.open("w", encoding="utf-8") as stream:
        for row in range(count):
            text = " ".join(dice.choice(known) for _ in range(dice.randint(words // 2, words)))
            stream.write(json.dumps({"id": row, "text": f"{row} {text}"}) + "\n")


def _digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def main() -> None:
    """Run one trial and print its outcome."""
    if sys.argv[1:2] == ["--child"]:
        _child(Path(sys.argv[2]), sys.argv[3:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="auto")
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--words", type=int, default=40, help="the longest text")
    parser.add_argument("--after", type=float, default=5.0)
    parser.add_argument("--signal", choices=["SIGINT", "SIGTERM"], default="SIGINT")
    parser.add_argument("--stop-only", action="store_true")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcome = stop_and_resume(
            told.model,
            Path(folder),
            rows=told.rows,
            after=told.after,
            number=getattr(signal, told.signal),
            words=told.words,
            stop_only=told.stop_only,
        )
    print(json.dumps(asdict(outcome)))


if __name__ == "__main__":
    main()
