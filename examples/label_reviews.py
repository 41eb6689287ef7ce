"""Label a file of reviews, and write a page that says how far to trust the labels.

    python examples/label_reviews.py --support mine.csv --test checked.csv --reviews new.csv --out labelled

Leaves `labels.csv` (least sure rows first), `report.html` and `report.md`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from fewshot_llm import FewShotClassifier, SupportSet, load_task
from fewshot_llm.evaluation import evaluate_fitted
from fewshot_llm.files import read_rows, write_rows
from fewshot_llm.report import document_of, write_report

DATA = Path(__file__).parent / "data"


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit on the labelled rows, measure on the test rows, label the rest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--support", type=Path, default=DATA / "reviews-labelled.csv", help="columns text, label")
    parser.add_argument("--test", type=Path, default=DATA / "reviews-test.csv", help="columns text, label")
    parser.add_argument("--reviews", type=Path, default=DATA / "reviews.csv", help="column text")
    parser.add_argument("--out", type=Path, default=Path("labelled-reviews"))
    parser.add_argument("--model", default="auto")
    options = parser.parse_args(arguments)

    task = load_task("review-sentiment")
    support = SupportSet.from_file(options.support, task)
    for finding in support.report.findings:
        print(finding.english)
    classifier = FewShotClassifier(task, options.model, shots=4).fit_support(support)

    result = evaluate_fitted(classifier, options.test, target=0.9)
    page = write_report(document_of(result), options.out)

    rows = read_rows(options.reviews)
    labelled = [row for row in rows if (row["text"] or "").strip()]
    predictions = classifier.predictions([row["text"] for row in labelled])
    answers = [
        {**row, "predicted_label": found.label, "probability": round(found.probability, 3)}
        for row, found in zip(labelled, predictions, strict=True)
    ]
    answers.sort(key=lambda answer: answer["probability"])
    write_rows(options.out / "labels.csv", answers, overwrite=True)

    print(f"{len(answers)} of {len(rows)} rows are labelled → {options.out / 'labels.csv'}")
    print(f"accuracy on {len(result.rows)} test rows: {result.summaries[0].accuracy} → {page}")


if __name__ == "__main__":
    main()
