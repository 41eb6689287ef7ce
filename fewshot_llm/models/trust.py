"""The one place that decides whom to trust: what a user types in this call, and not what a file says.

A name that is typed (`model=`, `--model`) may be a server's address, and is fetched where it is not here. A name that
was read from a file (a classifier, an adapter, a bundle, a suite) is a `RecordedModel`: it never makes the program
contact anybody, and is loaded from the disk or the cache, or refused with what has to be typed to allow it.
"""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from fewshot_llm.errors import DataFileError, ModelError, ServerError

__all__ = [
    "API_KEY",
    "ModelName",
    "RecordedModel",
    "is_address",
    "is_elsewhere",
    "key_for",
    "open_data_set",
]

API_KEY = "FEWSHOT_API_KEY"
"""The environment variable that holds a server's key."""

_ADDRESS = re.compile(r"https?://", re.IGNORECASE)
_ELSEWHERE = re.compile(r"\s*(?:[a-z][a-z0-9+.-]+://|//|\\\\|/\\|\\/)|.*::", re.IGNORECASE | re.DOTALL)
"""A URL of any kind, a chain of them as fsspec reads it, or a Windows share: looking for it asks another machine."""


def is_address(model: object) -> bool:
    """Whether a model is named by a server's address.

    >>> is_address("http://127.0.0.1:8000/v1#intents"), is_address("smollm2-135m")
    (True, False)
    """
    return isinstance(model, str) and _ADDRESS.match(model) is not None


def is_elsewhere(name: str) -> bool:
    r"""Whether a name leads to another machine, or to a server on this one.

    >>> is_elsewhere("ftp://host/file"), is_elsewhere(r"\\host\share"), is_elsewhere("owner/name")
    (True, True, False)
    """
    return _ELSEWHERE.match(name) is not None


def _require_here(name: str, where: str, allow: str) -> None:
    """Refuse an address that a file records.

    Args:
        name: what the file says.
        where: which file, as the beginning of a sentence.
        allow: what to type to allow it.

    Raises:
        ModelError: it is an address.
    """
    if is_elsewhere(name):
        raise ModelError(
            f"{where} names {name!r}, which is an address, and nothing is sent to an address that a file records. If "
            f"you trust it, {allow}."
        )


@dataclass(frozen=True)
class RecordedModel:
    """A model's name as a file records it: loaded from the disk or the cache, never from an address.

    Attributes:
        name: an embedded model's name, a folder, a `.gguf` file or a hub id.
        where: the file, for messages.
        allow_download: the user of this call allows it to be fetched.
        option: by which the user of a call names such a model.

    Raises:
        ModelError: the name is an address.

    >>> str(RecordedModel("smollm2-135m", "my-reviews/fewshot.json"))
    'smollm2-135m'
    """

    name: str
    where: str
    allow_download: bool = False
    option: Literal["model", "encoder"] = "model"

    def __post_init__(self) -> None:
        typed = f"--{self.option} {self.name} ({self.option}={self.name!r} in Python)"
        _require_here(self.name, self.where, f"give it yourself in this call: {typed}")

    def __str__(self) -> str:
        return self.name

    def absent(self, why: str = "which is not in the cache") -> ModelError:
        """The error where the model would have to be fetched."""
        return ModelError(
            f"{self.where} names the model {self.name!r}, {why}, and a model that a file names is not fetched unasked. "
            f"If you trust it, allow it with --allow-download (allow_download=True in Python), or name it yourself: "
            f"--{self.option} {self.name} ({self.option}={self.name!r})."
        )


ModelName: TypeAlias = str | RecordedModel
"""A model's name: typed by the user in this call, or recorded in a file."""


def open_data_set(
    name: str, config: str | None, split: str, revision: str | None, *, streaming: bool = False, fetch: bool = True
) -> Any:
    """`datasets.load_dataset`, kept from following what a folder or a file names.

    Args:
        name: of the hub, or a folder; its README may not name files elsewhere, and pictures in it are not opened.
        config: of the data set.
        split: likewise.
        revision: likewise.
        streaming: read while it is fetched.
        fetch: False where a file names the data set: it is then taken from the hub's cache alone.

    Raises:
        DataFileError: a folder names files elsewhere, or a data set that may not be fetched is not in the cache.
        OSError: the hub cannot be reached, or has no such data set.
        ValueError: it cannot be read.
    """
    from datasets import load_dataset
    from httpx2 import HTTPError

    if is_elsewhere(name):
        raise DataFileError(f"{name!r} is an address and no data set of the hub. Fetch the file, and give its path.")
    folder = Path(name)
    if folder.exists():
        _require_files_here(folder)
        found = load_dataset(name, config, split=split, revision=revision, streaming=streaming)
        return found.decode(False) if streaming else found
    if fetch:
        try:
            return load_dataset(name, config, split=split, revision=revision, streaming=streaming)
        except HTTPError as error:
            raise ConnectionError(f"the hub cannot be reached ({error})") from error
    return _cached_data_set(name, config, split, revision)


def _cached_data_set(name: str, config: str | None, split: str, revision: str | None) -> Any:
    """A data set that `load_dataset` fetched earlier."""
    from datasets.packaged_modules.cache.cache import Cache

    try:
        builder = Cache(repo_id=name, config_name=config, hash="auto", version="auto")
        if revision in (None, builder.hash):
            return builder.as_dataset(split=split)
    except (ValueError, OSError):
        pass
    raise DataFileError(
        f"The data set {name!r} is not in the cache, and what a file names is not fetched unasked. If you trust it, "
        "allow it with --allow-download (allow_download=True in Python)."
    )


def _require_files_here(folder: Path) -> None:
    """Refuse a folder of data whose README, as `datasets` reads it, names files elsewhere."""
    import yaml

    for path in (folder / "README.md", folder / ".huggingface.yaml"):
        if not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n")
        if path.suffix == ".md":
            found = re.match(r"\s*---\n(.*?)\n---", text, re.DOTALL)
            text = found[1] if found else ""
        try:
            settings = yaml.safe_load(text) or {}
        except (yaml.YAMLError, RecursionError) as error:
            raise DataFileError(f"{path} has settings that are no YAML: {str(error)[:200]}.") from None
        named = settings.get("configs") if isinstance(settings, dict) else settings
        for text in _texts(named):
            if is_elsewhere(text):
                raise DataFileError(
                    f"{path} names the file {text!r}, which is elsewhere, and nothing that a folder names is fetched. "
                    "Fetch the file if you trust it, and give its path."
                )


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for part in parts for text in _texts(part)]


def key_for(scheme: str, host: str, *, insecure: bool = False) -> str | None:
    """The key that may be sent to a server whose address was typed; None where none is set.

    Args:
        scheme: of the address.
        host: likewise.
        insecure: allow that it is sent in clear to another machine.

    Raises:
        ServerError: it would be readable on the way, or it cannot stand in a header.
    """
    key = os.environ.get(API_KEY, "").strip()
    if not key:
        return None
    if not (key.isascii() and key.isprintable()):
        raise ServerError(f"{API_KEY} holds characters that no key has. Set it again; it is not shown here.")
    if scheme == "https" or insecure or _is_loopback(host):
        return key
    raise ServerError(
        f"{API_KEY} is set, and http:// would send it readably to {host}, which is not this machine. Give an https:// "
        f"address or a tunnel to this machine, unset {API_KEY}, or allow it with --insecure (insecure=True in Python)."
    )


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
