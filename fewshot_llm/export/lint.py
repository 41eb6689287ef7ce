"""The linter: what each server would do with an adapter, before one is started.

Rules are read from the servers' own sources. `AdapterFacts` is everything that they look at, gathered once, tolerant of
damage that a rule is to name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

from fewshot_llm.errors import AdapterError
from fewshot_llm.export import words as w
from fewshot_llm.export.adapter import (
    REWRITING_INITS,
    SERVED_RANKS,
    WEIGHTS_NAME,
    BaseModel,
    Values,
    read_config,
    tensor_values,
)
from fewshot_llm.export.servers import Server
from fewshot_llm.types import Text, listed

__all__ = [
    "RULES",
    "AdapterFacts",
    "Consequence",
    "LintFinding",
    "Rule",
    "Status",
    "gather",
    "lint",
    "refuse_broken",
    "worst",
]


class Status(StrEnum):
    """The outcome of one rule for one server."""

    PASS = "pass"
    MENDED = "mended"
    NOTE = "note"
    MEND = "mend"


@dataclass(frozen=True)
class LintFinding:
    """One cell of the table server x rule.

    Attributes:
        server: for whom.
        rule: the rule's name.
        status: fine; wrong as it is, and mended by `export`; to be looked at; or to be mended by the user.
        detail: what was found and what the server does with it; empty on a pass.
        remedy: what to do, or what `export` does; empty on a pass.
        source: link to the server's source; empty on a pass.
        detail_zh: the detail in Chinese.
        remedy_zh: the remedy in Chinese.
    """

    server: Server
    rule: str
    status: Status
    detail: str = ""
    remedy: str = ""
    source: str = ""
    detail_zh: str = ""
    remedy_zh: str = ""


def lint(folder: Path, base: BaseModel | None = None, servers: Iterable[Server] = Server) -> tuple[LintFinding, ...]:
    """Check an adapter folder against every rule for every server.

    Args:
        folder: a peft adapter folder.
        base: the base model; without it the rules about fit, layers and tokens pass unchecked.
        servers: which columns to fill.

    Returns:
        One finding per rule and server, in the order of `RULES`.

    Raises:
        AdapterError: the folder is no LoRA folder at all.
    """
    facts = gather(folder, base)
    servers = tuple(servers)
    findings = []
    for rule in RULES:
        found = rule.check(facts)
        for server in servers:
            consequence = rule.consequences.get(server) if found else None
            if consequence is None:
                findings.append(LintFinding(server, rule.name, Status.PASS))
                continue
            status = Status.MENDED if rule.mended else Status.NOTE if rule.note else Status.MEND
            detail = w.LINTED.fill(found=found, server=server, consequence=consequence.text)
            findings.append(
                LintFinding(
                    server,
                    rule.name,
                    status,
                    detail.en,
                    rule.remedy.en,
                    consequence.source,
                    detail_zh=detail.zh,
                    remedy_zh=rule.remedy.zh,
                )
            )
    return tuple(findings)


def refuse_broken(folder: Path) -> None:
    """Refuse to export what no server and no target can make good.

    Raises:
        AdapterError: names what the linter calls broken, and what to do.
    """
    facts = gather(folder)
    for rule in RULES:
        if rule.broken and (found := rule.check(facts)):
            raise AdapterError(f"{folder} cannot be exported ({rule.name}): {found}. To mend it: {rule.remedy}.")


def worst(findings: Iterable[LintFinding]) -> Status:
    """The gravest status: to be mended, to be looked at, mended, or pass."""
    order = (Status.PASS, Status.MENDED, Status.NOTE, Status.MEND)
    return max((finding.status for finding in findings), key=order.index, default=Status.PASS)


_PREFIX = "base_model.model."

HALF_LIMIT = 65504.0
"""The largest number of float16."""


@dataclass(frozen=True)
class AdapterFacts:
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
    def unpaired(self) -> tuple[Text, ...]:
        """Modules with one factor only, or with two of different ranks; each with what is wrong."""
        found = []
        for path, sides in sorted(self._modules.items()):
            if len(sides) < 2:
                found.append(w.ONE_FACTOR.fill(path=path, side=next(iter(sides))))
            elif sides["A"][0] != sides["B"][1]:
                found.append(w.TWO_RANKS.fill(path=path, a=sides["A"][0], b=sides["B"][1]))
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


def gather(folder: Path, base: BaseModel | None = None) -> AdapterFacts:
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
    return AdapterFacts(
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


@dataclass(frozen=True)
class Consequence:
    """What one server does with the trait.

    Attributes:
        text: in the third person, for example "ignores it, so the scale is wrong".
        source: where that is written.
    """

    text: Text
    source: str


@dataclass(frozen=True)
class Rule:
    """One trait of an adapter.

    Attributes:
        name: short, for the table.
        check: what the adapter has, in words; None when it has not got the trait.
        consequences: only the servers that mind it.
        remedy: what to do.
        mended: whether `export --to peft` does it.
        broken: whether `export` refuses it for every target.
        note: whether it only has to be looked at: servers load it, and it may be meant.
    """

    name: str
    check: Callable[[AdapterFacts], Text | None]
    consequences: Mapping[Server, Consequence]
    remedy: Text
    mended: bool = False
    broken: bool = False
    note: bool = False


_VLLM = "https://github.com/vllm-project/vllm/blob/main/vllm/lora/peft_helper.py"
_VLLM_MODEL = "https://github.com/vllm-project/vllm/blob/main/vllm/lora/lora_model.py"
_VLLM_RANKS = "https://github.com/vllm-project/vllm/blob/main/vllm/config/lora.py"
_SGLANG = "https://github.com/sgl-project/sglang/blob/main/python/sglang/srt/lora/lora_config.py"
_SGLANG_MODEL = "https://github.com/sgl-project/sglang/blob/main/python/sglang/srt/lora/lora.py"
_CONVERTER = "https://github.com/ggml-org/llama.cpp/blob/master/convert_lora_to_gguf.py"
_LLAMA = "https://github.com/ggml-org/llama.cpp/blob/master/src/llama-adapter.h"
_OLLAMA = "https://github.com/ollama/ollama/blob/main/convert/convert.go"
_SERVE = "https://github.com/huggingface/transformers/blob/main/src/transformers/cli/serving/model_manager.py"
_TGI = (
    "https://github.com/huggingface/text-generation-inference/blob/main/server/text_generation_server/adapters/lora.py"
)


def _everywhere(text: Text, *, but: tuple[Server, ...] = (Server.TRANSFORMERS,)) -> dict[Server, Consequence]:
    sources = {
        Server.VLLM: _VLLM_MODEL,
        Server.SGLANG: _SGLANG_MODEL,
        Server.LLAMA_CPP: _CONVERTER,
        Server.OLLAMA: _OLLAMA,
        Server.TRANSFORMERS: _SERVE,
        Server.TGI: _TGI,
    }
    return {server: Consequence(text, source) for server, source in sources.items() if server not in but}


def _named(names: Sequence[str | Text]) -> Text:
    """The first three, and how many more."""
    shown = listed(names[:3])
    return w.AND_MORE.fill(names=shown, n=len(names) - 3) if len(names) > 3 else shown


def _no_tensors(facts: AdapterFacts) -> Text | None:
    if facts.pickles and not facts.shapes:
        return None  # nothing was looked at
    return None if facts.paths else w.NO_TENSORS.fill(n=len(facts.shapes))


def _unpaired(facts: AdapterFacts) -> Text | None:
    return _named(facts.unpaired) if facts.unpaired else None


def _not_finite(facts: AdapterFacts) -> Text | None:
    return w.NOT_FINITE.fill(names=_named(facts.not_finite)) if facts.not_finite else None


def _half(facts: AdapterFacts) -> Text | None:
    if not facts.too_large:
        return None
    largest = max(facts.values[name].largest for name in facts.too_large)
    return w.TOO_LARGE.fill(names=_named(facts.too_large), largest=largest)


def _all_zero(facts: AdapterFacts) -> Text | None:
    return w.ALL_ZERO if facts.paths and len(facts.idle) == len(facts.paths) else None


def _some_zero(facts: AdapterFacts) -> Text | None:
    if not facts.untrained or _all_zero(facts):
        return None
    return w.SOME_ZERO.fill(n=len(facts.untrained), all=len(facts.paths), names=_named(facts.untrained))


def _untargeted(facts: AdapterFacts) -> Text | None:
    found = facts.untargeted
    return w.UNTARGETED.fill(names=_named(found)) if found else None


def _pickle(facts: AdapterFacts) -> Text | None:
    return w.PICKLE.fill(name=facts.pickles[0]) if facts.pickles else None


def _dora(facts: AdapterFacts) -> Text | None:
    return w.DORA if facts.config.get("use_dora") else None


def _modules_to_save(facts: AdapterFacts) -> Text | None:
    modules = facts.config.get("modules_to_save") or ()
    whole = [*modules, *(name for name in facts.extra if "lora_embedding" not in name)]
    return w.WHOLE_MODULES.fill(names=listed(whole[:3])) if whole else None


def _head(facts: AdapterFacts) -> Text | None:
    heads = sorted({p.rpartition(".")[2] for p in facts.paths} & {"lm_head", "embed_tokens", "wte", "embed_out"})
    heads += ["embeddings"] if any("lora_embedding" in name for name in facts.extra) else []
    return w.ADAPTS_HEAD.fill(names=listed(heads)) if heads else None


def _new_tokens(facts: AdapterFacts) -> Text | None:
    if facts.config.get("trainable_token_indices"):
        return w.TRAINED_TOKENS
    if facts.base is not None and facts.tokens > facts.base.vocabulary:
        return w.MORE_TOKENS.fill(tokens=facts.tokens, base=facts.base.vocabulary)
    return None


def _bias(facts: AdapterFacts) -> Text | None:
    return w.BIASES if facts.config.get("bias", "none") != "none" or facts.config.get("lora_bias") else None


def _init(facts: AdapterFacts) -> Text | None:
    name = str(facts.config.get("init_lora_weights", True))
    return w.INITIALISED.fill(name=name) if name.lower().partition("_")[0] in REWRITING_INITS else None


def _rank(facts: AdapterFacts) -> Text | None:
    odd = sorted(set(facts.ranks) - set(SERVED_RANKS))
    return w.ODD_RANK.fill(ranks=listed(map(str, odd)), served=listed(map(str, SERVED_RANKS))) if odd else None


def _rank_limit(facts: AdapterFacts) -> Text | None:
    top = max(facts.ranks, default=0)
    return w.HIGH_RANK.fill(rank=top, most=SERVED_RANKS[-1]) if top > SERVED_RANKS[-1] else None


def _rslora(facts: AdapterFacts) -> Text | None:
    return w.RSLORA if facts.config.get("use_rslora") else None


def _rank_pattern(facts: AdapterFacts) -> Text | None:
    return w.RANK_PATTERN if facts.config.get("rank_pattern") else None


def _alpha_pattern(facts: AdapterFacts) -> Text | None:
    return w.ALPHA_PATTERN if facts.config.get("alpha_pattern") else None


def _alpha(facts: AdapterFacts) -> Text | None:
    alpha = facts.config.get("lora_alpha", 0)
    return w.ALPHA.fill(alpha=alpha) if not isinstance(alpha, int) else None


def _missing_layer(facts: AdapterFacts) -> Text | None:
    missing = facts.missing
    return w.MISSING_LAYER.fill(first=missing[0], n=len(missing) - 1) if missing else None


def _other_base(facts: AdapterFacts) -> Text | None:
    if facts.strangers:
        return w.STRANGER.fill(name=facts.strangers[0])
    if facts.base is not None and facts.recorded_base and facts.recorded_base != facts.base.sha256:
        return w.OTHER_BASE.fill(trained=facts.recorded_base[:12], base=facts.base.sha256[:12])
    return None


def _keys(facts: AdapterFacts) -> Text | None:
    return w.ODD_KEY.fill(name=facts.odd_keys[0]) if facts.odd_keys else None


def _architecture(facts: AdapterFacts) -> Text | None:
    name = facts.base.architecture if facts.base is not None else ""
    return w.ARCHITECTURE.fill(name=name) if name not in ("", "LlamaForCausalLM", "Gemma2ForCausalLM") else None


def _tokenizer(facts: AdapterFacts) -> Text | None:
    return w.TOKENIZER if facts.tokenizer_differs else None


def _bare(facts: AdapterFacts) -> Text | None:
    return w.BARE


RULES: tuple[Rule, ...] = (
    Rule("pickle", _pickle, _everywhere(w.RUNS_CODE, but=()), w.SAVE_SAFETENSORS),
    Rule(
        "no tensors",
        _no_tensors,
        _everywhere(w.REFUSES_OR_ANSWERS_AS_BASE, but=()),
        w.COPY_AGAIN,
        broken=True,
    ),
    Rule(
        "half a pair",
        _unpaired,
        _everywhere(w.REFUSES_OR_DROPS, but=()),
        w.SAVE_PRETRAINED,
        broken=True,
    ),
    Rule(
        "NaN or inf",
        _not_finite,
        _everywhere(w.ANSWERS_NAN, but=()),
        w.SMALLER_RATE,
        broken=True,
    ),
    Rule(
        "all zero",
        _all_zero,
        _everywhere(w.ANSWERS_AS_BASE, but=()),
        w.TRAIN_AT_ALL,
        broken=True,
    ),
    Rule(
        "not a target",
        _untargeted,
        _everywhere(w.APPLIES_OR_DROPS, but=()),
        w.WRITE_TARGETS,
        broken=True,
    ),
    Rule(
        "some zero",
        _some_zero,
        _everywhere(w.AS_BASE_THERE, but=()),
        w.NOTHING_IF_MEANT,
        note=True,
    ),
    Rule(
        "float16",
        _half,
        _everywhere(w.INFINITY_IN_HALF, but=()),
        w.WIDER_FORMAT,
        note=True,
    ),
    Rule(
        "other base",
        _other_base,
        _everywhere(w.LOADS_NONSENSE, but=()),
        w.GIVE_BASE,
    ),
    Rule("DoRA", _dora, _everywhere(w.REFUSES), w.NO_DORA),
    Rule(
        "modules_to_save",
        _modules_to_save,
        _everywhere(w.REFUSES_OR_LEAVES_OUT),
        w.NO_MODULES_TO_SAVE,
    ),
    Rule(
        "output head",
        _head,
        _everywhere(w.REFUSES),
        w.NO_HEAD,
    ),
    Rule(
        "new tokens",
        _new_tokens,
        _everywhere(w.NO_ROWS),
        w.OWN_TOKENS,
    ),
    Rule(
        "bias",
        _bias,
        _everywhere(w.NO_BIASES),
        w.NO_BIAS,
    ),
    Rule(
        "init",
        _init,
        _everywhere(w.PUBLISHED_BASE),
        w.CONVERT_INIT,
    ),
    Rule(
        "rank limit",
        _rank_limit,
        {Server.VLLM: Consequence(w.REFUSES, _VLLM_RANKS), Server.SGLANG: Consequence(w.REFUSES, _SGLANG)},
        w.SMALLER_RANK,
    ),
    Rule(
        "rank",
        _rank,
        {
            Server.VLLM: Consequence(w.NO_SUCH_RANK, _VLLM_RANKS),
            Server.SGLANG: Consequence(w.ONE_RANK, _SGLANG),
            Server.TGI: Consequence(w.FEW_KERNELS, _TGI),
        },
        w.PADS,
        mended=True,
    ),
    Rule(
        "rsLoRA",
        _rslora,
        {
            Server.SGLANG: Consequence(w.WRONG_SCALE, _SGLANG_MODEL),
            Server.LLAMA_CPP: Consequence(w.WRONG_SCALE, _LLAMA),
            Server.OLLAMA: Consequence(w.WRONG_SCALE, _OLLAMA),
        },
        w.FOLDS_SCALE,
        mended=True,
    ),
    Rule(
        "rank_pattern",
        _rank_pattern,
        {Server.SGLANG: Consequence(w.WRONG_SCALE, _SGLANG), Server.TGI: Consequence(w.WRONG_SCALE, _TGI)},
        w.PADS_AND_FOLDS,
        mended=True,
    ),
    Rule(
        "alpha_pattern",
        _alpha_pattern,
        {
            Server.SGLANG: Consequence(w.WRONG_SCALE, _SGLANG),
            Server.LLAMA_CPP: Consequence(w.WRONG_SCALE, _CONVERTER),
            Server.OLLAMA: Consequence(w.WRONG_SCALE, _OLLAMA),
            Server.TGI: Consequence(w.WRONG_SCALE, _TGI),
        },
        w.FOLDS_SCALE,
        mended=True,
    ),
    Rule(
        "alpha",
        _alpha,
        {
            Server.VLLM: Consequence(w.INTEGER_ALPHA, _VLLM),
            Server.OLLAMA: Consequence(w.UNSIGNED_ALPHA, _OLLAMA),
        },
        w.FOLDS_AND_SETS,
        mended=True,
    ),
    Rule(
        "missing layer",
        _missing_layer,
        {
            Server.SGLANG: Consequence(w.STACKS_LAYERS, _SGLANG_MODEL),
            Server.TGI: Consequence(w.DROPS_TYPE, _TGI),
        },
        w.ADDS_ZEROS,
        mended=True,
    ),
    Rule("keys", _keys, _everywhere(w.NOT_FOUND), w.RENAMES, mended=True),
    Rule(
        "architecture",
        _architecture,
        {Server.OLLAMA: Consequence(w.TWO_ARCHITECTURES, _OLLAMA)},
        w.TO_OLLAMA,
    ),
    Rule(
        "tokenizer",
        _tokenizer,
        {
            Server.VLLM: Consequence(w.BASE_TOKENIZER, _VLLM_MODEL),
            Server.LLAMA_CPP: Consequence(w.GGUF_TOKENIZER, _CONVERTER),
        },
        w.OWN_TOKENIZER,
    ),
    Rule(
        "bare adapter",
        _bare,
        {Server.TRANSFORMERS: Consequence(w.WHOLE_MODELS, _SERVE)},
        w.TO_WHOLE,
    ),
)
