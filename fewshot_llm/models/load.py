"""Load a base model with its tokenizer and, where asked, an adapter: together a `LanguageModel`."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

import torch

from fewshot_llm.errors import AdapterError, ModelError
from fewshot_llm.files import sha256_file
from fewshot_llm.models.device import (
    choose_device,
    choose_dtype,
    keep_freed_memory,
    limit_threads,
    place,
    quiet_transformers,
)
from fewshot_llm.models.linear import multiply_by_onednn, onednn_is_faster
from fewshot_llm.models.locate import LocatedModel, locate_model
from fewshot_llm.models.pull import PullProgress
from fewshot_llm.models.registry import EMBEDDED
from fewshot_llm.models.trust import ModelName, RecordedModel

__all__ = [
    "ADAPTER_CONFIG",
    "AdapterWeights",
    "LanguageModel",
    "attach_adapter",
    "decoder_layers",
    "load_model",
    "load_tokenizer",
    "recorded_base",
    "special_tokens_of",
]


ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"


def attach_adapter(model: Any, folder: Path) -> tuple[Any, str]:
    """Wrap a base model in a PEFT adapter.

    Args:
        model: a `transformers` causal model; its modules are changed in place, as PEFT does.
        folder: holds `adapter_config.json` and `adapter_model.safetensors`.

    Returns:
        The wrapped model in evaluation mode, and the SHA-256 of the adapter's weights.

    Raises:
        AdapterError: files are missing, the weights are pickled, or they do not fit the base model.
    """
    _check_files(folder)
    _check_kind(folder)
    from peft import PeftModel

    base = getattr(model.config, "model_type", "base model")
    try:
        with warnings.catch_warnings():
            # PEFT only warns of weights that are missing from the file, and leaves those at random values.
            warnings.filterwarnings("error", message=".*missing adapter keys.*")
            wrapped = PeftModel.from_pretrained(model, str(folder), is_trainable=False)
    except Exception as error:  # PEFT raises RuntimeError, ValueError, KeyError, TypeError, SafetensorError, …
        raise AdapterError(
            f"The adapter in {folder} does not fit this base model ({base}): {_gist(error)} An adapter only works "
            f"on the base that it was trained on."
        ) from error
    return wrapped.eval(), sha256_file(folder / ADAPTER_WEIGHTS)


def _read_adapter_config(folder: Path) -> dict[str, Any]:
    """What `adapter_config.json` says.

    Raises:
        AdapterError: it is no JSON object.
    """
    path = folder / ADAPTER_CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise AdapterError(f"{path} is no JSON: {str(error)[:200]}. Copy or train the adapter again.") from None
    if not isinstance(config, dict):
        raise AdapterError(f"{path} is no JSON object. Copy or train the adapter again.")
    return config


def recorded_base(folder: Path, *, allow_download: bool = False) -> RecordedModel | None:
    """The base model that an adapter's folder names; None where it names none.

    Raises:
        AdapterError: `adapter_config.json` is damaged.
        ModelError: it names an address.
    """
    if not (folder / ADAPTER_CONFIG).is_file():
        return None
    base = _read_adapter_config(folder).get("base_model_name_or_path")
    return RecordedModel(str(base), str(folder / ADAPTER_CONFIG), allow_download) if base else None


def _check_kind(folder: Path) -> None:
    """Other kinds than LoRA load models, tokenizers or modules that their settings name."""
    config = _read_adapter_config(folder)
    if config.get("peft_type") != "LORA" or config.get("megatron_config"):
        raise AdapterError(
            f"The adapter in {folder} is of the kind {config.get('peft_type')!r}"
            f"{' with Megatron layers' if config.get('megatron_config') else ''}; only plain LoRA is loaded, because "
            "other kinds fetch what their settings name. Train a LoRA adapter (fewshot-llm tune)."
        )


def _check_files(folder: Path) -> None:
    if not folder.is_dir():
        raise AdapterError(f"There is no adapter folder {folder}. A trained adapter is a folder; give its path.")
    if not (folder / ADAPTER_CONFIG).is_file():
        raise AdapterError(f"The folder {folder} is not an adapter: it has no {ADAPTER_CONFIG}.")
    if not (folder / ADAPTER_WEIGHTS).is_file():
        pickled = (folder / "adapter_model.bin").exists()
        raise AdapterError(
            f"The adapter folder {folder} has no {ADAPTER_WEIGHTS}"
            + (
                ", only adapter_model.bin: pickled weights can run code when they are read, so they are refused. "
                "Save the adapter again with PEFT, which writes safetensors."
                if pickled
                else "; the folder is incomplete, train or copy it again."
            )
        )


def _gist(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 300 else text[:297] + "…"


class AdapterWeights(Protocol):
    """A trained adapter that is in no folder."""

    def put_on(self, language_model: LanguageModel) -> LanguageModel:
        """The model with the adapter on."""
        ...


@dataclass(frozen=True)
class LanguageModel:
    """A loaded base model, with or without an adapter.

    Attributes:
        name: what the user asked for: a registry name, a hub id or a folder.
        model: a `transformers` causal model, or a `peft.PeftModel` around one, in evaluation mode.
        tokenizer: its fast tokenizer.
        device: where the weights are.
        dtype: the weights' number format.
        revision: hub commit, or the registry's pinned version; empty for a plain folder.
        sha256: of the weights file (of the sorted list of hashes where there are several).
        adapter: SHA-256 of the adapter's weights; empty without one.
        context_length: the longest sequence, in tokens, that the model was made for.
        adapter_source: where the adapter comes from: its folder, or its weights; None without one.

    Pickled by reference (`models.reference`): by name, revision and hashes, never with its weights. A deep copy is the
    model itself.
    """

    name: str
    model: Any
    tokenizer: Any
    device: torch.device
    dtype: torch.dtype
    revision: str = ""
    sha256: str = ""
    adapter: str = ""
    context_length: int = 2048
    adapter_source: Path | AdapterWeights | None = field(default=None, repr=False, compare=False)

    def __reduce__(self) -> tuple[Callable[..., LanguageModel], tuple[Any, ...]]:
        from fewshot_llm.models.pickled import load_referenced, reference_of

        return load_referenced, (reference_of(self),)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # The tokenizer as well: whatever counts tokens beside the model shall do so with the same object.
        memo[id(self.tokenizer)] = self.tokenizer
        return self

    @property
    def special_tokens(self) -> tuple[str, ...]:
        """Every special token's text, longest first; these are neutralised inside a customer's text."""
        return special_tokens_of(self.tokenizer)

    @property
    def fingerprint(self) -> str:
        """Everything that may change a score, as one line."""
        return "|".join((self.name, self.revision, self.sha256, self.adapter, str(self.dtype).removeprefix("torch.")))


def special_tokens_of(tokenizer: Any) -> tuple[str, ...]:
    """The text of every special token of a fast tokenizer, longest first."""
    added = (str(token) for token in tokenizer.added_tokens_decoder.values() if token.special)
    known = {token for token in (*tokenizer.all_special_tokens, *added) if token.strip()}
    return tuple(sorted(known, key=lambda token: (-len(token), token)))


DEFAULT_CONTEXT_LENGTH = 2048
UNBOUNDED = 10**9
"""Tokenizers that know no limit say 10**30; anything above this counts as no limit."""


def load_model(
    name_or_path: ModelName,
    *,
    adapter: Path | None = None,
    device: str | None = None,
    dtype: str | None = None,
    threads: int | None = None,
    progress: PullProgress | None = None,
) -> LanguageModel:
    """Load a causal model, ready to score.

    Args:
        name_or_path: an embedded model's name (`fewshot-llm models list`), a model folder, a `.gguf` file, or a
            hub id, `owner/name` or `owner/name@revision`. An embedded model that is not in the cache yet is
            pulled first. A `RecordedModel` is loaded from the disk or the cache alone.
        adapter: folder of a trained adapter.
        device: `"cpu"`, `"cuda"`, `"cuda:1"`, `"mps"`; None or `"auto"` takes the best one there is, and
            spreads over several cards a model that is too large for one.
        dtype: `"float32"`, `"bfloat16"` or `"float16"`; None is float32 on CPU and bfloat16 on a GPU.
        threads: of torch's operators, for the whole process; None means no more than the cores that are
            really available.
        progress: told of each step where the model has to be pulled.

    On a CPU the process keeps memory that it frees for the next tensor (`allocator.keep_freed_memory`), and on AMD's
    processors with AVX-512 oneDNN multiplies (`products.multiply_by_onednn`).

    Returns:
        The model in evaluation mode. Its `device` is that of the embeddings where layers are spread.

    Raises:
        ModelError: unknown, damaged or unsuitable model; the message says what was tried.
        PullError: an embedded model could not be fetched.
        AdapterError: the adapter is damaged or belongs to another base.
    """
    limit_threads(threads)
    where = choose_device(device)
    if where.type == "cpu":
        keep_freed_memory()
    number_format = choose_dtype(where, dtype)
    if str(name_or_path) in EMBEDDED and EMBEDDED[str(name_or_path)].kind == "encoder":
        raise ModelError(
            f"{name_or_path} is an encoder: it makes vectors and scores no labels. Load it with `load_encoder`, or "
            "give a language model's name."
        )
    located = locate_model(name_or_path, progress)
    with quiet_transformers():
        tokenizer = load_tokenizer(located)
        model = _load_network(located, where, number_format, spread=device in (None, "auto"))
        if where.type == "cpu" and onednn_is_faster():
            multiply_by_onednn(model)
        adapter_sha256 = ""
        if adapter is not None:
            model, adapter_sha256 = attach_adapter(model, Path(adapter))
    return LanguageModel(
        name=str(name_or_path),
        model=model.eval(),
        tokenizer=tokenizer,
        device=model.get_input_embeddings().weight.device,
        dtype=number_format,
        revision=located.revision,
        sha256=located.sha256,
        adapter=adapter_sha256,
        context_length=_context_length(model.config, tokenizer),
        adapter_source=None if adapter is None else Path(adapter).absolute(),
    )


def load_tokenizer(located: LocatedModel) -> Any:
    """The fast tokenizer in a model's folder.

    Raises:
        ModelError: no tokenizer there, or only a slow one, which cannot map tokens to characters.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(located.folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # the library raises OSError, ValueError, KeyError, ImportError, …
        raise _unreadable("tokenizer", located, error) from error
    if not tokenizer.is_fast:
        raise ModelError(
            f"The tokenizer of {located.name} ({type(tokenizer).__name__}) has no fast version, and only a fast one "
            f"says which characters a token covers. Save the model with a tokenizer.json, or take another model."
        )
    return tokenizer


def _load_network(located: LocatedModel, device: torch.device, dtype: torch.dtype, *, spread: bool) -> Any:
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    try:
        config = AutoConfig.from_pretrained(located.folder, local_files_only=True, trust_remote_code=False)
        _require_own_attention(config, located)
    except ModelError:
        raise
    except Exception as error:
        raise _unreadable("configuration", located, error) from error
    if config.is_encoder_decoder or config.model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise ModelError(
            f"{located.name} is a {config.model_type} model, which is not a causal language model: it cannot score "
            f"the words that follow a prompt. Take a decoder such as Qwen, Llama, Gemma or GPT."
        )
    try:
        model, info = AutoModelForCausalLM.from_pretrained(
            located.folder,
            config=config,
            # Always explicit: without it the checkpoint's own format is taken, which may be bfloat16 on a CPU.
            dtype=dtype,
            device_map=place(device, _weight_bytes(located.folder, dtype), spread),
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except Exception as error:
        raise _unreadable("weights", located, error) from error
    # The library would leave these at random values and only log it.
    unusable = sorted({*info["missing_keys"], *(str(key[0]) for key in info["mismatched_keys"])})
    if unusable:
        raise ModelError(
            f"The weights of {located.name} lack {len(unusable)} of the tensors that its config.json asks for, "
            f"{unusable[0]} among them. The folder is damaged or holds another model's weights; fetch it again."
        )
    return model


def _require_own_attention(config: Any, located: LocatedModel) -> None:
    """Refuse a configuration that names kernels of the hub: transformers would fetch them, and they are code."""
    for key in ("_attn_implementation_internal", "_attn_implementation", "_experts_implementation"):
        named = getattr(config, key, None)
        if any("/" in str(one) for one in (named.values() if isinstance(named, dict) else (named,))):
            raise ModelError(
                f"The config.json of {located.name} names {named!r}, computing kernels that would be fetched and run. "
                "Remove that entry from the file, or take another model."
            )


def _weight_bytes(folder: Path, dtype: torch.dtype) -> int:
    """Size of the weights once they are in `dtype`, bytes: counted from the files' headers."""
    from safetensors import safe_open

    count = 0
    for path in folder.glob("*.safetensors"):
        with safe_open(path, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118 (not a mapping)
                size = 1
                for length in tensors.get_slice(name).get_shape():
                    size *= length
                count += size
    return count * dtype.itemsize


def _context_length(config: Any, tokenizer: Any) -> int:
    """The shorter of what the network and the tokenizer were made for, in tokens."""
    network = getattr(config.get_text_config(), "max_position_embeddings", None)
    known = [
        int(length) for length in (network, tokenizer.model_max_length) if length is not None and 0 < length < UNBOUNDED
    ]
    return min(known, default=DEFAULT_CONTEXT_LENGTH)


def _unreadable(what: str, located: LocatedModel, error: Exception) -> ModelError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return ModelError(
        f"The {what} of model {located.name} cannot be read from {located.folder}: {reason[:300]} A whole model "
        f"folder holds config.json, tokenizer.json and *.safetensors; fetch or save it again if one is damaged."
    )


def decoder_layers(network: Any) -> Sequence[Any]:
    """The decoder's layers, bottom first; none where the network does not keep them in one list.

    Args:
        network: a `transformers` causal model.
    """
    count = network.config.get_text_config().num_hidden_layers
    lists = (m for m in network.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == count)
    return list(next(lists, ()))
