"""The page on an address: this machine only, or anywhere with a token."""

from __future__ import annotations

import secrets
import socket
from dataclasses import dataclass
from typing import Any

from fewshot_llm.errors import FewshotError
from fewshot_llm.playground.guard import Guard, is_loopback
from fewshot_llm.playground.session import Session

__all__ = ["Address", "application", "listen", "serve"]


@dataclass(frozen=True)
class Address:
    """Where the page is, and what opens it.

    Attributes:
        host: the address to listen on.
        port: 0 takes a free one.
        token: needed by every visitor; made up for an address that other machines reach.
    """

    host: str = "127.0.0.1"
    port: int = 7860
    token: str | None = None

    def __post_init__(self) -> None:
        if self.token is None and not is_loopback(self.host):
            object.__setattr__(self, "token", secrets.token_urlsafe(24))
        if self.token is not None and len(self.token) < 8:
            raise FewshotError("A token of fewer than 8 characters can be guessed. Give a longer one, or none.")

    def url(self, port: int) -> str:
        """What to open in a browser."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host
        host = f"[{host}]" if ":" in host else host
        return f"http://{host}:{port}/" + (f"?token={self.token}" if self.token else "")


def application(session: Session, language: str, token: str | None) -> Guard:
    """The guarded page as an ASGI application.

    Args:
        session: what the page works on.
        language: of the page at first, `zh` or `en`.
        token: see `Address.token`.
    """
    import gradio
    from fastapi import FastAPI

    from fewshot_llm.playground.page import STYLE, build_page, theme

    blocks = build_page(session, language)
    app: Any = gradio.mount_gradio_app(
        FastAPI(openapi_url=None),
        blocks,
        path="/",
        theme=theme(),
        css=STYLE,
        footer_links=[],
        ssr_mode=False,
        show_error=True,
        enable_monitoring=False,
    )
    return Guard(app, token)


def listen(address: Address) -> socket.socket:
    """The taken port, before any work is done for it.

    Raises:
        FewshotError: the port is in use, or the address is not this machine's.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address.host, address.port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise FewshotError(
            f"Cannot listen on {address.host}, port {address.port}: {error.strerror}. Choose another --port (0 takes a "
            "free one) or --host."
        ) from error
    return listener


def serve(session: Session, language: str, listener: socket.socket, token: str | None) -> None:
    """Serve on a port that is taken already, until Ctrl-C.

    Args:
        session: what the page works on.
        language: of the page at first.
        listener: from `listen`.
        token: see `Address.token`.
    """
    import uvicorn

    app = application(session, language, token)
    uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none")).run(sockets=[listener])
