"""A loaded model as what names it: for pickles, which hold no weights. Finding it again asks no network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from weakref import WeakValueDictionary

from fewshot_llm.errors import ModelError
from fewshot_llm.models.cache import CONVERSION, model_folder, read_record
from fewshot_llm.models.load import AdapterWeights, LanguageModel
from fewshot_llm.models.locate import HUB_ID, stamp_of
from fewshot_llm.models.registry import EMBEDDED

__all__ = ["ModelReference", "load_referenced", "reference_of", "require_referenced"]


@dataclass(frozen=True)
class ModelReference:
    """What a model is found again by, and what it must hash to.

    Attributes:
        name: what the user typed.
        place: an embedded model's name, a hub id, or the absolute path of a folder or GGUF file.
        revision: hub commit or pinned version; empty for a folder.
        sha256: of the weights.
        adapter: SHA-256 of the adapter's weights; empty without one.
        adapter_source: the adapter's folder, or its weights where it is in none.
        device: where it was, `cpu` or `cuda` for instance.
        dtype: the weights' number format.
    """

    name: str
    place: str
    revision: str
    sha256: str
    adapter: str
    adapter_source: Path | AdapterWeights | None
    device: str
    dtype: str


def reference_of(model: LanguageModel) -> ModelReference:
    """What names a loaded model.

    Raises:
        ModelError: it was made in memory, so that nothing names it.
    """
    if not model.sha256 or (model.adapter and model.adapter_source is None):
        what = "adapter was" if model.sha256 else "model was"
        raise ModelError(
            f"{model.name!r} cannot be pickled: its {what} made in memory, and a pickle holds no weights, only where "
            "they are found. Write it to a folder (save_pretrained) and load it with load_model(folder), or save the "
            "fitted classifier with save(folder) and give the model again: load(folder, model=model)."
        )
    local = model.name not in EMBEDDED and Path(model.name).expanduser().exists()
    return ModelReference(
        name=model.name,
        place=str(Path(model.name).expanduser().absolute()) if local else model.name,
        revision=model.revision,
        sha256=model.sha256,
        adapter=model.adapter,
        adapter_source=model.adapter_source,
        device=model.device.type,
        dtype=str(model.dtype).removeprefix("torch."),
    )


_LOADED: WeakValueDictionary[tuple[object, ...], LanguageModel] = WeakValueDictionary()
_ONE_AT_A_TIME = Lock()


def load_referenced(reference: ModelReference) -> LanguageModel:
    """The model, from its folder or the caches of this machine; one copy for all that refer to it.

    Raises:
        ModelError: it is not here, or what is there has other weights.
    """
    folder = reference.adapter_source if isinstance(reference.adapter_source, Path) else None
    where = _place_here(reference)
    # Files that changed since are read again, so that other weights are noticed.
    key = (where, stamp_of(where), folder, stamp_of(folder), reference.device, reference.dtype)
    with _ONE_AT_A_TIME:
        base = _LOADED.get(key)
        if base is None:
            base = _LOADED[key] = _load(where, folder, reference)
    base = replace(base, name=reference.name, revision=reference.revision)
    if isinstance(reference.adapter_source, Path) or reference.adapter_source is None:
        require_referenced(reference, base)
        return base
    require_referenced(replace(reference, adapter=""), base)
    return reference.adapter_source.put_on(base)


def require_referenced(reference: ModelReference, model: LanguageModel) -> None:
    """Refuse other weights than the ones that were referred to.

    Raises:
        ModelError: the message says what was referred to and what is there.
    """
    for what, then, now in (
        ("model", reference.sha256, model.sha256),
        ("adapter", reference.adapter, model.adapter),
    ):
        if then != now:
            raise ModelError(
                f"The {what} of {reference.name!r} is another one than when this was pickled: its weights' SHA-256 was "
                f"{then or 'none'} and is {now or 'none'}, so that fitted calibrations and answers would not fit. "
                f"Put the {what} back, or fit again."
            )


def _load(where: str, folder: Path | None, reference: ModelReference) -> LanguageModel:
    from fewshot_llm.models.device import choose_device
    from fewshot_llm.models.load import load_model

    # None spreads a large model over several cards, as it may have been before.
    same = choose_device(None).type == reference.device
    device = None if same or reference.device != "cpu" else "cpu"
    return load_model(where, adapter=folder, device=device, dtype=reference.dtype)


def _place_here(reference: ModelReference) -> str:
    """What to load by; nothing that would have to be fetched.

    Raises:
        ModelError: it is not on this machine.
    """
    place = reference.place
    if place in EMBEDDED:
        record = read_record(model_folder(EMBEDDED[place]))
        if record is not None and record.conversion == CONVERSION:
            return place
        how = f"Run `fewshot-llm models pull {place}`."
    elif Path(place).is_absolute():
        if Path(place).exists():
            return place
        how = "Put it back, or load it from where it is now and give it: estimator.attach_model(model)."
    elif HUB_ID.fullmatch(place):
        folder = _hub_folder(place, reference.revision)
        if folder is not None:
            return folder
        how = f"Fetch it: load_model({place!r})."
    else:
        how = "Give it: estimator.attach_model(model)."
    raise ModelError(
        f"A pickle refers to the model {reference.name!r} (weights with SHA-256 {reference.sha256[:12]}…), which is "
        f"not on this machine, and what a pickle says is not fetched. {how}"
    )


def _hub_folder(name: str, revision: str) -> str | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return str(snapshot_download(name.partition("@")[0], revision=revision or None, local_files_only=True))
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError):
        return None
