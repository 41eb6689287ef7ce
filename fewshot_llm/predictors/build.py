"""From a classifier's parameters to the parts they name: the task, the scorer, the prompt builder."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from fewshot_llm.data import Problem, SupportSet
from fewshot_llm.data.language import detect_language, language_name, written_language
from fewshot_llm.data.task import Task, load_task
from fewshot_llm.errors import FewshotWarning, ModelError, TaskError, TemplateError, nearest
from fewshot_llm.models.load import LanguageModel
from fewshot_llm.models.locate import Stamp, stamp_of
from fewshot_llm.models.registry import EMBEDDED, has_read, resolve_auto
from fewshot_llm.models.trust import ModelName, RecordedModel, is_address
from fewshot_llm.predictors.prompted import (
    DEFAULT_SHOTS,
    Inference,
    Normalisation,
    NormalisationName,
    as_normalisation,
)
from fewshot_llm.predictors.resources import Resources
from fewshot_llm.prompting.builder import PromptBuilder
from fewshot_llm.prompting.chat import Chat, Layout, Plain
from fewshot_llm.prompting.defence import Defence, DefenceName, PromptShape, as_defence
from fewshot_llm.prompting.selection import Balanced, Selection
from fewshot_llm.prompting.template import Template, load_template
from fewshot_llm.scoring.base import PromptLimits, Scorer, prompt_limits
from fewshot_llm.scoring.remote.scorer import connect

__all__ = [
    "LayoutName",
    "ModelLike",
    "TaskLike",
    "TemplateLike",
    "armed",
    "assemble",
    "choose_language",
    "make_builder",
    "make_language",
    "make_problem",
    "make_scorer",
    "make_task",
    "resources_of",
    "scorer_of",
    "text_language",
    "warn_of_language",
]

TaskLike: TypeAlias = str | os.PathLike[str] | Task
ModelLike: TypeAlias = str | os.PathLike[str] | RecordedModel | LanguageModel | Scorer
TemplateLike: TypeAlias = int | Template | None
LayoutName: TypeAlias = Literal["auto", "plain", "chat"]


class ModelSettings(Protocol):
    """The parameters with which every estimator names its model."""

    model: ModelLike
    adapter: str | os.PathLike[str] | None
    device: str | None
    dtype: str | None
    batch_tokens: int | None


class PromptSettings(ModelSettings, Protocol):
    """The parameters with which a classifier says what is asked, and how."""

    task: TaskLike
    labels: Sequence[str] | None
    label_words: Mapping[str, str] | None
    label_descriptions: Mapping[str, str] | None
    language: str
    template: TemplateLike
    selection: Selection | None
    shots: int | None
    seed: int
    layout: LayoutName | Layout
    cut_long_text: bool
    defence: DefenceName | Defence
    normalisation: NormalisationName | Normalisation
    encoder: str


def assemble(classifier: PromptSettings, support: SupportSet, scorer: Scorer | None = None) -> Inference:
    """What a classifier's parameters ask with this support set; nothing is fitted.

    Args:
        classifier: gives the parameters.
        support: the labelled rows. Their label words, where they have some, replace the task's.
        scorer: in place of the one that the parameters name.

    Raises:
        FewshotError: a parameter does not fit; the message says which.
    """
    problem = make_problem(classifier, support)
    language, texts = problem.language, [example.text for example in support]
    scorer = scorer or scorer_of(classifier, text_language(language, texts))
    builder = make_builder(
        problem.task,
        language,
        scorer,
        template=classifier.template,
        selection=classifier.selection,
        shots=DEFAULT_SHOTS if classifier.shots is None else classifier.shots,
        seed=classifier.seed,
        layout=classifier.layout,
        cut_long_text=classifier.cut_long_text,
    )
    return Inference(
        armed(builder, classifier.defence, support),
        scorer,
        support,
        as_normalisation(classifier.normalisation),
    )


def make_problem(classifier: PromptSettings, support: SupportSet) -> Problem:
    """What a classifier's parameters have to answer, whoever answers it.

    Args:
        classifier: gives the parameters.
        support: the labelled rows. Their label words, where they have some, replace the task's.

    Raises:
        FewshotError: a parameter does not fit; the message says which.
    """
    words = {**support.label_words, **(classifier.label_words or {})}
    task = make_task(classifier.task, classifier.labels, words, support.labels, classifier.label_descriptions)
    return Problem(task, make_language(classifier.language, task, support), support)


def resources_of(classifier: PromptSettings, support: SupportSet) -> Resources:
    """The problem, and the models that a classifier's parameters name; none is loaded yet."""
    return Resources(
        make_problem(classifier, support),
        lambda: assemble(classifier, support),
        classifier.encoder,
        classifier.device if isinstance(classifier.model, str) else None,
        may_miss=classifier.model == "auto" and classifier.adapter is None,
    )


def armed(builder: PromptBuilder, defence: DefenceName | Defence, support: SupportSet) -> PromptBuilder:
    """The builder with a defence against texts that talk to the labeller; `none` changes nothing."""
    defence = as_defence(defence)
    if not defence.filters:
        return builder
    shape = PromptShape.of(builder.task, builder.template, builder.language)
    return replace(builder, defence=defence.arm(shape, builder.language, [example.text for example in support]))


def make_task(
    task: TaskLike,
    labels: Sequence[str] | None = None,
    label_words: Mapping[str, str] | None = None,
    found: Sequence[str] = (),
    label_descriptions: Mapping[str, str] | None = None,
) -> Task:
    """The task with the labels that a classifier will choose among.

    Args:
        task: a `Task`, the name of a built-in one or the path of its folder.
        labels: the labels to choose among; by default the task's own (with those of its optional ones that
            occur), and where it has none of its own, those that occur.
        label_words: label → words, in place of the task's.
        found: the labels that occur among the user's rows.
        label_descriptions: label → what it means, in place of the task's.

    Raises:
        TaskError: the task is not a classification, or its labels or words are unusable.
    """
    if not isinstance(task, Task):
        task = load_task(task)
    if task.kind != "classification":
        raise TaskError(f"The task {task.name} is of the kind {task.kind}; this classifier gives one label per text.")
    if labels is None:
        occurring = [label for label in task.optional_labels if label in found]
        task = task.with_optional(*occurring) if occurring else task
    chosen = tuple(labels) if labels is not None else task.labels or tuple(sorted(set(found)))
    if not chosen:
        raise TaskError(f"The task {task.name} takes its labels from the rows, and there are none. Give labels=[…].")
    if chosen == task.labels and not label_words and not label_descriptions:
        return task
    return task.with_labels(chosen, label_words, label_descriptions)


def make_language(language: str, task: Task, support: SupportSet) -> str:
    """The language to ask in; `auto` looks at the support set's texts, and where there are none at the labels' names.

    Small models know English best: asked with English label words, they tell Chinese reviews apart that they cannot
    tell apart when they are asked in Chinese and shown nothing.

    Raises:
        TaskError: the task does not speak it.
    """
    return choose_language(language, task, [example.text for example in support] or task.labels)


def choose_language(language: str, task: Task, texts: Iterable[str]) -> str:
    """The language to ask in; `auto` looks at the texts.

    Raises:
        TaskError: the task does not speak it.
    """
    if language == "auto":
        return detect_language(texts, task.languages)
    if language not in task.languages:
        raise TaskError(f"The task {task.name} has no language {language!r}. {nearest(language, task.languages)}")
    return language


def text_language(language: str, texts: Iterable[str]) -> str:
    """The language that a model has to have read: the texts', and where nothing tells it the prompt's.

    >>> text_language("en", ["Быстрая доставка"])
    'ru'
    """
    return written_language(texts) or language


def warn_of_language(name: str, language: str, stacklevel: int = 3) -> None:
    """Say where an embedded model has not read texts in a language."""
    if name not in EMBEDDED or has_read(EMBEDDED[name], language):
        return
    has = ", ".join(language_name(code) for code in EMBEDDED[name].languages)
    warnings.warn(
        f"The texts look like {language_name(language)}, and {name} has read {has}: its answers may be worth little. "
        f"Take {resolve_auto(language)} (which --model auto takes), or another model that has read "
        f"{language_name(language)}.",
        FewshotWarning,
        stacklevel=stacklevel + 1,
    )


def make_template(template: TemplateLike, task: Task, language: str) -> Template:
    """The template itself, a version of the task's, or its newest.

    Raises:
        TemplateError: there is no such template.
    """
    if isinstance(template, Template):
        return template
    if template is None or (isinstance(template, int) and not isinstance(template, bool)):
        return load_template(task, language, template)
    raise TemplateError(f"template must be a version number, a Template or None; got {template!r}.")


def make_scorer(
    model: ModelLike,
    language: str,
    *,
    adapter: str | os.PathLike[str] | None = None,
    device: str | None = None,
    dtype: str | None = None,
    batch_tokens: int | None = None,
    allow_download: bool = False,
    insecure: bool = False,
) -> Scorer:
    """The scorer for a model given by name, path or hub id, as `auto`, loaded, already in a scorer, or on a server.

    `language` is the texts' (see `text_language`): `auto` takes a model that has read it, and an embedded model that
    has not is warned of.

    A server's address is `http://HOST:PORT/v1#NAME`; an adapter folder then only names the base model's tokenizer.

    The last model that was loaded by name stays in memory, so that a grid search loads it once.

    A `RecordedModel`, whose name was read from a file, never leads to a server, and is not fetched unless it says so.
    `allow_download` and `insecure` are told to `connect`, for a model that is given by address.

    Raises:
        ModelError: the model is unknown, or options are given that a loaded model can no longer heed.
    """
    if isinstance(model, str) and is_address(model):
        folder = None if adapter is None else os.fspath(adapter)
        return connect(model, folder, allow_download=allow_download, insecure=insecure)
    if isinstance(model, str | os.PathLike | RecordedModel):
        reference = model if isinstance(model, RecordedModel) else os.fspath(model)
        if str(reference) == "auto":
            name = resolve_auto(language)
            reference = replace(reference, name=name) if isinstance(reference, RecordedModel) else name
        folder = None if adapter is None else os.fspath(adapter)
        wanted = _Wanted(str(reference), reference)
        model = _load_once(wanted, folder, device, dtype, stamp_of(wanted.name), stamp_of(folder))
    elif not (adapter is None and device is None and dtype is None):
        raise ModelError(
            "adapter, device and dtype only apply to a model that is given by name or path; "
            f"this one is a loaded {type(model).__name__}. Load it with load_model(name, adapter=…, device=…, dtype=…)."
        )
    if isinstance(model, LanguageModel):
        warn_of_language(model.name, language)
        from fewshot_llm.scoring.tree_scorer import choose_scorer

        return choose_scorer(model, batch_tokens)
    if not hasattr(model, "log_probs"):
        raise ModelError(f"model must be a name, a path, a LanguageModel or a Scorer; got {type(model).__name__}.")
    return model


def scorer_of(estimator: ModelSettings, language: str) -> Scorer:
    """`make_scorer` with an estimator's own parameters."""
    return make_scorer(
        estimator.model,
        language,
        adapter=estimator.adapter,
        device=estimator.device,
        dtype=estimator.dtype,
        batch_tokens=estimator.batch_tokens,
    )


@dataclass(frozen=True)
class _Wanted:
    """A model that is in memory already is the same one, whoever names it."""

    name: str
    reference: ModelName = field(compare=False)


@lru_cache(maxsize=1)
def _load_once(
    wanted: _Wanted,
    adapter: str | None,
    device: str | None,
    dtype: str | None,
    *stamps: Stamp,
) -> LanguageModel:
    from fewshot_llm.models.load import load_model

    return load_model(wanted.reference, adapter=None if adapter is None else Path(adapter), device=device, dtype=dtype)


def make_builder(
    task: Task,
    language: str,
    scorer: Scorer,
    *,
    template: TemplateLike = None,
    selection: Selection | None = None,
    shots: int = 4,
    seed: int = 0,
    layout: LayoutName | Layout = "auto",
    cut_long_text: bool = False,
) -> PromptBuilder:
    """The prompt builder; told of the model's special tokens and context where the scorer has a model."""
    limits = prompt_limits(scorer)
    return PromptBuilder(
        task,
        make_template(template, task, language),
        language,
        selection=Balanced() if selection is None else selection,
        shots=shots,
        seed=seed,
        layout=_make_layout(layout, limits),
        special_tokens=limits.special_tokens if limits else (),
        tokenizer=limits.tokenizer if limits else None,
        token_limit=limits.context_length if limits else None,
        cut_long_text=cut_long_text,
    )


def _make_layout(layout: LayoutName | Layout, limits: PromptLimits | None) -> Layout:
    # "auto" is plain for every model: it is what base models need, and no measurement speaks for another choice yet.
    if layout in ("auto", "plain"):
        return Plain()
    if layout == "chat":
        if limits is None:
            raise TemplateError("The chat layout needs the model's tokenizer, and this scorer has none. Use Chat(…).")
        return Chat(limits.tokenizer)
    if isinstance(layout, str):
        raise TemplateError(f"There is no layout {layout!r}. {nearest(layout, ['auto', 'plain', 'chat'])}")
    return layout
