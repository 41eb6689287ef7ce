"""From prompts to label scores: the builder, the scorer and the normalisation as one thing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from fewshot_llm.normalisation import Normalisation, Sum
from fewshot_llm.prompting.builder import PromptBuilder
from fewshot_llm.prompting.prompt import Prompt
from fewshot_llm.scoring.base import FloatArray, Progress, Scorer
from fewshot_llm.scoring.session import check_stop
from fewshot_llm.support import Example, SupportSet

__all__ = ["Inference", "Question"]


@dataclass(frozen=True)
class Question:
    """Queries that are asked with the same support rows.

    Attributes:
        support: where their demonstrations come from.
        queries: the texts.
    """

    support: SupportSet
    queries: tuple[Example, ...]


@dataclass(frozen=True)
class Inference:
    """What is asked of a model, and which scores are read.

    Attributes:
        builder: makes the prompts.
        scorer: scores them.
        support: the support set that is served.
        normalisation: which score of a label is compared.
    """

    builder: PromptBuilder
    scorer: Scorer
    support: SupportSet
    normalisation: Normalisation = field(default_factory=Sum)

    def query(self, text: str) -> Example:
        """A query that holds only this text: in the task's main field, and in every other one that a row must have."""
        task = self.builder.task
        needed = [name for name in task.fields if name == task.fields[-1] or name not in task.optional_fields]
        return Example(dict.fromkeys(needed, text))

    def prompts(self, queries: Sequence[Example], draw: int = 0) -> list[Prompt]:
        """The prompts that are served for these queries under one draw of demonstrations."""
        return [self._prompt(query, draw) for query in queries]

    def _prompt(self, query: Example, draw: int) -> Prompt:
        check_stop()
        return self.builder.build(query, self.support, draw)

    def score_prompts(self, prompts: Sequence[Prompt], draw: int = 0, progress: Progress | None = None) -> FloatArray:
        """Label scores in nats of served prompts, shape [prompts, labels].

        Args:
            prompts: made by `prompts` with the same draw.
            draw: the draw, for the normalisation's neutral texts.
            progress: called with prompts finished and prompts in all.
        """
        return self._tables([(self.support, prompts)], draw, progress)[0]

    def ask(self, questions: Sequence[Question], draw: int = 0, progress: Progress | None = None) -> list[FloatArray]:
        """Label scores of questions with other support rows, scored together so that batches fill.

        Args:
            questions: each with its own support rows.
            draw: which draw of demonstrations.
            progress: called with prompts finished and prompts in all.

        Returns:
            For each question scores in nats, shape [queries, labels].
        """
        groups = [
            (question.support, [self.builder.build(query, question.support, draw) for query in question.queries])
            for question in questions
        ]
        return self._tables(groups, draw, progress)

    def _tables(
        self, groups: Sequence[tuple[SupportSet, Sequence[Prompt]]], draw: int, progress: Progress | None
    ) -> list[FloatArray]:
        """Label scores of each group's prompts, all of them scored together."""
        plans = [self._blocks(support, prompts, draw) for support, prompts in groups]
        asked = [prompt for blocks in plans for block in blocks for part in block for prompt in part]
        rows = iter(self.scorer.log_probs(asked, progress) if asked else [])
        tables = []
        for blocks in plans:
            found = [np.empty((0, len(self.builder.labels)))]
            for neutral, prompts in blocks:
                before, scored = [next(rows) for _ in neutral], [next(rows) for _ in prompts]
                found.append(self.normalisation.scores(scored, before))
            tables.append(np.concatenate(found))
        return tables

    def _blocks(
        self, support: SupportSet, prompts: Sequence[Prompt], draw: int
    ) -> list[tuple[list[Prompt], Sequence[Prompt]]]:
        """Prompts with the content-free ones that they are compared with.

        A content-free prompt shows what the prompt itself shows. Demonstrations of its own would not only be another
        baseline: of a row that is held out they would miss just that row, and so give its label away.
        """
        texts = [self.query(text) for text in self.normalisation.neutral_texts]
        if not prompts:
            return []
        if not (texts and self.builder.shots and self.builder.selection.depends_on_query):
            return [([self.builder.build(text, support, draw) for text in texts], prompts)]
        return [
            ([self.builder.build(text, support, draw, shown=prompt.demonstrations) for text in texts], [prompt])
            for prompt in prompts
        ]
