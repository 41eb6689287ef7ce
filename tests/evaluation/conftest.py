"""A small suite on disk: rows, a suite file, a peer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fewshot_llm.evaluation.suite import Suite, load_suite
from fewshot_llm.files import write_rows

MakeSuite = Callable[..., Suite]

PEER = """
import json, sys
work = json.load(open(sys.argv[1], encoding="utf-8"))
if len(sys.argv) > 3:
    sys.exit("no network")
counts = [sum(word in text for word in ("good", "fine")) for text in work["test"]]
known = {row["text"] for row in work["support"]}
assert not known & set(work["test"]), "a test row was shown"
rows = [[0.9, 0.1] if count else [0.2, 0.8] for count in counts]
answers = {"probabilities": rows, "fit_seconds": 0.5, "predict_seconds": 0.25, "versions": {"peer": "1"}}
json.dump(answers, open(sys.argv[2], "w"))
"""

PEERS = """
[peers.terms]
about = "counts words"
script = "words.py"

[peers.broken]
about = "always fails"
script = "words.py"
arguments = ["fail"]

[peers.absent]
about = "not installed"
script = "words.py"
environment = ".venv-nowhere"
"""


def shop_rows() -> list[dict[str, str]]:
    good = [{"text": f"good parcel number {n}", "label": "positive", "product": f"g{n // 2}"} for n in range(20)]
    bad = [{"text": f"broken parcel number {n}", "label": "negative", "product": f"b{n // 2}"} for n in range(20)]
    return good + bad


@pytest.fixture
def make_suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_model_folder: Path) -> MakeSuite:
    """Writes a suite file with these lines in place of the default ones, and reads it."""
    (tmp_path / "data").mkdir()
    write_rows(tmp_path / "data" / "shop.csv", shop_rows())
    (tmp_path / "peers").mkdir()
    (tmp_path / "peers" / "words.py").write_text(PEER, encoding="utf-8")
    (tmp_path / "peers" / "peers.toml").write_text(PEERS, encoding="utf-8")
    (tmp_path / "suites").mkdir()
    monkeypatch.setenv("FEWSHOT_DATA", str(tmp_path / "data"))

    def make(data: str = "test_rows = 10", name: str = "shop", **lines: str) -> Suite:
        settings = {
            "task": '"review-sentiment"',
            "language": '"en"',
            "models": f'["{tiny_model_folder}"]',
            "shots": "[2]",
            "seeds": "[0, 1]",
            "rungs": '["in-context", "calibrated"]',
            "peers": '["terms"]',
        } | lines
        text = "".join(f"{key} = {value}\n" for key, value in settings.items())
        path = tmp_path / "suites" / f"{name}.toml"
        path.write_text(f'{text}\n[data]\ntrain = "shop.csv"\n{data}\n', encoding="utf-8")
        return load_suite(path)

    return make
