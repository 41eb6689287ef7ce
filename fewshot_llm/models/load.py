"""Load a base model with its tokenizer and, where asked, an adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from fewshot_llm.errors import ModelError
from fewshot_llm.models.adapter import attach_adapter
from fewshot_llm.models.allocator import keep_freed_memory
from fewshot_llm.models.device import choose_device, choose_dtype, place
from fewshot_llm.models.language_model import LanguageModel
from fewshot_llm.models.locate import LocatedModel, locate_model
from fewshot_llm.models.products import multiply_by_onednn, onednn_is_faster
from fewshot_llm.models.pull import PullProgress
from fewshot_llm.models.quiet import quiet_transformers
from fewshot_llm.models.threads import limit_threads
from fewshot_llm.models.trust import ModelName

__all__ = ["load_model", "load_tokenizer"]

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
