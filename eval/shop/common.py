"""What the shop's measurements share: where data are, how a committed result looks."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fewshot_llm import load_model
from fewshot_llm.artifacts import installed_versions
from fewshot_llm.evaluation import git_commit, machine
from fewshot_llm.files import atomic_write_json
from fewshot_llm.models import LanguageModel

__all__ = ["arguments", "data_folder", "mean_and_each", "open_model", "write_baseline"]

ROOT = Path(__file__).parents[2]


def arguments(description: str, model: str = "gemma3-270m") -> argparse.ArgumentParser:
    """The options that every measurement has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--model", default=model, help="an embedded model's name or a folder")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--test-rows", type=int, default=300)
    parser.add_argument("--write", action="store_true", help="put the result into eval/baselines")
    return parser


def data_folder(name: str) -> Path:
    """The folder of one data set, below FEWSHOT_DATA."""
    return Path(os.environ.get("FEWSHOT_DATA", ROOT / ".." / "shared" / "data")) / name


def open_model(name: str) -> LanguageModel:
    """The model; where weights lie is nobody's business, so that only the last part of a path is recorded."""
    return load_model(name)


def mean_and_each(values: Sequence[float]) -> dict[str, Any]:
    """A figure's mean over seeds and the figure of each."""
    return {"mean": round(float(np.mean(values)), 4), "seeds": [round(float(value), 4) for value in values]}


def write_baseline(name: str, result: dict[str, Any], options: argparse.Namespace) -> None:
    """Print the result and, with --write, commit it to eval/baselines/shop-<name>.json."""
    record = {
        **result,
        "model": Path(options.model).name,
        "seeds": options.seeds,
        "test_rows": options.test_rows,
        "commit": git_commit(),
        "machine": machine(),
        "versions": installed_versions(),
    }
    for key, value in result.items():
        print(f"{key}: {value}", flush=True)
    if options.write:
        atomic_write_json(ROOT / "eval" / "baselines" / f"shop-{name}.json", record)
