"""The toolkit's scorer against the bare model, against itself, and against one full prompt per label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from eval.speed.bare import bare_forward, best_shape
from eval.speed.timing import paired
from fewshot_llm.models import LanguageModel
from fewshot_llm.prompting import Prompt
from fewshot_llm.scoring import Profile, ReferenceScorer, TreeScorer

__all__ = ["against_bare", "against_full_prompts", "best_against_all"]


def against_bare(model: LanguageModel, prompts: Sequence[Prompt], rounds: int) -> dict[str, Any]:
    """Scoring, tokenising and head included, over a bare forward on exactly the unique tokens."""
    scorer = TreeScorer(model)
    scorer.log_probs(prompts)
    profile, shape = scorer.profile, best_shape(model)
    ratio = paired(lambda: scorer.log_probs(prompts), bare_forward(model, profile.computed, shape), rounds)
    return {**ratio.as_json(), "bare_shape": shape, "profile": asdict(profile), "reuse": profile.reuse}


def best_against_all(model: LanguageModel, prompts: Sequence[Prompt], rounds: int) -> dict[str, Any]:
    """The best label only, over all probabilities; the labels must be the same."""
    scorer = TreeScorer(model)
    best = [int(found.indices[0]) for found in scorer.best(prompts)]
    opened = scorer.profile.computed
    scorer.profile = Profile()
    every = [int(scores.log_probs.argmax()) for scores in scorer.log_probs(prompts)]
    scored = scorer.profile.computed
    ratio = paired(lambda: scorer.best(prompts), lambda: scorer.log_probs(prompts), rounds)
    return {
        **ratio.as_json(),
        "same_labels": best == every,
        "tokens": opened,
        "compared_tokens": scored,
    }


def against_full_prompts(model: LanguageModel, prompts: Sequence[Prompt], sample: int, rounds: int) -> dict[str, Any]:
    """How many times faster than one full prompt per row and label (what OpenICL does).

    The slow way runs `sample` rows; seconds are per row.
    """
    scorer, reference = TreeScorer(model), ReferenceScorer(model)
    some = prompts[:: max(1, len(prompts) // sample)][:sample]
    difference = max(
        float(abs(own.log_probs - slow.log_probs).max())
        for own, slow in zip(scorer.log_probs(some), reference.log_probs(some), strict=True)
    )
    ratio = paired(lambda: reference.log_probs(some), lambda: scorer.log_probs(prompts), rounds)
    per_row = len(prompts) / len(some)
    return {
        "ratio": ratio.median * per_row,
        "lowest": ratio.values[0] * per_row,
        "highest": ratio.values[-1] * per_row,
        "rows_per_second": len(prompts) / ratio.as_json()["compared_seconds"],  # type: ignore[operator]
        "slow_rows": len(some),
        "largest_difference": difference,
    }
