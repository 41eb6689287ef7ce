"""Label a week's reviews, compare them with the week before, and say which rows to label next where they differ.

    python examples/weekly_batch.py week-47.jsonl --out labelled/week-47 --before labelled/week-46

Can be stopped and started again. Exit code 1 where rows are in error, 3 where the week differs, so that a scheduled job
tells somebody. `next.csv` in --out then holds the 20 rows that are most worth a label.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from fewshot_llm import FewShotClassifier, SupportSet, batch, load_task
from fewshot_llm.files import write_rows
from fewshot_llm.labelling import suggest

DATA = Path(__file__).parent / "data"


def main(arguments: Sequence[str] | None = None) -> int:
    """Label, compare, suggest; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reviews", nargs="?", type=Path, default=DATA / "reviews.csv", help="column text")
    parser.add_argument("--support", type=Path, default=DATA / "reviews-labelled.csv", help="columns text, label")
    parser.add_argument("--out", type=Path, default=Path("this-week"))
    parser.add_argument("--before", type=Path, help="what this script wrote the week before")
    parser.add_argument("--model", default="auto")
    options = parser.parse_args(arguments)

    task = load_task("review-sentiment")
    classifier = FewShotClassifier(task, options.model, shots=4, defence="standard")
    classifier.fit_support(SupportSet.from_file(options.support, task))
    source = batch.open_source(options.reviews)
    report = batch.run_batch(
        batch.ClassifierLabeller(classifier),
        source,
        batch.Output(options.out, form="jsonl", resume=True),
        batch.Settings({"text": "text"}),
        support=batch.support_profile(classifier),
    )
    print(f"{report.labelled} of {report.rows} rows are labelled {dict(report.labels)} → {options.out}")
    for kind, number in report.errors.items():
        print(f"not labelled, {kind}: {number} rows")

    warnings = list(report.warnings)
    if options.before:
        warnings += batch.drift_warnings([week(0, options.before), week(1, options.out)])
    if not warnings:
        return 1 if report.errors else 0
    print("The texts have changed (0 is the week before, 1 this one):", *warnings, sep="\n  ")
    pool = [{"text": row.values["text"]} for row in source.rows() if row.values.get("text")]
    worth = suggest(classifier, pool, 20)
    write_rows(
        options.out / "next.csv", [{"text": one.example.text, "label": ""} for one in worth.chosen], overwrite=True
    )
    return 3


def week(number: int, folder: Path) -> batch.ShardEntry:
    """All shards of a job as one."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    shards = [batch.ShardEntry(**shard) for shard in manifest["shards"] if shard["labelled"]]
    labelled = sum(shard.labelled for shard in shards)
    margin = sum(shard.labelled * (shard.mean_margin or 0.0) for shard in shards) / max(labelled, 1)
    labels = Counter[str]()
    for shard in shards:
        labels.update(shard.labels)
    return batch.ShardEntry(number, str(folder), "", 0, labelled, labelled, labels=labels, mean_margin=margin)


if __name__ == "__main__":
    raise SystemExit(main())
