"""Put a trained LoRA adapter on a base model."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from fewshot_llm.errors import AdapterError
from fewshot_llm.files import sha256_file

__all__ = ["ADAPTER_CONFIG", "ADAPTER_WEIGHTS", "attach_adapter"]

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
