"""The slow, obviously right scorer: one full, unpadded forward pass per prompt and answer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from fewshot_llm.models.load import LanguageModel
from fewshot_llm.prompting.builder import Prompt
from fewshot_llm.scoring.base import LabelScores, TopLabels, check_stop
from fewshot_llm.scoring.encoding import Encoded, encode_slowly
from fewshot_llm.types import Progress

__all__ = ["ReferenceScorer", "best_of", "score_encoded"]


class ReferenceScorer:
    """What every faster scorer is tested against.

    score(answer) = Σ_t log softmax(logits_t)[answer_t], over all tokens of the answer.
    """

    def __init__(self, language_model: LanguageModel) -> None:
        self.language_model = language_model

    @property
    def fingerprint(self) -> str:
        """Model, revision, adapter and dtype."""
        return self.language_model.fingerprint

    def log_probs(self, prompts: Sequence[Prompt], progress: Progress | None = None) -> list[LabelScores]:
        """See `Scorer.log_probs`."""
        results = []
        for done, encoded in enumerate(encode_slowly(self.language_model.tokenizer, prompts), start=1):
            check_stop()
            results.append(score_encoded(self.language_model, encoded))
            if progress:
                progress(done, len(prompts))
        return results

    def best(
        self,
        prompts: Sequence[Prompt],
        k: int = 1,
        progress: Progress | None = None,
        offsets: Sequence[float] | None = None,
    ) -> list[TopLabels]:
        """See `Scorer.best`."""
        return [best_of(scores, k, offsets) for scores in self.log_probs(prompts, progress)]


def score_encoded(language_model: LanguageModel, row: Encoded) -> LabelScores:
    """Scores of one row's answers, each by a full forward pass of its own."""
    return LabelScores(
        np.array([_score(language_model, row.context, answer) for answer in row.answers], dtype=np.float64),
        np.array([len(answer) for answer in row.answers], dtype=np.int64),
    )


@torch.inference_mode()
def _score(language_model: LanguageModel, context: tuple[int, ...], answer: tuple[int, ...]) -> float:
    ids = torch.tensor([context + answer], device=language_model.device)
    log_probs = torch.log_softmax(language_model.model(input_ids=ids).logits[0].float(), dim=-1)
    return sum(log_probs[len(context) + t - 1, token].item() for t, token in enumerate(answer))


def best_of(scores: LabelScores, k: int, offsets: Sequence[float] | None = None) -> TopLabels:
    """The k best answers of fully scored ones; ties go to the earlier answer."""
    ranked = scores.log_probs + (0.0 if offsets is None else np.asarray(offsets))
    order = np.argsort(-ranked, kind="stable")
    top, rest = order[:k], order[k:]
    return TopLabels(
        indices=tuple(int(i) for i in top),
        scores=tuple(float(ranked[i]) for i in top),
        bound=float(ranked[rest[0]]) if len(rest) else float("-inf"),
    )
