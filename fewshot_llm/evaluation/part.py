"""Some cells of a suite now, the others later."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from fewshot_llm.errors import TaskError, nearest
from fewshot_llm.evaluation.cell import Cell
from fewshot_llm.evaluation.suite_file import Suite

__all__ = ["Part"]


@dataclass(frozen=True)
class Part:
    """Cells that agree with every attribute; None agrees with all.

    Attributes:
        methods: rungs, `ladder`, peers.
        models: language models; a peer that has none is not among their cells.
        shots: labelled rows per class.
        seeds: of the support sets.

    >>> Cell(method="lora", model="smollm2-135m", shots=5, seed=2) in Part(methods=["lora", "ladder"], shots=[5])
    True
    """

    methods: Collection[str] | None = None
    models: Collection[str] | None = None
    shots: Collection[int] | None = None
    seeds: Collection[int] | None = None

    def __contains__(self, cell: Cell) -> bool:
        asked = (
            (self.methods, cell.method),
            (self.models, cell.model),
            (self.shots, cell.shots),
            (self.seeds, cell.seed),
        )
        return all(allowed is None or own in allowed for allowed, own in asked)

    def check(self, suite: Suite) -> None:
        """Refuse what the suite does not have: nothing would be measured, and nobody would know why.

        Raises:
            TaskError: it has no such method, model, number of shots or seed.
        """
        sides = {
            "method": (self.methods, (*suite.rungs, *suite.peers)),
            "model": (self.models, suite.models),
            "number of shots": (self.shots, suite.shots),
            "seed": (self.seeds, suite.seeds),
        }
        for what, (asked, there) in sides.items():
            for value in asked or ():
                if value not in there:
                    raise TaskError(
                        f"The suite {suite.name} has no {what} {value!r}. {nearest(str(value), map(str, there))}"
                    )
