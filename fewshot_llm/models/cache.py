"""The model cache: one folder a model, described by its `model.json`."""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import platformdirs
from pydantic import BaseModel, ConfigDict, ValidationError

from fewshot_llm.errors import DataFileError, ModelError
from fewshot_llm.files import atomic_write_json, sha256_file
from fewshot_llm.models.registry import EmbeddedModel

__all__ = [
    "CONVERSION",
    "Acceptance",
    "CachedFile",
    "ModelRecord",
    "cache_folder",
    "cached_sha256",
    "changed_files",
    "folder_size",
    "model_folder",
    "read_record",
    "require_unchanged",
    "require_whole_weights",
    "small_files",
]

CONVERSION = 1
"""Number of the way in which a GGUF file becomes a folder; folders of another number are converted anew."""

SMALL = 8 * 2**20
"""Bytes up to which a file is read on every load."""

_HASH = re.compile("[0-9a-f]{64}")

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
        gguf: the file as it was published; a GGUF file is kept beside the converted weights (exports need it).
        weights: the converted weights.
        licence: short name.
        licence_url: where the text is.
        acceptance: of the licence's terms, where they have to be accepted.
        pulled_at: UTC, ISO 8601.
        conversion: the `CONVERSION` that wrote the folder.
        versions: of the libraries that converted it.
        files: SHA-256 of everything else in the folder by name: configuration, tokenizer, terms; empty where an older
            version wrote the record.
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
    files: dict[str, str] = {}

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
    """SHA-256 of a file; that of a large one is worked out once, and again when the file was touched.

    Small files, of at most `SMALL` bytes, are read each time. The hash of a larger one is kept in the cache with its
    size, its times of modification and of change, and its inode: whoever writes to the file changes one of them, also
    where the time of modification is set back. A list of hashes that is damaged or cannot be written costs time only.
    """
    stat = path.stat()
    if stat.st_size <= SMALL:
        return sha256_file(path)
    place = str(path.resolve())
    known = _read_hashes()
    seen = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
    entry = known.get(place)
    if isinstance(entry, dict) and entry.get("seen") == seen and _HASH.fullmatch(str(entry.get("sha256"))):
        return str(entry["sha256"])
    digest = sha256_file(path)
    # Read again: while this file was hashed another process may have written its own.
    known = {old: kept for old, kept in _read_hashes().items() if isinstance(kept, dict) and Path(old).exists()}
    known[place] = {"sha256": digest, "seen": seen}
    try:
        cache_folder().mkdir(parents=True, exist_ok=True)
        atomic_write_json(cache_folder() / HASHES, known)
    except (OSError, DataFileError):
        pass  # a cache that cannot be written costs time, never a result
    return digest


def _read_hashes() -> dict[str, Any]:
    try:
        known = json.loads((cache_folder() / HASHES).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return known if isinstance(known, dict) else {}


def small_files(folder: Path, record: ModelRecord) -> dict[str, str]:
    """SHA-256 of every file in a model's folder by name, without the weights, the GGUF file and `model.json`."""
    apart = {RECORD, record.weights.name, record.gguf.name}
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix(): path for path in files}
    return {name: cached_sha256(path) for name, path in names.items() if name not in apart}


def changed_files(folder: Path, record: ModelRecord, *, whole: bool = False) -> tuple[str, ...]:
    """What is not as it was when the model was converted, a sentence for each file.

    Args:
        folder: the model's.
        record: what its `model.json` says.
        whole: read every byte; else large files that nobody touched since they were hashed are not read again.
    """
    look = sha256_file if whole else cached_sha256
    wanted = dict(record.files) | {record.weights.name: record.weights.sha256}
    if whole and (folder / record.gguf.name).is_file():
        wanted[record.gguf.name] = record.gguf.sha256
    found = []
    for name, digest in wanted.items():
        path = folder / name
        if not path.is_file():
            found.append(f"{name} is missing")
        elif (has := look(path)) != digest:
            found.append(f"{name} has SHA-256 {has[:12]}, it was converted with {digest[:12]}")
    if record.files:
        found += [f"{name} was added" for name in small_files(folder, record) if name not in wanted]
    return tuple(found)


def require_unchanged(folder: Path, record: ModelRecord, *, whole: bool = False) -> ModelRecord:
    """Refuse a model whose files are not as they were when it was converted.

    A folder that was converted before the hashes of its small files were kept gets them now.

    Returns:
        The record, with the hashes of the small files.

    Raises:
        ModelError: names what changed and what to do.
    """
    if changed := changed_files(folder, record, whole=whole):
        raise ModelError(
            f"The files of {record.name} in {folder} changed since they were converted: {'; '.join(changed[:3])}. They "
            f"are not used. {_cure(folder, record)}"
        )
    if not record.files:
        record = record.model_copy(update={"files": small_files(folder, record)})
        with suppress(OSError, DataFileError):  # a cache that is only read keeps no hashes
            record.write(folder)
    return record


def _cure(folder: Path, record: ModelRecord) -> str:
    if record.packages:
        return f"Make them anew with `fewshot-llm models pull {record.name} --again`."
    return f"Delete that folder: {record.gguf.name} is converted again when it is used."


def require_whole_weights(folder: Path) -> None:
    """Read every byte of a model folder's weights and compare with what is known of them.

    Raises:
        ModelError: the folder is in the cache and a file of it changed, or weights are not those that were hashed.
    """
    record = read_record(folder)
    if record is not None:
        require_unchanged(folder, record, whole=True)
        return
    for path in sorted(folder.glob("*.safetensors")):
        if cached_sha256(path) != sha256_file(path):
            raise ModelError(
                f"{path} changed without a trace in its size and times since it was hashed. Copy or fetch it again."
            )
