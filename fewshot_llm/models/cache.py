"""The model cache: one folder a model, described by its `model.json`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import platformdirs
from pydantic import BaseModel, ConfigDict, ValidationError

from fewshot_llm.errors import DataFileError
from fewshot_llm.files import atomic_write_json, sha256_file
from fewshot_llm.models.registry import EmbeddedModel

__all__ = [
    "CONVERSION",
    "Acceptance",
    "CachedFile",
    "ModelRecord",
    "cache_folder",
    "cached_sha256",
    "folder_size",
    "model_folder",
    "read_record",
]

CONVERSION = 1
"""Number of the way in which a GGUF file becomes a folder; folders of another number are converted anew."""

RECORD = "model.json"
HASHES = "hashes.json"


class CachedFile(BaseModel):
    """A file as it was when it was hashed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    sha256: str
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path, sha256: str | None = None) -> CachedFile:
        """Describe a file, hashing it unless its hash is known."""
        stat = path.stat()
        digest = sha256 or sha256_file(path)
        return cls(name=path.name, sha256=digest, size=stat.st_size, mtime_ns=stat.st_mtime_ns)

    def unchanged(self, folder: Path) -> bool:
        """Whether the file is still there with the same size and time."""
        try:
            stat = (folder / self.name).stat()
        except OSError:
            return False
        return stat.st_size == self.size and stat.st_mtime_ns == self.mtime_ns


class Acceptance(BaseModel):
    """That somebody agreed to a model's terms: how, when, and to which text."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    how: str
    at: str
    terms_sha256: str


class ModelRecord(BaseModel):
    """What `model.json` says of a model in the cache.

    Attributes:
        name: its registry name, or the name of the GGUF file it was made from.
        packages: package name to version; empty for a user's own GGUF file.
        gguf: the file as it was published, kept beside the converted weights (exports need it).
        weights: the converted weights.
        licence: short name.
        licence_url: where the text is.
        acceptance: of the licence's terms, where they have to be accepted.
        pulled_at: UTC, ISO 8601.
        conversion: the `CONVERSION` that wrote the folder.
        versions: of the libraries that converted it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    packages: dict[str, str]
    gguf: CachedFile
    weights: CachedFile
    licence: str
    licence_url: str
    acceptance: Acceptance | None
    pulled_at: str
    conversion: int
    versions: dict[str, str]

    @property
    def revision(self) -> str:
        """The pinned version and the conversion's number: everything beside the weights that may differ."""
        version = next(iter(self.packages.values()), self.gguf.sha256[:12])
        return f"{version}+conversion{self.conversion}"

    def write(self, folder: Path) -> None:
        """Write `model.json`."""
        atomic_write_json(folder / RECORD, self.model_dump(mode="json"))


def cache_folder() -> Path:
    """Where models are kept: `FEWSHOT_HOME` if it is set, else the user's cache folder on this system."""
    home = os.environ.get("FEWSHOT_HOME")
    return Path(home).expanduser() if home else platformdirs.user_cache_path("fewshot-llm")


def model_folder(model: EmbeddedModel) -> Path:
    """The folder of an embedded model in the cache, whether it is there or not."""
    return cache_folder() / "models" / model.name


def read_record(folder: Path) -> ModelRecord | None:
    """What `model.json` says; None where there is none, or it or a file that it describes has changed."""
    try:
        record = ModelRecord.model_validate_json((folder / RECORD).read_bytes())
    except (OSError, ValidationError):
        return None
    return record if record.weights.unchanged(folder) else None


def folder_size(folder: Path) -> int:
    """Bytes of all files in a folder; 0 where it is absent."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def cached_sha256(path: Path) -> str:
    """SHA-256 of a large file, hashed once.

    The result is kept in the cache under the file's path, size and modification time. Where the cache cannot
    be written the file is simply hashed each time.
    """
    stat = path.stat()
    key = f"{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}"
    known = _read_hashes()
    if key not in known:
        known = {old: digest for old, digest in known.items() if Path(old.rsplit("|", 2)[0]).exists()}
        known[key] = sha256_file(path)
        try:
            cache_folder().mkdir(parents=True, exist_ok=True)
            atomic_write_json(cache_folder() / HASHES, known)
        except (OSError, DataFileError):
            pass  # a cache that cannot be written costs time, never a result
    return known[key]


def _read_hashes() -> dict[str, str]:
    try:
        known = json.loads((cache_folder() / HASHES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
