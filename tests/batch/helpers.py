"""Writing a batch job's input and reading its output."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow.dataset

from fewshot_llm.batch import BatchReport

Run = Callable[..., BatchReport]


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def read_shards(folder: Path) -> list[dict[str, Any]]:
    return pyarrow.dataset.dataset(sorted(map(str, folder.glob("shard-*.parquet")))).to_table().to_pylist()


def read_errors(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "errors.jsonl").read_text(encoding="utf-8").splitlines()]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
