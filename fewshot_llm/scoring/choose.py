"""Which scorer a model gets: the token tree where it proves itself on that very model, else the slow reference.

The tree replaces the model's attention. An architecture that does something else between tokens (state-space layers,
keys shared between layers, position biases) would be scored wrong without an error, so every model is probed once.
"""

from __future__ import annotations

import logging

import numpy as np
import torch

from fewshot_llm.models.language_model import LanguageModel
from fewshot_llm.scoring.base import Scorer
from fewshot_llm.scoring.cached import TreeScorer, score_rows
from fewshot_llm.scoring.encoding import Encoded
from fewshot_llm.scoring.reference import ReferenceScorer, score_encoded

__all__ = ["choose_scorer", "probe_difference"]

log = logging.getLogger(__name__)

PROBE_BUDGET = 8
"""Tokens a pass in the probe: so few that keys are read from the shared path as well as from blocks."""


def choose_scorer(language_model: LanguageModel, batch_tokens: int | None = None) -> Scorer:
    """The fastest scorer that gives this model's own scores.

    Args:
        language_model: what to score with.
        batch_tokens: see `TreeScorer`.

    Returns:
        A `TreeScorer`, or a `ReferenceScorer` (with a warning in the log) where the tree's scores differ.
    """
    try:
        difference = probe_difference(language_model)
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError, NotImplementedError) as error:
        reason = f"its layers cannot be driven that way ({type(error).__name__}: {error})"
    else:
        if difference <= _tolerance(language_model.dtype):
            return TreeScorer(language_model, batch_tokens)
        reason = f"log-probabilities would differ by up to {difference:.3g}"
    log.warning(
        "%s is scored one label at a time, which is slow: the token tree does not fit this kind of model, %s.",
        language_model.name,
        reason,
    )
    return ReferenceScorer(language_model)


def probe_difference(language_model: LanguageModel) -> float:
    """The largest difference in nats between the token tree's scores and plain forward passes, on a few odd rows."""
    ids = np.random.default_rng(0).integers(0, min(1000, len(language_model.tokenizer)), size=40).tolist()
    head, tails = tuple(ids[:20]), (tuple(ids[20:23]), tuple(ids[23:30]))
    answers = ((ids[30], ids[31], ids[32]), (ids[30], ids[31], ids[33] + 1), (ids[34],))
    rows = [Encoded(head + tail, answers) for tail in tails]
    scored, _ = score_rows(language_model, rows, PROBE_BUDGET, lambda _: None)
    return max(
        float(np.abs(own.log_probs - score_encoded(language_model, row).log_probs).max())
        for own, row in zip(scored, rows, strict=True)
    )


def _tolerance(dtype: torch.dtype) -> float:
    """Half precision rounds each layer's sums differently: about 1 % of a logit of 20."""
    return 1e-3 if dtype == torch.float32 else 0.25
