"""What `--redact` finds, by kind and language, on files of phrases.

    python -m eval.redaction                                   # the phrases the rules were developed on
    python -m eval.redaction tests/data/redaction-held-out.jsonl
    python -m eval.redaction --speed reviews.csv               # rows per second

A line of such a file is `{"lang": "zh", "text": "…", "personal": [{"kind": "phone", "value": "…"}]}`: a phrase and
what is personal in it, word for word; none for a phrase that looks as if there were something. `kind` is one of
`fewshot_llm.data.redaction.Kind`; another name is counted under that name. `lang` may be left out.

A value counts as found when every letter and digit of it is replaced, under whatever kind. A phrase counts as a false
alarm when something is replaced that touches no value. Where a phrase holds an order number (kind `order`), it is read
as with `--redact-orders`. The intervals are Wilson's, at 95 %.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fewshot_llm.data.redaction import PERSONAL, Kind, find_personal_data
from fewshot_llm.stats import proportion

__all__ = ["DEVELOPMENT", "Tally", "read_phrases", "tally"]

DATA = Path(__file__).parent.parent / "tests" / "data"
DEVELOPMENT = DATA / "redaction-development.jsonl"
ORDERS = re.compile("order|tracking|parcel")


@dataclass
class Tally:
    """Counts over phrases."""

    rows: int = 0
    there: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    right_kind: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)

    def recall(self, kind: str | None = None) -> float:
        """Of one kind, or of all."""
        if kind is None:
            return self.found.total() / max(1, self.there.total())
        return self.found[kind] / self.there[kind]

    def add(self, row: Mapping[str, Any]) -> None:
        """Count one phrase."""
        text, values = row["text"], row["personal"]
        orders = any(ORDERS.search(value["kind"]) for value in values)
        spans = find_personal_data(text, kinds=PERSONAL | {Kind.ORDER} if orders else PERSONAL)
        covered = {place for span in spans for place in range(span.start, span.end)}
        touched = set()
        self.rows += 1
        for value in values:
            start = text.index(value["value"])
            places = range(start, start + len(value["value"]))
            whole = {place for place in places if text[place].isalnum()} <= covered
            overlapping = [span for span in spans if span.start < places.stop and span.end > places.start]
            self.there[value["kind"]] += 1
            self.found[value["kind"]] += whole
            self.right_kind[value["kind"]] += any(span.kind == value["kind"] for span in overlapping)
            touched.update(overlapping)
            if not whole:
                self.missed.append(f"{value['kind']} {value['value']!r}: {text}")
        alarms = [f"{span.kind} {text[span.start : span.end]!r}" for span in spans if span not in touched]
        if alarms:
            self.alarms.append(f"{', '.join(alarms)}: {text}")


def read_phrases(path: Path) -> list[dict[str, Any]]:
    """The phrases of a file, with a language each."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    for row in rows:
        row.setdefault("lang", "zh" if re.search("[\u4e00-\u9fff]", row["text"]) else "en")
    return rows


def tally(rows: Iterable[Mapping[str, Any]]) -> Tally:
    """Counts over these phrases."""
    counted = Tally()
    for row in rows:
        counted.add(row)
    return counted


def print_table(path: Path, *, examples: bool) -> None:
    """Print recall by kind and language, and false alarms."""
    rows = read_phrases(path)
    print(f"{path.name}: {len(rows)} phrases\n")
    print("| language | kind | found | recall | 95 % interval |\n| --- | --- | --- | --- | --- |")
    for lang in sorted({row["lang"] for row in rows}, reverse=True):
        counted = tally(row for row in rows if row["lang"] == lang)
        for kind in [*(kind for kind in counted.there), "all"]:
            found = counted.found.total() if kind == "all" else counted.found[kind]
            there = counted.there.total() if kind == "all" else counted.there[kind]
            if there == 0:
                continue
            interval = proportion(found, there)
            print(
                f"| {lang} | {kind} | {found}/{there} | {found / there:.3f} | {interval.low:.3f}–{interval.high:.3f} |"
            )
        interval = proportion(len(counted.alarms), counted.rows)
        print(
            f"| {lang} | phrases with a false alarm | {len(counted.alarms)}/{counted.rows} "
            f"| {len(counted.alarms) / counted.rows:.3f} | {interval.low:.3f}–{interval.high:.3f} |"
        )
        if examples:
            print(
                "\n".join(
                    ["", *(f"missed {line}" for line in counted.missed), *(f"alarm {line}" for line in counted.alarms)]
                )
            )


def print_speed(path: Path, rows: int = 10_000) -> None:
    """Print rows per second on the first column that holds texts, repeated up to so many rows."""
    with path.open(encoding="utf-8", newline="") as file:
        texts = [max(row, key=len) for row in csv.reader(file) if row]
    texts = (texts * (rows // len(texts) + 1))[:rows]
    find_personal_data(texts[0])
    began = time.process_time()
    found = sum(len(find_personal_data(text)) for text in texts)
    seconds = time.process_time() - began
    print(
        json.dumps(
            {"rows": rows, "seconds": round(seconds, 2), "rows_per_second": round(rows / seconds), "found": found}
        )
    )


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, default=[DEVELOPMENT])
    parser.add_argument("--speed", type=Path, metavar="CSV")
    parser.add_argument("--examples", action="store_true", help="show what was missed, and the false alarms")
    told = parser.parse_args()
    if told.speed is not None:
        print_speed(told.speed)
        return
    for path in told.files:
        print_table(path, examples=told.examples)


if __name__ == "__main__":
    main()
