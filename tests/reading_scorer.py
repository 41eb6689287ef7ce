"""A scorer whose answers follow from the last lines of a prompt by a rule that the test gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from fewshot_llm.prompting import Prompt
from fewshot_llm.scoring import LabelScores, TopLabels, best_of
from fewshot_llm.types import Progress

Rule = Callable[[str, tuple[str, ...]], Sequence[float]]


class ReadingScorer:
    """log P(answers) = rule(what stands after the last blank line, answers)."""

    fingerprint = "reading"

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.prompts: list[Prompt] = []

    def log_probs(self, prompts: Sequence[Prompt], progress: Progress | None = None) -> list[LabelScores]:
        self.prompts += prompts
        found = []
        for done, prompt in enumerate(prompts, 1):
            scores = np.array(self.rule(prompt.text.rsplit("\n\n", 1)[-1], prompt.answers), dtype=np.float64)
            found.append(LabelScores(scores, np.ones(len(scores), dtype=np.int64)))
            if progress:
                progress(done, len(prompts))
        return found

    def best(
        self,
        prompts: Sequence[Prompt],
        k: int = 1,
        progress: Progress | None = None,
        offsets: Sequence[float] | None = None,
    ) -> list[TopLabels]:
        return [best_of(scores, k, offsets) for scores in self.log_probs(prompts, progress)]
