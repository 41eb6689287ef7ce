"""The error tree.

Every error that a user can cause is a `FewshotError`. Its message is one readable paragraph: what was
given, what was expected, what to do next. The command line prints it without a traceback.

    FewshotError
    ├── TaskError          task.toml or its label words
    ├── SupportError       the labelled rows
    ├── TemplateError      a prompt template, or what it was asked to render
    ├── ModelError         a model that is unknown, absent, damaged or does not fit
    │   └── PullError      fetching, checking or converting a model's files
    ├── ScoringError       a prompt that cannot be scored (too long, labels that tokenise alike)
    ├── CalibrationError   too few or unusable out-of-fold scores
    ├── TuningError        a recipe or a training run
    ├── ArtifactError      a saved folder that is not whole, or was fitted with another model or for another task
    ├── AdapterError       an adapter folder that is damaged or belongs to another base or task
    ├── ExportError        an export that a server would not serve as trained
    │   └── CertificateError  a server that answers otherwise than the toolkit
    ├── ServerError        a remote scorer's server
    ├── BatchError         a batch job or its manifest
    └── DataFileError      reading or writing rows
        └── BusyError      another process is writing there
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import SequenceMatcher, get_close_matches

__all__ = [
    "AdapterError",
    "ArtifactError",
    "BatchError",
    "BusyError",
    "CalibrationError",
    "CertificateError",
    "DataFileError",
    "ExportError",
    "FewshotError",
    "FewshotWarning",
    "ModelError",
    "PullError",
    "ScoringError",
    "ServerError",
    "SupportError",
    "TaskError",
    "TemplateError",
    "TuningError",
    "nearest",
    "readable_record",
]


class FewshotError(Exception):
    """Anything the user can put right."""


class FewshotWarning(UserWarning):
    """Something a user should know of a run that goes on; the command line prints it as `warning: …`."""


class TaskError(FewshotError):
    """A `task.toml`, its labels or its label words."""


class SupportError(FewshotError):
    """The labelled rows."""


class TemplateError(FewshotError):
    """A prompt template, or what it was asked to render."""


class ModelError(FewshotError):
    """A model that is unknown, absent, damaged or does not fit."""


class PullError(ModelError):
    """Fetching, checking or converting a model's files."""


class ScoringError(FewshotError):
    """A prompt that cannot be scored."""


class CalibrationError(FewshotError):
    """Too few or unusable out-of-fold scores."""


class TuningError(FewshotError):
    """A recipe or a training run."""


class ArtifactError(FewshotError):
    """A saved folder that is not whole, or was fitted with another model or for another task."""


class AdapterError(FewshotError):
    """An adapter folder that is damaged, or belongs to another base model or task."""


class ExportError(FewshotError):
    """An export that a server would not serve as it was trained."""


class CertificateError(ExportError):
    """A server that answers otherwise than the toolkit."""


class ServerError(FewshotError):
    """A remote scorer's server."""


class BatchError(FewshotError):
    """A batch job or its manifest."""


class DataFileError(FewshotError):
    """Reading or writing rows."""


class BusyError(DataFileError):
    """Another process is writing there at this moment."""


ABOUT = 0.8
"""A name is offered beside the nearest one where it is at least so many times as near."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint for an unknown name: the nearest known one and those that are about as near, else all of them.

    >>> nearest("review-sentimnt", ["review-sentiment", "customer-intent"])
    'Did you mean review-sentiment?'
    >>> nearest("smollm2", ["e5-small", "smollm2-135m"])
    'Did you mean smollm2-135m?'
    """
    known = sorted(known)
    close = get_close_matches(name, known, n=3, cutoff=0.5)
    near = [SequenceMatcher(None, one, name).ratio() for one in close]
    close = [one for one, ratio in zip(close, near, strict=True) if ratio >= ABOUT * near[0]]
    return f"Did you mean {' or '.join(close)}?" if close else f"Known: {', '.join(known) or 'none'}."


@contextmanager
def readable_record(path: str | os.PathLike[str], kind: type[FewshotError]) -> Iterator[None]:
    """Turn whatever goes wrong in using what a file records into an error that names the file.

    Args:
        path: the file, which may be a stranger's.
        kind: of the error.

    Raises:
        FewshotError: of that kind; one that is raised within goes through as it is.
    """
    try:
        yield
    except FewshotError:
        raise
    except (ArithmeticError, AttributeError, LookupError, OSError, RecursionError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:400]}"
        raise kind(f"{os.fspath(path)} is damaged or of another version ({reason}). Write it again.") from error
