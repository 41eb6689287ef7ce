"""A folder that is either whole or absent."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fewshot_llm.errors import AdapterError
from fewshot_llm.files.locking import sole_writer

__all__ = ["folder_lock", "require_free", "whole_folder"]


@contextmanager
def whole_folder(folder: Path, *, owned: str, overwrite: bool = False) -> Iterator[Path]:
    """Fill a folder under a temporary name, then put it in place.

    Args:
        folder: where it shall be.
        owned: a file by which a folder of the same kind is known; nothing else is ever replaced.
        overwrite: replace a folder of that kind.

    Yields:
        A new, empty folder beside it. What is written there appears all at once, or, on any error, not at all.

    Raises:
        AdapterError: `folder` holds something; raised before anything is written, and again before it is put in
            place if somebody else has filled it meanwhile.
        BusyError: another process is about to write it.
        OSError: the disk is full, or there is no permission; the old folder is as it was.
    """
    folder = folder.absolute()
    require_free(folder, owned=owned, overwrite=overwrite)
    temporary, old = (folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.tmp") for _ in range(2))
    with folder_lock(folder):
        temporary.mkdir()
        try:
            yield temporary
            require_free(folder, owned=owned, overwrite=overwrite)
            if folder.exists():
                os.replace(folder, old)
            os.replace(temporary, folder)
        except BaseException:
            if old.exists() and not folder.exists():
                os.replace(old, folder)
            raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Within it, no other process writes `folder`: for what takes long before its folder is put in place.

    Raises:
        BusyError: another process is at it.
    """
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with sole_writer(folder.with_name(f".{folder.name}.lock"), f"the folder {folder}"):
        yield


def require_free(folder: Path, *, owned: str, overwrite: bool) -> None:
    """Refuse a folder that `whole_folder` would not replace, before any work is done.

    Raises:
        AdapterError: it is a file, holds something else, or holds the same and may not be replaced.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not folder.is_dir() or not (folder / owned).is_file():
        raise AdapterError(f"{folder} holds something else (it has no {owned}). Choose another folder.")
    if not overwrite:
        raise AdapterError(f"{folder} is there already. Choose another folder, or allow it to be replaced.")
