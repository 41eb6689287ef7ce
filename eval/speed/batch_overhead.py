"""What a batch job costs beside the model: reading, checking, rendering, caching, writing, syncing.

    python eval/speed/batch_overhead.py --model smollm2-135m --rows 1000

Prints one JSON line: seconds of the job, seconds in the scorer, and the share of the rest. Exit code 1 where it is
above `--allowed` (5 %).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from batch_rows import write_rows

from fewshot_llm import FewShotClassifier, load_model
from fewshot_llm.batch import ClassifierLabeller, Output, Settings, open_source, run_batch
from fewshot_llm.data.redaction import Redactor
from fewshot_llm.prompting import Prompt
from fewshot_llm.scoring import LabelScores, TreeScorer
from fewshot_llm.types import Progress


class TimedScorer(TreeScorer):
    """Counts the seconds that scoring takes."""

    seconds = 0.0

    def log_probs(self, prompts: Sequence[Prompt], progress: Progress | None = None) -> list[LabelScores]:
        began = time.perf_counter()
        scores = super().log_probs(prompts, progress)
        self.seconds += time.perf_counter() - began
        return scores


def main() -> None:
    """Measure one job."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--allowed", type=float, default=0.05)
    parser.add_argument("--redact", action="store_true")
    told = parser.parse_args()
    scorer = TimedScorer(load_model(told.model, device="cpu"))
    texts, labels = ["很好，喜欢", "质量不错", "太差了", "再也不买"], ["positive", "positive", "negative", "negative"]
    classifier = FewShotClassifier("review-sentiment", scorer, shots=2, language="zh").fit(texts, labels)
    settings = Settings({"text": "text"}, redactor=Redactor() if told.redact else None)
    with tempfile.TemporaryDirectory() as folder:
        source = open_source(write_rows(Path(folder, "in.jsonl"), told.rows))
        scorer.seconds = 0.0
        began = time.perf_counter()
        run_batch(ClassifierLabeller(classifier), source, Output(Path(folder, "out")), settings)
        seconds = time.perf_counter() - began
    share = 1 - scorer.seconds / seconds
    line = {"model": told.model, "rows": told.rows, "redact": told.redact, "seconds": round(seconds, 2)}
    print(json.dumps({**line, "scorer_seconds": round(scorer.seconds, 2), "overhead": round(share, 4)}))
    if share > told.allowed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
