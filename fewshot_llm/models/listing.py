"""What `fewshot-llm models list` and `show` print."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fewshot_llm.errors import ModelError
from fewshot_llm.models.cache import (
    RECORD,
    ModelRecord,
    cache_folder,
    changed_files,
    folder_size,
    model_folder,
    read_record,
)
from fewshot_llm.models.registry import EMBEDDED, EmbeddedModel, find_model

__all__ = ["ModelStatus", "gguf_path", "list_models", "show_model", "verify_model"]


@dataclass(frozen=True)
class ModelStatus:
    """An embedded model and its state in the cache.

    Attributes:
        model: its registry entry.
        folder: its folder in the cache.
        record: what `model.json` says; None where the model is not in the cache.
        bytes_on_disk: of the folder; 0 where it is absent.
    """

    model: EmbeddedModel
    folder: Path
    record: ModelRecord | None
    bytes_on_disk: int

    @property
    def cached(self) -> bool:
        """Whether it can be loaded without fetching anything."""
        return self.record is not None


def list_models() -> list[ModelStatus]:
    """Every embedded model, smallest first.

    >>> [status.model.name for status in list_models()]
    ['e5-small', 'smollm2-135m', 'gemma3-270m', 'qwen2.5-coder-0.5b', 'embeddinggemma-300m']
    """
    return [_status(model) for model in sorted(EMBEDDED.values(), key=lambda model: model.size)]


def show_model(name: str) -> dict[str, Any]:
    """Everything known of an embedded model, as JSON-able data.

    Raises:
        ModelError: no such model.

    >>> show_model("smollm2-135m")["download_bytes"]
    98362432
    """
    status = _status(find_model(name))
    model = status.model
    return {
        "name": model.name,
        "kind": model.kind,
        "summary": model.summary,
        "languages": list(model.languages),
        "licence": model.licence.name,
        "licence_url": model.licence.url,
        "licence_must_be_accepted": model.licence.terms is not None,
        "note": model.note,
        "packages": model.packages,
        "download_bytes": model.size,
        "sha256": model.sha256,
        "cached": status.cached,
        "folder": str(status.folder),
        "bytes_on_disk": status.bytes_on_disk,
        "record": status.record.model_dump(mode="json") if status.record else None,
    }


def verify_model(name: str) -> tuple[str, ...]:
    """Read every byte of a model in the cache and compare with the hashes that were kept when it was made.

    Returns:
        What changed, a sentence for each file; empty where all is as it was.

    Raises:
        ModelError: no such model, or it is not in the cache.
    """
    status = _status(find_model(name))
    try:
        record = ModelRecord.model_validate_json((status.folder / RECORD).read_bytes())
    except (OSError, ValidationError):
        raise ModelError(
            f"{name} is not in the cache {cache_folder()}, or its {RECORD} is damaged. Run `fewshot-llm models pull "
            f"{name}`."
        ) from None
    found = changed_files(status.folder, record, whole=True)
    if record.gguf.sha256 != status.model.sha256:
        found += (f"{RECORD} names another published file than this version pins",)
    return found


def gguf_path(name_or_path: str) -> Path:
    """The GGUF file that a model was converted from: an embedded model in the cache, or a `.gguf` file itself.

    Raises:
        ModelError: the model is not in the cache, or did not come from a GGUF file.
    """
    if name_or_path in EMBEDDED:
        status = _status(find_model(name_or_path))
        if status.record is None:
            raise ModelError(
                f"{name_or_path} is not in the cache {cache_folder()}. Run `fewshot-llm models pull {name_or_path}`."
            )
        if status.model.form != "gguf":
            raise ModelError(f"{name_or_path} did not come from a GGUF file: it is an {status.model.kind}.")
        return status.folder / status.record.gguf.name
    path = Path(name_or_path).expanduser()
    files = [path] if path.suffix == ".gguf" and path.is_file() else sorted(path.glob("*.gguf"))
    if len(files) != 1:
        raise ModelError(f"{name_or_path} has no GGUF file: expected exactly one, found {len(files)}.")
    return files[0]


def _status(model: EmbeddedModel) -> ModelStatus:
    folder = model_folder(model)
    return ModelStatus(model, folder, read_record(folder), folder_size(folder))
