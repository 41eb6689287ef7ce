from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fewshot_llm import SupportSet, load_task
from fewshot_llm.files import write_rows
from fewshot_llm.playground import PlaygroundSession, SupportFile
from tests.conftest import tiny_model

TASK = load_task("review-sentiment")
ROWS = [
    {"text": "物流很快，质量也不错", "label": "positive"},
    {"text": "很好，下次还会再来", "label": "positive"},
    {"text": "颜色漂亮，喜欢", "label": "positive"},
    {"text": "包装破损，客服态度差", "label": "negative"},
    {"text": "再也不买了，退货", "label": "negative"},
    {"text": "太慢了，失望", "label": "negative"},
]
TEST = SupportSet.from_lists(["挺好的", "很差", "一般般"], ["positive", "negative", "negative"], TASK)


@pytest.fixture
def open_session(tmp_path: Path) -> Callable[..., PlaygroundSession]:
    """A session on a small file with a tiny network, or with another model."""

    def make(model: Any = None, **settings: Any) -> PlaygroundSession:
        write_rows(tmp_path / "support.csv", ROWS)
        file = SupportFile(tmp_path / "support.csv", TASK)
        model = model or tiny_model("llama")
        return PlaygroundSession(file, model, settings={"shots": 2, **settings}, test=TEST, tuned=tmp_path / "tuned")

    return make
