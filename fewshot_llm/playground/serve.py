"""The page on an address: this machine only, or anywhere with a token. Who may open it, and what it may fetch.

Without a token only names of the loopback are answered, and only to pages of the loopback: a web page elsewhere can
neither point its own name at 127.0.0.1 (DNS rebinding) nor send something there. With one, the address that is printed
carries it once, and a cookie afterwards. Every answer tells the browser to fetch nothing from anywhere else: the page
works without a network, and says nothing to one.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any, TypeAlias
from urllib.parse import parse_qs, urlsplit

from fewshot_llm.errors import FewshotError
from fewshot_llm.playground.session import PlaygroundSession
from fewshot_llm.playground.words import NO_TOKEN

__all__ = ["AccessMiddleware", "PageAddress", "application", "is_loopback", "listen", "serve"]

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

COOKIE = "fewshot_llm_token"

POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' blob: data:; worker-src 'self' blob:; "
    "frame-ancestors 'none'; base-uri 'self'; form-action 'self'"
)
"""gradio's page starts with inline scripts and compiles templates; nothing of it needs another origin."""


def is_loopback(host: str) -> bool:
    """Whether an address can only be reached from this machine.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class AccessMiddleware:
    """An ASGI application around another one.

    Args:
        app: what is guarded.
        token: what a visitor has to know; None for visitors from this machine only.
    """

    def __init__(self, app: App, token: str | None) -> None:
        self.app, self.token = app, token

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        given = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]
        cookie = SimpleCookie(headers.get("cookie", ""))
        remembered = cookie[COOKIE].value if COOKIE in cookie else ""
        if not self._welcome(headers.get("host", ""), headers.get("origin", ""), given, remembered):
            await _refuse(scope, send)
            return
        extra = [(b"content-security-policy", POLICY.encode()), (b"referrer-policy", b"no-referrer")]
        if given and self.token is not None:
            extra.append((b"set-cookie", f"{COOKIE}={self.token}; Path=/; HttpOnly; SameSite=Strict".encode()))

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *extra]
            await send(message)

        await self.app(scope, receive, with_headers)

    def _welcome(self, host: str, origin: str, given: str, remembered: str) -> bool:
        if self.token is None:
            return _local(f"//{host}") and (not origin or _local(origin))
        # compare_digest: the time an answer takes must not tell how much of a guess is right.
        return any(hmac.compare_digest(known.encode(), self.token.encode()) for known in (given, remembered))


def _local(url: str) -> bool:
    try:
        return is_loopback(urlsplit(url).hostname or "")
    except ValueError:  # not an address at all
        return False


async def _refuse(scope: Message, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 4403})
        return
    body = f"{NO_TOKEN.en}\n{NO_TOKEN.zh}\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@dataclass(frozen=True)
class PageAddress:
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


def application(session: PlaygroundSession, language: str, token: str | None) -> AccessMiddleware:
    """The guarded page as an ASGI application.

    Args:
        session: what the page works on.
        language: of the page at first, `zh` or `en`.
        token: see `PageAddress.token`.
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
    return AccessMiddleware(app, token)


def listen(address: PageAddress) -> socket.socket:
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


def serve(session: PlaygroundSession, language: str, listener: socket.socket, token: str | None) -> None:
    """Serve on a port that is taken already, until Ctrl-C.

    Args:
        session: what the page works on.
        language: of the page at first.
        listener: from `listen`.
        token: see `PageAddress.token`.
    """
    import uvicorn

    app = application(session, language, token)
    uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none")).run(sockets=[listener])
