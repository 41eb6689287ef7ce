"""Which test rows are attacked."""

from __future__ import annotations

import random

from fewshot_llm.errors import SupportError
from fewshot_llm.support import SupportSet
from fewshot_llm.task import Task

__all__ = ["rows_to_attack"]


def rows_to_attack(task: Task, support: SupportSet, test: SupportSet, most: int, seed: int = 0) -> SupportSet:
    """Test rows that the classifier has not seen, drawn evenly.

    Args:
        task: with its labels.
        support: what the classifier learns from; rows with a text of it are left out.
        test: labelled rows.
        most: how many rows at most.
        seed: of the draw.

    Raises:
        SupportError: nothing is left.
    """
    seen = {leak.test_row for leak in support.leak_check(test)}
    left = [row for row, example in enumerate(test) if row not in seen and example.label in task.labels]
    if not left:
        raise SupportError(
            f"None of the {len(test)} test rows can be attacked: {len(seen)} are also in the support set, and the "
            "others have labels that it does not have. Give rows of your own that the support set does not hold."
        )
    return test.subset(sorted(random.Random(seed).sample(left, min(most, len(left)))))
