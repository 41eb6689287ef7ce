"""Formats of rows: which endings there are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fewshot_llm.errors import DataFileError

__all__ = ["DELIMITERS", "ENDINGS", "JSONL_ENDINGS", "Row", "ending_of"]

Row = dict[str, Any]

JSONL_ENDINGS = (".jsonl", ".ndjson")
DELIMITERS = {".csv": ",", ".tsv": "\t"}
ENDINGS = (*JSONL_ENDINGS, *DELIMITERS, ".parquet")


def ending_of(path: Path) -> str:
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise DataFileError(f"{path} ends in {ending or 'nothing'}; expected one of {', '.join(ENDINGS)}.")
    return ending
