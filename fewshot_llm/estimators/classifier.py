"""`FewShotClassifier`: labelled texts in, labels and probabilities out; a scikit-learn estimator.

With hundreds of intents a prompt cannot show them all. Labels in two levels, `category/intent`, are then asked for one
after the other (`fit_levels`): one prompt shows the categories and one for each category its own intents, all by one
scorer. P(category/intent | text) is the product of both answers, and the products of a text sum to one.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from fewshot_llm.data import Example, Problem, SupportSet
from fewshot_llm.data.cleaning import alike_spellings
from fewshot_llm.data.columns import is_table
from fewshot_llm.data.example import label_name
from fewshot_llm.data.task import Kind, Task
from fewshot_llm.errors import CalibrationError, ModelError, SupportError
from fewshot_llm.estimators.base import (
    TextEstimator,
    as_examples,
    as_support,
    labelled_rows,
    sorted_classes,
    warn_of_losses,
    warn_of_rows,
    without_text,
)
from fewshot_llm.models.load import LanguageModel
from fewshot_llm.predictors.base import Prediction, Predictor
from fewshot_llm.predictors.build import (
    LayoutName,
    ModelLike,
    TaskLike,
    TemplateLike,
    assemble,
    make_task,
    resources_of,
)
from fewshot_llm.predictors.out_of_fold import calibrate
from fewshot_llm.predictors.prompted import (
    Normalisation,
    NormalisationName,
    PromptedPredictor,
    ShownShots,
    prompted_in,
    shown_shots,
    warn_of_shots,
)
from fewshot_llm.prompting.chat import Layout
from fewshot_llm.prompting.defence import Defence, DefenceName
from fewshot_llm.prompting.selection import Selection
from fewshot_llm.scoring.base import local_model
from fewshot_llm.stats.calibration import Calibration, CalibrationMethod, OutOfFold
from fewshot_llm.types import FloatArray, Progress

if TYPE_CHECKING:
    from fewshot_llm.artifacts.kinds import Artifact
    from fewshot_llm.explaining import Explanation, Spans
    from fewshot_llm.ladder.base import Ladder
    from fewshot_llm.predictors.prompted import Inference
    from fewshot_llm.selective.policy import FittedPolicy, SelectivePolicy

__all__ = ["FewShotClassifier", "LevelwiseClassifier", "by_category", "fit_levels"]

NOT_KEPT = (
    "The answers to the support rows by predictors that had not seen them are not kept, so that there is nothing to "
    "fit on. Give labelled rows of their own (SelectivePolicy(calibration=…), --calibration-rows FILE), or fit again."
)


class FewShotClassifier(ClassifierMixin, TextEstimator):  # type: ignore[misc]
    """Labels texts after a few labelled ones, by whatever does that best.

    Word counts, an encoder's vectors, a causal language model that is shown labelled texts, or a mixture: what answers
    is what answered best to labelled rows that it had not seen. A language model scores every label,
    log P(label words | prompt), and every answer is calibrated. Nothing is generated, so it is one of the labels.

    Args:
        task: a built-in task's name, a task folder's path, or a `Task`.
        model: an embedded model's name, a folder or a hub id; `auto` chooses by language. Or a loaded
            `LanguageModel`, or anything that is a `Scorer`.
        shots: demonstrations; per class for class-balanced selections, in all for the others. 0 shows none. Given, no
            ladder is climbed unless one is asked for; neither is it where the selection, the calibration, the
            normalisation, the template, the layout, the permutations, an adapter or a defence is given.
        selection: chooses demonstrations; `Balanced()` by default.
        calibration: `OutOfFold()` by default; or `Contextual()`, `Batch()`, `Uncalibrated()`.
        normalisation: `sum`, `mean` (per token) or `pmi`, or an object of `fewshot_llm.predictors.prompted`.
        language: of the prompt; `auto` looks at the texts that are fitted.
        template: a version number of the task's templates or a `Template`; by default the newest.
        layout: `plain`, `chat` (the model's own chat template), or a `Layout`; `auto` is plain.
        permutations: average log-probabilities over so many draws of demonstrations; costs as many times.
        labels: the labels to choose among; by default the task's, or those that occur in `y`.
        label_words: label → words that are scored for it, in place of the task's.
        label_descriptions: label → what it means, in a sentence, in place of the task's.
        seed: the only source of chance.
        adapter: folder of a trained LoRA adapter to put on the model.
        ladder: how what answers is chosen. `auto` measures word counts, an encoder, the prompt and the model's hidden
            states on the support rows out of fold, without training, and takes the best or their mixture; a `Ladder`
            says how far to climb; None takes the prompt with its settings. What was found is in `decision_`. Without
            any row the labels' names and descriptions answer, by an encoder and by the model.
        encoder: the ladder's encoder: an embedded one's name, a folder or a hub id; `auto` is the small one.
        device: `cpu`, `cuda`, `cuda:1` or `mps`; by default the fastest present.
        dtype: `float32`, `bfloat16` or `float16`; by default float32 on a CPU, bfloat16 on a GPU.
        batch_tokens: tokens per forward pass; by default what fits the memory.
        cut_long_text: cut the middle out of a text that does not fit the context, instead of refusing it.
        defence: against texts that talk to the labeller: `none`, `standard`, or a `Defence`.
        policy: which answers are kept back and what errors cost: a `SelectivePolicy` (see
            `fewshot_llm.selective.policy`).
        merge_labels: in `fit`, take labels that differ only in case, underscores, hyphens and white space as the most
            frequent of them, with a warning that says so.

    Attributes:
        classes_: the labels, sorted as scikit-learn wants them; columns of `predict_proba`.
        predictor_: what answers: a `Predictor`.
        problem_: the task with its labels, the language, the support rows.
        decision_: with a ladder, its decision and all the numbers behind it.
        out_of_fold_: with a ladder, log-probabilities of the support rows by predictors that did not see them, shape
            [rows, labels].
        policy_: with a policy, its contract, costs and scope as they were fitted.

    Example:
        >>> from fewshot_llm import FewShotClassifier
        >>> classifier = FewShotClassifier("review-sentiment", "gemma3-270m", shots=4)
        >>> classifier.fit(texts, labels).predict(["物流很快，质量也不错"])  # doctest: +SKIP
        array(['positive'], dtype='<U8')
    """

    _kind: ClassVar[Kind] = "classification"
    predictor_: Predictor
    problem_: Problem
    policy_: FittedPolicy

    def __init__(
        self,
        task: TaskLike = "review-sentiment",
        model: ModelLike = "auto",
        *,
        shots: int | None = None,
        selection: Selection | None = None,
        calibration: CalibrationMethod | None = None,
        normalisation: NormalisationName | Normalisation = "sum",
        language: str = "auto",
        template: TemplateLike = None,
        layout: LayoutName | Layout = "auto",
        permutations: int = 1,
        labels: Sequence[str] | None = None,
        label_words: Mapping[str, str] | None = None,
        label_descriptions: Mapping[str, str] | None = None,
        seed: int = 0,
        adapter: str | os.PathLike[str] | None = None,
        ladder: Ladder | Literal["auto"] | None = "auto",
        encoder: str = "auto",
        device: str | None = None,
        dtype: str | None = None,
        batch_tokens: int | None = None,
        cut_long_text: bool = False,
        defence: DefenceName | Defence = "none",
        policy: SelectivePolicy | None = None,
        merge_labels: bool = False,
    ) -> None:
        super().__init__(
            task,
            model,
            shots=shots,
            language=language,
            template=template,
            layout=layout,
            seed=seed,
            adapter=adapter,
            device=device,
            dtype=dtype,
            batch_tokens=batch_tokens,
        )
        self.selection = selection
        self.calibration = calibration
        self.normalisation = normalisation
        self.permutations = permutations
        self.labels = labels
        self.label_words = label_words
        self.label_descriptions = label_descriptions
        self.ladder = ladder
        self.encoder = encoder
        self.cut_long_text = cut_long_text
        self.defence = defence
        self.policy = policy
        self.merge_labels = merge_labels

    def fit(self, X: Any, y: Any) -> Self:
        """Clean the labelled texts, assemble the prompt and calibrate on them.

        Args:
            X: texts or mappings of fields: a list, an array, a Series or frame of pandas or polars, a pyarrow table.
            y: one label per text; strings, or any values that scikit-learn takes for classes. White space around a
                label, its case and its width do not count where the task knows it. A row whose label is missing
                (`None`, NaN, `NA`, `NaT`, empty) is left out.

        Raises:
            SupportError: nothing usable is left, or fewer than two classes are.
            FewshotError: a parameter does not fit; the message says which.

        Warns:
            UserWarning: rows were left out, and which; `support_.report` says why.
        """
        if y is None:
            raise ValueError("This classifier requires y to be passed, but the target y is None.")
        if getattr(y, "ndim", 1) > 1 or is_table(y):
            y = column_or_1d(y, warn=True)
        given, there = labelled_rows(y)
        known = column_or_1d(np.array([given[row] for row in there]), warn=True)
        if self.merge_labels and known.dtype.kind in "OUST":
            names = [label_name(value) for value in known.tolist()]
            merged = alike_spellings(names)
            rows = [row for row, name in zip(there, names, strict=True) if name in merged]
            spellings = ", ".join(f"{name!r} → {best!r}" for name, best in merged.items())
            warn_of_rows(rows, f"{{n}} rows have another spelling of a label, which was merged: {spellings}.", 2)
            known = np.array([merged.get(name, name) for name in names])
        check_classification_targets(known)
        values = {label_name(value): value for value in known.tolist() if not isinstance(value, str)}
        found = dict.fromkeys(map(label_name, known.tolist()))
        task = make_task(self.task, self.labels, self.label_words, tuple(found))
        labels: list[Any] = [None] * len(given)
        for row, value in zip(there, known.tolist(), strict=True):
            labels[row] = value
        support = as_support(X, labels, task)
        warn_of_losses(support, stacklevel=2)
        self.fit_support(support)
        self.classes_ = sorted_classes([values.get(label, label) for label in self.labels_])
        return self

    def fit_support(self, support: SupportSet) -> Self:
        """As `fit`, from a support set that was read and cleaned before; an empty one for zero-shot.

        Args:
            support: the labelled rows. Its label words, where it has some, replace the task's.
        """
        self._forget_fitted()
        if self.permutations < 1:
            raise ModelError(f"permutations is {self.permutations}; expected 1 or more.")
        for name in {"decision_", "out_of_fold_", "policy_"} & set(vars(self)):  # of an earlier fit
            delattr(self, name)
        resources = resources_of(self, support)
        self.problem_ = resources.problem
        ladder = self.ladder_for(resources.problem)
        if ladder is None and not support.examples and self._plain:
            from fewshot_llm.ladder.zero_rows import zero_rows

            self.predictor_ = zero_rows(resources)
        elif ladder is not None:
            from fewshot_llm.ladder.climb import run_ladder

            climbed = run_ladder(resources, ladder)
            self.predictor_, self.decision_ = climbed.predictor, climbed.decision
            self.out_of_fold_ = climbed.answers
        else:
            self.predictor_ = self._prompted(assemble(self, support))
        self.classes_ = sorted_classes(self.labels_)
        if self.policy is not None:
            self.set_policy(self.policy)
        return self

    def ladder_for(self, problem: Problem) -> Ladder | None:
        """The ladder that these parameters climb; None where a prompt answers as it is.

        It is the one that was asked for; by default the quick one, where nothing was said of the prompt and rows can be
        held out.

        Args:
            problem: with the labelled rows.
        """
        if self.ladder != "auto":
            return self.ladder
        if not self._plain:
            return None
        from fewshot_llm.ladder.climb import can_be_held_out
        from fewshot_llm.ladder.rungs.defaults import quick_ladder

        return quick_ladder(self.seed) if can_be_held_out(problem.support) else None

    @property
    def _plain(self) -> bool:
        """Whether nothing was said of the prompt, and whatever answers best may answer."""
        if self.ladder != "auto":
            return False
        # Of an adapter's training rows nothing can be held out.
        loaded = self.model if isinstance(self.model, LanguageModel) else local_model(self.model)
        adapter = self.adapter or getattr(loaded, "adapter", None) or None
        given = (self.shots, self.selection, self.calibration, self.template, adapter)
        plain = (self.normalisation, self.layout, self.permutations, self.defence) == ("sum", "auto", 1, "none")
        return plain and all(one is None for one in given)

    def _prompted(self, inference: Inference) -> PromptedPredictor:
        """The prompt with its settings, calibrated."""
        from fewshot_llm.artifacts.folder import recorded_calibration

        warn_of_shots(inference)
        method = OutOfFold() if self.calibration is None else self.calibration
        known = None if self.adapter is None else recorded_calibration(self.adapter, inference)
        recorded = None if known is None else known.calibration
        return PromptedPredictor(inference, calibrate(inference, method, self.permutations, recorded))

    def set_policy(self, policy: SelectivePolicy) -> None:
        """Fit a policy to this fitted classifier and put it on; also to one that was loaded.

        Args:
            policy: which answers are kept back and what errors cost.

        Raises:
            CalibrationError: too few rows for the promise, or the classifier's adapter was trained on the rows to fit
                on; the message says what is needed.
            TaskError: the costs are negative or miss a pair.
        """
        from fewshot_llm.artifacts.folder import trained_on
        from fewshot_llm.selective.policy import (
            OutOfFoldPredictions,
            answers_of_rungs,
            answers_out_of_fold,
            fit_policy,
            require_unseen,
        )

        def out_of_fold() -> OutOfFoldPredictions:
            if (known := getattr(self, "out_of_fold_", None)) is not None:
                return answers_of_rungs(self.problem_, self.decision_.kept.rows, known)
            if not isinstance(self.predictor_, PromptedPredictor):
                raise CalibrationError(NOT_KEPT)
            require_unseen(trained_on(self.adapter), self.support_)
            return answers_out_of_fold(self.predictor_)

        self.policy_ = fit_policy(policy, self.problem_, self.predictor_, out_of_fold)

    @property
    def labels_(self) -> tuple[str, ...]:
        """The labels' names in the task's order."""
        check_is_fitted(self)
        return self.problem_.labels

    @property
    def task_(self) -> Task:
        """The task with the labels that it was fitted with."""
        check_is_fitted(self)
        return self.problem_.task

    @property
    def support_(self) -> SupportSet:
        """The labelled rows after cleaning; its `report` says what was left out."""
        check_is_fitted(self)
        return self.problem_.support

    @property
    def demonstrations_(self) -> ShownShots | None:
        """How many demonstrations were asked for, and how many a prompt shows; None where no prompt is asked."""
        check_is_fitted(self)
        asked = prompted_in(self.predictor_)
        return None if asked is None else shown_shots(asked.inference)

    @property
    def calibrations_(self) -> tuple[Calibration, ...]:
        """Of the prompt that is asked: one per permutation, biases in the order of `labels_`; none without a prompt."""
        check_is_fitted(self)
        asked = prompted_in(self.predictor_)
        return () if asked is None else asked.calibrations

    def predict(self, X: Any, progress: Progress | None = None) -> npt.NDArray[Any]:
        """The most probable label of each text (by a policy's costs, the cheapest), shape [rows], of the type of `y`.

        Warns:
            UserWarning: texts are missing or empty, and which. They get a label like any text, as scikit-learn's
                scorers need one for each row; `predictions` gives them none.
        """
        queries, by = self._queries_with_text(X), self.predictor_
        found = self.policy_.best(by, queries, progress) if hasattr(self, "policy_") else by.best(queries, progress)
        return self.classes_[np.argsort(self._columns())][found]

    def predict_proba(self, X: Any, progress: Progress | None = None) -> FloatArray:
        """Calibrated probabilities, shape [rows, classes], columns as in `classes_`; warns as `predict` does."""
        return np.exp(self.predict_log_proba(X, progress))

    def predict_log_proba(self, X: Any, progress: Progress | None = None) -> FloatArray:
        """Natural logarithms of `predict_proba`, shape [rows, classes]."""
        queries = self._queries_with_text(X)
        return self.predictor_.answer(queries, progress).log_probabilities[:, self._columns()]

    def predictions(self, X: Any, progress: Progress | None = None) -> list[Prediction]:
        """Label, probabilities, margin and prompt fingerprint of each text, in order; with a policy its verdict too.

        A missing or empty text gets no label: `label` is None, `abstained` true and `reason` `"empty-text"`.
        """
        return self._where_text(X, lambda queries: self._predictions(queries, progress))

    def _predictions(self, queries: Sequence[Example], progress: Progress | None) -> list[Prediction]:
        answers = self.predictor_.answer(queries, progress)
        found = [
            Prediction.from_log_probabilities(self.labels_, row, fingerprint)
            for row, fingerprint in zip(answers.log_probabilities, answers.fingerprints, strict=True)
        ]
        log_p = answers.log_probabilities
        return self.policy_.apply(found, log_p, queries, self.problem_) if hasattr(self, "policy_") else found

    def explain(self, text: Any, spans: Spans | None = None, progress: Progress | None = None) -> Explanation:
        """Which words and which demonstrations moved the decision about one text (see `fewshot_llm.explaining`).

        Args:
            text: a text, or a mapping of fields.
            spans: what is taken away, one at a time; words and pairs of Chinese characters by default.
            progress: called with prompts finished and prompts in all.
        """
        from fewshot_llm.explaining import explain, word_spans

        queries = self._queries([text])
        return explain(self.predictor_, queries, spans or word_spans, progress)[0]

    def top_predictions(self, X: Any, k: int = 1, progress: Progress | None = None) -> list[Prediction]:
        """As `predictions`, for the exactly best k labels only: cheaper where there are many labels."""

        def search(queries: Sequence[Example]) -> list[Prediction]:
            asked = self.predictor_
            if not isinstance(asked, PromptedPredictor):
                return [one.cut(k) for one in self._predictions(queries, progress)]
            found = asked.top(queries, k, progress)
            return [
                Prediction.from_top(self.labels_, top, found.temperature, fingerprint)
                for top, fingerprint in zip(found.found, found.fingerprints, strict=True)
            ]

        return self._where_text(X, search)

    def export(self, target: str, folder: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Write the adapter as what a server loads, with everything that belongs to it (see `fewshot-llm export`).

        Of a mixture it is the member with the adapter: a server knows neither heads nor weights; the bundle says so.

        Args:
            target: `peft`, `merged`, `gguf-lora`, `gguf-merged`, `ollama` or `decision`.
            folder: the bundle to write.
            overwrite: replace a bundle that is there.

        Raises:
            ExportError: there is no adapter, an unknown target, or one that cannot express it.
        """
        from fewshot_llm.artifacts.kinds import adapter_folder
        from fewshot_llm.export.bundle import export_classifier

        check_is_fitted(self)
        adapter = self.adapter if self.adapter is not None else adapter_folder(self.predictor_)
        export_classifier(adapter, self.support_, target, Path(folder), overwrite=overwrite)

    @classmethod
    def _of_artifact(cls, found: Artifact, device: str | None, dtype: str | None) -> Self:
        from fewshot_llm.artifacts.kinds import problem_of

        encoder = "auto" if found.encoder is None else found.encoder
        if isinstance(found.predictor, PromptedPredictor):
            estimator = super()._of_artifact(found, device, dtype)
            estimator.encoder = encoder
            return estimator
        # Fitted again, it is measured anew what answers best.
        problem, model = problem_of(found), "auto" if found.model is None else found.model
        estimator = cls(problem.task, model, language=problem.language, encoder=encoder, device=device, dtype=dtype)
        assert isinstance(found.predictor, Predictor)
        estimator.predictor_ = found.predictor
        estimator._take(found)
        return estimator

    @classmethod
    def _parameters_of(cls, predictor: PromptedPredictor) -> dict[str, Any]:
        from fewshot_llm.artifacts.parts import defence_record, normalisation_name

        builder = predictor.inference.builder
        return {
            "selection": builder.selection,
            "normalisation": normalisation_name(predictor.inference.normalisation),
            "permutations": len(predictor.calibrations),
            "cut_long_text": builder.cut_long_text,
            "defence": defence_record(builder.defence),
        }

    def _take(self, found: Artifact) -> None:
        from fewshot_llm.artifacts.kinds import problem_of

        self.classes_, self.problem_ = np.array(found.classes), problem_of(found)
        if found.policy is not None:
            self.policy_ = found.policy
        if found.decision is not None:
            self.decision_ = found.decision
        if found.out_of_fold is not None:
            self.out_of_fold_ = found.out_of_fold

    def _where_text(self, X: Any, predict: Callable[[list[Example]], list[Prediction]]) -> list[Prediction]:
        queries = self._queries(X)
        empty = set(without_text(queries))
        found = iter(predict([query for row, query in enumerate(queries) if row not in empty]))
        return [Prediction.of_no_text() if row in empty else next(found) for row in range(len(queries))]

    def _columns(self) -> list[int]:
        """For each of `classes_` its position in `labels_`."""
        return [self.labels_.index(label_name(value)) for value in self.classes_.tolist()]


SEPARATOR = "/"


def by_category(labels: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Category → its labels, whole. A label without a separator is a category of its own.

    >>> by_category(["order/cancel", "order/track", "thanks"])
    {'order': ('order/cancel', 'order/track'), 'thanks': ('thanks',)}
    """
    found: dict[str, list[str]] = {}
    for label in labels:
        found.setdefault(label.partition(SEPARATOR)[0], []).append(label)
    return {category: tuple(members) for category, members in found.items()}


@dataclass(frozen=True, eq=False)
class LevelwiseClassifier:
    """A classifier of categories, and one of intents for each category that has several.

    Attributes:
        labels: the whole labels, category by category: columns of the probabilities.
        top: gives the category.
        inner: category → what gives the intent within it.
    """

    labels: tuple[str, ...]
    top: FewShotClassifier
    inner: Mapping[str, FewShotClassifier]

    def log_probabilities(self, queries: Sequence[Example], progress: Progress | None = None) -> FloatArray:
        """Log P(category | text) + log P(intent | category, text), nats, shape [queries, labels].

        Args:
            queries: the texts.
            progress: called with queries finished and queries in all; a level counts for its share.
        """
        return self._answer(queries, progress)[0]

    def predictions(self, X: object, progress: Progress | None = None) -> list[Prediction]:
        """Label, probabilities and margin of each text, as `FewShotClassifier.predictions` gives them."""
        queries = as_examples(X, self.top.task_)
        log_probabilities, fingerprints = self._answer(queries, progress)
        return [
            Prediction.from_log_probabilities(self.labels, row, fingerprint)
            for row, fingerprint in zip(log_probabilities, fingerprints, strict=True)
        ]

    def _answer(self, queries: Sequence[Example], progress: Progress | None) -> tuple[FloatArray, list[str]]:
        asked = [self.top, *self.inner.values()]
        answers = [
            classifier.predictor_.answer(queries, progress and partial(_share, progress, number, len(asked)))
            for number, classifier in enumerate(asked)
        ]
        first = dict(zip(self.top.labels_, answers[0].log_probabilities.T, strict=True))
        within = {
            (category, intent): column
            for (category, classifier), answer in zip(self.inner.items(), answers[1:], strict=True)
            for intent, column in zip(classifier.labels_, answer.log_probabilities.T, strict=True)
        }
        columns = []
        for label in self.labels:
            category, _, intent = label.partition(SEPARATOR)
            columns.append(first[category] + within.get((category, intent), 0.0))
        parts = zip(*(answer.fingerprints for answer in answers), strict=True)
        fingerprints = [hashlib.sha256("".join(part).encode()).hexdigest() for part in parts]
        return np.stack(columns, axis=1), fingerprints


def _share(progress: Progress, number: int, parts: int, done: int, total: int) -> None:
    progress((number * total + done) // parts, total)


def fit_levels(task: Task, support: SupportSet, make: Callable[[Task], FewShotClassifier]) -> LevelwiseClassifier:
    """Fit both levels on the same rows.

    Args:
        task: whose words are used for whole labels where it has some.
        support: rows with labels such as `order/cancel`.
        make: gives an unfitted classifier for a task; all of them with the same model.

    Raises:
        SupportError: there is one category only, or a category's own name is a label beside its intents.

    Example:
        >>> from fewshot_llm.scoring.tree_scorer import choose_scorer
        >>> scorer = choose_scorer(model)  # doctest: +SKIP
        >>> fit_levels(task, support, lambda level: FewShotClassifier(level, scorer))  # doctest: +SKIP
    """
    categories = by_category(support.labels)
    if len(categories) < 2:
        raise SupportError(
            f"Labels level by level need at least two categories, and the labels have {len(categories)} "
            f"({', '.join(categories)}). Write labels as category{SEPARATOR}intent, or classify in one step."
        )
    for category, members in categories.items():
        if len(members) > 1 and category in members:
            raise SupportError(
                f"{category!r} is a label and the category of others ({members[0]!r} …). Give it an intent of its own, "
                f"for instance {category + SEPARATOR + 'other'!r}."
            )
    top = _fit(
        task, support, range(len(support)), {label: label.partition(SEPARATOR)[0] for label in support.labels}, make
    )
    inner = {}
    for category, members in categories.items():
        if len(members) > 1:
            rows = [row for row, example in enumerate(support) if example.label in members]
            inner[category] = _fit(task, support, rows, {m: m.partition(SEPARATOR)[2] for m in members}, make)
    return LevelwiseClassifier(tuple(m for members in categories.values() for m in members), top, inner)


def _fit(
    task: Task,
    support: SupportSet,
    rows: Iterable[int],
    names: Mapping[str, str],
    make: Callable[[Task], FewShotClassifier],
) -> FewShotClassifier:
    """A level's classifier; `names` gives each whole label's name on that level."""
    labels = tuple(dict.fromkeys(names.values()))
    examples = tuple(Example(support[row].fields, names[str(support[row].label)]) for row in rows)
    # Words belong to whole labels; a category shares its name with several and keeps its own.
    words = {names[label]: word for label, word in support.label_words.items() if label in names}
    level = task.with_labels(labels, words if len(labels) == len(names) else None)
    return make(level).fit_support(SupportSet(examples, labels))
