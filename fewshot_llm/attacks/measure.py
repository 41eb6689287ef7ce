"""A fitted classifier under attack: what it says of texts, and of the same texts with each injection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from fewshot_llm.attacks.catalog import AttackSet
from fewshot_llm.attacks.wording import attacked_text
from fewshot_llm.calibration import IntArray
from fewshot_llm.errors import SupportError
from fewshot_llm.estimators.classifier import FewShotClassifier
from fewshot_llm.prompting.form import Form
from fewshot_llm.scoring.base import Progress
from fewshot_llm.support import Example

__all__ = ["Attacked", "attack"]


@dataclass(frozen=True)
class Attacked:
    """What a classifier said.

    Attributes:
        targets: the right labels' positions, shape [rows].
        clean: labels of the texts as they are, shape [rows].
        aims: what the attacks aimed at: never the clean label, shape [rows].
        said: labels of the attacked texts, shape [attacks, rows].
        texts: the texts as they are, [rows].
        attacked: the attacked texts, [attacks][rows].
    """

    targets: IntArray
    clean: IntArray
    aims: IntArray
    said: IntArray
    texts: tuple[str, ...] = field(default=(), repr=False)
    attacked: tuple[tuple[str, ...], ...] = field(default=(), repr=False)


def attack(
    classifier: FewShotClassifier,
    examples: Sequence[Example],
    attacks: AttackSet,
    seed: int = 0,
    progress: Progress | None = None,
) -> Attacked:
    """Ask a classifier about texts without and with each attack.

    An attack goes into the task's main field. It aims at a label that the classifier does not give the text without
    it; where there are several, chance takes one.

    Args:
        classifier: fitted.
        examples: labelled rows that it has not seen.
        attacks: what is tried.
        seed: of the aims.
        progress: called with texts finished and texts in all.

    Raises:
        SupportError: there are no rows, no attacks, or a row has a label that the classifier does not give.
    """
    builder = classifier.answerer_.inference.builder
    labels, main = builder.labels, builder.task.fields[-1]
    unknown = next((example.label for example in examples if example.label not in labels), None)
    if not examples or not attacks.attack or unknown is not None:
        raise SupportError(
            f"Attacks need rows, attacks and known labels; got {len(examples)} rows, {len(attacks.attack)} attacks"
            + (f" and the label {unknown!r}. Known: {', '.join(labels)}." if unknown is not None else ".")
        )
    plain = [Example(example.fields) for example in examples]
    rows = len(plain)
    total = rows * (len(attacks.attack) + 1)
    clean = classifier.answerer_.best(plain, progress and (lambda done, _: progress(done, total)))
    aims = (clean + np.random.default_rng(seed).integers(1, len(labels), rows)) % len(labels)
    form = Form.of(builder.task, builder.template, builder.language)
    texts = [str(example.fields[main]) for example in plain]
    attacked = [
        [attacked_text(text, each, labels[aim], form, attacks.meaning) for text, aim in zip(texts, aims, strict=True)]
        for each in attacks.attack
    ]
    # Row by row, so that the attacks on one text are scored together and share its tokens.
    asked = [
        Example({**example.fields, main: text})
        for example, ways in zip(plain, zip(*attacked, strict=True), strict=True)
        for text in ways
    ]
    said = classifier.answerer_.best(asked, progress and (lambda done, _: progress(rows + done, total)))
    return Attacked(
        targets=np.array([labels.index(str(example.label)) for example in examples], dtype=np.int64),
        clean=clean,
        aims=aims,
        said=said.reshape(rows, len(attacks.attack)).T,
        texts=tuple(texts),
        attacked=tuple(map(tuple, attacked)),
    )
