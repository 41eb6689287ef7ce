"""Terms: those that have to be accepted before a model is fetched, and those that go with what derives from it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import TypeAlias

from fewshot_llm.errors import PullError
from fewshot_llm.files import sha256_file
from fewshot_llm.models.cache import Acceptance, model_folder, read_record
from fewshot_llm.models.registry import EMBEDDED, EmbeddedModel, Licence
from fewshot_llm.models.trust import is_elsewhere

__all__ = ["TERMS_FILE", "Ask", "ask_on_terminal", "licence_of", "notice", "obtain_acceptance", "terms_text"]

TERMS_FILE = "TERMS.html"
"""In a model's folder in the cache: the terms as they were accepted."""

ENVIRONMENT = "FEWSHOT_ACCEPT_LICENCE"
"""Names of models whose terms the user accepts, separated by commas."""

Ask: TypeAlias = Callable[[EmbeddedModel, str], bool | None]
"""Shows a model's terms and asks: True or False as answered, None where nobody can be asked."""


def obtain_acceptance(model: EmbeddedModel, text: str, *, accept_licence: bool, ask: Ask) -> Acceptance:
    """Make sure that somebody agreed to the model's terms.

    Args:
        model: the model that is about to be fetched; its licence has terms.
        text: the terms as plain text, shown where somebody is asked.
        accept_licence: the caller agrees already.
        ask: how to ask.

    Returns:
        The record of the agreement.

    Raises:
        PullError: not agreed; the message says where the terms are and how to accept them.
    """
    licence = model.licence
    if accept_licence:
        how = "accept_licence"
    elif model.name in (name.strip() for name in os.environ.get(ENVIRONMENT, "").split(",")):
        how = ENVIRONMENT
    else:
        answer = ask(model, text)
        if answer is None:
            raise PullError(
                f"{model.name} comes under the {licence.name}, which you have to accept first: read them at "
                f"{licence.url}, then run `fewshot-llm models pull {model.name} --accept-licence`, or set "
                f"{ENVIRONMENT}={model.name}."
            )
        if not answer:
            raise PullError(f"{model.name} was not fetched, because the {licence.name} were not accepted.")
        how = "terminal"
    return Acceptance(how=how, at=datetime.now(UTC).isoformat(timespec="seconds"), terms_sha256=licence.terms_sha256)


def ask_on_terminal(model: EmbeddedModel, text: str) -> bool | None:
    """Print the terms and read yes or no; None unless a person sits at a terminal.

    Everything goes to standard error: standard output may be a data file.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    print(f"{text}\n\n{model.name} comes under these terms ({model.licence.url}).", file=sys.stderr)
    print("Do you accept them? (y/N) ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def licence_of(name: str) -> Licence | None:
    """The terms of an embedded model, given by name or by its folder in the cache; None for any other.

    >>> licence_of("e5-small").name, licence_of("owner/model")
    ('MIT', None)
    """
    if name not in EMBEDDED:
        try:
            record = None if not name or is_elsewhere(name) else read_record(Path(name).expanduser())
        except (OSError, RuntimeError, ValueError):  # longer than any path, or of a user that there is not
            return None
        if record is None:
            return None
        name = record.name
    return EMBEDDED[name].licence if name in EMBEDDED else None


def notice(names: Iterable[str]) -> str:
    """What has to go along with what derives from some models: each notice with where its terms are, and their text.

    Args:
        names: of models, as `licence_of` takes them.

    Returns:
        Empty where no terms ask for a notice. The text of terms is there where it was accepted on this machine.
    """
    asked = dict.fromkeys(found for found in map(licence_of, names) if found is not None and found.notice)
    parts = []
    for licence in asked:
        parts.append(f"{licence.notice}\n\n{licence.name}: {licence.url}\n")
        text = _kept_terms(licence)
        if text:
            parts.append(f"{text}\n")
    return "\n".join(parts)


def _kept_terms(licence: Licence) -> str:
    for model in EMBEDDED.values():
        path = model_folder(model) / TERMS_FILE
        if model.licence == licence and path.is_file() and sha256_file(path) == licence.terms_sha256:
            return terms_text(path.read_text(encoding="utf-8"))
    return ""


def terms_text(html: str) -> str:
    """The readable text of a page of terms: that of its last article body, or of the whole page without one."""
    parser = _Article()
    parser.feed(html)
    return parser.text()


class _Article(HTMLParser):
    """Collects a page's text, block by block."""

    BLOCKS = frozenset({"p", "li", "ul", "ol", "h1", "h2", "h3", "h4", "tr", "br", "div", "table"})
    HIDDEN = frozenset({"script", "style", "head", "nav", "header", "footer", "devsite-toc", "button"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._hidden = 0
        self._article = 0
        self._everything: list[str] = []
        self._body: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self.HIDDEN:
            self._hidden += 1
        if tag == "article":
            self._article += 1
        if tag in self.BLOCKS:
            self._write("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in self.HIDDEN:
            self._hidden = max(0, self._hidden - 1)
        if tag == "article":
            self._article = max(0, self._article - 1)
        if tag in self.BLOCKS:
            self._write("\n")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self._write(data.replace("\n", " "))

    def _write(self, text: str) -> None:
        self._everything.append(text)
        if self._article:
            self._body.append(text)

    def text(self) -> str:
        lines = (" ".join(line.split()) for line in "".join(self._body or self._everything).split("\n"))
        return "\n\n".join(line for line in lines if line)
