"""A handful of rows, encoded for the tiny models."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from fewshot_llm.data import SupportSet
from fewshot_llm.models import LanguageModel
from fewshot_llm.prompting import Prompt
from fewshot_llm.scoring import Encoded, encode
from fewshot_llm.training import Recipe

TEXTS = (
    "great, fast delivery and good quality, will buy again and again and again",
    "broken box",
    "物流很快，质量也不错，下次还会再来，下次还会再来",
    "包装破损，客服态度差",
    "great price, great box",
    "never again, the parcel came late",
)
ANSWERS = (" positive", " negative", " not sure", " not good")
TARGETS = (0, 1, 0, 3, 2, 1)


@pytest.fixture
def prompts() -> list[Prompt]:
    return [Prompt(f"Review: {text}\nSentiment:", ANSWERS) for text in TEXTS]


@pytest.fixture
def targets() -> list[int]:
    return list(TARGETS)


@pytest.fixture
def encoded(prompts: list[Prompt]) -> object:
    """Encodes the rows for a model."""

    def make(model: LanguageModel) -> Sequence[Encoded]:
        return encode(model.tokenizer, prompts)

    return make


@pytest.fixture
def recipe() -> Recipe:
    """Small and quick: the tiny models learn a few rows by heart in seconds."""
    return Recipe(name="tiny", rank=4, alpha=8, learning_rate=2e-2, epochs=3, batch_rows=3, folds=2)


@pytest.fixture
def support() -> SupportSet:
    good = ["great quality", "fast delivery", "will buy again", "very good", "nice box"]
    bad = ["broken box", "came late", "never again", "very bad", "parcel lost"]
    return SupportSet.from_lists(good + bad, ["positive"] * 5 + ["negative"] * 5)
