"""What answers where no row is labelled: the labels' names and descriptions, by an encoder and by a language model.

Nothing can be measured then, so the rules are fixed. They were chosen on rows that no figure is reported on (27 intents
and ten product categories in English, Chinese reviews). Small language models know sentiment, once they are shown what
is meant; names of intents and products are told apart better by an encoder.
"""

from __future__ import annotations

from dataclasses import replace

from fewshot_llm.data import Example, SupportSet, Task
from fewshot_llm.errors import ModelError
from fewshot_llm.ladder.rungs.encoder import names_head
from fewshot_llm.predictors.base import Predictor
from fewshot_llm.predictors.linear import LinearPredictor
from fewshot_llm.predictors.mixture import MixturePredictor
from fewshot_llm.predictors.out_of_fold import calibrate
from fewshot_llm.predictors.prompted import Inference, PromptedPredictor
from fewshot_llm.predictors.resources import Resources, Unavailable
from fewshot_llm.prompting.selection import Balanced
from fewshot_llm.stats.calibration import Contextual, identity

__all__ = ["zero_rows"]

NAMES_WEIGHT, PROMPT_WEIGHT = 1.0, 0.5


def zero_rows(resources: Resources) -> Predictor:
    """The predictor for a problem without a labelled row.

    Where the task brings examples of every label, the language model is shown them and answers. Else an encoder
    compares a text with each label's words and description, a language model is asked without
    demonstrations, calibrated on texts without content, and both answer together. Where one of them is not to be had,
    the other one answers.

    Args:
        resources: the problem, whose support set is not looked at, and the models.

    Raises:
        ModelError: neither is to be had, or one that was named is not.
    """
    missing: list[str] = []
    examples = _examples(resources.problem.task)
    if examples is not None:
        try:
            return _shown(resources.inference, examples)
        except Unavailable as error:
            missing.append(str(error))
    found: list[tuple[str, float, Predictor]] = []
    for rung, weight, make in (("encoder-names", NAMES_WEIGHT, _names), ("zero-shot", PROMPT_WEIGHT, _asked)):
        try:
            found.append((rung, weight, make(resources)))
        except Unavailable as error:
            missing.append(str(error))
    if not found:
        raise ModelError(
            "Without labelled rows an encoder or a language model has to answer, and there is none: "
            f"{' '.join(dict.fromkeys(missing))}"
        )
    if len(found) == 1:
        return found[0][2]
    rungs, weights, parts = zip(*found, strict=True)
    return MixturePredictor(parts, rungs, weights)


def _examples(task: Task) -> SupportSet | None:
    """A task's own examples, as many of each label; None where a label has none, or a row needs other fields too."""
    field, counts = task.fields[-1], [len(task.examples.get(label, ())) for label in task.labels]
    if not min(counts) or set(task.fields) - {field} - set(task.optional_fields):
        return None
    rows = [Example({field: text}, label) for label in task.labels for text in task.examples[label][: min(counts)]]
    return SupportSet(tuple(rows), task.labels)


def _shown(known: Inference, examples: SupportSet) -> PromptedPredictor:
    """Shows all of them."""
    builder = replace(known.builder, selection=Balanced(), shots=len(examples) // len(examples.labels))
    inference = Inference(builder, known.scorer, examples, known.normalisation)
    return PromptedPredictor(inference, calibrate(inference, Contextual(), 1))


def _names(resources: Resources) -> LinearPredictor:
    known, labels = resources.vectors(), resources.problem.labels
    features, head = names_head(known.encoder, known.words)
    return LinearPredictor(labels, features, head, identity(len(labels)))


def _asked(resources: Resources) -> PromptedPredictor:
    """Without descriptions: small models are led astray by long lists of them."""
    known = resources.inference
    builder = replace(known.builder, task=_undescribed(known.builder.task), shots=0)
    inference = Inference(builder, known.scorer, SupportSet((), known.support.labels), known.normalisation)
    return PromptedPredictor(inference, calibrate(inference, Contextual(), 1))


def _undescribed(task: Task) -> Task:
    return Task(**(task.model_dump() | {"label_descriptions": {}}))
