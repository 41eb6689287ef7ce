"""From what a user typed to a folder of weights: an embedded model's name, a local folder, or a hub id."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from fewshot_llm.errors import ModelError, nearest
from fewshot_llm.models.cache import cached_sha256
from fewshot_llm.models.pull import NotHereError, PullProgress, convert_local, pull_model
from fewshot_llm.models.registry import EMBEDDED
from fewshot_llm.models.trust import ModelName, RecordedModel

__all__ = ["LocatedModel", "Stamp", "locate_model", "stamp_of"]

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")

HUB_FILES = ["*.json", "*.safetensors", "*.jinja", "*.txt", "*.model"]
"""Data only: no pickled weights, no Python files."""

APART = ("*/*", "consolidated*")
"""What a language model's repository may hold besides: other formats in folders of their own."""
ENCODER_APART = ("onnx/*", "openvino/*", "consolidated*")
"""An encoder's folders hold parts of it, such as its pooling."""


@dataclass(frozen=True)
class LocatedModel:
    """A model's files.

    Attributes:
        name: what the user typed, or a file records.
        folder: holds `config.json`, the tokenizer and `*.safetensors`.
        revision: hub commit, or the registry's pinned version; empty for a plain folder.
        sha256: of the weights file (of the sorted list of hashes where there are several).
    """

    name: str
    folder: Path
    revision: str
    sha256: str


def locate_model(reference: ModelName, progress: PullProgress | None = None, *, encoder: bool = False) -> LocatedModel:
    """Find a model's files; those of an embedded or a hub model that was typed are fetched if they are not here yet.

    A `RecordedModel`, whose name was read from a file, is looked for on the disk and in the caches alone.

    An embedded model's name is looked up first, then a local path, then the hub. `owner/name@revision` pins a
    hub model to a branch, tag or commit.

    Args:
        reference: an embedded model's name, a folder, a `.gguf` file, or a hub id.
        progress: told of each step of a pull.
        encoder: the folder's parts in folders of their own are wanted too.

    Raises:
        ModelError: nothing of that name, the message says what was tried; or a recorded model that is not here.
        PullError: an embedded model could not be fetched.
    """
    name = str(reference)
    fetch = not isinstance(reference, RecordedModel) or reference.allow_download
    if name in EMBEDDED:
        try:
            folder, record = pull_model(EMBEDDED[name], fetch=fetch, progress=progress)
        except NotHereError as error:
            raise _absent(reference) from error
        return LocatedModel(name, folder, record.revision, record.weights.sha256)
    try:
        path = Path(name).expanduser()
        here = path.exists()
    except (OSError, RuntimeError, ValueError):  # longer than any path, or of a user that there is not
        here = False
    if here:
        return _local(name, path, progress)
    if HUB_ID.fullmatch(name):
        return _from_hub(name, reference, fetch=fetch, apart=ENCODER_APART if encoder else APART)
    raise ModelError(
        f"There is no model {name!r}: it is not an embedded model ({', '.join(sorted(EMBEDDED))}), there is no "
        f"file or folder of that name, and it is not a hub id, which looks like owner/name. "
        f"{nearest(name, EMBEDDED)}"
    )


def _local(name: str, path: Path, progress: PullProgress | None) -> LocatedModel:
    if path.suffix == ".gguf":
        folder, record = convert_local(path, progress)
        return LocatedModel(name, folder, record.revision, record.weights.sha256)
    if not path.is_dir():
        raise ModelError(f"{name} is a file, but not a .gguf file. Give a model's folder or a .gguf file.")
    if not (path / "config.json").exists():
        if (path / "adapter_config.json").exists():
            raise ModelError(
                f"The folder {name} holds an adapter, not a base model. Give its base as the model and the folder "
                f"as the adapter."
            )
        ggufs = sorted(path.glob("*.gguf"))
        if len(ggufs) == 1:
            return _local(name, ggufs[0], progress)
        raise ModelError(
            f"The folder {name} holds no model: neither config.json nor exactly one .gguf file "
            f"({len(ggufs)} of them). A model folder is what save_pretrained writes."
        )
    return LocatedModel(name, path, "", _weights_sha256(name, path))


def _weights_sha256(name: str, folder: Path) -> str:
    """Hash of the one weights file, or of the sorted hashes of several.

    Raises:
        ModelError: no safetensors; where there are pickled weights instead, the message says why not.
    """
    import hashlib

    files = sorted(folder.glob("*.safetensors"))
    if not files:
        pickled = sorted(path.name for path in (*folder.glob("*.bin"), *folder.glob("*.pt"), *folder.glob("*.pth")))
        reason = (
            f"only {', '.join(pickled)}, and pickled weights can run code when they are read. Convert them with "
            f"save_pretrained (which writes safetensors) on a machine that you trust with it."
            if pickled
            else "expected model.safetensors, or several shards of it."
        )
        raise ModelError(f"The model folder {name} holds no *.safetensors file: {reason}")
    hashes = sorted(cached_sha256(path) for path in files)
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("\n".join(hashes).encode()).hexdigest()


Stamp: TypeAlias = tuple[tuple[str, int, int], ...]
"""Name, time of change in ns and size in bytes of each file."""


def stamp_of(place: str | os.PathLike[str] | None) -> Stamp:
    """Another value when a file of the folder, or the file, changes: a model trained anew is not taken for the old one.

    Empty for what is no file and no folder.
    """
    if place is None:
        return ()
    path = Path(place)
    files = sorted(path.iterdir()) if path.is_dir() else [path] if path.is_file() else []
    return tuple((file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in files if file.is_file())


def _absent(reference: ModelName) -> ModelError:
    return reference.absent() if isinstance(reference, RecordedModel) else ModelError(f"{reference} is not here.")


def _from_hub(name: str, reference: ModelName, *, fetch: bool, apart: Sequence[str]) -> LocatedModel:
    from httpx2 import HTTPError
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    repository, _, revision = name.partition("@")
    tried = f"it is not an embedded model, there is no folder {name}, and on the hub"
    try:
        folder = Path(
            snapshot_download(
                repository,
                revision=revision or None,
                allow_patterns=HUB_FILES,
                ignore_patterns=list(apart),
                local_files_only=not fetch,
            )
        )
    except GatedRepoError as error:
        raise ModelError(
            f"Model {name!r} cannot be fetched: its owner wants its terms accepted first. Accept them on "
            f"https://huggingface.co/{repository}, then run `hf auth login`."
        ) from error
    except HFValidationError as error:
        raise ModelError(
            f"There is no model {name!r}: there is no file or folder of that name, and a hub id is another."
        ) from error
    except RevisionNotFoundError as error:
        raise ModelError(f"Model {repository!r} has no revision {revision!r} on the hub.") from error
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"There is no model {name!r}: {tried} no public model has that id. {nearest(name, EMBEDDED)} "
            f"A private model needs `hf auth login`."
        ) from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, HfHubHTTPError, HTTPError, OSError) as error:
        if not fetch:
            raise _absent(reference) from error
        raise ModelError(
            f"Model {name!r} cannot be loaded: {tried} it could not be reached and no earlier download of it is in "
            f"the hub's cache ({_first_line(error)}). Check the network (and HF_HUB_OFFLINE, HF_ENDPOINT), give "
            f"a local folder, or use an embedded model: {', '.join(sorted(EMBEDDED))}."
        ) from error
    # The hub's cache names a snapshot's folder after its commit.
    return LocatedModel(name, folder, folder.name, _weights_sha256(name, folder))


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".:") if lines else type(error).__name__
