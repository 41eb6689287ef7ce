"""Put a trained LoRA adapter on a base model."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

from fewshot_llm.errors import AdapterError
from fewshot_llm.files import sha256_file
from fewshot_llm.models.trust import RecordedModel

__all__ = ["ADAPTER_CONFIG", "ADAPTER_WEIGHTS", "attach_adapter", "read_adapter_config", "recorded_base"]

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


def read_adapter_config(folder: Path) -> dict[str, Any]:
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
    base = read_adapter_config(folder).get("base_model_name_or_path")
    return RecordedModel(str(base), str(folder / ADAPTER_CONFIG), allow_download) if base else None


def _check_kind(folder: Path) -> None:
    """Other kinds than LoRA load models, tokenizers or modules that their settings name."""
    config = read_adapter_config(folder)
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
