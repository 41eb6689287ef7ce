"""Parts that are objects, as JSON names them and back."""

from __future__ import annotations

from dataclasses import asdict, is_dataclass
from typing import Any, Literal, cast, get_args

from fewshot_llm.errors import ModelError, nearest
from fewshot_llm.predictors.normalisation import Normalisation, NormalisationName, as_normalisation
from fewshot_llm.prompting.chat import Chat, Layout, Plain
from fewshot_llm.prompting.defence import STANDARD, Armed, DefenceName
from fewshot_llm.prompting.selection import Balanced, Diverse, Nearest, NearestHidden, RandomOrder, Selection
from fewshot_llm.scoring.base import Scorer, local_model, require_local

__all__ = [
    "defence_record",
    "layout_record",
    "model_record",
    "normalisation_name",
    "restore_selection",
    "selection_record",
]

_BY_VALUE: dict[str, type[Balanced] | type[RandomOrder] | type[Nearest] | type[Diverse]] = {
    kind.__name__: kind for kind in (Balanced, RandomOrder, Nearest, Diverse)
}
"""Selections that are made of plain values."""


def selection_record(selection: Selection) -> dict[str, Any]:
    """A selection's class and values.

    Raises:
        ModelError: it is of a class of the user's own, or embeds texts by something else than the scorer's
            model.
    """
    from fewshot_llm.scoring.vectors import MeanHiddenState

    name = type(selection).__name__
    if isinstance(selection, NearestHidden) and isinstance(selection.embed, MeanHiddenState):
        return {"kind": name}
    if not (is_dataclass(selection) and _BY_VALUE.get(name) is type(selection)):
        raise ModelError(
            f"The selection {selection!r} cannot be saved: it is code, and a saved classifier holds none. "
            f"Use one of {', '.join(_BY_VALUE)}, or NearestHidden with the model's own MeanHiddenState."
        )
    return {"kind": name, **asdict(selection)}


def restore_selection(record: dict[str, Any], scorer: Scorer) -> Selection:
    """The selection that `selection_record` wrote.

    Raises:
        ModelError: the record names no selection.
    """
    values = dict(record)
    name = values.pop("kind", "")
    if name == NearestHidden.__name__:
        from fewshot_llm.scoring.vectors import MeanHiddenState

        return NearestHidden(MeanHiddenState(require_local(scorer)))
    if name not in _BY_VALUE:
        raise ModelError(f"There is no selection {name!r}. {nearest(name, _BY_VALUE)}")
    try:
        return _BY_VALUE[name](**values)
    except TypeError as error:
        raise ModelError(f"The selection {name} does not take {values}: {error}.") from error


def normalisation_name(normalisation: Normalisation) -> NormalisationName:
    """`sum`, `mean` or `pmi`.

    Raises:
        ModelError: it is an object of the user's own, or has settings of its own.
    """
    for name in get_args(NormalisationName):
        if as_normalisation(name) == normalisation:
            return cast(NormalisationName, name)
    raise ModelError("Only the normalisations sum, mean and pmi can be saved by name; this one is an object.")


def layout_record(layout: Layout) -> Literal["plain", "chat"]:
    """The layout's name.

    Raises:
        ModelError: it is of a class of the user's own.
    """
    if isinstance(layout, Plain):
        return "plain"
    if isinstance(layout, Chat):
        return "chat"
    raise ModelError(f"The layout {layout!r} cannot be saved: it is code. Use the plain or the chat layout.")


def defence_record(defence: Armed | None) -> DefenceName:
    """The defence's name.

    Raises:
        ModelError: it is put together by the user.
    """
    if defence is None:
        return "none"
    if defence.defence == STANDARD:
        return "standard"
    raise ModelError(f"The defence {defence.defence.name!r} cannot be saved: it is code. Use none or standard.")


def model_record(scorer: Scorer) -> dict[str, str]:
    """What names a scorer's model: name, revision and hashes; a scorer without one is named by its fingerprint."""
    model = local_model(scorer)
    if model is None:
        return {"fingerprint": scorer.fingerprint}
    return {
        "name": model.name,
        "revision": model.revision,
        "sha256": model.sha256,
        "adapter": model.adapter,
        "dtype": str(model.dtype).removeprefix("torch."),
    }
