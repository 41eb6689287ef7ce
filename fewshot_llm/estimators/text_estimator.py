"""What every estimator that reads texts has in common: scikit-learn's contract, and pickles without weights."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass, is_dataclass
from typing import Any, Self

from sklearn.base import BaseEstimator
from sklearn.utils import Tags

from fewshot_llm.errors import ServerError
from fewshot_llm.models.language_model import LanguageModel
from fewshot_llm.models.reference import ModelReference, load_referenced, reference_of, require_referenced
from fewshot_llm.scoring.remote import RemoteScorer

__all__ = ["TextEstimator"]


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


class TextEstimator(BaseEstimator):  # type: ignore[misc]
    """Base of the estimators: parameters that are shared by clones, and input that is text.

    A pickle (of `pickle`, joblib, MLflow) holds no weights: a model is referred to by name or folder, revision and
    SHA-256, and is loaded again when it is first needed, from its folder or this machine's caches, never from a
    network. An adapter that is in no folder is kept in the pickle. A server is referred to by its address, without
    the key; give it again with `attach_model`. Load only pickles that you trust: they are code.
    """

    def attach_model(self, model: Any, *, allow_base_mismatch: bool = False) -> Self:
        """Give the model to an estimator that was pickled, where it is not found by itself: a server, a moved folder.

        Args:
            model: a loaded model, a name or folder, a server's address, or a `RemoteScorer`.
            allow_base_mismatch: accept another model than the one it was fitted with; the calibration will not fit.

        Raises:
            ModelError: another model.
            ServerError: another server.
        """
        from fewshot_llm.estimators.assemble import make_scorer

        if "_packed" not in self.__dict__:
            return self
        scorer: Any = make_scorer(model, "en", adapter=self.__dict__.get("adapter") if isinstance(model, str) else None)
        given: Any = getattr(scorer, "language_model", scorer)

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
