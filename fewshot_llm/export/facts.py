"""`Facts`: everything the linter looks at, gathered once, tolerant of damage that a rule is to name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from fewshot_llm.errors import AdapterError
from fewshot_llm.export.adapter import WEIGHTS_NAME, Values, read_config, tensor_values
from fewshot_llm.export.base import BaseModel

__all__ = ["Facts", "gather"]

_PREFIX = "base_model.model."

HALF_LIMIT = 65504.0
"""The largest number of float16."""


@dataclass(frozen=True)
class Facts:
    """What is known of an adapter before any model is loaded.

    Attributes:
        folder: the adapter's folder.
        config: its `adapter_config.json`.
        shapes: shape of every tensor by name; empty where the weights are a pickle.
        values: what the numbers of each tensor are, by name.
        base: the base model; None when it was not given, and then rules about it pass.
        pickles: names of pickle files in the folder.
        recorded_base: SHA-256 of the base weights that training wrote down; empty if it did not.
        tokens: size of the tokenizer in the folder; 0 without one.
        tokenizer_differs: whether that tokenizer and the base model's differ.
    """

    folder: Path
    config: Mapping[str, Any]
    shapes: Mapping[str, tuple[int, ...]]
    base: BaseModel | None
    values: Mapping[str, Values] = field(default_factory=dict)
    pickles: tuple[str, ...] = ()
    recorded_base: str = ""
    tokens: int = 0
    tokenizer_differs: bool = False

    @cached_property
    def _modules(self) -> dict[str, dict[str, tuple[int, ...]]]:
        found: dict[str, dict[str, tuple[int, ...]]] = {}
        for name, shape in self.shapes.items():
            for side in ("A", "B"):
                head, mark, _ = name.partition(f".lora_{side}.")
                if mark:
                    found.setdefault(head.removeprefix(_PREFIX), {})[side] = shape
        return found

    @property
    def paths(self) -> tuple[str, ...]:
        """Adapted modules' paths in the base model."""
        return tuple(sorted(self._modules))

    @property
    def extra(self) -> tuple[str, ...]:
        """Tensors that are no `lora_A` or `lora_B`."""
        return tuple(sorted(name for name in self.shapes if ".lora_A." not in name and ".lora_B." not in name))

    @property
    def odd_keys(self) -> tuple[str, ...]:
        """LoRA tensors whose name servers do not look for."""
        good = (".lora_A.weight", ".lora_B.weight")
        return tuple(
            sorted(
                name
                for name in self.shapes
                if name not in self.extra and not (name.startswith(_PREFIX) and name.endswith(good))
            )
        )

    @property
    def ranks(self) -> tuple[int, ...]:
        """The ranks of the tensors, each once."""
        return tuple(sorted({sides["A"][0] for sides in self._modules.values() if "A" in sides}))

    @property
    def unpaired(self) -> tuple[str, ...]:
        """Modules with one factor only, or with two of different ranks; each with what is wrong."""
        found = []
        for path, sides in sorted(self._modules.items()):
            if len(sides) < 2:
                found.append(f"{path} has lora_{next(iter(sides))} only")
            elif sides["A"][0] != sides["B"][1]:
                found.append(f"{path} has a lora_A of rank {sides['A'][0]} and a lora_B of rank {sides['B'][1]}")
        return tuple(found)

    @property
    def not_finite(self) -> tuple[str, ...]:
        """Tensors that hold NaN or infinity, DoRA's magnitudes and biases among them."""
        return tuple(sorted(name for name, values in self.values.items() if not values.finite))

    @property
    def too_large(self) -> tuple[str, ...]:
        """Tensors with finite numbers that half precision cannot hold."""
        return tuple(
            sorted(name for name, values in self.values.items() if values.finite and values.largest > HALF_LIMIT)
        )

    @property
    def idle(self) -> tuple[str, ...]:
        """Modules whose update is zero: one of the factors is all zeros."""
        return tuple(path for path in self.paths if any(one.finite and one.largest == 0 for one in self._of(path)))

    @property
    def untrained(self) -> tuple[str, ...]:
        """Idle modules of which a factor is not zero, as before training; `export` adds modules of two zeros."""
        return tuple(path for path in self.idle if any(not one.finite or one.largest > 0 for one in self._of(path)))

    @property
    def untargeted(self) -> tuple[str, ...]:
        """Modules with tensors that `target_modules` does not name, so that peft drops them."""
        targets = self.config.get("target_modules")
        if not isinstance(targets, list) or not targets:
            return ()  # a pattern, or peft's own choice
        return tuple(
            path for path in self.paths if not any(path == name or path.endswith(f".{name}") for name in targets)
        )

    @cached_property
    def _factors(self) -> dict[str, list[Values]]:
        found: dict[str, list[Values]] = {}
        for name, values in self.values.items():
            head, mark, rest = name.partition(".lora_")
            if mark and rest[:2] in ("A.", "B."):
                found.setdefault(head.removeprefix(_PREFIX), []).append(values)
        return found

    def _of(self, path: str) -> list[Values]:
        return self._factors.get(path, [])

    @property
    def missing(self) -> tuple[str, ...]:
        """Modules of the base that are named like adapted ones and have no update."""
        suffixes = {path.rpartition(".")[2] for path in self.paths}
        modules = self.base.modules if self.base is not None else {}
        return tuple(path for path in modules if path.rpartition(".")[2] in suffixes and path not in self._modules)

    @property
    def strangers(self) -> tuple[str, ...]:
        """Adapted modules that the base lacks or has in another shape."""
        if self.base is None:
            return ()
        heads = {"lm_head", "embed_tokens"}
        return tuple(
            path
            for path, sides in self._modules.items()
            if path.rpartition(".")[2] not in heads
            and self.base.modules.get(path) != (sides.get("B", (0,))[0], sides.get("A", (0, 0))[-1])
        )


def gather(folder: Path, base: BaseModel | None = None) -> Facts:
    """Look at an adapter folder.

    Raises:
        AdapterError: the folder is no LoRA folder at all, or a file in it is damaged.
    """
    config = read_config(folder)
    has_weights = (folder / WEIGHTS_NAME).is_file()
    pickles = sorted(path.name for end in ("*.bin", "*.pt", "*.pth", "*.pkl") for path in folder.glob(end))
    if not has_weights and not pickles:
        raise AdapterError(f"{folder} has no {WEIGHTS_NAME}. Give the folder that training wrote.")
    values = tensor_values(folder) if has_weights else {}
    return Facts(
        folder=folder,
        config=config,
        shapes={name: found.shape for name, found in values.items()},
        base=base,
        values=values,
        pickles=tuple(pickles),
        recorded_base=_recorded_base(folder),
        tokens=len(_vocabulary(folder)),
        tokenizer_differs=base is not None and _differs(folder, base.folder),
    )


def _recorded_base(folder: Path) -> str:
    path = folder / "fewshot.json"
    if not path.is_file():
        return ""
    record = _read_json(path)
    base = record.get("base") or {}
    return str(base.get("sha256", "")) if isinstance(base, dict) else ""


def _vocabulary(folder: Path) -> dict[str, int]:
    """Every token's id, added ones included; empty without a `tokenizer.json`."""
    path = folder / "tokenizer.json"
    if not path.is_file():
        return {}
    raw = _read_json(path)
    try:
        vocabulary = raw["model"]["vocab"]
        is_table = isinstance(vocabulary, dict)
        pieces = dict(vocabulary) if is_table else {piece: i for i, (piece, _) in enumerate(vocabulary)}
        return pieces | {token["content"]: token["id"] for token in raw.get("added_tokens", ())}
    except (KeyError, TypeError, ValueError) as error:
        raise AdapterError(
            f"{path} is no tokenizer ({type(error).__name__}: {error}). Copy or save it again."
        ) from None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise AdapterError(f"{path} cannot be read as JSON ({error}). Copy or save the adapter again.") from None
    if not isinstance(raw, dict):
        raise AdapterError(f"{path} holds a JSON {type(raw).__name__}, not an object. Copy or save the adapter again.")
    return raw


def _differs(folder: Path, base: Path) -> bool:
    mine, theirs = _vocabulary(folder), _vocabulary(base)
    return bool(mine) and bool(theirs) and mine != theirs
