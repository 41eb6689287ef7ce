"""`Recipe`: LoRA settings, read from TOML and checked before anything is computed."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from fewshot_llm.errors import TuningError, nearest

__all__ = ["Recipe", "list_recipes", "load_recipe", "recipes_folder", "suggest_recipe", "take_recipe"]

MANY_CLASSES = 10
"""From so many labels on, a row holds more label tokens than text, and `many-classes` is the better trade."""

MANY_ROWS = 200
"""From so many rows on, `many-classes` takes too many too large steps, and `many-rows` learns more slowly."""


class Recipe(BaseModel):
    """How an adapter is trained. Unknown keys are errors.

    The shipped recipes give a reason beside each value.

    >>> Recipe(rank=16, layers="top:8").top_layers
    8
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = "custom"
    rank: Annotated[int, Field(ge=1, le=512, description="rank r of each LoRA update B·A")] = 8
    alpha: Annotated[float, Field(gt=0, description="updates are scaled by alpha / rank")] = 16.0
    dropout: Annotated[float, Field(ge=0, lt=1, description="of the input of each LoRA update")] = 0.0
    targets: Annotated[
        tuple[str, ...] | Literal["all-linear"],
        Field(description="names of linear modules inside the layers, or all of them; never the output head"),
    ] = "all-linear"
    layers: Annotated[str, Field(pattern=r"^(all|top:[1-9]\d*)$")] = "all"
    loss: Annotated[
        Literal["labels", "ordinal", "tokens"],
        Field(
            description="softmax over the candidate labels, the same with soft targets for labels that have an order, "
            "or cross-entropy on the true label's tokens"
        ),
    ] = "labels"
    demonstrations: Annotated[int, Field(ge=0, description="demonstrations per class in each prompt")] = 0
    word_dropout: Annotated[
        float, Field(ge=0, lt=1, description="share of a text's words that is left out, others in each epoch")
    ] = 0.0
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    warmup: Annotated[float, Field(ge=0, lt=1, description="share of all steps")] = 0.1
    epochs: Annotated[int, Field(ge=1, description="at most; out-of-fold loss may stop earlier")] = 10
    batch_rows: Annotated[int, Field(ge=1, description="rows per optimiser step")] = 8
    pack_tokens: Annotated[int, Field(ge=16, description="tokens computed at once; bounds the memory")] = 1024
    clip: Annotated[float, Field(gt=0, description="largest norm of a step's gradient")] = 1.0
    adapters: Annotated[int, Field(ge=1, le=16, description="adapters of different seeds, averaged exactly")] = 1
    folds: Annotated[int, Field(ge=2, le=20, description="folds of the out-of-fold estimate")] = 3

    @field_validator("targets", mode="before")
    @classmethod
    def _some_targets(cls, value: object) -> object:
        if isinstance(value, list | tuple) and not value:
            raise ValueError('targets is empty: name at least one linear module, or write "all-linear"')
        return tuple(value) if isinstance(value, list) else value

    @property
    def top_layers(self) -> int | None:
        """How many layers from the top are adapted; None for all."""
        return None if self.layers == "all" else int(self.layers.removeprefix("top:"))


def recipes_folder() -> Path:
    """Where the shipped recipes are: inside an installed package, or beside it in a checkout.

    Raises:
        TuningError: neither is there.
    """
    package = Path(__file__).resolve().parents[1]
    checkout = package.parent / "adapters" / "recipes"
    if (installed := package / "recipes").is_dir():
        return installed
    if checkout.is_dir() and (package.parent / "pyproject.toml").is_file():
        return checkout
    raise TuningError(f"The recipes are missing: neither {installed} nor {checkout} is a folder. Install again.")


def list_recipes() -> list[str]:
    """Names of the shipped recipes."""
    return sorted(path.stem for path in recipes_folder().glob("*.toml"))


def suggest_recipe(labels: int, rows: int) -> str:
    """The shipped recipe for a support set.

    Args:
        labels: how many there are.
        rows: labelled rows in all.

    >>> suggest_recipe(2, 32), suggest_recipe(27, 108), suggest_recipe(77, 770)
    ('small', 'many-classes', 'many-rows')
    """
    if labels <= 2:
        return "small"
    if labels < MANY_CLASSES:
        return "default"
    return "many-rows" if rows >= MANY_ROWS else "many-classes"


def load_recipe(name_or_path: str | Path) -> Recipe:
    """Read a shipped recipe by name, or any TOML file by path.

    Raises:
        TuningError: no such recipe, TOML that cannot be read, an unknown key or a value out of range.
    """
    text = str(name_or_path)
    path = Path(text) if re.search(r"[/\\]|\.toml$", text) else recipes_folder() / f"{text}.toml"
    if not path.is_file():
        raise TuningError(
            f"There is no recipe {text!r}. {nearest(text, list_recipes())} A recipe of your own is given by the path "
            "of its .toml file."
        )
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TuningError(f"The recipe {path} is not readable TOML: {error}.") from None
    try:
        return Recipe(**{"name": path.stem, **values})
    except ValidationError as error:
        raise TuningError(f"The recipe {path} has {_problems(error)}") from None


def take_recipe(given: Recipe | str | Path | None, labels: int, rows: int) -> Recipe:
    """A recipe as it is, one read by name or path, or where none is given the one suggested for the support set.

    Args:
        given: what a user or a suite names.
        labels: how many labels there are.
        rows: labelled rows in all.

    Raises:
        TuningError: of `load_recipe`.

    >>> take_recipe(None, 2, 32).name
    'small'
    """
    return given if isinstance(given, Recipe) else load_recipe(given or suggest_recipe(labels, rows))


def _problems(error: ValidationError) -> str:
    found = []
    for problem in error.errors():
        key = str(problem["loc"][0]) if problem["loc"] else "recipe"
        if problem["type"] == "extra_forbidden":
            found.append(f"an unknown key {key!r} ({nearest(key, Recipe.model_fields)})")
        else:
            found.append(f"{key} = {problem['input']!r}: {problem['msg']}")
    return "; ".join(dict.fromkeys(found)) + "."
