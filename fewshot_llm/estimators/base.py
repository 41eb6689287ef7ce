"""What every estimator that reads texts has in common.

What scikit-learn hands over (lists, arrays, frames) becomes examples, label names and numbers. Parameters are shared by
clones, pickles hold no weights, and whatever was fitted is saved to a folder and loaded from it.
"""

from __future__ import annotations

import copy
import io
import math
import os
import pickle
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from fewshot_llm.data import Example, SupportSet
from fewshot_llm.data.columns import column_values, is_table, table_rows
from fewshot_llm.data.example import label_name
from fewshot_llm.data.language import normalise_text
from fewshot_llm.data.task import Kind, Task, load_task
from fewshot_llm.errors import FewshotWarning, ServerError, SupportError, TaskError
from fewshot_llm.files.values import DecimalMark, is_missing, number_column
from fewshot_llm.models.load import LanguageModel
from fewshot_llm.models.pickled import ModelReference, load_referenced, reference_of, require_referenced
from fewshot_llm.predictors.build import LayoutName, ModelLike, TaskLike, TemplateLike, make_builder, make_scorer
from fewshot_llm.predictors.prompted import DEFAULT_SHOTS, ShownShots, shown_shots
from fewshot_llm.prompting.builder import PromptBuilder
from fewshot_llm.prompting.chat import Layout
from fewshot_llm.prompting.selection import Selection
from fewshot_llm.scoring.base import Scorer, local_model
from fewshot_llm.scoring.remote.scorer import RemoteScorer
from fewshot_llm.types import FloatArray

if TYPE_CHECKING:
    from fewshot_llm.artifacts.folder import EncoderLike
    from fewshot_llm.artifacts.kinds import Artifact

__all__ = [
    "TextEstimator",
    "as_examples",
    "as_numbers",
    "as_rows",
    "as_support",
    "labelled_rows",
    "load_estimator",
    "require_variety",
    "sorted_classes",
    "warn_of_losses",
    "warn_of_rows",
    "without_text",
]


def as_rows(X: Any, task: Task) -> list[dict[str, Any]]:
    """One mapping of fields per row.

    Args:
        X: texts, mappings of fields or `Example`s in any sequence; a Series of texts or a frame of pandas or polars
            (a table of pyarrow, a `Dataset`) whose columns are named as the task's fields; an array of shape [rows],
            or [rows, columns] with the
            task's fields (or only its main text) in order.
        task: names the fields; a plain text is its last one.

    Raises:
        SupportError: X is a single text, or a row is no text and no mapping.
    """
    if isinstance(X, str | bytes | Mapping | Example):
        raise SupportError(f"Expected a sequence of texts, got one {type(X).__name__}. Put it in a list.")
    if is_table(X):
        X = table_rows(X)
        if X and len(X[0]) == 1 and next(iter(X[0])) not in task.fields:
            X = [value for row in X for value in row.values()]
    if isinstance(X, np.ndarray):
        X = _unstacked(X, task)
    if not isinstance(X, Iterable):
        raise SupportError(f"Expected a sequence of texts, got {type(X).__name__}.")
    X = column_values(X)
    return [_row(value, position, task.fields[-1]) for position, value in enumerate(X)]


def as_examples(X: Any, task: Task) -> list[Example]:
    """Queries for `as_rows`' rows; a missing value becomes an empty text."""
    return [
        Example.of({name: "" if is_missing(value) else value for name, value in row.items()})
        for row in as_rows(X, task)
    ]


def as_support(X: Any, y: Sequence[Any], task: Task) -> SupportSet:
    """The cleaned support set of labelled rows; what was left out is in its `report`.

    Raises:
        SupportError: X and y differ in length, nothing usable is left, or fewer than two classes are.
    """
    rows = as_rows(X, task)
    y = column_values(y)
    if len(rows) != len(y):
        raise SupportError(f"There are {len(rows)} texts but {len(y)} labels. Give one label for each text.")
    labelled = [
        {**row, "label": None if is_missing(value) else label_name(value)} for row, value in zip(rows, y, strict=True)
    ]
    columns = {name: name for name in (*task.fields, "label") if any(name in row for row in labelled)}
    return SupportSet.from_rows(labelled, task, columns)


def labelled_rows(y: Any) -> tuple[list[Any], list[int]]:
    """The values of a target, and the positions of those that are there.

    Raises:
        SupportError: none is.
    """
    values = column_values(y)
    there = [at for at, value in enumerate(values) if not is_missing(value) and str(value).strip()]
    if values and not there:
        raise SupportError(
            f"All {len(values)} labels are missing (None, NaN or empty). Give a label to at least one text of each of "
            "two classes."
        )
    return values, there


def as_numbers(y: Any, decimal: DecimalMark | None = None) -> FloatArray:
    """Targets as finite numbers, shape [rows]; NaN where one is missing (`None`, NaN, `NA`, an empty text).

    Args:
        y: numbers, or texts of numbers, which are read as `number_column` reads a column.
        decimal: what stands before the decimals of texts; by default they tell.

    Raises:
        SupportError: one is no number; the message names the first. Or all are missing.
        DataFileError: texts are written in two ways, or all of them can be read both ways.
    """
    values, there = labelled_rows(y)
    rule = number_column("target", [values[position] for position in there], decimal)
    numbers = [math.nan] * len(values)
    for position in there:
        value = values[position]
        number = rule.read(value)
        if number is None:
            raise SupportError(
                f"The target of row {position} is {value!r}; a regression needs a finite number for each row. Mend or "
                "remove such rows, or use a classification task for labels."
            )
        numbers[position] = number
    return np.array(numbers, dtype=np.float64)


def require_variety(targets: FloatArray) -> None:
    """Refuse targets that nothing can be learned from.

    Raises:
        SupportError: there are none, or all are alike.
    """
    if len(targets) == 0:
        raise SupportError("There are no rows. Give at least two texts with different numbers.")
    if len(set(targets.tolist())) < 2:
        raise SupportError(
            f"All {len(targets)} targets are {targets[0]:g}: there is nothing to tell apart. Add rows with others."
        )


def warn_of_rows(rows: Sequence[int], english: str, stacklevel: int = 3) -> None:
    """A Python warning that names rows by their positions from 0; nothing where there are none.

    Args:
        rows: positions.
        english: what is with them, `{n}` for how many.
        stacklevel: as for `warnings.warn`.
    """
    if rows:
        shown = ", ".join(map(str, rows[:20])) + (", …" if len(rows) > 20 else "")
        warnings.warn(
            f"{english.format(n=len(rows))} Positions from 0: {shown}.", FewshotWarning, stacklevel=stacklevel + 1
        )


def warn_of_losses(support: SupportSet, stacklevel: int = 3) -> None:
    """Say which rows of a fit were left out, and why; duplicates are left to the report."""
    for finding in support.report.findings:
        if finding.rows and (finding.severity == "error" or finding.code in ("missing-label", "empty-text")):
            warn_of_rows(finding.rows, finding.english.replace("{", "{{").replace("}", "}}"), stacklevel + 1)


def without_text(examples: Sequence[Example]) -> list[int]:
    """Positions of queries that have no text."""
    return [at for at, example in enumerate(examples) if not normalise_text(example.text)]


def sorted_classes(values: Sequence[Any]) -> npt.NDArray[Any]:
    """Class values in the order that scikit-learn's scorers assume.

    Args:
        values: one per class, of the type they had in `y`. Where types differ (a label that `y` does not have is
            known by its name only), all are taken by name.
    """
    if len({type(value) for value in values}) > 1:
        values = [label_name(value) for value in values]
    return np.unique(np.array(values))


def _unstacked(X: npt.NDArray[Any], task: Task) -> list[Any]:
    if X.ndim == 0 or X.ndim > 2 or X.dtype.kind not in "OUST":
        raise SupportError(
            f"Expected texts, got an array of {X.dtype} with shape {X.shape}. This classifier reads text, not features."
        )
    if X.ndim == 1:
        return list(X)
    columns = X.shape[1]
    if columns not in (1, len(task.fields)):
        wanted = f"one column or {len(task.fields)} ({', '.join(task.fields)})"
        raise SupportError(f"Expected {wanted}, got an array with {columns} columns. Give a frame with named columns.")
    names = task.fields[-1:] if columns == 1 else task.fields
    return [dict(zip(names, row, strict=True)) for row in X.tolist()]


def _row(value: Any, position: int, main: str) -> dict[str, Any]:
    if isinstance(value, Example):
        return dict(value.fields)
    if isinstance(value, Mapping):
        return {str(name): part for name, part in value.items()}
    if isinstance(value, str) or is_missing(value):
        return {main: value}
    raise SupportError(
        f"Row {position} is a {type(value).__name__}, expected a text or a mapping of fields such as {{{main!r}: '…'}}."
    )


@dataclass(frozen=True)
class _ServerReference:
    """A server that answered; never its key. It is asked again only when its address is given again."""

    address: str
    fingerprint: str


@dataclass(frozen=True)
class _Packed:
    """Attributes that lead to a model, pickled with references in its place."""

    names: tuple[str, ...]
    data: bytes


ESTIMATORS: Mapping[Kind, tuple[str, str]] = {
    "classification": ("fewshot_llm.estimators.classifier", "FewShotClassifier"),
    "multilabel": ("fewshot_llm.estimators.multilabel", "FewShotMultiLabelClassifier"),
    "regression": ("fewshot_llm.estimators.regressor", "FewShotRegressor"),
    "ranking": ("fewshot_llm.estimators.ranker", "FewShotRanker"),
}
"""Which estimator answers a task, by its kind: module and class."""


class TextEstimator(BaseEstimator):  # type: ignore[misc]
    """Base of the estimators: parameters that are shared by clones, input that is text, and one saved folder.

    What `fit` finds is `predictor_`, which `save` writes and `load` reads.

    A pickle (of `pickle`, joblib, MLflow) holds no weights: a model is referred to by name or folder, revision and
    SHA-256, and is loaded again when it is first needed, from its folder or this machine's caches, never from a
    network. An adapter that is in no folder is kept in the pickle. A server is referred to by its address, without
    the key; give it again with `attach_model`. Load only pickles that you trust: they are code. A saved folder is none.
    """

    _kind: ClassVar[Kind]
    predictor_: Any

    def __init__(
        self,
        task: TaskLike,
        model: ModelLike,
        *,
        shots: int | None,
        language: str,
        template: TemplateLike,
        layout: LayoutName | Layout,
        seed: int,
        adapter: str | os.PathLike[str] | None,
        device: str | None,
        dtype: str | None,
        batch_tokens: int | None,
    ) -> None:
        self.task = task
        self.model = model
        self.shots = shots
        self.language = language
        self.template = template
        self.layout = layout
        self.seed = seed
        self.adapter = adapter
        self.device = device
        self.dtype = dtype
        self.batch_tokens = batch_tokens

    @property
    def support_(self) -> SupportSet:
        """The rows that demonstrations come from, after cleaning; its `report` says what was left out."""
        check_is_fitted(self)
        support: SupportSet = self.predictor_.inference.support
        return support

    @property
    def task_(self) -> Task:
        """The task with the labels, or what else there is to choose among, that it was fitted with."""
        check_is_fitted(self)
        task: Task = self.predictor_.inference.builder.task
        return task

    @property
    def demonstrations_(self) -> ShownShots | None:
        """How many demonstrations were asked for, and how many a prompt shows; None where no prompt is asked."""
        check_is_fitted(self)
        return shown_shots(self.predictor_.inference)

    def save(self, folder: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Write what was fitted as JSON, rows, template text and arrays of numbers; models are only named.

        Where the terms of a model ask for a notice with what derives from it, that is written too.

        Args:
            folder: where to; made if it is not there.
            overwrite: replace what was saved there before.

        Raises:
            AdapterError: the folder is in use.
            ArtifactError: it holds something else, or a value cannot be saved; the message says which.
            ModelError: a part is an object of your own that JSON cannot name.
        """
        from fewshot_llm.artifacts.folder import save_artifact
        from fewshot_llm.artifacts.kinds import Artifact

        check_is_fitted(self)
        artifact = Artifact(
            self.predictor_,
            tuple(self.classes_.tolist()) if hasattr(self, "classes_") else (),
            getattr(self, "policy_", None),
            getattr(self, "decision_", None),
            None if self.adapter is None else Path(self.adapter),
            problem=getattr(self, "problem_", None),
            out_of_fold=getattr(self, "out_of_fold_", None),
        )
        save_artifact(artifact, Path(folder), overwrite=overwrite)

    @classmethod
    def load(
        cls,
        folder: str | os.PathLike[str],
        *,
        model: ModelLike | None = None,
        encoder: EncoderLike | None = None,
        device: str | None = None,
        dtype: str | None = None,
        allow_base_mismatch: bool = False,
        allow_download: bool = False,
        insecure: bool = False,
    ) -> Self:
        """Read what `save` or `fewshot-llm tune` wrote; it answers as the saved one did, without fitting again.

        Nothing that the folder records makes the program contact anybody: a recorded address is refused, and a
        recorded model is loaded from the disk or the cache. `model` may be whatever you trust, a server's address too.
        Only the models that it answers with are loaded: none for counts of words.

        Args:
            folder: what was saved.
            model: in place of the recorded language model, for one that was loaded already or lies elsewhere.
            encoder: in place of the recorded encoder, likewise.
            device: as for the class.
            dtype: as for the class.
            allow_base_mismatch: accept another base model than the recorded one; the calibration will not fit.
            allow_download: fetch recorded models where they are not in the cache.
            insecure: where `model` is an address, allow that the key goes in clear to another machine.

        Raises:
            ArtifactError: the folder is not whole, holds something else than this class fits, was fitted with another
                model, or names one that is not here or is an address.
        """
        from fewshot_llm.artifacts.folder import load_artifact

        found = load_artifact(
            Path(folder),
            answers=cls._kind,
            model=model,
            encoder=encoder,
            device=device,
            dtype=dtype,
            allow_base_mismatch=allow_base_mismatch,
            allow_download=allow_download,
            insecure=insecure,
        )
        return cls._of_artifact(found, device, dtype)

    @classmethod
    def _of_artifact(cls, found: Artifact, device: str | None, dtype: str | None) -> Self:
        from fewshot_llm.artifacts.parts import layout_record

        predictor: Any = found.predictor
        inference = predictor.inference
        builder = inference.builder
        parameters = {
            "task": builder.task,
            "model": inference.scorer if found.model is None else found.model,
            "shots": builder.shots,
            "language": builder.language,
            "template": builder.template,
            "layout": layout_record(builder.layout),
            "seed": builder.seed,
            "adapter": found.adapter,
            "device": device,
            "dtype": dtype,
        }
        estimator = cls(**{**parameters, **cls._parameters_of(found.predictor)})
        estimator.predictor_ = found.predictor
        estimator._take(found)
        return estimator

    @classmethod
    def _parameters_of(cls, predictor: Any) -> dict[str, Any]:
        """The parameters that only this class has, of what was loaded."""
        return {}

    def _take(self, found: Artifact) -> None:
        """Set what is fitted besides `predictor_`."""

    def _take_task(self) -> Task:
        """The task, of this estimator's kind.

        Raises:
            TaskError: it is of another kind.
        """
        task = self.task if isinstance(self.task, Task) else load_task(self.task)
        if task.kind != self._kind:
            raise TaskError(
                f"The task {task.name} is of the kind {task.kind}; {type(self).__name__} needs one of kind "
                f"{self._kind}. For this one take {ESTIMATORS[task.kind][1]}."
            )
        return task

    def _make_builder(self, task: Task, language: str, scorer: Scorer, selection: Selection | None) -> PromptBuilder:
        return make_builder(
            task,
            language,
            scorer,
            template=self.template,
            selection=selection,
            shots=DEFAULT_SHOTS if self.shots is None else self.shots,
            seed=self.seed,
            layout=self.layout,
            cut_long_text=getattr(self, "cut_long_text", False),
        )

    def _queries(self, X: Any) -> list[Example]:
        check_is_fitted(self)
        return as_examples(X, self.task_)

    def _queries_with_text(self, X: Any) -> list[Example]:
        """Queries; warns of those that are missing or empty."""
        queries = self._queries(X)
        warn_of_rows(without_text(queries), "{n} texts are missing or empty; they are answered as empty texts.", 3)
        return queries

    def attach_model(self, model: Any, *, allow_base_mismatch: bool = False) -> Self:
        """Give the model to an estimator that was pickled, where it is not found by itself: a server, a moved folder.

        Args:
            model: a loaded model, a name or folder, a server's address, or a `RemoteScorer`.
            allow_base_mismatch: accept another model than the one it was fitted with; the calibration will not fit.

        Raises:
            ModelError: another model.
            ServerError: another server.
        """
        if "_packed" not in self.__dict__:
            return self
        scorer: Any = make_scorer(model, "en", adapter=self.__dict__.get("adapter") if isinstance(model, str) else None)
        given: Any = local_model(scorer) or scorer

        def find(reference: ModelReference | _ServerReference) -> Any:
            if isinstance(reference, _ServerReference) or not isinstance(given, LanguageModel):
                there = getattr(given, "fingerprint", None)
                expected = getattr(reference, "fingerprint", reference)
                if there != expected and not allow_base_mismatch:
                    raise ServerError(
                        f"This was fitted with {expected}, and what was given is {there}. Give that one, fit again, or "
                        "allow it (allow_base_mismatch=True)."
                    )
                return given
            weights = reference.adapter_source if hasattr(reference.adapter_source, "put_on") else None
            ready = given if weights is None or given.adapter == reference.adapter else weights.put_on(given)
            if not allow_base_mismatch:
                require_referenced(reference, ready)
            return ready

        self._unpack(find)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        packed = self.__dict__.get("_packed")
        return "predictor_" in self.__dict__ or (packed is not None and "predictor_" in packed.names)

    def __sklearn_clone__(self) -> Self:
        # Parameters are shared, not copied: a loaded model for every fold and grid point would fill the memory.
        return type(self)(**self.get_params(deep=False))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # Parameters and what is frozen are shared, and so is the loaded model.
        copied = type(self).__new__(type(self))
        memo[id(self)] = copied
        shared = set(self._get_param_names())
        for name, value in self.__dict__.items():
            frozen = is_dataclass(value) and getattr(type(value), "__dataclass_params__").frozen  # noqa: B009
            copied.__dict__[name] = value if name in shared or frozen else copy.deepcopy(value, memo)
        return copied

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        found = {name: _models_in(value) for name, value in state.items() if name != "_packed"}
        holding = {name: state.pop(name) for name, models in found.items() if models}
        if holding:
            data = _pickled(holding, [model for models in found.values() for model in models])
            if "_packed" in state:  # not needed so far; a model that was given in the meantime goes along
                holding = {**_unpickled(state["_packed"].data, _load), **holding}
                data = _pickled(holding, [model for value in holding.values() for model in _models_in(value)])
            state["_packed"] = _Packed(tuple(holding), data)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    def __getattr__(self, name: str) -> Any:
        packed = self.__dict__.get("_packed")
        if packed is None or name not in packed.names:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        self._unpack(_load)
        return self.__dict__[name]

    def _unpack(self, find: Callable[[Any], Any]) -> None:
        packed: _Packed = self.__dict__["_packed"]
        for name, value in _unpickled(packed.data, find).items():
            self.__dict__.setdefault(name, value)
        self.__dict__.pop("_packed", None)

    def _forget_fitted(self) -> None:
        """Before a new fit: what an earlier one left in a pickle is not needed; a model that is a parameter is."""
        packed = self.__dict__.get("_packed")
        if packed is None:
            return
        if set(packed.names) & set(self._get_param_names()):
            self._unpack(_load)
        else:
            self.__dict__.pop("_packed")


def _is_tokenizer(value: Any) -> bool:
    return hasattr(type(value), "backend_tokenizer") and hasattr(type(value), "apply_chat_template")


class _Reader(pickle.Pickler):
    """Meets every object; keeps the models among them and goes no deeper into those."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), protocol=pickle.HIGHEST_PROTOCOL)
        self.models: list[LanguageModel | RemoteScorer] = []

    def persistent_id(self, obj: Any) -> Any:
        if isinstance(obj, LanguageModel | RemoteScorer):
            self.models.append(obj)
            return "model"
        return "tokenizer" if _is_tokenizer(obj) else None


def _models_in(value: Any) -> list[LanguageModel | RemoteScorer]:
    reader = _Reader()
    try:
        reader.dump(value)
    except Exception:  # what pickle cannot do is said by the real pickling, or done by cloudpickle
        return []
    return reader.models


class _Writer(pickle.Pickler):
    def __init__(self, file: io.BytesIO, models: list[LanguageModel | RemoteScorer]) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self._references = {id(model): _refer(model) for model in models}
        self._owners = {id(model.tokenizer): model for model in models}

    def persistent_id(self, obj: Any) -> Any:
        if isinstance(obj, LanguageModel | RemoteScorer):
            return "model", self._references[id(obj)]
        if _is_tokenizer(obj) and (owner := self._owners.get(id(obj))) is not None:
            return "tokenizer", self._references[id(owner)]
        return None


def _refer(model: LanguageModel | RemoteScorer) -> ModelReference | _ServerReference:
    if isinstance(model, RemoteScorer):
        return _ServerReference(model.name, model.fingerprint)
    return reference_of(model)


def _pickled(values: dict[str, Any], models: list[LanguageModel | RemoteScorer]) -> bytes:
    file = io.BytesIO()
    _Writer(file, models).dump(values)
    return file.getvalue()


class _Opener(pickle.Unpickler):
    def __init__(self, data: bytes, find: Callable[[Any], Any]) -> None:
        super().__init__(io.BytesIO(data))
        self._find, self._found = find, dict[int, tuple[Any, Any]]()

    def persistent_load(self, pid: Any) -> Any:
        what, reference = pid
        _, model = self._found.setdefault(id(reference), (reference, None))
        if model is None:
            model = self._find(reference)
            self._found[id(reference)] = (reference, model)
        return model.tokenizer if what == "tokenizer" else model


def _unpickled(data: bytes, find: Callable[[Any], Any]) -> dict[str, Any]:
    values: dict[str, Any] = _Opener(data, find).load()
    return values


def _load(reference: ModelReference | _ServerReference) -> LanguageModel:
    if isinstance(reference, ModelReference):
        return load_referenced(reference)
    raise ServerError(
        f"This estimator asks the server {reference.address}, which was read from a pickle, and nothing recorded makes "
        f"this program contact anybody. Give the address again: estimator.attach_model({reference.address!r})."
    )


def load_estimator(
    folder: str | os.PathLike[str],
    *,
    model: ModelLike | None = None,
    encoder: EncoderLike | None = None,
    device: str | None = None,
    dtype: str | None = None,
    allow_base_mismatch: bool = False,
    allow_download: bool = False,
    insecure: bool = False,
) -> TextEstimator:
    """Whatever was saved in a folder, as the estimator that fits such a thing.

    Args:
        folder: what an estimator's `save` or `fewshot-llm tune` wrote.
        model: as for `TextEstimator.load`, and so are the others.
        encoder: in place of the recorded encoder.
        device: where to run.
        dtype: the weights' number format.
        allow_base_mismatch: accept another base model than the recorded one.
        allow_download: fetch recorded models where they are not in the cache.
        insecure: where `model` is an address, allow that the key goes in clear to another machine.

    Raises:
        ArtifactError: as of `TextEstimator.load`.

    Example:
        >>> from fewshot_llm import load_estimator
        >>> load_estimator("my-ratings").predict(["物流很快"])  # doctest: +SKIP
    """
    from fewshot_llm.artifacts.folder import load_artifact

    found = load_artifact(
        Path(folder),
        model=model,
        encoder=encoder,
        device=device,
        dtype=dtype,
        allow_base_mismatch=allow_base_mismatch,
        allow_download=allow_download,
        insecure=insecure,
    )
    module, name = ESTIMATORS[found.answers]
    estimator: type[TextEstimator] = getattr(import_module(module), name)
    return estimator._of_artifact(found, device, dtype)
