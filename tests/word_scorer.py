"""A scorer that can be reasoned about."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fewshot_llm.prompting import Prompt
from fewshot_llm.scoring import LabelScores, TopLabels, best_of
from fewshot_llm.types import Progress

PRAISE, BLAME = ("好", "喜欢", "不错", "推荐"), ("差", "退货", "失望", "垃圾")


class WordScorer:
    """Reads a query as a model would that knows the words of praise and blame, and leans towards one answer.

    log P(answer j) = 2 · (its words in the query) + lean_j + pull · (its demonstrations), up to a constant per prompt.
    """

    def __init__(self, lean: Sequence[float] = (0.0, 0.0), pull: float = 0.0) -> None:
        self.lean, self.pull = np.array(lean), pull
        self.calls: list[list[Prompt]] = []
        self.searched = 0

    @property
    def fingerprint(self) -> str:
        return f"words {self.lean.tolist()} {self.pull}"

    def log_probs(self, prompts: Sequence[Prompt], progress: Progress | None = None) -> list[LabelScores]:
        self.calls.append(list(prompts))
        found = []
        for done, prompt in enumerate(prompts, 1):
            query = prompt.text.rsplit("评论：", 1)[-1]
            words = np.array([sum(map(query.count, kind)) for kind in (PRAISE, BLAME)])
            shown = np.array([prompt.text.count(answer + prompt.closing) for answer in prompt.answers])
            scores = 2.0 * words + self.lean + self.pull * shown - 5.0
            found.append(LabelScores(scores, np.array([1, 2])))
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
        self.searched += len(prompts)
        return [best_of(scores, k, offsets) for scores in self.log_probs(prompts, progress)]
