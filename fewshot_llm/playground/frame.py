"""What the tabs of the page share: the components that follow the language and the support set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from fewshot_llm.errors import FewshotError
from fewshot_llm.playground import views
from fewshot_llm.playground.session import Session
from fewshot_llm.playground.words import Words, words_of

__all__ = ["Page", "readable", "table"]

Captions = Callable[[Words], dict[str, Any]]
Rows = list[list[str]]


@dataclass
class Page:
    """The components that several tabs need, and every captioned one with its caption.

    Attributes:
        session: what the page works on.
        words: of the language at first.
        captions: components, and what makes their captions.
        status, language, support, history: components; set while the page is laid out.
    """

    session: Session
    words: Words
    captions: list[tuple[Any, Captions]] = field(default_factory=list)
    status: Any = None
    language: Any = None
    support: Any = None
    history: Any = None

    def add(self, make: Callable[..., Any], caption: Captions, **settings: Any) -> Any:
        """A component whose caption follows the language."""
        component = make(**caption(self.words), **settings)
        self.captions.append((component, caption))
        return component

    @property
    def captioned(self) -> list[Any]:
        """What `translate` gives new captions, in its order."""
        return [component for component, _ in self.captions]

    def translate(self, language: str) -> list[Any]:
        """The captions in another language."""
        import gradio as gr

        return [gr.update(**caption(words_of(language))) for _, caption in self.captions]

    def state(self, words: Words) -> list[Any]:
        """New values of status, support rows and history, in this order; see `state_of`."""
        return [
            views.status_line(self.session, words),
            table(words.support_columns, views.support_rows(self.session)),
            table(words.history_columns, views.history_rows(self.session, words)),
        ]

    @property
    def state_of(self) -> list[Any]:
        """The components that `state` gives new values."""
        return [self.status, self.support, self.history]


def table(headers: tuple[str, ...], rows: Rows) -> dict[str, Any]:
    """A value for a `gradio.Dataframe`."""
    return {"headers": list(headers), "data": rows}


def readable(handler: Callable[..., Any]) -> Callable[..., Any]:
    """A user's error becomes a message on the page instead of a crash."""

    @wraps(handler)
    def call(*arguments: Any) -> Any:
        import gradio as gr

        try:
            return handler(*arguments)
        except FewshotError as error:
            raise gr.Error(str(error), print_exception=False) from error

    return call
