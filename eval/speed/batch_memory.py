"""Peak memory of a batch job over inputs of different length; it must not grow with the input.

    python eval/speed/batch_memory.py --model FOLDER --rows 5000 100000

Each length is a process of its own. Prints one JSON line each: rows, peak resident memory in MiB, seconds; then the
growth of the longest over the shortest. Exit code 1 where it is above `--allowed` (10 %).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def label(model: str, rows: int) -> dict[str, float]:
    """Run one job in this process."""
    from batch_rows import write_rows

    from fewshot_llm import FewShotClassifier
    from fewshot_llm.batch import ClassifierLabeller, Output, Settings, open_source, run_batch

    texts, labels = ["很好，喜欢", "质量不错", "太差了", "再也不买"], ["positive", "positive", "negative", "negative"]
    classifier = FewShotClassifier("review-sentiment", model, shots=2, language="zh", device="cpu")
    labeller = ClassifierLabeller(classifier.fit(texts, labels))
    with tempfile.TemporaryDirectory() as folder:
        source = open_source(write_rows(Path(folder, "in.jsonl"), rows))
        began = time.perf_counter()
        report = run_batch(labeller, source, Output(Path(folder, "out")), Settings({"text": "text"}))
        seconds = time.perf_counter() - began
    assert report.labelled + sum(report.errors.values()) == rows
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"rows": rows, "peak_mib": round(peak / 1024, 1), "seconds": round(seconds, 1)}


def main() -> None:
    """Measure every length and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--rows", type=int, nargs="+", default=[5000, 100_000])
    parser.add_argument("--allowed", type=float, default=0.10)
    told = parser.parse_args()
    if len(told.rows) == 1:
        print(json.dumps(label(told.model, told.rows[0])))
        return
    peaks = []
    for rows in told.rows:
        command = [sys.executable, __file__, "--model", told.model, "--rows", str(rows)]
        line = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
        print(line, flush=True)
        peaks.append(json.loads(line)["peak_mib"])
    growth = peaks[-1] / peaks[0] - 1
    print(json.dumps({"growth": round(growth, 4), "allowed": told.allowed}))
    if growth > told.allowed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
