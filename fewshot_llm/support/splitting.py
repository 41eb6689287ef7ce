"""Folds for out-of-fold scores: stratified by label, copies of a text kept together."""

from __future__ import annotations

import random
from collections import defaultdict

from fewshot_llm.errors import SupportError
from fewshot_llm.language import normalise_text
from fewshot_llm.support.supportset import SupportSet

__all__ = ["folds"]


def folds(support: SupportSet, n_splits: int, seed: int = 0) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Split a support set into folds; every example is held out exactly once.

    Examples whose normalised texts are equal land in one fold, so that no held-out text was seen. Each class is
    spread evenly: the groups of a class are dealt round the folds, and the next class goes on where it stopped.

    Args:
        support: the set.
        n_splits: how many folds; as many as there are distinct texts is leave-one-out.
        seed: shuffles the groups.

    Returns:
        For each fold the positions to learn from and the positions held out, both ascending, held-out never empty.

    Raises:
        SupportError: fewer than 2 folds, or more folds than distinct texts.

    >>> support = SupportSet.from_lists(["a", "b", "c", "d"], ["x", "y", "x", "y"])
    >>> [len(held_out) for _, held_out in folds(support, 2)]
    [2, 2]
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for index, example in enumerate(support.examples):
        groups[normalise_text(example.text)].append(index)
    if not 2 <= n_splits <= len(groups):
        raise SupportError(
            f"{n_splits} folds were asked for, but there are {len(groups)} distinct texts; expected at least 2 folds "
            "and at most as many as texts. Ask for fewer folds or add examples."
        )
    by_label: dict[str | None, list[list[int]]] = defaultdict(list)
    for group in groups.values():
        by_label[support[group[0]].label].append(group)
    generator = random.Random(seed)
    held_out: list[list[int]] = [[] for _ in range(n_splits)]
    dealt = 0
    for label_groups in by_label.values():
        generator.shuffle(label_groups)
        for group in label_groups:
            held_out[dealt % n_splits].extend(group)
            dealt += 1
    everything = set(range(len(support)))
    return [(tuple(sorted(everything.difference(held))), tuple(sorted(held))) for held in held_out]
