"""What actors import by name: labellers that are made in another process."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fewshot_llm.batch import ClassifierLabeller, Labeller
from fewshot_llm.estimators import FewShotClassifier
from tests.batch.stand_in import StandIn

TEXTS = ["very good", "love it", "too bad", "never again"]
LABELS = ["positive", "positive", "negative", "negative"]


@dataclass
class Mortal(StandIn):
    """Kills its own process once: the first that finds no mark."""

    mark: str = ""

    def answer(self, rendered: Any, progress: Any = None) -> Any:
        if not self.mark:
            return super().answer(rendered, progress)
        try:
            Path(self.mark).touch(exist_ok=False)
        except FileExistsError:
            return super().answer(rendered, progress)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


def tiny_labeller(folder: Path) -> Labeller:
    classifier = FewShotClassifier("review-sentiment", str(folder), shots=2, language="en", device="cpu")
    return ClassifierLabeller(classifier.fit(TEXTS, LABELS))
